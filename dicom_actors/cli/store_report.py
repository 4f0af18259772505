"""What ``store`` tells of its files: one by one as JSON, what failed and why, and the sum."""

from __future__ import annotations

import json
import time

from dicom_actors.cli.terminal import complain, counted, say, size_in_words
from dicom_actors.dimse import describe_status
from dicom_actors.scu import StoreResult
from dicom_actors.storage.results import STORED_BEFORE

__all__ = ["Report"]


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
