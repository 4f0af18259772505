"""Where the data set of a request goes while it arrives.

Small ones stay in memory. Beyond `spool_bytes`, and when the endpoint holds as much in memory as
it may, they go to a file as they come, a Part 10 file from its first byte (PS3.10 7): a prepared
file meta header, then the received bytes, so that keeping the object is a rename. Nothing is
decoded here.

All but `abandon` is for the one thread that receives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from dicom_actors.actors.storing.budget import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.storing.budget import ByteBudget
    from dicom_actors.actors.storing.janitor import Janitor
    from dicom_actors.actors.storing.part_file import PartFile

__all__ = ["NO_ROOM", "ReceivedObject", "Receiver", "Spooling"]

_MAX_PENDING = 256
"""Fragments that wait for one `writev`; well below any system's IOV_MAX."""

NO_ROOM = "no room for the data set now"


class Spooling(Protocol):
    """What a `Receiver` needs of those who keep things."""

    memory: ByteBudget
    disk: ByteBudget
    janitor: Janitor

    def create_spool(self) -> PartFile:
        """Create a file for a data set that is being received; raises OSError."""


class ReceivedObject:
    """A data set as it was received.

    It is to be discarded by whoever is done with it; what nobody refers to any more is gone, too.

    Attributes:
        header: the Part 10 header (preamble to file meta group) that belongs before it.
        length: bytes of the data set, without header.
        failure: why it could not be kept; empty if it was. Then there are no bytes.
        file: the file that it is in, header and data; None if it is in memory.
    """

    __slots__ = ("_data", "_janitor", "_share", "failure", "file", "header", "length")

    def __init__(
        self,
        header: bytes,
        length: int,
        *,
        data: bytes | bytearray | None = None,
        file: PartFile | None = None,
        share: Share | None = None,
        janitor: Janitor | None = None,
        failure: str = "",
    ) -> None:
        self.header = header
        self.length = length
        self.failure = failure
        self.file = file
        self._data = None if data is None else memoryview(data).toreadonly()
        self._share = share
        self._janitor = janitor

    @property
    def path(self) -> str | None:
        """The spool file; None if it is not in one, or is kept under its own name already."""
        return None if self.file is None or self.file.is_committed else self.file.path

    @property
    def data(self) -> memoryview:
        """The bytes of the data set, from memory or mapped from the file; nothing is copied.

        They stay valid for as long as something refers to them.

        Raises:
            OSError: the object is discarded.
        """
        if self._data is not None:
            return self._data
        assert self.file is not None
        # Not kept here: each mapping has a descriptor, and requests are remembered for a while.
        return self.file.map()[len(self.header) :]

    def discard(self) -> None:
        """Remove the spool file, and give back what it held of the budgets."""
        share, self._share = self._share, None
        if share is not None:
            share.release()
        if self.file is not None:
            self.file.discard()

    def abandon(self) -> None:
        """Do what `discard` does, but never wait for a disk."""
        share, self._share = self._share, None
        if share is not None:
            share.release()
        if self.file is not None:
            assert self._janitor is not None
            self.file.abandon(self._janitor)


class Receiver:
    """Takes the fragments of one data set.

    Args:
        header: the Part 10 header.
        storage: where the spool file is made, and how much may be held.
        spool_bytes: up to this many bytes stay in memory.
        max_bytes: the most that is taken; None: no limit.

    Attributes:
        result: what `finish` has given; None before.
        is_waiting: whether `admit` waits for room.
        is_writing: whether what comes is written to a disk, which may take its time.
    """

    # Where most receivers begin and end.
    _memory: bytes | bytearray = b""
    _on_disk: Share | None = None
    _length = 0
    _admitted = 0
    _file: PartFile | None = None
    _failure = ""
    _is_abandoned = False
    _is_over = False
    _is_denied = False
    is_writing = False
    is_waiting = False
    result: ReceivedObject | None = None

    def __init__(
        self,
        header: bytes,
        storage: Spooling,
        *,
        spool_bytes: int,
        max_bytes: int | None,
    ) -> None:
        self._header = header
        self._storage = storage
        self._spool_bytes = spool_bytes
        self._max_bytes = max_bytes
        self._in_memory = Share(storage.memory)
        self._pending: list[bytes | memoryview] = []

    def admit(self, length: int, when_admitted: Callable[[], None] | None = None) -> bool:
        """Make room for the next `length` bytes before they are read, or written.

        Args:
            length: how many.
            when_admitted: called once if this returns False: in any thread, as soon as there is
                room, which is taken then, or there never will be; that may be before this
                returns. Nothing is to be written before; this is to be called again then.
                Whoever does not want to wait any longer calls `refuse`.

        Returns:
            Whether they may be written now.
        """
        more = length - self._admitted
        if self._is_denied and not self._is_over:
            self.refuse(NO_ROOM)
        is_too_long = self._max_bytes is not None and self._length + length > self._max_bytes
        if more <= 0 or self._is_over or is_too_long:
            return True  # or dropped when it comes
        if self._take(more):
            self._admitted = length
            return True
        if when_admitted is None:
            return False

        def settled(is_granted: bool) -> None:  # noqa: FBT001 - called by the budget alone
            if is_granted:
                self.is_writing = True
                self._admitted = length
            else:
                self._is_denied = True
            self.is_waiting = False
            when_admitted()

        self.is_waiting = True
        if self._disk_share().wait(self._needed_on_disk(more), settled) and self.is_waiting:
            return False
        self.is_waiting = False
        if length > self._admitted:
            self.refuse(NO_ROOM)
        return True

    def refuse(self, reason: str) -> None:
        """Take no more of it: what still comes is dropped, and the result is a failure."""
        self._failure = self._failure or reason
        self._is_over = True
        self.is_waiting = False
        self._release()
        if self._file is not None:
            self._file.discard()

    def write(self, *fragments: bytes | memoryview) -> None:
        """Take the next fragments, a few hundred at most; they may be held until `flush`."""
        length = sum(map(len, fragments))
        more = length - self._admitted
        if not length or self._is_over:
            pass
        elif self._max_bytes is not None and self._length + length > self._max_bytes:
            self.refuse(f"more than {self._max_bytes} bytes")
        elif more > 0 and not self._take(more):
            self.refuse(NO_ROOM)
        else:
            self._admitted = -more if more < 0 else 0
            if self.is_writing:
                self._pending += fragments
            elif self._memory:
                for fragment in fragments:
                    self._memory += fragment
            else:
                self._memory = bytearray().join(fragments)
        self._length += length
        if len(self._pending) >= _MAX_PENDING:
            self.flush()

    def flush(self) -> None:
        """Write the fragments that are held as views; to be called before they go away."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        if not self._is_over:
            try:
                if self._file is None:
                    self._begin_file(pending)
                else:
                    self._file.write(pending)
            except OSError as error:
                self.refuse(error.strerror or type(error).__name__)
        if self._is_abandoned:
            self.abandon()  # what was made since then

    def finish(self) -> ReceivedObject:
        """Take no more; say what has come."""
        if self._pending:
            self.flush()
        header, length = self._header, self._length
        if self._is_over:
            why = self._failure or "abandoned"
            self.result = ReceivedObject(header, length, failure=why)
        elif self._file is not None:
            janitor = self._storage.janitor
            self.result = ReceivedObject(header, length, file=self._file, janitor=janitor)
        else:
            memory, share = self._memory, self._in_memory
            self.result = ReceivedObject(header, length, data=memory, share=share)
        return self.result

    def abandon(self) -> None:
        """Drop everything, the spool file included; whatever still comes, too.

        From any thread: whoever closes a connection may not be the one that receives. Neither a
        thread that is writing nor the disk is waited for.
        """
        self._is_abandoned = self._is_over = True
        self._release()
        if self._file is not None:
            self._file.abandon(self._storage.janitor)

    def _take(self, length: int) -> bool:
        """Take room for `length` more bytes, in memory or else on the disk."""
        if self.is_writing:
            return self._disk_share().take(length)
        in_memory = self._in_memory
        if in_memory.held + length <= self._spool_bytes and in_memory.take(length):
            return True
        self.is_writing = self._disk_share().take(self._needed_on_disk(length))
        return self.is_writing

    def _needed_on_disk(self, length: int) -> int:
        return length if self.is_writing else self._in_memory.held + length

    def _disk_share(self) -> Share:
        if self._on_disk is None:
            self._on_disk = Share(self._storage.disk)
        return self._on_disk

    def _begin_file(self, pending: list[bytes | memoryview]) -> None:
        file = self._storage.create_spool()
        file.call_at_end(self._disk_share().release)
        self._file = file
        file.write([self._header, self._memory, *pending])
        self._memory = b""
        self._in_memory.release()

    def _release(self) -> None:
        # Two threads may come here at a time: a second time does nothing.
        self._memory = b""
        self._in_memory.release()
        if self._file is None and self._on_disk is not None:
            self._on_disk.release()
