"""How many connections the process has descriptors for.

One connection needs one descriptor. Below the number that the configuration allows, the soft limit
of the process is raised as far as it may be; if that is not enough, peers wait in the backlog, as
they do when `max_associations` is reached.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["RESERVE", "provide_descriptors"]

RESERVE: Final = 64
"""Descriptors that are kept for files, sub-associations, and whatever else the process does."""

_OPEN: Final = Path("/proc/self/fd")


def provide_descriptors(connections: int | None) -> int | None:
    """Make room for as many connections as are wanted, as far as the system allows it.

    Args:
        connections: how many are wanted; None: as many as can be had.

    Returns:
        How many connections there is room for; None: no limit is known.
    """
    try:
        import resource  # noqa: PLC0415 - there is none on Windows
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    in_use = _in_use()
    unlimited = hard == resource.RLIM_INFINITY
    if connections is not None:
        wanted = in_use + RESERVE + connections
        if not unlimited:
            wanted = min(wanted, hard)
    elif unlimited:
        wanted = soft
    else:
        wanted = hard
    if wanted > soft:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # then it stays as it is
    return max(1, soft - in_use - RESERVE)


def _in_use() -> int:
    try:
        return len(os.listdir(_OPEN))  # noqa: PTH208 - a count
    except OSError:
        return RESERVE
