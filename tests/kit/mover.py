"""A peer that asks for C-MOVE, and the destinations of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from kit.endpoints import running
from kit.finder import cancel_pdus
from kit.peer import CT_IMAGE, IMPLICIT, Peer, command_pdus

from dicom_actors import DataSet
from dicom_actors.dimse import Command, CommandElement, CommandField, decode_command, fragment
from dicom_actors.pdu import PDataTf, PresentationContextRq

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kit.endpoints import Running

STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
QUERY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
CONTEXTS = (
    PresentationContextRq(1, "1.2.840.10008.1.1", (IMPLICIT,)),
    PresentationContextRq(3, STUDY_ROOT_MOVE, (IMPLICIT,)),
)


class Counts(NamedTuple):
    """What a response says; None for what it does not say."""

    status: int | None
    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None


class Answer(NamedTuple):
    """The final response."""

    counts: Counts
    comment: str
    failed: list[str]


class Mover(Peer):
    """A peer that asks for C-MOVE."""

    @classmethod
    def at(cls, port: int) -> Self:
        """Connect and associate."""
        peer = cls(port)
        peer.associate(contexts=CONTEXTS)
        return peer

    def ask(self, message_id: int = 1, destination: str = "ARCHIVE") -> None:
        """Ask for a move."""
        self.send(
            *command_pdus(
                {
                    CommandElement.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_MOVE,
                    CommandElement.COMMAND_FIELD: CommandField.C_MOVE_RQ,
                    CommandElement.MESSAGE_ID: message_id,
                    CommandElement.PRIORITY: 0,
                    CommandElement.MOVE_DESTINATION: destination,
                },
                3,
                has_data_set=True,
            ),
            *(
                PDataTf((pdv,))
                for pdv in fragment(3, QUERY.to_bytes(IMPLICIT), 16384, is_command=False)
            ),
        )

    def cancel(self, message_id: int = 1) -> None:
        """Ask for the end of a move."""
        self.send(*cancel_pdus(message_id))

    def progress(self) -> Counts:
        """The next response, which has no data set."""
        return counts_of(self.response())

    def rest(self) -> tuple[list[Counts], Answer]:
        """The pending responses that still come, and the final one."""
        pending: list[Counts] = []
        while True:
            command, data_set = self._next_message()
            counts = counts_of(command)
            if counts.status != 0xFF00:
                failed: list[str] = []
                if data_set is not None:
                    failed = list(data_set.fetch("FailedSOPInstanceUIDList").values)
                comment = str(command.elements.get("ErrorComment") or "")
                return pending, Answer(counts, comment, failed)
            pending.append(counts)

    def answer(self) -> Answer:
        """The final response; pending ones are dropped."""
        return self.rest()[1]

    def _next_message(self) -> tuple[Command, DataSet | None]:
        command, data = b"", b""
        parsed = None
        while True:
            pdu = self.receive()
            assert isinstance(pdu, PDataTf), pdu
            for pdv in pdu.pdvs:
                if pdv.is_command:
                    command += pdv.data
                else:
                    data += pdv.data
                if pdv.is_last and pdv.is_command:
                    parsed = decode_command(command)
                    if not parsed.has_data_set:
                        return parsed, None
                elif pdv.is_last:
                    assert parsed is not None
                    return parsed, DataSet.from_bytes(data, IMPLICIT)


def counts_of(command: Command) -> Counts:
    """The status and the counts of a response."""
    elements = command.elements
    return Counts(
        command.status,
        *(
            elements.get(f"NumberOf{kind}Suboperations")
            for kind in ("Remaining", "Completed", "Failed", "Warning")
        ),
    )


def instance(number: int, sop_class: str = CT_IMAGE, **more: Any) -> DataSet:
    """An object to be sent."""
    return DataSet.from_keywords(
        SOPClassUID=sop_class, SOPInstanceUID=f"1.2.{number}", PatientID=str(number), **more
    )


def uids(*numbers: int) -> list[str]:
    """The SOP Instance UIDs of objects."""
    return [f"1.2.{number}" for number in numbers]


class Destination(NamedTuple):
    """An endpoint that instances are sent to, and the events of what came."""

    endpoint: Running
    stored: list[Any]

    @property
    def port(self) -> int:
        """Its port."""
        return self.endpoint.port

    @property
    def uids(self) -> list[str]:
        """The SOP Instance UIDs of what came."""
        return [event.sop_instance_uid for event in self.stored]


@contextlib.contextmanager
def destination(
    answer: Callable[[Any], Any] = lambda _: None, **settings: Any
) -> Iterator[Destination]:
    """Run an endpoint that takes what comes and answers it with `answer`."""
    stored: list[Any] = []

    def store(event: Any) -> Any:
        stored.append(event)
        return answer(event)

    with running({"cstore": store}, **settings) as endpoint:
        yield Destination(endpoint, stored)


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port that is listened on, but where no connection is established any more."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def moving_threads() -> list[threading.Thread]:
    """The threads of the associations to destinations."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("C-MOVE to ")]
