"""The bytes of a connection: those that wait to go out, and those that came and were not read.

Nothing here waits, and nothing here knows what the bytes mean.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.transport.plain import Transport

__all__ = ["Wire"]

_READ_LENGTH: Final = 256 * 1024
_BUFFERS_OF_A_CALL: Final = 256


class Wire:
    """A transport with a queue on the way out and a buffer on the way in.

    Args:
        transport: the connection, which belongs to this object.
        max_pdu_length: bytes of the longest PDU that is usual.

    Attributes:
        is_torn: whether sending was interrupted, so that nobody knows what went out, or how it
            goes on. Ctrl-C may come between the system's call and the note of what it sent, and a
            file that is being sent may not have all of its bytes any more.
    """

    def __init__(self, transport: Transport, max_pdu_length: int) -> None:
        self.transport = transport
        self._output: deque[Any] = deque()
        self._input = memoryview(bytearray(max_pdu_length + _READ_LENGTH))
        self._start = self._end = 0
        self.is_torn = False

    # --- out ---------------------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """How many buffers wait to go out."""
        return len(self._output)

    def queue(self, buffers: Iterable[bytes | memoryview]) -> None:
        """Take buffers that are to go out; they must not change until they have."""
        self._output.extend(buffers)

    def send(self) -> int:
        """Send once what goes out at once; returns bytes.

        Raises:
            FileChangedError: what is to go out cannot be read.
            OSError: the connection is lost.
        """
        output = self._output
        self.is_torn = True
        sent = length = self.transport.send(list(islice(output, _BUFFERS_OF_A_CALL)))
        while output and sent >= len(output[0]):
            sent -= len(output.popleft())
        if sent:
            rest = output[0]
            output[0] = (memoryview(rest) if isinstance(rest, bytes) else rest)[sent:]
        self.is_torn = False
        return length

    # --- in ----------------------------------------------------------------------------------

    @property
    def unread(self) -> memoryview:
        """What came and was not consumed; valid until the next `receive`."""
        return self._input[self._start : self._end]

    def consume(self, length: int) -> None:
        """Be done with the first `length` unread bytes."""
        self._start += length

    def receive(self) -> int | None:
        """Receive once what there is.

        Returns:
            How many bytes; 0 at the end of the stream, None for nothing yet.

        Raises:
            OSError: the connection is lost.
        """
        length = self.transport.receive_into(self._room())
        self._end += length or 0
        return length

    def _room(self) -> memoryview:
        """Where to receive into: behind the unread bytes, which move to the front."""
        length = self._end - self._start
        if self._start:
            self._input[:length] = self._input[self._start : self._end]
            self._start, self._end = 0, length
        elif length == len(self._input):
            # A PDU longer than any with data: the answer to the association request.
            larger = memoryview(bytearray(2 * length))
            larger[:length] = self._input
            self._input = larger
        return self._input[self._end :]

    def close(self) -> None:
        """Close the connection and forget what was to go out."""
        self._output.clear()
        self.transport.close()
