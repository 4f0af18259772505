"""Runs of P-DATA-TF taken at one go: the same values as one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.pdu import PDataTf, Pdv, encode_pdu
from dicom_actors.upper_layer import Role, State, Values
from dicom_actors.upper_layer.table import TRANSITIONS, Event
from tests.upper_layer.scenes import (
    ABORT_BYTES,
    DATA_BYTES,
    GARBAGE,
    LIMITS,
    MAX_PDU_LENGTH,
    RELEASE_RQ_BYTES,
    ROUTES,
    RQ_BYTES,
    machine_led_to,
    plain,
)


def pdu(*pdvs: tuple[int, bool, bool, bytes]) -> bytes:
    return encode_pdu(PDataTf(tuple(Pdv(*pdv) for pdv in pdvs)))


FRAGMENT = pdu((1, False, False, b"fragment"))
LAST = pdu((1, False, True, b"last"))
LONGEST = pdu((1, False, False, bytes(MAX_PDU_LENGTH - 6)))
PIECES = [
    DATA_BYTES,
    FRAGMENT,
    LAST,
    LONGEST,
    pdu((1, True, False, b"half a command")),
    pdu((1, False, False, b"")),
    pdu((1, False, True, b"")),
    pdu((1, False, False, b"a"), (1, False, False, b"b")),
    pdu(),
]
FAULTS = [
    pdu((3, False, False, b"another context")),
    pdu((1, False, False, bytes(MAX_PDU_LENGTH - 5))),
    FRAGMENT[:9] + b"\xff" + FRAGMENT[10:],
    RELEASE_RQ_BYTES,
    ABORT_BYTES,
    RQ_BYTES,
    GARBAGE,
]


def read(machine, data: bytes, *, in_runs: bool):
    """Everything that is done with some bytes: values, other effects, what is left, the end."""
    view, found = memoryview(data), []
    while view:
        values = machine.receive_values(view) if in_runs else None
        if values is not None:
            consumed = values.consumed
            found += plain_values(pdvs_of(values))
            assert 0 < len(values.data) + (values.command is not None) <= 257
            assert b"" not in values.data
        else:
            consumed, effects = machine.receive_data(view)
            for effect in plain(effects):
                found += plain_values(effect[2]) if effect[1:2] == ("DataIndication",) else [effect]
            if not consumed:
                break
        view = view[consumed:]
    return found, bytes(view), machine.state, machine._empty_pdus, str(machine.error)


def pdvs_of(values: Values) -> list[Pdv]:
    """The values, one by one."""
    context_id, command, data = values.context_id, values.command, values.data
    pdvs = [] if command is None else [Pdv(context_id, True, True, command)]
    pdvs += [Pdv(context_id, False, False, fragment) for fragment in data]
    return [*pdvs[:-1], pdvs[-1]._replace(is_last=values.is_last)] if data else pdvs


def plain_values(pdvs):
    return [tuple(pdv._replace(data=bytes(pdv.data))) for pdv in pdvs]


@given(
    st.sampled_from(sorted(ROUTES, key=str)),
    st.lists(st.sampled_from(PIECES), max_size=12),
    st.lists(st.sampled_from(FAULTS), max_size=1),
    st.lists(st.sampled_from(PIECES), max_size=2),
    st.integers(0, 20),
)
def test_runs_give_what_one_by_one_gives(place, before, fault, after, cut) -> None:
    data = b"".join([*before, *fault, *after])
    data = data[: len(data) - cut]
    one_by_one = read(machine_led_to(*place), data, in_runs=False)
    assert read(machine_led_to(*place), data, in_runs=True) == one_by_one


def test_a_run_ends_with_its_message() -> None:
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)
    message = DATA_BYTES + FRAGMENT * 3 + LONGEST + LAST
    view = memoryview(message * 2 + DATA_BYTES * 2)

    lengths = []
    while view:
        values = machine.receive_values(view)
        pdvs = pdvs_of(values)
        assert pdvs[-1].is_last
        lengths.append(len(pdvs))
        view = view[values.consumed :]

    assert lengths == [6, 6, 1, 1]


def test_payloads_are_slices_of_what_came() -> None:
    buffer = bytearray(FRAGMENT + LAST)
    machine = machine_led_to(Role.REQUESTOR, State.STA6)

    values = machine.receive_values(memoryview(buffer))

    assert [fragment.obj is buffer for fragment in values.data] == [True, True]


def test_there_is_an_end_to_the_smallest_fragments() -> None:
    data = pdu((1, False, False, b"x")) * 600
    machine, lengths = machine_led_to(Role.ACCEPTOR, State.STA6), []
    view = memoryview(data)

    while view:
        values = machine.receive_values(view)
        lengths.append(len(values.data))
        view = view[values.consumed :]

    assert lengths == [256, 256, 88]


def test_a_value_with_bytes_ends_a_row_of_empty_pdus() -> None:
    machine = machine_led_to(Role.ACCEPTOR, State.STA6)
    for _ in range(3):
        for _ in range(LIMITS.max_empty_pdus):
            assert machine.receive_data(memoryview(pdu())) == (6, ())
        assert machine.receive_values(memoryview(LAST)).consumed == len(LAST)


@pytest.mark.parametrize("place", ROUTES, ids=str)
def test_data_may_be_sent_where_the_table_has_an_action_for_it(place) -> None:
    assert machine_led_to(*place).may_send_data is ((Event.EVT9, place[1]) in TRANSITIONS)
