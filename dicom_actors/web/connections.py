"""How many connections there may be, and which goes when there is no room for another one.

Each needs a descriptor, of which the system gives a process so many. Without a limit of ours, those
who keep idle connections would take all of them, and nobody could associate any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Idle", "longest_idle", "room_for"]

_SHARE: Final = 4
"""Of all descriptors, one of so many is for connections where no more can be had."""


class Idle(Protocol):
    """A connection.

    Attributes:
        idle_since: when it was last heard of, by a clock; None: a request is under way.
    """

    @property
    def idle_since(self) -> float | None:
        """See the class."""


def longest_idle(connections: Iterable[Idle]) -> Idle | None:
    """Give the connection that has been idle for the longest time; None if none is."""
    idle = [(since, one) for one in connections if (since := one.idle_since) is not None]
    return min(idle, key=lambda pair: pair[0], default=(0, None))[1]


def room_for(connections: int) -> int:
    """Have descriptors for more connections, besides those that others count on.

    The soft limit of the process is raised as far as it may be.

    Args:
        connections: how many are wanted.

    Returns:
        How many there may be.
    """
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return connections
    raised = soft + connections
    if hard != resource.RLIM_INFINITY:
        raised = min(raised, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):
        raised = soft  # then it stays as it is
    return min(connections, max(raised - soft, soft // _SHARE, 1))
