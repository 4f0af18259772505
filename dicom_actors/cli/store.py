"""``dicom-actors store PEER PATH...``: send files and folders of them (C-STORE, PS3.4 B)."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.connecting import associated
from dicom_actors.cli.terminal import (
    complain,
    counted,
    progress,
    say,
    show_anything,
    size_in_words,
)
from dicom_actors.cli.usage import UsageError
from dicom_actors.dimse import describe_status
from dicom_actors.errors import AssociationError, DicomError
from dicom_actors.scu import StoreResult, contexts_for
from dicom_actors.scu.results import STORED_BEFORE

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Generator, Sequence

    from dicom_actors.cli.terminal import Progress
    from dicom_actors.scu import ProposedContext

__all__ = ["Report", "store"]

_MEDIA_DIRECTORY: Final = "DICOMDIR"
_FEW: Final = 256


def store(options: Namespace) -> int:
    """Send what the user named, and report what could not be stored.

    Returns:
        0, or 1 if anything was not stored.

    Raises:
        UsageError: what is to be watched is no folder.
        DicomError: there is nothing to store, or no association.
    """
    show_anything()
    report = Report(as_json=options.json, verbose=options.verbose)
    if options.watch:
        return _watch(options, report)
    files = _files(options.paths, report)
    if not files and not report.failures:
        raise DicomError(f"there are no files in {', '.join(options.paths)}")
    try:
        if files:
            _send(options, files, report)
    except KeyboardInterrupt:
        report.finish("interrupted")
        raise
    return report.finish(report.end)


def _watch(options: Namespace, report: Report) -> int:
    from dicom_actors.cli.watching import watch

    if missing := [path for path in options.paths if not Path(path).is_dir()]:
        raise UsageError(f"--watch: expected folders, got {', '.join(missing)}")
    try:
        watch(options, report, lambda: time.sleep(options.interval))
    except KeyboardInterrupt:
        report.finish("interrupted")
        raise
    return 0


def _files(paths: Sequence[str], report: Report) -> dict[str, int]:
    """Find the files and their sizes; of folders all below, but for indexes of media."""
    found: dict[str, int] = {}

    def failed(error: OSError) -> None:
        report.fail(str(error.filename), f"not sent: {error.strerror}")

    for path in paths:
        if not Path(path).is_dir():
            found[path] = _size_of(path)
            continue
        for folder, folders, names in os.walk(path, onerror=failed):
            folders.sort()
            for name in sorted(names):
                if name != _MEDIA_DIRECTORY:
                    file = str(Path(folder, name))
                    found[file] = _size_of(file)
    return found


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # sending it says why


def _send(options: Namespace, files: dict[str, int], report: Report) -> None:
    contexts = _contexts(files)
    report.begin(files)
    with associated(options, contexts=contexts, window=options.window) as association:
        stored = association.store_many(
            list(files),
            parallel=options.parallel,
            retries=options.retries,
            journal=options.resume,
            send_damaged=options.send_damaged,
            on_warning="ignore",
        )
        length = sum(files.values())
        with (
            contextlib.closing(stored) as results,
            progress(options, objects=len(files), length=length) as bar,
        ):
            try:
                _take(results, report, bar)
            except AssociationError as error:
                report.end = str(error)


def _contexts(files: dict[str, int]) -> tuple[ProposedContext, ...] | None:
    """What to propose for so few files that looking into them first costs nothing.

    For others it is found out on the way, at the cost of a second association.
    """
    if len(files) > _FEW:
        return None
    try:
        return contexts_for(list(files)) or None
    except ValueError:
        return None  # they are too many for one association


def _take(results: Generator[StoreResult, None, None], report: Report, bar: Progress) -> None:
    for result in results:
        bar.add(length=report.add(result))


class Report:
    """What became of the files.

    Attributes:
        failures: files, and why they are not stored.
        end: what ended the association before all was sent; empty if nothing did.
    """

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self._as_json = as_json
        self._verbose = verbose
        self._left: dict[str, int] = {}
        self._stored = self._before = 0
        self._length = 0
        self._begin = time.perf_counter()
        self._told: set[str] = set()
        self.failures: dict[str, str] = {}
        self.end = ""

    def begin(self, files: dict[str, int]) -> None:
        """These are to be sent, and the time runs."""
        self._left = dict(files)
        self._begin = time.perf_counter()

    def expect(self, files: dict[str, int]) -> None:
        """These are to be sent now; what failed before is tried again with them."""
        self._left = dict(files)
        self.failures = {path: why for path, why in self.failures.items() if path not in files}

    def add(self, result: StoreResult) -> int:
        """Take a result; returns how many bytes the file has."""
        path = str(result.source)
        length = self._left.pop(path, 0)
        reason = _reason_of(result)
        if self._as_json:
            print(json.dumps(_as_json(result)), flush=True)
        if not result.is_stored:
            self.failures[path] = reason
            return length
        self._stored += 1
        if result.comment.startswith(STORED_BEFORE):
            self._before += 1
            return length
        self._length += length
        if result.status:
            complain(f"{path}: stored with a warning: {reason}")
        elif self._verbose:
            say(f"{path}: stored")
        return length

    def tell_failure(self, path: str) -> None:
        """Say now why a file is not stored, and not once more at the end."""
        complain(f"{path}: {self.failures[path]}")
        self._told.add(path)

    def fail(self, path: str, reason: str) -> None:
        """A folder cannot be read."""
        self.failures[path] = reason

    def finish(self, why: str) -> int:
        """Print the report; returns the exit code.

        Args:
            why: what it is that files were not sent for that have no result.
        """
        for path in self._left:
            result = StoreResult(None, "", path, f"not sent: {why}")
            self.failures[path] = result.comment
            if self._as_json:
                print(json.dumps(_as_json(result)))
        for path, reason in self.failures.items():
            if path not in self._told:
                complain(f"{path}: {reason}")
        if self.end:
            complain(self.end)
        if not self._as_json:
            self._print_summary()
        return 1 if self.failures or self.end else 0

    def _print_summary(self) -> None:
        seconds = max(time.perf_counter() - self._begin, 1e-6)
        failed = f", {len(self.failures)} not" if self.failures else ""
        before = f", {self._before} of them before" if self._before else ""
        print(
            f"{counted(self._stored, 'object')} stored{before}{failed}: "
            f"{size_in_words(self._length)} in {seconds:.1f} s, "
            f"{(self._stored - self._before) / seconds:.1f} objects/s, "
            f"{size_in_words(self._length / seconds)}/s"
        )


def _as_json(result: StoreResult) -> dict[str, object]:
    return {
        "path": str(result.source),
        "sop_instance_uid": result.sop_instance_uid,
        "status": result.status,
        "stored": result.is_stored,
        "comment": _reason_of(result),
    }


def _reason_of(result: StoreResult) -> str:
    """Say in words what the peer answered, or why it was not asked."""
    if result.status is None:
        return result.comment
    words = describe_status(result.status, "Storage")
    return f"{words} ({result.comment})" if result.comment else words
