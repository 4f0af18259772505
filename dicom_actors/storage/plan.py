"""What is to be sent, in the order in which it is: looked into, with the contexts that it wants.

PS3.4 B, PS3.8 9.3.2.2.
"""

from __future__ import annotations

import os
from collections.abc import Iterable  # noqa: TC003 - part of the public signature
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.errors import DicomError
from dicom_actors.storage.contexts import MAX_CONTEXTS, choose_context, contexts_of_object
from dicom_actors.storage.outgoing import OutgoingObject, outgoing_object
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.storage.contexts import ProposedContext
    from dicom_actors.storage.outgoing import Piece, Storable, Transcode
    from dicom_actors.upper_layer import AcceptedContext

__all__ = ["Chunk", "Prepared", "contexts_for", "look_into", "plan", "prepare"]

_LOOK_AHEAD: Final = 256
"""Files that are looked into before the first of them is sent."""

_MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"


class Prepared(NamedTuple):
    """An object that is ready to be sent.

    Attributes:
        context: the presentation context that it is sent in.
        pieces: its data set, encoded.
        found: the object.
    """

    context: AcceptedContext
    pieces: list[Piece]
    found: OutgoingObject

    @property
    def sop_instance_uid(self) -> str:
        """The SOP instance that is sent; another one if its pixels lost information."""
        return self.found.sent_as or self.found.sop_instance_uid


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
    transcode: Transcode | None = None,
) -> Iterator[Chunk]:
    """Look into what is to be sent, so that it is known what to propose.

    Args:
        items: paths, data sets and files as bytes, or one of them; a folder is all files below.
        look_ahead: how many files are looked into at a time. What comes from an iterator is not
            asked for ahead, unless it is a path.
        look_up: gives the result of an object that need not be sent, and any other as it is.
        transcode: see `OutgoingObject`.

    Yields:
        Objects that share 128 presentation contexts.
    """
    is_kept = isinstance(items, list | tuple)
    objects: list[OutgoingObject | StoreResult] = []
    contexts: dict[ProposedContext, None] = {}
    for source in _sources(items):
        found = look_into(source, transcode)
        if look_up is not None and isinstance(found, OutgoingObject):
            found = look_up(found)
        wanted: tuple[ProposedContext, ...] = ()
        if isinstance(found, OutgoingObject):
            wanted = contexts_of_object(
                found.sop_class_uid,
                found.transfer_syntax,
                is_transcoded=found.transcode is not None,
                may_lose=found.may_lose,
            )
            if len(contexts.keys() | set(wanted)) > MAX_CONTEXTS:
                yield Chunk(objects, contexts)
                objects, contexts = [], {}
        objects.append(found)
        contexts.update(dict.fromkeys(wanted))
        may_wait = is_kept or isinstance(source, str | os.PathLike | OutgoingObject)
        if len(objects) >= look_ahead or not may_wait:
            yield Chunk(objects, contexts)
            objects, contexts = [], {}
    if objects:
        yield Chunk(objects, contexts)


def _sources(items: Storable | Iterable[Storable]) -> Iterator[Storable]:
    if isinstance(
        items, DataSet | str | os.PathLike | bytes | bytearray | memoryview | OutgoingObject
    ):
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


def look_into(source: Storable, transcode: Transcode | None = None) -> OutgoingObject | StoreResult:
    """Find out what must be known to send an object; or say why it cannot be sent.

    Args:
        source: the object.
        transcode: see `OutgoingObject`.
    """
    try:
        found = outgoing_object(source)
    except OSError as error:
        return StoreResult(None, "", source, f"not sent: {error.strerror or error}", error)
    except DicomError as error:
        return StoreResult(None, "", source, f"not sent: {error}", error)
    if found.sop_class_uid == _MEDIA_DIRECTORY:
        return StoreResult(None, found.sop_instance_uid, source, "not sent: it is a DICOMDIR")
    return found if transcode is None else found._replace(transcode=transcode)


def prepare(
    found: OutgoingObject, accepted: Iterable[AcceptedContext], *, must_be_whole: bool = False
) -> Prepared | StoreResult:
    """Choose the presentation context for an object, and open its file.

    Args:
        found: the object.
        accepted: the presentation contexts that were accepted for its SOP class.
        must_be_whole: whether one that is cut off or cannot be read is not sent.

    Returns:
        What is to be sent, and in which context; or why it cannot be sent.
    """
    syntax = found.transfer_syntax
    accepted = tuple(accepted)
    context = choose_context(accepted, syntax)
    failure: Exception | None = None
    name = uid_name(found.sop_class_uid) or found.sop_class_uid
    why = f"the peer accepts no {name} in transfer syntax {uid_name(syntax) or syntax}"
    try:
        if context is not None:
            pieces = found.pieces(context.transfer_syntax, must_be_whole=must_be_whole)
            return Prepared(context, pieces, found)
        others = {each.transfer_syntax: each for each in reversed(accepted) if each.as_scu}
        transcoded = found.transcoded(tuple(others))
        if transcoded is not None:
            if transcoded.sop_instance_uid != found.sop_instance_uid:
                found = found._replace(sent_as=transcoded.sop_instance_uid)
            return Prepared(others[transcoded.transfer_syntax], transcoded.pieces, found)
    except OSError as error:
        failure, why = error, error.strerror or str(error)
    except DicomError as error:
        failure = error
        why = str(error) if context is not None else f"{why}, and {error}"
    return StoreResult(None, found.sop_instance_uid, found.source, f"not sent: {why}", failure)


def contexts_for(
    items: Storable | Iterable[Storable], transcode: Transcode | None = None
) -> tuple[ProposedContext, ...]:
    """Return the presentation contexts for what is to be sent, to hand them to `connect`.

    Args:
        items: as for `Association.store_many`; all of it is looked into.
        transcode: see `OutgoingObject`.

    Raises:
        ValueError: these are more than 128, the most that one association has.
    """
    contexts: dict[ProposedContext, None] = {}
    for chunk in plan(items, transcode=transcode):
        contexts.update(chunk.contexts)
    if len(contexts) > MAX_CONTEXTS:
        raise ValueError(
            f"presentation contexts: expected {MAX_CONTEXTS} at most, got {len(contexts)}"
        )
    return tuple(contexts)
