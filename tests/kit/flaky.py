"""A listening socket whose `accept` fails as a test wants it to."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from dicom_actors.supervision import kill

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from kit.siege import Siege


class Flaky:
    """Passes on to the real socket, but for the errors that are still due."""

    def __init__(self, real: socket.socket, numbers: list[int]) -> None:
        self._real = real
        self.numbers = numbers

    def accept(self) -> Any:
        """Fail, or accept."""
        if self.numbers:
            number = self.numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return self._real.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def flaky(siege: Siege, *numbers: int) -> Iterator[Flaky]:
    """Give a new Listener a socket whose next calls of `accept` fail with these errors."""
    real = siege.kernel.listening_socket
    sockets = siege.kernel.listening_socket = Flaky(real, list(numbers))
    kill(siege.endpoint.child("listener").ref)
    siege.until(lambda: siege.endpoint.child("listener").restarts == 1)
    yield sockets
    siege.kernel.listening_socket = real
