"""Where the data set of a message goes while it arrives.

A short one stays in memory; a long one goes to a file without a name, of which the data set is
then a memory map that goes away with its last user.
"""

from __future__ import annotations

import mmap
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.scu.settings import Settings

__all__ = ["IncomingData"]


class IncomingData:
    """Takes the fragments of one data set.

    Args:
        settings: where it may go and how long it may be.

    Attributes:
        failure: why it could not be kept; empty if it was.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._length = 0
        self.failure = ""

    def write(self, fragment: bytes | memoryview) -> None:
        """Take the next fragment, and a copy of it."""
        self._length += len(fragment)
        if self.failure:
            return
        if self._length > self._settings.max_object_bytes:
            self._fail(f"more than {self._settings.max_object_bytes} bytes")
        elif self._length <= self._settings.spool_bytes:
            self._memory += fragment
        else:
            self._write_to_file(fragment)

    def finish(self) -> memoryview | mmap.mmap:
        """Take no more; return what came, which is nothing if it could not be kept."""
        if self._file is None:
            return memoryview(self._memory).toreadonly()
        try:
            with self._file as file:
                file.flush()
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            self._fail(error.strerror or str(error))
            return memoryview(b"")

    def _write_to_file(self, fragment: bytes | memoryview) -> None:
        import tempfile  # noqa: PLC0415 - seldom needed, and slow to load

        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 - open until `finish`
                    dir=self._settings.spool_directory
                )
                self._file.write(self._memory)
                self._memory = bytearray()
            self._file.write(fragment)
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._memory = bytearray()
        if self._file is not None:
            self._file.close()
            self._file = None
