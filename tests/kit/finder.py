"""A peer that asks for matches."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, Self

from kit.peer import IMPLICIT, LIMIT, Peer, associate_rq, command_pdus

from dicom_actors import DataSet
from dicom_actors.dimse import CommandElement, CommandField, fragment
from dicom_actors.pdu import PDataTf, PresentationContextRq, encode_pdu

if TYPE_CHECKING:
    from collections.abc import Iterator

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
CONTEXTS = (
    PresentationContextRq(1, "1.2.840.10008.1.1", (IMPLICIT,)),
    PresentationContextRq(3, STUDY_ROOT, (IMPLICIT,)),
)
QUERY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="*")


def find_pdus(message_id: int, query: DataSet = QUERY) -> list[Any]:
    data = query.to_bytes(IMPLICIT)
    return [
        *command_pdus(
            {
                CommandElement.AFFECTED_SOP_CLASS_UID: STUDY_ROOT,
                CommandElement.COMMAND_FIELD: CommandField.C_FIND_RQ,
                CommandElement.MESSAGE_ID: message_id,
                CommandElement.PRIORITY: 0,
            },
            3,
            has_data_set=True,
        ),
        *(PDataTf((pdv,)) for pdv in fragment(3, data, 16384, is_command=False)),
    ]


def cancel_pdus(message_id: int) -> list[Any]:
    return command_pdus(
        {
            CommandElement.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        },
        3,
    )


class Finder(Peer):
    """A peer that asks for matches."""

    @classmethod
    def at(cls, port: int) -> Finder:
        peer = cls(port)
        peer.associate(contexts=CONTEXTS)
        return peer

    def next_response(self) -> tuple[int | None, DataSet | None]:
        """The next response: its status, and its match."""
        response = self.response()
        if not response.has_data_set:
            return response.status, None
        pdu = self.receive()
        assert isinstance(pdu, PDataTf)
        return response.status, DataSet.from_bytes(bytes(pdu.pdvs[0].data), IMPLICIT)

    def rest(self) -> tuple[list[DataSet], int | None]:
        """All matches to come, and the final status."""
        matches = []
        while True:
            status, match = self.next_response()
            if match is None:
                return matches, status
            matches.append(match)


def studies(count: int) -> Iterator[DataSet]:
    for number in range(count):
        yield DataSet.from_keywords(StudyInstanceUID=f"1.2.{number}", PatientName="Valim^José")


class Counter:
    """A client that counts the messages of the answer, and looks at nothing else."""

    def __init__(self, port: int, called: str = "TEST", limit: float = LIMIT) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), limit)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(encode_pdu(associate_rq(called, "COUNTER", CONTEXTS, 131072)))
        self._pdus = self._received()
        assert next(self._pdus)[0] == 2, "the association was not accepted"

    def _received(self) -> Iterator[bytes]:
        data = b""
        while True:
            position = 0
            while len(data) - position >= 6:
                length = 6 + int.from_bytes(data[position + 2 : position + 6], "big")
                if len(data) - position < length:
                    break
                yield data[position : position + length]
                position += length
            more = self.socket.recv(1 << 20)
            assert more, "the peer closed the connection"
            data = data[position:] + more

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self, message_id: int, query: DataSet = QUERY) -> None:
        """Ask."""
        pdus = find_pdus(message_id, query)
        self.socket.sendall(b"".join(map(encode_pdu, pdus)))

    def cancel(self, message_id: int) -> None:
        """Ask for no more."""
        self.socket.sendall(b"".join(map(encode_pdu, cancel_pdus(message_id))))

    def statuses(self) -> Iterator[int]:
        """The status of each response, to the last one."""
        for pdu in self._pdus:
            position = 6
            while position < len(pdu):
                length = int.from_bytes(pdu[position : position + 4], "big")
                if pdu[position + 5] & 1:
                    at = pdu.index(b"\0\0\0\x09\2\0\0\0", position) + 8
                    status = int.from_bytes(pdu[at : at + 2], "little")
                    yield status
                    if status not in {0xFF00, 0xFF01}:
                        return
                position += 4 + length

    def close(self) -> None:
        """End it without ceremony."""
        self.socket.close()
