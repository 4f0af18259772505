"""``dicom-actors store PEER DIR --watch``: send what appears in folders, once it is whole.

A file is whole when it has not changed from one look to the next and can be read to its end; one
that is cut off is looked at again when it has changed. What could not be sent since the peer is
away is tried again at every look; what the peer refuses is told and left alone until it changes.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.cli.connecting import associated
from dicom_actors.cli.terminal import complain
from dicom_actors.cli.transcoder import transcoder_of
from dicom_actors.errors import AssociationError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable

    from dicom_actors.cli.store_report import Report
    from dicom_actors.scu import StoreResult

__all__ = ["Appearing", "watch"]


class _State(NamedTuple):
    """How a file looks from outside."""

    length: int
    changed: int


class Appearing:
    """Finds files that are new or have changed, and have come to rest.

    Args:
        paths: files and folders; a folder is all files below but hidden ones, which is what
            programs call a file as long as they write it.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = list(paths)
        self._seen: dict[str, _State] = {}
        self._done: dict[str, _State] = {}

    def look(self) -> dict[str, int]:
        """Give the files that are to be sent, with their lengths in bytes."""
        before, self._seen = self._seen, dict(self._states())
        self._done = {path: state for path, state in self._done.items() if path in self._seen}
        return {
            path: state.length
            for path, state in self._seen.items()
            if before.get(path) == state and self._done.get(path) != state
        }

    def settle(self, path: str) -> None:
        """Leave a file alone until it changes."""
        if path in self._seen:
            self._done[path] = self._seen[path]

    def _states(self) -> Iterable[tuple[str, _State]]:
        for top in self._paths:
            if not Path(top).is_dir():
                yield from _state_of(top)
                continue
            for folder, folders, names in os.walk(top):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    if not name.startswith("."):
                        yield from _state_of(str(Path(folder, name)))


def _state_of(path: str) -> Iterable[tuple[str, _State]]:
    with contextlib.suppress(OSError):  # gone again
        state = Path(path).stat()
        yield path, _State(state.st_size, state.st_mtime_ns)


def watch(options: Namespace, report: Report, tick: Callable[[], object]) -> None:
    """Send what appears, until `tick` or Ctrl-C ends it.

    Args:
        options: those of ``store``.
        report: is told what became of each file.
        tick: waits until it is time for the next look.
    """
    appearing = Appearing(options.paths)
    trouble = ""
    while True:
        files = appearing.look()
        if files:
            try:
                _send(options, files, report, appearing)
                trouble = ""
            except AssociationError as error:
                if str(error) != trouble:  # told once, as long as it stays the same
                    complain(f"{error}; tried again until it works")
                trouble = str(error)
        tick()


def _send(options: Namespace, files: dict[str, int], report: Report, appearing: Appearing) -> None:
    report.expect(files)
    with associated(options, window=options.window) as association:
        stored = association.store_many(
            list(files),
            parallel=options.parallel,
            retries=options.retries,
            journal=options.resume,
            send_damaged=options.send_damaged,
            on_warning="ignore",
            transcode=transcoder_of(options.transcode) or False,
        )
        with contextlib.closing(stored) as results:
            for result in results:
                _take(result, report, appearing)


def _take(result: StoreResult, report: Report, appearing: Appearing) -> None:
    path = str(result.source)
    if not result and isinstance(result.error, AssociationError):
        return  # nobody has looked at it
    appearing.settle(path)
    report.add(result)
    if not result:
        report.tell_failure(path)
