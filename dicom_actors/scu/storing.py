"""C-STORE as a user: one object after the other, as many at a time as the peer allows.

PS3.7 9.1.1, PS3.4 B.
"""

from __future__ import annotations

import os
from collections.abc import Iterable  # noqa: TC003 - part of the public signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

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
from dicom_actors.scu.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    "plan",
    "prepare",
    "store_all",
]

_LOOK_AHEAD: Final = 256
"""Files that are looked into before the first of them is sent."""

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"


class StoreResult(NamedTuple):
    """What became of an object that was to be stored.

    Attributes:
        status: what the peer answered; None if it was not asked or did not answer.
        sop_instance_uid: the object; empty if it could not be read.
        source: what was given: a data set, a path, or bytes.
        comment: the peer's comment, or why there is no answer.
    """

    status: int | None
    sop_instance_uid: str
    source: Any
    comment: str = ""

    def __repr__(self) -> str:
        """Show what was given as its name or length."""
        status = "None" if self.status is None else f"{self.status:04X}H"
        source = self.source
        if isinstance(source, bytes | bytearray | memoryview):
            source = f"<{len(source)} bytes>"
        elif isinstance(source, DataSet):
            source = repr(source)
        return f"StoreResult({status}, {self.sop_instance_uid!r}, {source}, {self.comment!r})"

    @property
    def is_stored(self) -> bool:
        """Whether the peer has it, with or without a warning."""
        return self.status is not None and category_of(self.status) in {
            StatusCategory.SUCCESS,
            StatusCategory.WARNING,
        }


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


def plan(items: Storable | Iterable[Storable], look_ahead: int = _LOOK_AHEAD) -> Iterator[Chunk]:
    """Look into what is to be sent, so that it is known what to propose.

    Args:
        items: paths, data sets and files as bytes, or one of them; a folder is all files below.
        look_ahead: how many files are looked into at a time. What comes from an iterator is not
            asked for ahead, unless it is a path.

    Yields:
        Objects that share 128 presentation contexts.
    """
    is_kept = isinstance(items, list | tuple)
    objects: list[OutgoingObject | StoreResult] = []
    contexts: dict[ProposedContext, None] = {}
    for source in _sources(items):
        found = look_into(source)
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
        return StoreResult(None, "", source, f"not sent: {error.strerror or error}")
    except DicomError as error:
        return StoreResult(None, "", source, f"not sent: {error}")
    if found.sop_class_uid == _MEDIA_DIRECTORY:
        return StoreResult(None, found.sop_instance_uid, source, "not sent: it is a DICOMDIR")
    return found


def prepare(
    found: OutgoingObject, accepted: Iterable[AcceptedContext]
) -> tuple[AcceptedContext, list[Piece]] | StoreResult:
    """Choose the presentation context for an object, and open its file.

    Args:
        found: the object.
        accepted: the presentation contexts that were accepted for its SOP class.

    Returns:
        The context and the encoded data set, in pieces; or why it cannot be sent.
    """
    syntax = found.transfer_syntax
    context = choose_context(accepted, syntax)
    if context is None:
        name = uid_name(found.sop_class_uid) or found.sop_class_uid
        why = f"the peer accepts no {name} in transfer syntax {uid_name(syntax) or syntax}"
    else:
        try:
            return context, found.pieces(context.transfer_syntax)
        except OSError as error:
            why = error.strerror or str(error)
        except DicomError as error:
            why = str(error)
    return StoreResult(None, found.sop_instance_uid, found.source, f"not sent: {why}")


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

    Args:
        session: where to; nothing else may run on it meanwhile.
        originator: see `store_all`.
    """

    def __init__(self, session: Session, originator: MoveOriginator | None) -> None:
        session.begin()
        self._session = session
        self._more = None if originator is None else originator.elements
        self._objects: dict[int, OutgoingObject] = {}
        self._running = Running(CommandField.C_STORE_RQ)
        session.running = self._running

    def put(self, found: OutgoingObject | StoreResult) -> Iterator[StoreResult]:
        """Send an object as soon as the peer takes one more.

        Yields:
            Results that came meanwhile, of this object or others.

        Raises:
            AssociationError: the association is over; objects that were not answered have their
                results before.
        """
        prepared = (
            found
            if isinstance(found, StoreResult)
            else prepare(found, self._session.accepted(found.sop_class_uid))
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
            yield from self._unanswered()
            raise
        yield from results

    def drain(self) -> Iterator[StoreResult]:
        """Wait for the objects that are not answered yet; as `put`."""
        while self._objects:
            try:
                result = self._next()
            except AssociationError:
                yield from self._unanswered()
                raise
            yield result

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
        command = session.receive("a C-STORE request").command
        session.check(command, CommandField.C_STORE_RQ, self._objects)
        found = self._objects.pop(command.message_id)
        self._running.outstanding.discard(command.message_id)
        return StoreResult(
            command.status, found.sop_instance_uid, found.source, error_comment(command)
        )

    def _unanswered(self) -> Iterator[StoreResult]:
        objects, self._objects = self._objects, {}
        for found in objects.values():
            yield StoreResult(
                None, found.sop_instance_uid, found.source, "not answered: the association ended"
            )


def store_all(
    session: Session, chunks: Iterable[Chunk], originator: MoveOriginator | None
) -> Iterator[StoreResult]:
    """Send what was planned; an association is asked for anew where contexts are missing.

    Args:
        session: where to.
        chunks: what.
        originator: the C-MOVE that this is done for, if any.

    Raises:
        AssociationError: the association is over; what was on its way has its results before.
    """
    pipeline = StorePipeline(session, originator)
    try:
        for chunk in chunks:
            if not session.covers(chunk.contexts):
                yield from pipeline.drain()
                session.cover(chunk.contexts)
            for found in chunk.objects:
                yield from pipeline.put(found)
        yield from pipeline.drain()
    finally:
        pipeline.finish()
