"""A process of our own: started, talked to, killed, and never left behind.

It holds one end of a connection whose other end is the parent's alone. When that is closed,
whatever closes it, a SIGKILL to the parent included, the system kills the child, even one that
hangs in C (`child_main`).
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from dicom_actors.processes.channel import Channel
from dicom_actors.supervision import close_in_child

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ChildProcess"]

_ENDS_AFTER: Final = 5.0
_PROGRAM: Final = (
    "import sys, json; given = json.loads(sys.argv[1]); sys.path[:] = given['path']; "
    "from dicom_actors.processes.child_main import main; main(given)"
)


class ChildProcess:
    """A process that runs a function, and the channel to it.

    Args:
        target: the function, as ``"module:name"``: it is called with the channel and `arguments`.
        *arguments: numbers and texts.
        descriptors: open files that the process has, too, under the same numbers.
        is_quiet: whether what it prints goes nowhere.

    Raises:
        OSError: there is no room for another process, or there are no descriptors.

    Attributes:
        channel: to the process.
    """

    def __init__(
        self,
        target: str,
        *arguments: str | float,
        descriptors: Sequence[int] = (),
        is_quiet: bool = False,
    ) -> None:
        ours, theirs = socket.socketpair()
        self._life, line = socket.socketpair()
        self.channel: Final = Channel(ours)
        # What somebody forks of us must not keep the child alive, nor the channel open.
        close_in_child(ours)
        close_in_child(self._life)
        given = {
            "path": sys.path,
            "target": target,
            "arguments": arguments,
            "channel": theirs.fileno(),
            "line": line.fileno(),
        }
        output = subprocess.DEVNULL if is_quiet else None
        try:
            with theirs, line:
                self._process = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-P", "-c", _PROGRAM, json.dumps(given)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=(theirs.fileno(), line.fileno(), *descriptors),
                )
        except BaseException:
            ours.close()
            self._life.close()
            raise
        self._was_late = False

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def kill(self, *, is_late: bool = False) -> None:
        """End it at once, by SIGKILL.

        Args:
            is_late: whether that is because it took too long, as `end` says then.
        """
        self._was_late = self._was_late or is_late
        self._process.kill()

    def end(self, patience: float = _ENDS_AFTER) -> str:
        """Close the channel, wait until the process has ended, and kill it if it does not.

        Args:
            patience: seconds that it has.

        Returns:
            How it ended, in words that follow "it".
        """
        self.channel.close()
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with contextlib.suppress(OSError):
            self._life.close()
        if self._was_late:
            return "took too long and was killed"
        return f"died by signal {-code}" if code < 0 else f"ended with code {code}"
