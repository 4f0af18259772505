"""What ``dicom-actors serve`` keeps objects in: an archive."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dicom_actors.archive import Archive
from dicom_actors.archive.member import Member
from dicom_actors.engine import EventStream
from dicom_actors.flow import Flow, queue_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.cli.serve_options import ArchiveOptions
    from dicom_actors.cli.serve_routes import FlowOptions

__all__ = ["HANDLED", "kept_by_worker", "kept_in_archive"]

HANDLED = ("cstore", "cfind", "cget", "cmove", "naction", "ncreate", "nset", "nget")
"""The services that an archive has handlers for."""


@contextlib.contextmanager
def kept_in_archive(
    folder: str,
    options: ArchiveOptions,
    tell_object: Callable[[Any], None],
    ae_title: str | None = None,
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Archive, Flow | None, EventStream | None]]:
    """Have an archive open for the length of the block.

    Args:
        folder: where it is.
        options: how.
        tell_object: says of an object that it was kept.
        ae_title: ours, for peers that have none for us; None: the usual one.

    Yields:
        The event handlers, what the endpoint should be told, the archive, its flow, if it has
        routes, and its events on their way to an engine, if there is one.

    Raises:
        ArchiveError: it cannot be opened.
        OSError: the folder cannot be written.
    """
    settings = {name: getattr(options.settings, name) for name in options.settings.__slots__}
    with Archive.open(
        folder,
        peers=options.peers,
        worklist_folder=options.worklist_folder,
        index=options.index,
        **settings,
    ) as archive:
        handlers = archive.event_handlers()
        store_and_tell = _told(handlers["cstore"], tell_object)
        with contextlib.ExitStack() as stack:
            flow = stream = None
            if options.engine is None:
                EventStream.forget(archive)
            else:
                stream = EventStream.start(archive, *options.engine)
                stack.callback(stream.stop)
            if options.flow.routes:
                flow = stack.enter_context(_flow(archive, options.flow, ae_title))
                handlers |= flow.event_handlers()
            handlers["cstore"] = store_and_tell
            yield handlers, archive.endpoint_settings(), archive, flow, stream


@contextlib.contextmanager
def kept_by_worker(
    folder: str, options: ArchiveOptions, tell_object: Callable[[Any], None], link: Any
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Archive]]:
    """Keep objects in an archive that another process has open, for the length of the block.

    Its index in the folder is that process's to write; one of PostgreSQL is written from here, too.
    What goes on by routes is sent by that process, and so are the events for an engine.

    Args:
        folder: where it is.
        options: how.
        tell_object: says of an object that it was kept.
        link: to that process.

    Yields:
        The event handlers, what the endpoint should be told, and the archive.

    Raises:
        ArchiveError: its index cannot be used.
        OSError: the folder cannot be written.
    """
    settings: dict[str, Any] = {
        name: getattr(options.settings, name) for name in options.settings.__slots__
    }
    settings |= {"peers": options.peers, "worklist_folder": options.worklist_folder}
    opened: Archive
    if options.index is None:
        opened = Member.join(folder, link, **settings)
    else:
        opened = Archive.open(folder, index=options.index, **settings)
    with opened as archive:
        handlers = archive.event_handlers()
        if options.engine is not None:
            EventStream.guard(archive)
        if options.flow.routes:
            handlers |= queue_only(archive, options.flow.routes)
        handlers["cstore"] = _told(handlers["cstore"], tell_object)
        yield handlers, archive.endpoint_settings(), archive


def _told(store: Callable[[Any], Any], tell_object: Callable[[Any], None]) -> Callable[[Any], None]:
    def store_and_tell(event: Any) -> None:
        store(event)
        tell_object(event)

    return store_and_tell


def _flow(archive: Archive, options: FlowOptions, ae_title: str | None) -> Flow:
    named: dict[str, Any] = {} if ae_title is None else {"calling": ae_title}
    return Flow.start(
        archive, options.routes, peers=options.peers, destinations=options.destinations, **named
    )
