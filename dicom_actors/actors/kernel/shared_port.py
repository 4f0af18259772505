"""A port that several processes listen on, and the limits that they have in common.

Each process has the same listening socket, whichever is free accepts, and what waits in its backlog
is lost with none of them. How many connections are open, and from whom, stands in memory that all
have mapped, under a lock that ends with the process that holds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from struct import Struct
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

__all__ = ["Places", "SharedPort"]

_NUMBER: Final = Struct("<Q")
_COUNTS: Final = Struct("<III")
"""Of a process: open connections, associations, and callers that are listed."""
_CALLER: Final = Struct("<16sI")
_MOST_CALLERS: Final = 1000
_LENGTH: Final = _COUNTS.size + _MOST_CALLERS * _CALLER.size


class Places:
    """Who has how many connections; any thread may use it.

    Args:
        descriptor: of memory that all processes have; see `make`.
        processes: how many there are.
        mine: which of them this one is, from 0.
    """

    def __init__(self, descriptor: int, processes: int, mine: int) -> None:
        self.descriptor: Final = descriptor
        self._processes = processes
        self._mine = mine
        self._memory = mmap.mmap(descriptor, _NUMBER.size + processes * _LENGTH)
        self._lock = Lock()

    @staticmethod
    def make(descriptor: int, processes: int) -> None:
        """Make the memory behind a descriptor long enough; all of it is zero.

        Raises:
            OSError: there is no room.
        """
        os.ftruncate(descriptor, _NUMBER.size + processes * _LENGTH)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN)

    def next_number(self) -> int:
        """A number that no other connection of any process has."""
        with self._alone():
            (number,) = _NUMBER.unpack_from(self._memory)
            _NUMBER.pack_into(self._memory, 0, number + 1)
            return int(number) + 1

    def take(self, most: int | None) -> bool:
        """Count a connection of this process, if there are fewer than `most` of all."""
        with self._alone():
            if most is not None and sum(self._counts(one)[0] for one in self._all) >= most:
                return False
            connections, associations, callers = self._counts(self._mine)
            self._put(self._mine, connections + 1, associations, callers)
            return True

    def is_full(self, most: int) -> bool:
        """Whether there are as many connections as there may be."""
        return sum(self._counts(one)[0] for one in self._all) >= most

    def give_back(self) -> None:
        """Count a connection of this process no more."""
        with self._alone():
            connections, associations, callers = self._counts(self._mine)
            self._put(self._mine, max(connections - 1, 0), associations, callers)

    def note(self, callers: Mapping[str, int], title: str) -> tuple[int, int]:
        """Note who has associations with this process.

        Args:
            callers: how many, by calling AE title.
            title: one of them.

        Returns:
            How many associations there are in all processes, and how many from `title`.
        """
        with self._alone():
            connections, _, _ = self._counts(self._mine)
            at = self._at(self._mine) + _COUNTS.size
            listed = 0
            for name, count in callers.items():
                if listed == _MOST_CALLERS:
                    break
                name_bytes = name.encode("utf-8", "replace")[:16]
                _CALLER.pack_into(self._memory, at + listed * _CALLER.size, name_bytes, count)
                listed += 1
            self._put(self._mine, connections, sum(callers.values()), listed)
            wanted = title.encode("utf-8", "replace")[:16].rstrip(b"\0")
            all_of_them = same = 0
            for one in self._all:
                _, associations, count = self._counts(one)
                all_of_them += associations
                start = self._at(one) + _COUNTS.size
                table = memoryview(self._memory)[start : start + count * _CALLER.size]
                for name_bytes, number in _CALLER.iter_unpack(table):
                    same += number if name_bytes.rstrip(b"\0") == wanted else 0
                table.release()
            return all_of_them, same

    def forget(self, process: int) -> None:
        """A process has ended, and all that it had."""
        with self._alone():
            self._put(process, 0, 0, 0)

    @property
    def _all(self) -> range:
        return range(self._processes)

    def _at(self, process: int) -> int:
        return _NUMBER.size + process * _LENGTH

    def _counts(self, process: int) -> tuple[int, int, int]:
        found: tuple[int, int, int] = _COUNTS.unpack_from(self._memory, self._at(process))
        return found

    def _put(self, process: int, *counts: int) -> None:
        _COUNTS.pack_into(self._memory, self._at(process), *counts)


class SharedPort:
    """What an endpoint is given in place of a port of its own.

    Attributes:
        socket: bound and listening, not blocking. It is not the endpoint's to close; another one
            may be put here while the endpoint is suspended.
        places: the connections of all processes.
    """

    def __init__(self, listening_socket: socket.socket, places: Places) -> None:
        self.socket = listening_socket
        self.places: Final = places
