"""What a zip file that goes out as it is made is written to."""

from __future__ import annotations

__all__ = ["ZipSink"]


class ZipSink:
    """A stream for `zipfile.ZipFile`, from which what has come is taken away piece by piece."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def write(self, data: bytes | memoryview) -> int:
        """Take some; returns how many bytes."""
        self._parts.append(bytes(data))
        self._length += len(data)
        return len(data)

    def tell(self) -> int:
        """How many bytes have come in all."""
        return self._length

    def flush(self) -> None:
        """There is nothing to do."""

    def take(self) -> bytes:
        """Give what has come since this was last asked."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
