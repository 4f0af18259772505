"""C-STORE as a user: one object after the other, as many at a time as the peer allows.

PS3.7 9.1.1, PS3.4 B.
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    StatusCategory,
    category_of,
    error_comment,
)
from dicom_actors.errors import AssociationError, FileChangedError
from dicom_actors.scu.running import Running
from dicom_actors.storage.plan import prepare
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dicom_actors.scu.session import Session
    from dicom_actors.storage.outgoing import OutgoingObject
    from dicom_actors.storage.plan import Chunk, Prepared

__all__ = ["MoveOriginator", "StorePipeline", "not_sent", "store_all"]

_logger = logging.getLogger(__name__)

_REQUEST: Final = "a C-STORE request"

_LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to associate."""


class MoveOriginator(NamedTuple):
    """The C-MOVE for which an object is stored (PS3.7 9.1.1.1.5 and 9.1.1.1.6).

    Attributes:
        ae_title: who asked for the C-MOVE.
        message_id: the Message ID of its request.
    """

    ae_title: str
    message_id: int

    @property
    def elements(self) -> dict[int, int | str | bytes]:
        """What a C-STORE request has for it."""
        return {
            CommandElement.MOVE_ORIGINATOR_AE_TITLE: self.ae_title,
            CommandElement.MOVE_ORIGINATOR_MESSAGE_ID: self.message_id,
        }


class StorePipeline:
    """Sends objects on the association of a session, and gives their results as they come.

    When a method raises an `AssociationError`, the association is over; `take_unanswered` tells
    what was under way.

    Args:
        session: where to; nothing else may run on it meanwhile.
        originator: see `store_all`.
        must_be_whole: see `prepare`.
    """

    def __init__(
        self, session: Session, originator: MoveOriginator | None, *, must_be_whole: bool = False
    ) -> None:
        session.begin()
        self._session = session
        self._more = None if originator is None else originator.elements
        self._must_be_whole = must_be_whole
        self._objects: dict[int, OutgoingObject] = {}
        self._running = Running(CommandField.C_STORE_RQ)
        session.running = self._running

    def put(self, found: OutgoingObject | StoreResult) -> Iterator[StoreResult]:
        """Send an object as soon as the peer takes one more; give results that came meanwhile.

        Raises:
            AssociationError: the association is over; see `take_unanswered`.
        """
        prepared = (
            found
            if isinstance(found, StoreResult)
            else prepare(
                found,
                self._session.accepted(found.sop_class_uid),
                must_be_whole=self._must_be_whole,
            )
        )
        if isinstance(prepared, StoreResult):
            if self._window == 1:
                yield from self.drain()  # the results stay in the order of the objects
            yield prepared
            return
        results: list[StoreResult] = []
        try:
            while len(self._objects) >= self._window:
                results.append(self._next())
            self._send(prepared)
        except AssociationError:
            yield from results
            raise
        yield from results

    def drain(self) -> Iterator[StoreResult]:
        """Wait for the objects that are not answered yet; as `put`."""
        while self._objects:
            yield self._next()

    def take_unanswered(self) -> list[OutgoingObject]:
        """Give up what was sent and not answered; returns it in the order of sending."""
        objects, self._objects = self._objects, {}
        return list(objects.values())

    def finish(self) -> None:
        """Let other operations run again; responses that still come are dropped."""
        if self._running.outstanding:
            self._running.is_abandoned = True
        elif self._session.running is self._running:
            self._session.running = None

    @property
    def _window(self) -> int:
        ours, theirs = self._session.settings.async_window, self._session.channel.terms.max_invoked
        return min(ours, theirs) if theirs else ours

    def _send(self, prepared: Prepared) -> None:
        session = self._session
        message_id = session.next_message_id()
        found = self._objects[message_id] = prepared.found
        self._running.outstanding.add(message_id)
        session.request(
            prepared.context,
            CommandField.C_STORE_RQ,
            found.sop_class_uid,
            prepared.sop_instance_uid,
            pieces=prepared.pieces,
            more=self._more,
            message_id=message_id,
        )

    def _next(self) -> StoreResult:
        session = self._session
        deadline = session.deadline()
        while True:
            command = session.receive(_REQUEST, deadline=deadline).command
            session.check(command, CommandField.C_STORE_RQ, self._objects)
            assert command.status is not None
            if category_of(command.status) is not StatusCategory.PENDING:
                break
            session.channel.check_time(_REQUEST, deadline)
        found = self._objects.pop(command.message_id)
        self._running.outstanding.discard(command.message_id)
        status, comment = command.status, error_comment(command)
        if command.sop_instance_uid not in {"", found.sent_as or found.sop_instance_uid}:
            # Whatever became of that one, this one is not known to be stored.
            answer = f"{status:04X}H{f' ({comment})' if comment else ''}"
            comment = f"answered for another instance, {command.sop_instance_uid}: {answer}"
            return StoreResult(None, found.sop_instance_uid, found.source, comment)
        return StoreResult(status, found.sop_instance_uid, found.source, comment)


def store_all(
    session: Session,
    chunks: Iterable[Chunk],
    originator: MoveOriginator | None,
    *,
    retries: int = 0,
    must_be_whole: bool = False,
) -> Iterator[StoreResult]:
    """Send what was planned; an association is asked for anew where contexts are missing.

    Args:
        session: where to.
        chunks: what.
        originator: the C-MOVE that this is done for, if any.
        retries: how many times in a row a lost association is asked for anew; see `_Sending`.
        must_be_whole: see `prepare`.

    Raises:
        AssociationError: the association is over. Before, there are results for what was on its
            way and for all else of its chunk.
    """
    sending = _Sending(session, originator, retries, must_be_whole=must_be_whole)
    try:
        for chunk in chunks:
            yield from sending.send(chunk)
        yield from sending.finish()
    finally:
        sending.close()


class _Sending:
    """Sends chunks, and goes on with a new association when one is lost.

    What was under way then is sent once more, one object at a time, so that the one that the peer
    cannot bear is found; that is set aside. Between attempts without any answer there are pauses
    of 1, 2, 4 seconds and so on.

    Args:
        session: see `store_all`, as the others.
    """

    def __init__(
        self,
        session: Session,
        originator: MoveOriginator | None,
        retries: int,
        *,
        must_be_whole: bool,
    ) -> None:
        self._session = session
        self._originator = originator
        self._retries = retries
        self._must_be_whole = must_be_whole
        self._losses = 0
        self._pipeline = self._new_pipeline()

    def send(self, chunk: Chunk) -> Iterator[StoreResult]:
        """Send the objects of a chunk. Raises AssociationError after its last result."""
        objects = iter(chunk.objects)
        try:
            if not self._session.covers(chunk.contexts):
                yield from self.finish()
                try:
                    self._session.cover(chunk.contexts)
                except AssociationError as error:
                    self._reopen(error)  # with the contexts that were wanted
            for found in objects:
                yield from self._put(found)
        except AssociationError as error:
            for found in objects:
                yield not_sent(found, error)
            raise

    def finish(self) -> Iterator[StoreResult]:
        """Wait for what is under way."""
        try:
            yield from self._counted(self._pipeline.drain())
        except AssociationError as error:
            yield from self._go_on(error, self._pipeline.take_unanswered())

    def close(self) -> None:
        """Let other operations run again."""
        self._pipeline.finish()

    def _put(self, found: OutgoingObject | StoreResult) -> Iterator[StoreResult]:
        try:
            yield from self._counted(self._pipeline.put(found))
        except AssociationError as error:
            lost = self._pipeline.take_unanswered()
            is_lost = any(each is found for each in lost)
            if is_lost and isinstance(error.__cause__, FileChangedError):
                # The peer has done nothing wrong, and the others still have their bytes.
                lost = [each for each in lost if each is not found]
                yield not_sent(found, error.__cause__)
            try:
                yield from self._go_on(error, lost)
            except AssociationError as failure:
                if not is_lost:
                    yield not_sent(found, failure)
                raise
            if not is_lost:
                yield from self._put(found)

    def _go_on(self, error: AssociationError, lost: list[OutgoingObject]) -> Iterator[StoreResult]:
        """Associate anew, and try once more what was under way."""
        waiting = iter(lost)
        try:
            self._reopen(error)
            for found in waiting:
                try:
                    pipeline = self._pipeline
                    yield from self._counted(chain(pipeline.put(found), pipeline.drain()))
                except AssociationError as again:
                    pipeline.take_unanswered()
                    why = f"not answered, tried twice: {again}"
                    yield StoreResult(None, found.sop_instance_uid, found.source, why, again)
                    self._reopen(again)
        except AssociationError as failure:
            for found in waiting:
                why = f"not answered: {failure}"
                yield StoreResult(None, found.sop_instance_uid, found.source, why, failure)
            raise

    def _counted(self, results: Iterator[StoreResult]) -> Iterator[StoreResult]:
        for result in results:
            if result.status is not None:
                self._losses = 0  # the peer answers
            yield result

    def _reopen(self, error: AssociationError) -> None:
        """Associate anew after a pause. Raises AssociationError when it was tried often enough."""
        is_ours = isinstance(error.__cause__, FileChangedError)
        while True:
            self._losses += not is_ours
            is_ours = False
            if self._losses > self._retries:
                raise error
            if self._losses > 1:
                self._session.pause(min(2.0 ** (self._losses - 2), _LONGEST_PAUSE))
            if self._session.is_given_up:
                raise error
            _logger.info("associating anew: %s", error)
            try:
                self._session.reopen()
            except AssociationError as failure:
                error = failure
            else:
                self._pipeline = self._new_pipeline()
                return

    def _new_pipeline(self) -> StorePipeline:
        return StorePipeline(self._session, self._originator, must_be_whole=self._must_be_whole)


def not_sent(found: OutgoingObject | StoreResult, error: BaseException) -> StoreResult:
    """The result of an object for which there is no association any more."""
    if isinstance(found, StoreResult):
        return found
    cause = error if isinstance(error, Exception) else None
    return StoreResult(None, found.sop_instance_uid, found.source, f"not sent: {error}", cause)
