"""What the protocol core costs per message, in microseconds of CPU, without sockets and threads.

Run it with ``python tests/benchmarks/bench_dimse.py``. Each row is the best of several rounds in
one thread; the rows take turns, so that another load on the machine meets all alike. Messages
differ from each other as those of a sender do: in their Message ID and their SOP Instance UID.
"""

from __future__ import annotations

import argparse
import time
import timeit
from itertools import cycle
from typing import TYPE_CHECKING

from dicom_actors.dimse import (
    CommandField,
    MessageAssembler,
    ResponseEncoder,
    ResponseTemplates,
    decode_command,
    encode_request,
    encode_response,
    fragment,
    fragment_message,
)
from dicom_actors.pdu import Pdv, p_data_buffers
from dicom_actors.upper_layer import (
    AcceptedContext,
    DataRequest,
    Negotiated,
    Role,
    UpperLayer,
    UpperLayerLimits,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MESSAGES = 1000
MAX_PDU_LENGTH = 128 * 1024


def instance(number: int) -> str:
    """A UID as long as that of a CT scanner, of a length that varies."""
    return f"1.2.840.113619.2.55.3.2831868886.949.1399368131.{(number * 37) % 4099}"


def stores() -> list[bytes]:
    """Command sets of C-STORE requests."""
    return [
        encode_request(CommandField.C_STORE_RQ, n + 1, CT, instance(n), has_data_set=True)
        for n in range(MESSAGES)
    ]


def echoes() -> list[bytes]:
    """Command sets of C-ECHO requests."""
    return [encode_request(CommandField.C_ECHO_RQ, n + 1, VERIFICATION) for n in range(MESSAGES)]


def answers() -> list[bytes]:
    """Command sets of C-STORE responses."""
    return [encode_response(decode_command(raw), 0) for raw in stores()]


def machine() -> UpperLayer:
    """An association that is established."""
    contexts = (
        AcceptedContext(1, VERIFICATION, "1.2.840.10008.1.2", as_scu=False, as_scp=True),
        AcceptedContext(3, CT, "1.2.840.10008.1.2.1", as_scu=False, as_scp=True),
        AcceptedContext(5, STUDY_ROOT_FIND, "1.2.840.10008.1.2.1", as_scu=False, as_scp=True),
    )
    return UpperLayer.resume(
        Negotiated(Role.ACCEPTOR, "US", "THEM", contexts, MAX_PDU_LENGTH, 16384),
        UpperLayerLimits(max_pdu_length=MAX_PDU_LENGTH),
    )


def wire(raw: bytes, data: bytes, length: int) -> memoryview:
    """A message as the PDUs that a peer sends."""
    pdvs = fragment_message(3, raw, data, length)
    return memoryview(b"".join(part for pdv in pdvs for part in p_data_buffers((pdv,))))


def decoding_in_general(raws: list[bytes]) -> Callable[[], object]:
    """Read command sets, each as if it were the first."""
    pull = cycle(raws).__next__
    return lambda: decode_command(pull())


def decoding(raws: list[bytes]) -> Callable[[], object]:
    """Take command sets in, each in a value of its own."""
    assembler = MessageAssembler({3})
    pdvs = cycle([Pdv(3, True, True, memoryview(raw)) for raw in raws])
    pull = pdvs.__next__

    def step() -> None:
        assembler.receive(pull())
        assembler.partial = None

    return step


def first() -> Callable[[], object]:
    """Take the first command set of an association in."""
    pdv = Pdv(1, True, True, memoryview(echoes()[0]))
    return lambda: MessageAssembler({1}).receive(pdv)


def answering(raws: list[bytes], context_id: int, status: int) -> Callable[[], object]:
    """Answer requests in whole PDUs."""
    upper_layer, encoder = machine(), ResponseEncoder(16384, ResponseTemplates())
    pull = cycle([decode_command(raw) for raw in raws]).__next__

    def step() -> bytes | None:
        request = pull()
        return encoder.encode(context_id, request, status) if upper_layer.may_send_data else None

    return step


def answering_in_general(raws: list[bytes], context_id: int, status: int) -> Callable[[], object]:
    """Answer requests as everything may be sent: a command set, its fragments, their PDUs."""
    upper_layer = machine()
    pull = cycle([decode_command(raw) for raw in raws]).__next__

    def step() -> bytes:
        command_set = encode_response(pull(), status)
        pdvs = fragment(context_id, command_set, 16384, is_command=True)
        effects = (e for pdv in pdvs for e in upper_layer.request(DataRequest((pdv,))))
        return b"".join([part for e in effects for part in e.buffers])

    return step


def receiving(size: int, length: int) -> Callable[[], object]:
    """Take a whole C-STORE in: PDUs, their values, its command and its fragments."""
    upper_layer, assembler = machine(), MessageAssembler({3})
    pull = cycle([wire(raw, bytes(size), length) for raw in stores()[:50]]).__next__

    def step() -> None:
        view = pull()
        while view:
            values = upper_layer.receive_values(view)
            assert values is not None
            if values.command is not None:
                assembler.receive(Pdv(values.context_id, True, True, values.command))
            if values.data:
                assembler.pass_data(values.context_id, is_last=values.is_last)
            view = view[values.consumed :]

    return step


def receiving_in_general(size: int, length: int) -> Callable[[], object]:
    """The same, one PDU at a time, by the effects of the upper layer."""
    upper_layer, assembler = machine(), MessageAssembler({3})
    pull = cycle([wire(raw, bytes(size), length) for raw in stores()[:50]]).__next__

    def step() -> None:
        view = pull()
        while view:
            consumed, effects = upper_layer.receive_data(view)
            for effect in effects:
                for pdv in effect.indication.pdvs:
                    assembler.receive(pdv)
            view = view[consumed:]

    return step


def framing() -> Callable[[], object]:
    """Take one P-DATA-TF in, without what it holds."""
    receive = machine().receive_data
    view = wire(b"", bytes(16000), 16384)[12:]
    return lambda: receive(view)


ROWS: dict[str, Callable[[], Callable[[], object]]] = {
    "C-STORE-RQ decoded": lambda: decoding(stores()),
    "C-STORE-RQ decoded, in general": lambda: decoding_in_general(stores()),
    "C-ECHO-RQ decoded": lambda: decoding(echoes()),
    "C-STORE-RSP decoded": lambda: decoding(answers()),
    "C-ECHO-RQ decoded, the first of an association": first,
    "C-STORE-RSP encoded": lambda: answering(stores(), 3, 0),
    "C-STORE-RSP encoded, in general": lambda: answering_in_general(stores(), 3, 0),
    "C-ECHO-RSP encoded": lambda: answering(echoes(), 1, 0),
    "C-FIND-RSP encoded, pending": lambda: answering(
        [encode_request(CommandField.C_FIND_RQ, 7, STUDY_ROOT_FIND, has_data_set=True)], 5, 0xFF00
    ),
    "a P-DATA-TF received": framing,
    "a C-STORE of 9 KB received, in general": lambda: receiving_in_general(9_000, MAX_PDU_LENGTH),
    "a C-STORE of 0.5 MB received, in general": lambda: receiving_in_general(500_000, 16384),
    "a C-STORE of 9 KB received": lambda: receiving(9_000, MAX_PDU_LENGTH),
    "a C-STORE of 0.5 MB received": lambda: receiving(500_000, 16384),
}


def main() -> None:
    """Measure, and print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--number", type=int, default=5_000, help="messages in a round")
    arguments = parser.parse_args()
    timers = {name: timeit.Timer(make(), timer=time.process_time) for name, make in ROWS.items()}
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(arguments.rounds):
        for name, timer in timers.items():
            best[name] = min(best[name], timer.timeit(arguments.number) / arguments.number)
    for name, seconds in best.items():
        print(f"{name:50} {seconds * 1e6:8.2f} us")


if __name__ == "__main__":
    main()
