"""Where a process of ours begins; see `child`.

It ends with its parent. The system sends SIGKILL when the other end of a connection is closed
(``F_SETSIG``, which is Linux's), so that not even code that never returns from C stays behind; on
other systems a thread waits for that.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import select
import signal
import socket
import threading
from typing import Any

from dicom_actors.processes.channel import Channel

__all__ = ["main"]


def main(given: dict[str, Any]) -> None:
    """Run what was asked for.

    Args:
        given: the function, its arguments, and the descriptors of the channel and of the lifeline.
    """
    _end_with_parent(given["line"])
    # A terminal and a service manager mean the parent, which decides when we end.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), _do_nothing)
    channel = Channel(socket.socket(fileno=given["channel"]))
    os.set_inheritable(given["channel"], False)
    module, _, name = given["target"].partition(":")
    getattr(importlib.import_module(module), name)(channel, *given["arguments"])


def _do_nothing(*_: object) -> None:
    """Stand for a signal; unlike one that is ignored, it is as ever in programs that we start."""


def _end_with_parent(line: int) -> None:
    os.set_inheritable(line, False)
    if hasattr(fcntl, "F_SETSIG"):
        fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(line, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(line, fcntl.F_SETFL, fcntl.fcntl(line, fcntl.F_GETFL) | os.O_ASYNC)
    else:
        threading.Thread(target=_wait_for_end, args=(line,), daemon=True).start()
    if _has_ended(line, 0):  # before we looked
        os.kill(os.getpid(), signal.SIGKILL)


def _has_ended(line: int, milliseconds: float | None) -> bool:
    waiting = select.poll()
    waiting.register(line, select.POLLIN)
    return bool(waiting.poll(milliseconds))


def _wait_for_end(line: int) -> None:
    _has_ended(line, None)
    os.kill(os.getpid(), signal.SIGKILL)
