"""C-GET and C-MOVE as a user: instances here, or progress of their way to somebody else.

PS3.7 9.1.3, 9.1.4, PS3.4 C.4.2, C.4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandElement, CommandField, Status, sub_operations
from dicom_actors.errors import DataError, RetrievalIncomplete
from dicom_actors.scu.querying import (
    MoveProgress,
    Operation,
    Responses,
    failure_of,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.dimse import Command
    from dicom_actors.scu.channel import Message
    from dicom_actors.scu.querying import OnWarning
    from dicom_actors.scu.running import Running
    from dicom_actors.scu.session import Session

__all__ = ["get", "move"]

Item = TypeVar("Item")

_FEW: Final = 3
"""Instances that an error message names."""


class _Retrieval(Responses[Item]):
    """The responses to a C-GET or C-MOVE, which count sub-operations."""

    def __init__(self, session: Session, running: Running, on_warning: OnWarning) -> None:
        super().__init__(session, running, on_warning)
        self._done = 0

    def take_counts(self, message: Message) -> bool:
        """Take the counts of a response; whether more is done than before."""
        self.progress = _progress_of(self.session, message)
        counts = (self.progress.completed, self.progress.failed, self.progress.warning)
        before, self._done = self._done, max(self._done, sum(count or 0 for count in counts))
        return self._done > before

    def finish(self, command: Command) -> None:
        """Take the final response.

        Raises:
            RetrievalIncomplete: it is not Success, see `is_raised`; or not truly.
        """
        progress, status = self.progress, self.status
        assert progress is not None
        assert status is not None
        is_false = bool(progress.failed) and self.on_warning == "raise"
        if not (self.is_raised(status) or is_false):
            return
        failure = failure_of(command, self.remarks(progress))
        comment = failure.comment
        if is_false and status == Status.SUCCESS:
            comment = f"the peer says Success, but not all was done ({self.remarks(progress)})"
        raise RetrievalIncomplete(status, comment, progress, **failure.elements)

    def remarks(self, progress: MoveProgress) -> str:
        """Say how far it came."""
        return _in_words(progress)


class _Moves(_Retrieval[MoveProgress]):
    def wanted(self) -> Iterator[MoveProgress]:
        session = self.session
        deadline = session.deadline()
        while True:
            message, is_final = self.receive(deadline)
            has_moved = self.take_counts(message)
            assert self.progress is not None
            yield self.progress
            if is_final:
                self.finish(message.command)
                return
            if has_moved:
                deadline = session.deadline()
            session.channel.check_time(self.what, deadline)


class _Instances(_Retrieval[DataSet]):
    """The instances of a C-GET, of several ones where one does not bring them all.

    Args:
        ask_again: asks once more, with presentation contexts that the peer has not used; gives
            what runs then, None if there are none.
    """

    def __init__(
        self,
        session: Session,
        running: Running,
        on_warning: OnWarning,
        ask_again: Callable[[], Running | None] | None = None,
    ) -> None:
        super().__init__(session, running, on_warning)
        self._ask_again = ask_again
        self._taken: set[str] = set()
        self._count = 0  # of those, where some archives send one more than once
        self._refused: dict[str, None] = {}
        self._wanted = 0
        self._is_repeated = False

    def wanted(self) -> Iterator[DataSet]:
        session = self.session
        deadline = session.deadline()
        while True:
            message, is_final = self.receive(deadline, stores=True)
            if message.command.is_response:
                has_moved = self.take_counts(message)
                if is_final:
                    self._count_ours()
                    if not self._goes_on():
                        self.finish(message.command)
                        return
                    has_moved = True
            else:
                count = self._count
                yield from self.instance(message)
                has_moved = self._count > count
            if has_moved:
                deadline = session.deadline()
            session.channel.check_time(self.what, deadline)

    def _goes_on(self) -> bool:
        """Ask once more for what did not come, if something else can be tried."""
        assert self.progress is not None
        if not self.progress.failed or self._ask_again is None or self.running.is_cancelled:
            return False
        running = self._ask_again()
        if running is None:
            return False
        self.running = running
        self._is_repeated = True
        self._done = 0
        return True

    def instance(self, message: Message) -> Iterator[DataSet]:
        """Give an instance; Success is answered when the next one is asked for."""
        session = self.session
        uid = message.command.sop_instance_uid
        if uid in self._taken and self._is_repeated:
            session.respond(message, Status.SUCCESS)
            return
        if message.data is None:
            self._refuse(message, Status.MISTYPED_ARGUMENT, "no data set")
            return
        if message.failure:
            self._refuse(message, Status.OUT_OF_RESOURCES, message.failure)
            return
        try:
            data_set = session.data_set_of(message)
            missing = _missing(data_set)
        except DataError as error:
            self._refuse(message, Status.CANNOT_UNDERSTAND, str(error))
            return
        if missing:
            self._refuse(message, Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, missing)
            return
        data_set.file_meta = _file_meta_of(session, message)
        is_taken = False
        try:
            yield data_set
            is_taken = True
        finally:
            if not is_taken and session.is_open:
                session.cancel_running()  # first, so that no other instance is begun
                session.respond(message, Status.PROCESSING_FAILURE, "the receiver gave up")
        self._taken.add(uid)
        self._count += 1
        self._refused.pop(uid, None)
        session.respond(message, Status.SUCCESS)

    def _refuse(self, message: Message, status: int, comment: str) -> None:
        self._refused[message.command.sop_instance_uid] = None
        self.session.respond(message, status, comment)

    def remarks(self, progress: MoveProgress) -> str:
        """See `_Retrieval`; and what may help."""
        words = _in_words(progress)
        if (progress.failed or 0) > len(self._refused):
            words += (
                "; an object comes only in a transfer syntax that was proposed for its SOP class:"
                " name it with transfer_syntaxes, or --transfer-syntax"
            )
        return words

    def _count_ours(self) -> None:
        """Correct what the peer counted by what came here and was kept."""
        progress = self.progress
        assert progress is not None
        taken = self._count
        completed, warning = progress.completed or 0, progress.warning or 0
        self._wanted = max(self._wanted, completed + warning + (progress.failed or 0))
        missing = max(0, self._wanted - taken)
        if not self._is_repeated:
            missing = max(progress.failed or 0, len(self._refused), completed - taken)
        uids = dict.fromkeys((*progress.failed_sop_instance_uids, *self._refused))
        if missing or self._is_repeated:
            self.progress = progress._replace(
                completed=taken if self._is_repeated else min(completed, taken),
                failed=missing,
                failed_sop_instance_uids=tuple(uid for uid in uids if uid not in self._taken),
            )
        if self._is_repeated and not missing:
            # The peer tells of the last time alone; all of them together brought everything.
            self.status = Status.SUCCESS
            self.progress = MoveProgress(None, taken, 0, 0, Status.SUCCESS)


def get(
    session: Session,
    sop_class_uid: str,
    identifier: DataSet,
    on_warning: OnWarning = "raise",
    *,
    renew: Callable[[], bool] | None = None,
) -> Operation[DataSet]:
    """Ask for instances on this association (PS3.4 C.4.3).

    Args:
        session: where.
        sop_class_uid: of the retrieval.
        identifier: which ones.
        on_warning: see `OnWarning`.
        renew: is called when some did not come: has other presentation contexts accepted, and says
            whether there are any.
    """

    def ask() -> Running:
        return request(session, CommandField.C_GET_RQ, sop_class_uid, identifier, on_warning)

    def ask_again() -> Running | None:
        return ask() if renew is not None and renew() else None

    running = ask()
    return Operation(session, _Instances(session, running, on_warning, ask_again))


def move(
    session: Session,
    sop_class_uid: str,
    identifier: DataSet,
    destination: str,
    on_warning: OnWarning = "raise",
) -> Operation[MoveProgress]:
    """Ask for instances to be sent to somebody (PS3.4 C.4.2)."""
    more: dict[int, int | str | bytes] = {CommandElement.MOVE_DESTINATION: destination}
    running = request(
        session, CommandField.C_MOVE_RQ, sop_class_uid, identifier, on_warning, more=more
    )
    return Operation(session, _Moves(session, running, on_warning))


def _progress_of(session: Session, message: Message) -> MoveProgress:
    status = message.command.status
    assert status is not None
    return MoveProgress(*sub_operations(message.command), status, _failed_uids(session, message))


def _failed_uids(session: Session, message: Message) -> tuple[str, ...]:
    """Say which instances failed; Orthanc has the list in the command set instead of behind it."""
    try:
        has_list = message.data is not None and not message.failure
        elements = session.data_set_of(message) if has_list else message.command.elements
        uids = elements.get("FailedSOPInstanceUIDList")
    except DataError:
        return ()
    return tuple(map(str, uids if isinstance(uids, list) else [uids] if uids else []))


def _missing(data_set: DataSet) -> str:
    """Say which UID a data set that came has not, without which it is no object of anybody.

    Raises:
        DataError: there is nothing in it, or a UID cannot be read.

    Standard: PS3.4 B.2.3.
    """
    if not data_set:
        raise DataError("the data set is empty")
    uids = (keyword for keyword in ("SOPClassUID", "SOPInstanceUID") if not data_set.get(keyword))
    return next((f"no {keyword}" for keyword in uids), "")


def _file_meta_of(session: Session, message: Message) -> DataSet:
    contexts = session.channel.terms.contexts
    return DataSet.from_keywords(
        MediaStorageSOPClassUID=message.command.sop_class_uid,
        MediaStorageSOPInstanceUID=message.command.sop_instance_uid,
        TransferSyntaxUID=next(
            context.transfer_syntax
            for context in contexts
            if context.context_id == message.context_id
        ),
        SourceApplicationEntityTitle=session.settings.called,
    )


def _in_words(progress: MoveProgress) -> str:
    counts = (
        (progress.completed, "completed"),
        (progress.warning, "with a warning"),
        (progress.failed, "failed"),
        (progress.remaining, "not done"),
    )
    words = ", ".join(f"{count} {what}" for count, what in counts if count is not None)
    uids = progress.failed_sop_instance_uids
    if uids:
        words += f": {', '.join(uids[:_FEW])}{' and others' if len(uids) > _FEW else ''}"
    return words
