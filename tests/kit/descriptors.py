"""Which files this process holds open.

Their number says nothing: what earlier tests left is closed at any time.
"""

from __future__ import annotations

from pathlib import Path


def open_descriptors() -> set[tuple[int, str]]:
    """The open descriptors with what is behind them; none where the system does not tell."""
    listing = Path("/proc/self/fd")
    if not listing.exists():
        return set()
    return {(int(link.name), target) for link in listing.iterdir() if (target := _target(link))}


def open_below(folder: Path) -> list[str]:
    """The open files and folders in `folder`, itself included."""
    return [name for _, name in open_descriptors() if f"{name}/".startswith(f"{folder}/")]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # that of the listing itself
        return ""
