"""Private elements of a data set: creators and their blocks (PS3.5 7.8).

A private creator reserves a block of 256 elements of an odd group by an element (gggg,00bb)
that holds its name; the elements of the block are (gggg,bb00) to (gggg,bbFF). The functions take
a data set; nothing is kept beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors.data.dictionary import Tag, vr_of_private
from dicom_actors.errors import ElementNotFoundError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "PrivateBlock",
    "private_block",
    "private_creators",
]

_FIRST_BLOCK: Final = 0x10
_LAST_BLOCK: Final = 0xFF
_FORBIDDEN_GROUPS: Final = frozenset({0x0001, 0x0003, 0x0005, 0x0007, 0xFFFF})  # PS3.5 7.8.1


class _DataSet(Protocol):
    """What is asked of a `DataSet`."""

    def __contains__(self, key: object, /) -> bool: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Tag]: ...
    def fetch(self, key: Any, /) -> Any:
        """Return an element."""

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return a value."""

    def put(self, key: Any, vr: str | None, values: Any, /) -> None:
        """Put an element in."""


def private_creators(data_set: _DataSet, group: int) -> dict[int, str]:
    """Return the private creators of a group: the names by block, 0x10 to 0xFF."""
    return {
        tag & 0xFF: creator
        for tag in data_set
        if tag >> 16 == group and tag.is_private_creator and (creator := _name(data_set, tag))
    }


def private_block(
    data_set: _DataSet, group: int, creator: str, *, create: bool = False
) -> PrivateBlock:
    """Return the block that a private creator has in a group.

    Args:
        data_set: the data set.
        group: the group, an odd number.
        creator: the private creator, at most 64 characters.
        create: whether to reserve the first free block if the creator has none.

    Raises:
        ElementNotFoundError: the creator has no block there, and none is to be created.
        EncodeError: a block cannot be reserved: all are taken, or the name is empty or too long.
        ValueError: the group is no private group.
    """
    _check_group(group)
    for number, name in private_creators(data_set, group).items():
        if name == creator:
            return PrivateBlock(data_set, group, number)
    if not create:
        raise ElementNotFoundError(f"no private creator {creator!r} in group {group:04X}")
    if not creator.strip(" ") or len(creator) > 64 or "\\" in creator:
        raise EncodeError(f"a private creator has 1 to 64 characters, got {creator!r}")
    number = _free_block(data_set, group)
    data_set.put(group << 16 | number, "LO", creator)
    return PrivateBlock(data_set, group, number)


class PrivateBlock:
    """The block of a private creator: a view of a data set by element offset.

    ``block[0x01]`` is the value of (gggg,bb01). What is put in or deleted here is put in or
    deleted in the data set.

    Attributes:
        data_set: the data set.
        group: the group number.
        number: the number of the block, 0x10 to 0xFF.
    """

    __slots__ = ("data_set", "group", "number")

    def __init__(self, data_set: _DataSet, group: int, number: int) -> None:
        """Look at a block; `private_block` finds it by the creator's name.

        Raises:
            ValueError: the group is no private group, or the block none of it.
        """
        _check_group(group)
        if not _FIRST_BLOCK <= number <= _LAST_BLOCK:
            raise ValueError(f"a block is 0x10 to 0xFF, got {number:#x}")
        self.data_set = data_set
        self.group = group
        self.number = number

    @property
    def creator(self) -> str:
        """The private creator, empty if the element that reserves the block is gone."""
        return _name(self.data_set, self.group << 16 | self.number)

    def tag(self, offset: int) -> Tag:
        """Return the tag of the element at an offset, 0 to 0xFF.

        Raises:
            ValueError: the offset is out of range.
        """
        if not 0 <= offset <= 0xFF:
            raise ValueError(f"an element offset is 0 to 0xFF, got {offset:#x}")
        return Tag(self.group << 16 | self.number << 8 | offset)

    def __getitem__(self, offset: int) -> Any:
        """Return the value of an element, as the data set does.

        Raises:
            ElementNotFoundError: the element is absent.
        """
        return self.data_set[self.tag(offset)]

    def get(self, offset: int, default: Any = None) -> Any:
        """Return the value of an element, `default` if it is absent."""
        return self.data_set.get(self.tag(offset), default)

    def fetch(self, offset: int) -> Any:
        """Return a `DataElement`.

        Raises:
            ElementNotFoundError: the element is absent.
        """
        return self.data_set.fetch(self.tag(offset))

    def __setitem__(self, offset: int, value: Any) -> None:
        """Put a value in, with the VR that the element has or the private dictionary knows.

        Raises:
            EncodeError: the VR is not known, or the value is none of it.
        """
        tag = self.tag(offset)
        if tag in self.data_set:
            vr = self.data_set.fetch(tag).vr
        else:
            vr = vr_of_private(self.creator, tag)
            if vr == "UN" and not isinstance(value, bytes | bytearray | memoryview):
                raise EncodeError(f"the VR is not known: use put({offset:#04x}, vr, ...)", tag=tag)
        self.data_set.put(tag, vr, value)

    def put(self, offset: int, vr: str, values: Any) -> None:
        """Put an element in.

        Args:
            offset: the offset, 0 to 0xFF.
            vr: its VR.
            values: a value, a list of values, or None.

        Raises:
            EncodeError: a value is none of the VR.
        """
        self.data_set.put(self.tag(offset), vr, values)

    def __delitem__(self, offset: int) -> None:
        """Delete an element.

        Raises:
            ElementNotFoundError: the element is absent.
        """
        del self.data_set[self.tag(offset)]

    def __contains__(self, offset: object) -> bool:
        return (
            isinstance(offset, int)
            and 0 <= offset <= 0xFF
            and self.group << 16 | self.number << 8 | offset in self.data_set
        )

    def __iter__(self) -> Iterator[int]:
        """Give the offsets of the elements that are there."""
        first = self.group << 16 | self.number << 8
        return iter([tag - first for tag in self.data_set if first <= tag <= first + 0xFF])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def remove(self) -> None:
        """Delete all elements of the block and free it."""
        for offset in self:
            del self[offset]
        creator_tag = self.group << 16 | self.number
        if creator_tag in self.data_set:
            del self.data_set[creator_tag]

    def __repr__(self) -> str:
        return f"<PrivateBlock ({self.group:04X},{self.number:02X}xx) of {self.creator!r}>"


def _name(data_set: _DataSet, creator_tag: int) -> str:
    value = data_set.get(creator_tag)
    return value if isinstance(value, str) else ""


def _check_group(group: int) -> None:
    if not (0 < group <= 0xFFFF and group & 1) or group in _FORBIDDEN_GROUPS:
        raise ValueError(f"a private group is odd, from 0009 on, and not FFFF; got {group:04X}")


def _free_block(data_set: _DataSet, group: int) -> int:
    taken = set()
    for tag in data_set:
        if tag >> 16 == group:
            element = tag & 0xFFFF
            taken.add(element if element <= _LAST_BLOCK else element >> 8)
    for number in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        if number not in taken:
            return number
    raise EncodeError(f"all blocks of group {group:04X} are taken")
