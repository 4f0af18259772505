"""Many objects to be stored: on one association or several, with a journal, and an honest end.

Below this, `storing` sends on one association and goes on when it is lost, `parallel` does so on
several, and `journal` knows what is stored already.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.errors import AssociationError, StoreIncomplete
from dicom_actors.scu.querying import words_for
from dicom_actors.scu.storing import not_sent, store_all
from dicom_actors.storage.plan import plan

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterable

    from dicom_actors.scu.journal import Journal
    from dicom_actors.scu.querying import OnWarning
    from dicom_actors.scu.session import Session
    from dicom_actors.scu.storing import MoveOriginator
    from dicom_actors.storage.outgoing import Storable, Transcode
    from dicom_actors.storage.plan import Chunk
    from dicom_actors.storage.results import StoreResult

__all__ = ["StoreOptions", "store_many"]

_FEW: Final = 3
"""Objects that an error message names."""

_CHUNK_LENGTH: Final = 16
"""Objects that each of several associations takes at a time."""


class StoreOptions(NamedTuple):
    """How; see `Association.store_many`."""

    parallel: int = 1
    originator: MoveOriginator | None = None
    retries: int = 0
    journal: str | os.PathLike[str] | None = None
    send_damaged: bool = False
    on_warning: OnWarning = "raise"
    transcode: bool | Transcode = False


def store_many(
    session: Session, items: Storable | Iterable[Storable], options: StoreOptions
) -> Generator[StoreResult, None, None]:
    """See `Association.store_many`."""
    stored = 0
    failed: list[StoreResult] = []
    with contextlib.ExitStack() as stack:
        journal = None
        if options.journal is not None:
            from dicom_actors.scu.journal import Journal  # noqa: PLC0415 - seldom needed

            journal = stack.enter_context(Journal(options.journal, session.settings.peer))
        for result in _all_results(session, items, options, journal):
            if journal is not None:
                journal.add(result)
            if result:
                stored += 1
            else:
                failed.append(result)
            yield result
    if failed and options.on_warning == "raise":
        named = "; ".join(f"{_name(result)}: {_why(result)}" for result in failed[:_FEW])
        more = f"; and {len(failed) - _FEW} others" if len(failed) > _FEW else ""
        raise StoreIncomplete(
            f"{len(failed)} of {stored + len(failed)} objects not stored: {named}{more}",
            stored=stored,
            failed=tuple(failed),
        )


def _all_results(
    session: Session,
    items: Storable | Iterable[Storable],
    options: StoreOptions,
    journal: Journal | None,
) -> Iterator[StoreResult]:
    """Give what became of the objects; of those for which no association is left as well.

    What an iterator has not given yet stays with it: it may have no end.
    """
    look_up = None if journal is None else journal.look_up
    transcode = _transcode(options)
    if options.parallel == 1:
        chunks = plan(items, look_up=look_up, transcode=transcode)
    else:
        window = session.settings.async_window
        chunks = plan(items, max(_CHUNK_LENGTH, 4 * window), look_up, transcode)
    try:
        yield from _sent(session, chunks, options)
    except AssociationError as error:
        if not isinstance(items, Iterator):
            for chunk in chunks:
                for found in chunk.objects:
                    yield not_sent(found, error)
        raise


def _transcode(options: StoreOptions) -> Transcode | None:
    if options.transcode is True:
        from dicom_actors.pixels import transcode_to_one_of  # noqa: PLC0415 - needs an extra

        return transcode_to_one_of
    return options.transcode or None


def _sent(
    session: Session, chunks: Iterator[Chunk], options: StoreOptions
) -> Iterator[StoreResult]:
    originator, retries = options.originator, options.retries
    must_be_whole = not options.send_damaged
    if options.parallel == 1:
        return store_all(session, chunks, originator, retries=retries, must_be_whole=must_be_whole)
    from dicom_actors.scu.parallel import store_parallel  # noqa: PLC0415 - loads queues

    return store_parallel(
        session,
        chunks,
        originator,
        options.parallel,
        retries=retries,
        must_be_whole=must_be_whole,
    )


def _name(result: StoreResult) -> str:
    source = result.source
    is_data = isinstance(source, DataSet | bytes | bytearray | memoryview)
    return result.sop_instance_uid if is_data else str(source)


def _why(result: StoreResult) -> str:
    if result.status is None:
        return result.comment
    return words_for(result.status, result.comment, "Storage")
