"""What ``dicom-actors serve`` keeps objects in: an archive."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from dicom_actors.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.cli.serve_options import ArchiveOptions

__all__ = ["HANDLED", "kept_in_archive"]

HANDLED = ("cstore", "cfind", "cget", "cmove", "naction", "ncreate", "nset", "nget")
"""The services that an archive has handlers for."""


@contextlib.contextmanager
def kept_in_archive(
    folder: str,
    options: ArchiveOptions,
    tell_object: Callable[[Any], None],
) -> Iterator[tuple[dict[str, Any], dict[str, Any], Archive]]:
    """Have an archive open for the length of the block.

    Args:
        folder: where it is.
        options: how.
        tell_object: says of an object that it was kept.

    Yields:
        The event handlers, what the endpoint should be told, and the archive.

    Raises:
        ArchiveError: it cannot be opened.
        OSError: the folder cannot be written.
    """
    settings = {name: getattr(options.settings, name) for name in options.settings.__slots__}
    with Archive.open(
        folder, peers=options.peers, worklist_folder=options.worklist_folder, **settings
    ) as archive:
        handlers = archive.event_handlers()
        store = handlers["cstore"]

        def store_and_tell(event: Any) -> None:
            store(event)
            tell_object(event)

        yield {**handlers, "cstore": store_and_tell}, archive.endpoint_settings(), archive
