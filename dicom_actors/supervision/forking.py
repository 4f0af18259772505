"""What becomes of the actors of a process in a child that it forks.

A child has copies of all descriptors, and of all that the parent's threads had in hand, but not
of the threads. So a peer would not see the end of a connection, and a port would stay taken, for
as long as the child lives; and whoever asks an actor there would wait for ever. In the child,
therefore, descriptors that were announced here are closed, and systems start over: the parent's
actors are dead there, as everybody is told at once, and new ones can be started.

This is the one place with something global, since a process is forked as a whole.
"""

from __future__ import annotations

import contextlib
import os
import socket
import weakref
from typing import Final, Protocol

__all__ = ["close_in_child", "start_over_in_child"]


class Closable(Protocol):
    """What has a descriptor."""

    def close(self) -> object:
        """Close the descriptor."""


class Renewable(Protocol):
    """What has locks and threads."""

    def start_over(self) -> None:
        """Be as new, in a child that has none of the parent's threads."""


_closed_in_child: Final[weakref.WeakSet[Closable]] = weakref.WeakSet()
_renewed_in_child: Final[weakref.WeakSet[Renewable]] = weakref.WeakSet()


def close_in_child(resource: Closable) -> None:
    """Let no forked child keep a descriptor; the parent's and the peer are not touched.

    Args:
        resource: a socket, or anything else with a descriptor and a ``close`` that does nothing
            but close it; if that takes a lock, which no thread in the child may release, an
            ``abandon`` that does without. It is not kept alive.
    """
    _closed_in_child.add(resource)


def start_over_in_child(system: Renewable) -> None:
    """Let a system start over in every forked child; it is not kept alive."""
    _renewed_in_child.add(system)


def _in_child() -> None:
    for resource in list(_closed_in_child):
        with contextlib.suppress(Exception):
            if not isinstance(resource, socket.socket):
                getattr(resource, "abandon", resource.close)()
            elif (descriptor := resource.detach()) >= 0:  # its close waits for files made of it
                os.close(descriptor)
    _closed_in_child.clear()
    for system in list(_renewed_in_child):
        with contextlib.suppress(Exception):
            system.start_over()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
