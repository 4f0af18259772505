"""The way of a body to its socket: threads send what they make, and files without reading them.

A thread sends as much as the socket takes, and goes; who waits for a client is the loop, unless it
is a matter of milliseconds, as with a client that is as fast as we are. So what a piece costs is a
call of the system, and neither a message nor a way between threads.

sendfile(2), MSG_MORE of send(2).
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from h11 import Data

from dicom_actors.archive.files import FileBytes
from dicom_actors.errors import FileChangedError
from dicom_actors.web.exchange import PIECE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from uvicorn.protocols.http.h11_impl import H11Protocol

    from dicom_actors.web.exchange import Gathered

__all__ = ["SocketSender"]

_TURN: Final = 0.05
"""Seconds after which a thread goes, even if the socket takes more: others have requests, too."""
_PATIENCE: Final = 5
"""Milliseconds that a thread waits until the socket takes more: a way to the loop and back costs as
much as to send a megabyte."""
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a system says that does not do this with a file."""


class SocketSender:
    """See the module. For one response, between its headers and its end.

    One task uses it, and has one thread at a time call `send`.

    Args:
        connection: what is sent to; Linux, and not encrypted.

    Attributes:
        is_full: whether the socket took all that it could, so that `writable` is to be awaited.
        is_over: whether all has been sent.
    """

    def __init__(self, connection: H11Protocol) -> None:
        self._connection = connection
        self._socket: socket.socket | None = None
        self._poll = select.poll()
        self._left: deque[memoryview | FileBytes] = deque()
        self._is_chunked = False
        self.is_full = False
        self.is_over = False

    async def open(self) -> None:
        """Wait until the system has all that was written before.

        Raises:
            OSError: the client is gone.
        """
        connection, transport = self._connection, self._connection.transport
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(0)
            await connection.flow.drain()
            transport.set_write_buffer_limits()
        self._check()
        # What is empty is no chunk, but it is a piece of any other body.
        self._is_chunked = not self._count(0)
        # The number of the socket is its transport's, which may close it any time.
        self._socket = transport.get_extra_info("socket").dup()
        self._poll.register(self._socket, select.POLLOUT)

    async def writable(self) -> None:
        """Wait until the socket takes more; raises as `open` does."""
        assert self._socket is not None  # it is open
        loop, number = self._connection.loop, self._socket.fileno()
        is_ready = loop.create_future()
        loop.add_writer(number, _set, is_ready)
        try:
            await is_ready
        finally:
            loop.remove_writer(number)
        self._check()

    def sent(self, length: int) -> None:
        """Note that bytes were sent; raises as `open` does."""
        self._check()
        if not self._is_chunked:
            self._count(length)

    def close(self) -> None:
        """Let go of everything."""
        self._left.clear()
        if self._socket is not None:
            self._socket.close()

    def _check(self) -> None:
        if self._connection.transport.is_closing():
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def _count(self, length: int) -> bool:
        """Have h11 count bytes; gives whether they are sent as they are."""
        room = cast("bytes", _Room(length))
        return bool(self._connection.conn.send_with_data_passthrough(Data(data=room)))

    def send(self, pieces: Iterator[Gathered]) -> int:
        """Send as much as goes without waiting long for the client. Runs in a thread.

        Args:
            pieces: of the body; as many are taken as there is room for.

        Returns:
            How many bytes.

        Raises:
            FileChangedError: a file is shorter; the connection is of no more use then.
            OSError: the client is gone.
        """
        left, total = self._left, 0
        until = time.monotonic() + _TURN
        self.is_full = False
        while not self.is_full:
            if not left:
                if time.monotonic() > until:
                    break
                piece = next(pieces, None)
                if piece is None:
                    self.is_over = True
                    break
                self._add(piece)
            try:
                total += self._send_first()
            except BlockingIOError:
                self.is_full = not self._poll.poll(_PATIENCE)
        return total

    def _add(self, piece: Gathered) -> None:
        parts: list[memoryview | FileBytes] = [memoryview(piece.data)]
        if piece.file is not None:
            parts.append(piece.file)
        if self._is_chunked:
            start = b"%x\r\n" % sum(map(len, parts))
            parts = [memoryview(start), *parts, memoryview(b"\r\n")]
        self._left.extend(part for part in parts if len(part))

    def _send_first(self) -> int:
        """Send of the first of those that are left; gives how much went."""
        assert self._socket is not None  # it is open
        left = self._left
        part = left[0]
        if not isinstance(part, FileBytes):
            more = socket.MSG_MORE if len(left) > 1 else 0
            sent = self._socket.send(part, more)
        else:
            try:
                sent = os.sendfile(self._socket.fileno(), part.fileno(), part.offset, len(part))
            except OSError as error:
                if error.errno not in _NO_SENDFILE:
                    raise
                left.popleft()
                left.extendleft([part[PIECE:]] if len(part) > PIECE else [])
                left.appendleft(memoryview(bytes(part[:PIECE])))
                return 0
            if sent == 0:
                raise FileChangedError(
                    f"expected {len(part)} more bytes of a file: it is shorter now"
                )
        if sent == len(part):
            left.popleft()
        else:
            left[0] = part[sent:]
        return sent


class _Room:
    """Stands for bytes among those that h11 counts."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
