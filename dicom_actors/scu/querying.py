"""Requests with many responses, taken one by one; and C-FIND as a user.

PS3.7 9.1.2 to 9.1.4, PS3.4 C.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Final, Generic, Literal, NamedTuple, TypeVar

from dicom_actors.data import DataSet
from dicom_actors.data.dataset.encoder import encode_to_send
from dicom_actors.dimse import (
    CommandField,
    Status,
    StatusCategory,
    category_of,
    describe_status,
    error_comment,
    read_failure_elements,
    status_service,
)
from dicom_actors.errors import DataError, DecodeError, DimseFailure
from dicom_actors.scu.running import Running

if TYPE_CHECKING:
    from dicom_actors.dimse import Command
    from dicom_actors.scu.channel import Message
    from dicom_actors.scu.session import Session
    from dicom_actors.scu.settings import Deadline
    from dicom_actors.upper_layer import AcceptedContext

__all__ = [
    "MoveProgress",
    "OnWarning",
    "Operation",
    "Responses",
    "check_on_warning",
    "failure_of",
    "find",
    "raise_failure",
    "request",
    "words_for",
]

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")

OnWarning = Literal["raise", "ignore"]
"""What becomes of a final status that is neither Success nor a failure: raised at the end of the
iteration, or only told by `Operation.status` and `Operation.progress`."""

_PENDING: Final = frozenset({Status.PENDING, Status.PENDING_WITH_WARNING})


class MoveProgress(NamedTuple):
    """How far a C-MOVE or C-GET is (PS3.7 9.1.4.1).

    Attributes:
        remaining: sub-operations that are still to be done; None where the peer does not say.
        completed: those that went well.
        failed: those that failed.
        warning: those that went well with a warning.
        status: Pending (FF00H), or the final status.
        failed_sop_instance_uids: which instances failed, as far as the final response says.
    """

    remaining: int | None
    completed: int | None
    failed: int | None
    warning: int | None
    status: int
    failed_sop_instance_uids: tuple[str, ...] = ()


class Operation(Iterator[Item], Generic[Item]):
    """What comes of a C-FIND, C-GET or C-MOVE; nothing is received before it is asked for.

    Leaving the loop, or `close`, cancels the operation. Used from one thread at a time, that of
    its association.
    """

    def __init__(self, session: Session, responses: Responses[Item]) -> None:
        self._session = session
        self._responses = responses
        self._items = responses.items()
        next(self._items)  # up to the first wait, so that closing it cancels the operation

    def __iter__(self) -> Operation[Item]:
        return self

    def __next__(self) -> Item:
        item = next(self._items)
        assert item is not None
        return item

    @property
    def status(self) -> int | None:
        """The final status; None while there is none."""
        return self._responses.status

    @property
    def progress(self) -> MoveProgress | None:
        """The counts that the peer told last; None if it told none yet, and for C-FIND."""
        return self._responses.progress

    def cancel(self) -> None:
        """Ask the peer to give up (C-CANCEL); what it still sends is given until it does."""
        if self._session.running is self._responses.running:
            self._session.cancel_running()

    def close(self) -> None:
        """Cancel the operation if it runs, and drop what still comes."""
        self._items.close()


class Responses(ABC, Generic[Item]):
    """The responses to one request.

    Args:
        session: where it runs.
        running: the operation.
        on_warning: what a final status means that is neither Success nor a failure.
    """

    def __init__(self, session: Session, running: Running, on_warning: OnWarning) -> None:
        self.session = session
        self.running = running
        self.on_warning = on_warning
        self.what = f"the {running.name} request"
        self.status: int | None = None
        self.progress: MoveProgress | None = None

    def items(self) -> Generator[Item | None, None, None]:
        """Give what comes; the first is None and means nothing."""
        try:
            yield None
            yield from self.wanted()
        except GeneratorExit:
            # Nobody wants the rest. Anything else is looked after when the association is used
            # again or ends, since it may be Ctrl-C.
            if self.session.running is self.running:
                self.session.finish_running()
            raise
        finally:
            if self.running.outstanding:
                self.running.is_abandoned = True
            elif self.session.running is self.running:
                self.session.running = None

    @abstractmethod
    def wanted(self) -> Iterator[Item]:
        """Give what is wanted of the responses."""

    def receive(self, deadline: Deadline, *, stores: bool = False) -> tuple[Message, bool]:
        """Receive a message; and whether it is the final response."""
        running = self.running
        message = self.session.receive(self.what, stores=stores, deadline=deadline)
        command = message.command
        if not command.is_response:
            return message, False
        self.session.check(command, running.command_field, running.outstanding)
        if command.status in _PENDING:
            return message, False
        assert command.status is not None
        self.status = command.status
        running.outstanding.clear()
        self.session.running = None
        return message, True

    def is_raised(self, status: int) -> bool:
        """Whether a final status is an exception to whoever asked."""
        category = category_of(status)
        if category is StatusCategory.SUCCESS:
            return False
        if category is StatusCategory.CANCEL and self.running.is_cancelled:
            return False  # what was asked for
        return category is StatusCategory.FAILURE or self.on_warning == "raise"


class _Matches(Responses[DataSet]):
    count = 0

    def wanted(self) -> Iterator[DataSet]:
        session = self.session
        deadline = session.deadline()
        while True:
            message, is_final = self.receive(deadline)
            if is_final:
                self.finish(message.command)
                return
            if message.failure:
                raise DataError(f"an identifier could not be kept: {message.failure}")
            if message.data is None:
                session.channel.check_time(self.what, deadline)
                continue
            self.count += 1
            try:
                match = session.data_set_of(message)
            except DecodeError as error:
                # The others are no worse for it.
                _logger.warning("match %d cannot be read and is left out: %s", self.count, error)
                session.channel.check_time(self.what, deadline)
                continue
            yield match
            deadline = session.deadline()

    def finish(self, command: Command) -> None:
        """Take the final response. Raises DimseFailure if it is not Success, see `is_raised`."""
        assert command.status is not None
        if self.is_raised(command.status):
            raise failure_of(command)


def find(
    session: Session, sop_class_uid: str, identifier: DataSet, on_warning: OnWarning = "raise"
) -> Operation[DataSet]:
    """Ask for matches (PS3.4 C.4.1)."""
    running = request(session, CommandField.C_FIND_RQ, sop_class_uid, identifier, on_warning)
    return Operation(session, _Matches(session, running, on_warning))


def request(
    session: Session,
    command_field: CommandField,
    sop_class_uid: str,
    identifier: DataSet,
    on_warning: OnWarning,
    *,
    more: Mapping[int, int | str | bytes] | None = None,
) -> Running:
    """Send a request with an identifier; the session runs nothing else until its responses came.

    Raises:
        AssociationError: the association is over, or has no context for it.
    """
    check_on_warning(on_warning)
    context: AcceptedContext = session.context_for(sop_class_uid)
    pieces = encode_to_send(identifier, context.transfer_syntax)
    running = Running(command_field, context)
    message_id = session.request(context, command_field, sop_class_uid, pieces=pieces, more=more)
    running.outstanding.add(message_id)
    session.running = running
    return running


def check_on_warning(on_warning: str) -> None:
    """Raise ValueError unless it is one of `OnWarning`."""
    if on_warning not in {"raise", "ignore"}:
        raise ValueError(f"on_warning: expected 'raise' or 'ignore', got {on_warning!r}")


def raise_failure(command: Command) -> None:
    """Raise what the status of a response says, unless it is good or a warning.

    Raises:
        DimseFailure: the operation failed; its comment is the peer's, or the status in words.
    """
    assert command.status is not None
    if category_of(command.status) is StatusCategory.FAILURE:
        raise failure_of(command)


def failure_of(command: Command, counts: str = "") -> DimseFailure:
    """Make the exception of a response: the status in words, the peer's comment, and counts."""
    assert command.status is not None
    comment = "; ".join(filter(None, (error_comment(command), counts)))
    words = words_for(command.status, comment, status_service(command))
    return DimseFailure(command.status, words, **read_failure_elements(command))


def words_for(status: int, comment: str = "", service: str = "") -> str:
    """Return what a failure status of a service means, and the peer's comment if there is one."""
    words = describe_status(status, service).partition(": ")[2]
    return f"{words} ({comment})" if comment else words
