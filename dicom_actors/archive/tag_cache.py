"""What follows from the tags of a data set, remembered, since those of a series have the same."""

from __future__ import annotations

from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_TAGS", "remembered_by_tags"]

MAX_TAGS: Final = 2_048
"""Tags of a data set that are remembered: of more, a peer could fill the memory."""
_MAX_DATA_SETS: Final = 256

_Found = TypeVar("_Found")


def remembered_by_tags(
    find: Callable[[tuple[int, ...]], _Found],
) -> Callable[[tuple[int, ...]], _Found]:
    """Remember what a function says of the tags of data sets, the last ones of a usual number."""
    remembered = lru_cache(maxsize=_MAX_DATA_SETS)(find)

    @wraps(find)
    def found(tags: tuple[int, ...]) -> _Found:
        return remembered(tags) if len(tags) <= MAX_TAGS else find(tags)

    return found
