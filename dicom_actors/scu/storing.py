"""C-STORE as a user: one object after the other, as many at a time as the peer allows.

PS3.7 9.1.1, PS3.4 B.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable  # noqa: TC003 - part of the public signature
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    StatusCategory,
    category_of,
    error_comment,
)
from dicom_actors.errors import AssociationError, DicomError
from dicom_actors.scu.contexts import MAX_CONTEXTS, choose_context, contexts_of_object
from dicom_actors.scu.outgoing import OutgoingObject, outgoing_object
from dicom_actors.scu.results import StoreResult
from dicom_actors.scu.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.scu.contexts import ProposedContext
    from dicom_actors.scu.outgoing import Piece, Storable
    from dicom_actors.scu.session import Session
    from dicom_actors.upper_layer import AcceptedContext

__all__ = [
    "Chunk",
    "MoveOriginator",
    "StorePipeline",
    "StoreResult",
    "contexts_for",
    "look_into",
    "not_sent",
    "plan",
    "prepare",
    "store_all",
]

_logger = logging.getLogger(__name__)

_REQUEST: Final = "a C-STORE request"

_LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts to associate."""

_LOOK_AHEAD: Final = 256
"""Files that are looked into before the first of them is sent."""

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"


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


class Chunk(NamedTuple):
    """Objects to be sent on the same association.

    Attributes:
        objects: those; and results for what cannot be sent.
        contexts: the presentation contexts that they want, at most 128.
    """

    objects: Iterable[OutgoingObject | StoreResult]
    contexts: dict[ProposedContext, None]


def plan(
    items: Storable | Iterable[Storable],
    look_ahead: int = _LOOK_AHEAD,
    look_up: Callable[[OutgoingObject], OutgoingObject | StoreResult] | None = None,
) -> Iterator[Chunk]:
    """Look into what is to be sent, so that it is known what to propose.

    Args:
        items: paths, data sets and files as bytes, or one of them; a folder is all files below.
        look_ahead: how many files are looked into at a time. What comes from an iterator is not
            asked for ahead, unless it is a path.
        look_up: gives the result of an object that need not be sent, and any other as it is.

    Yields:
        Objects that share 128 presentation contexts.
    """
    is_kept = isinstance(items, list | tuple)
    objects: list[OutgoingObject | StoreResult] = []
    contexts: dict[ProposedContext, None] = {}
    for source in _sources(items):
        found = look_into(source)
        if look_up is not None and isinstance(found, OutgoingObject):
            found = look_up(found)
        wanted: tuple[ProposedContext, ...] = ()
        if isinstance(found, OutgoingObject):
            wanted = contexts_of_object(found.sop_class_uid, found.transfer_syntax)
            if len(contexts.keys() | set(wanted)) > MAX_CONTEXTS:
                yield Chunk(objects, contexts)
                objects, contexts = [], {}
        objects.append(found)
        contexts.update(dict.fromkeys(wanted))
        may_wait = is_kept or isinstance(source, str | os.PathLike)
        if len(objects) >= look_ahead or not may_wait:
            yield Chunk(objects, contexts)
            objects, contexts = [], {}
    if objects:
        yield Chunk(objects, contexts)


def _sources(items: Storable | Iterable[Storable]) -> Iterator[Storable]:
    if isinstance(items, DataSet | str | os.PathLike | bytes | bytearray | memoryview):
        yield from _files_of(items)
        return
    for item in cast("Iterable[Storable]", items):  # a data set is an iterable, too
        yield from _files_of(item)


def _files_of(item: Storable) -> Iterator[Storable]:
    """Give what a user named; for a folder the files in and below it, in order of names."""
    if not isinstance(item, str | os.PathLike) or not Path(item).is_dir():
        yield item
        return
    for folder, folders, names in os.walk(Path(item)):
        folders.sort()
        for name in sorted(names):
            yield Path(folder, name)


def look_into(source: Storable) -> OutgoingObject | StoreResult:
    """Find out what must be known to send an object; or say why it cannot be sent."""
    try:
        found = outgoing_object(source)
    except OSError as error:
        return StoreResult(None, "", source, f"not sent: {error.strerror or error}", error)
    except DicomError as error:
        return StoreResult(None, "", source, f"not sent: {error}", error)
    if found.sop_class_uid == _MEDIA_DIRECTORY:
        return StoreResult(None, found.sop_instance_uid, source, "not sent: it is a DICOMDIR")
    return found


def prepare(
    found: OutgoingObject, accepted: Iterable[AcceptedContext], *, must_be_whole: bool = False
) -> tuple[AcceptedContext, list[Piece]] | StoreResult:
    """Choose the presentation context for an object, and open its file.

    Args:
        found: the object.
        accepted: the presentation contexts that were accepted for its SOP class.
        must_be_whole: whether one that is cut off or cannot be read is not sent.

    Returns:
        The context and the encoded data set, in pieces; or why it cannot be sent.
    """
    syntax = found.transfer_syntax
    context = choose_context(accepted, syntax)
    failure: Exception | None = None
    if context is None:
        name = uid_name(found.sop_class_uid) or found.sop_class_uid
        why = f"the peer accepts no {name} in transfer syntax {uid_name(syntax) or syntax}"
    else:
        try:
            return context, found.pieces(context.transfer_syntax, must_be_whole=must_be_whole)
        except OSError as error:
            failure, why = error, error.strerror or str(error)
        except DicomError as error:
            failure, why = error, str(error)
    return StoreResult(None, found.sop_instance_uid, found.source, f"not sent: {why}", failure)


def contexts_for(items: Storable | Iterable[Storable]) -> tuple[ProposedContext, ...]:
    """Return the presentation contexts for what is to be sent, to hand them to `connect`.

    Args:
        items: as for `Association.store_many`; all of it is looked into.

    Raises:
        ValueError: these are more than 128, the most that one association has.
    """
    contexts: dict[ProposedContext, None] = {}
    for chunk in plan(items):
        contexts.update(chunk.contexts)
    if len(contexts) > MAX_CONTEXTS:
        raise ValueError(
            f"presentation contexts: expected {MAX_CONTEXTS} at most, got {len(contexts)}"
        )
    return tuple(contexts)


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
        assert isinstance(found, OutgoingObject)
        context, pieces = prepared
        results: list[StoreResult] = []
        try:
            while len(self._objects) >= self._window:
                results.append(self._next())
            self._send(found, context, pieces)
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

    def _send(self, found: OutgoingObject, context: AcceptedContext, pieces: list[Piece]) -> None:
        session = self._session
        message_id = session.next_message_id()
        self._objects[message_id] = found
        self._running.outstanding.add(message_id)
        session.request(
            context,
            CommandField.C_STORE_RQ,
            found.sop_class_uid,
            found.sop_instance_uid,
            pieces=pieces,
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
        if command.sop_instance_uid not in {"", found.sop_instance_uid}:
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
        while True:
            self._losses += 1
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
