"""What the elements of a data set share while they are bytes: the input and where it stands.

A `Reading` belongs to one input: its limits, what was forgiven, what was found out on the way.
A `Scope` belongs to one data set or to all items of one sequence: bytes, layout, nesting. No
parsing here; `elements` does that.
"""

from __future__ import annotations

from mmap import mmap
from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import keyword_of
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.data.scan.layout import Layout

__all__ = [
    "DEFAULT_LIMITS",
    "BeyondLimitsError",
    "Bytes",
    "Limits",
    "ReadWarning",
    "Reading",
    "Scope",
]

Bytes = bytes | memoryview | mmap
"""What a data set can be an index over: bytes that do not change while it lives."""

_MAX_WARNINGS: Final = 1_000


class Limits:
    """What an input may cost.

    Attributes:
        max_depth: how deep sequences may be nested.
        max_elements: how many elements may be looked at, those in sequences counted.
        max_inflated_bytes: how long a deflated data set may become.
        max_inflation: how many times longer than its stream; asked from 64 MiB on.
        take_inflated: asked for each piece that was inflated, with its length, whether there is
            room for it; None: there is. It is how several inputs share a budget, and is kept as
            long as the data set.
    """

    __slots__ = (
        "max_depth",
        "max_elements",
        "max_inflated_bytes",
        "max_inflation",
        "take_inflated",
    )

    def __init__(
        self,
        *,
        max_depth: int = 64,
        max_elements: int = 10_000_000,
        max_inflated_bytes: int = 4 << 30,
        max_inflation: int = 200,
        take_inflated: Callable[[int], bool] | None = None,
    ) -> None:
        self.max_depth = max_depth
        self.max_elements = max_elements
        self.max_inflated_bytes = max_inflated_bytes
        self.max_inflation = max_inflation
        self.take_inflated = take_inflated


DEFAULT_LIMITS: Final = Limits()


class BeyondLimitsError(DecodeError):
    """What is read costs more than `Limits` allow: nothing that is forgiven."""


class ReadWarning:
    """Something that the reader forgave.

    Attributes:
        message: what was expected, what came, what was made of it.
        offset: where in the input, in bytes from its start; None if unknown.
        tag: the element concerned, as an int; None if none.
        path: what leads there through sequences, for example ``("BeamSequence[0]",)``.
    """

    __slots__ = ("message", "offset", "path", "tag")

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        tag: int | None = None,
        path: tuple[str, ...] = (),
    ) -> None:
        self.message = message
        self.offset = offset
        self.tag = tag
        self.path = path

    def __str__(self) -> str:
        """Return the message with its place, as an error's would be."""
        return str(DecodeError(self.message, offset=self.offset, tag=self.tag, path=self.path))

    def __repr__(self) -> str:
        return f"<ReadWarning {self}>"


class Reading:
    """What is known about one input while it is read, shared by the data set and all its items.

    Attributes:
        limits: what the input may cost.
        warnings: what was forgiven, oldest first; at most 1,000.
        keeps_truncated: whether elements that a truncated input lost are no error.
        ends: for each undefined length found on the way, by the offset where its content
            starts: where the content ends, and where the next thing starts.
        is_cut: whether the input was found to end within an element, and that is no error.
        nonzero_at: a place where something else than zero stands, as far as that was asked.
        irregular: headers that needed guessing, by offset: VR (empty if the dictionary has to
            say), start of the value, length.
    """

    __slots__ = (
        "ends",
        "irregular",
        "is_cut",
        "keeps_truncated",
        "limits",
        "nonzero_at",
        "seen_elements",
        "warnings",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, keeps_truncated: bool = False) -> None:
        self.limits = limits
        self.warnings: list[ReadWarning] = []
        self.keeps_truncated = keeps_truncated
        self.ends: dict[int, tuple[int, int]] = {}
        self.irregular: dict[int, tuple[str, int, int]] = {}
        self.is_cut = False
        self.nonzero_at = -1
        self.seen_elements = 0


class Scope:
    """Where the elements of a data set, or of the items of one sequence, stand.

    Attributes:
        buffer: the bytes that all offsets refer to.
        layout: how elements lie in them.
        reading: what is shared by the whole input.
        parent: the scope that the sequence is in; None at the top.
        parent_number: the number of the item, in the parent's sequence, that the sequence is in.
        tag: the sequence; 0 at the top.
        depth: 0 at the top, 1 for the items of a sequence of the top.
    """

    __slots__ = (
        "buffer",
        "depth",
        "layout",
        "parent",
        "parent_number",
        "reading",
        "tag",
    )

    def __init__(
        self,
        buffer: Bytes,
        layout: Layout,
        reading: Reading,
        parent: Scope | None = None,
        parent_number: int = 0,
        tag: int = 0,
    ) -> None:
        self.buffer = buffer
        self.layout = layout
        self.reading = reading
        self.parent = parent
        self.parent_number = parent_number
        self.tag = tag
        self.depth: int = 0 if parent is None else parent.depth + 1

    def path(self, number: int) -> tuple[str, ...]:
        """What leads to the item of that number: ``("BeamSequence[0]", ...)``."""
        parts: list[str] = []
        scope: Scope | None = self
        while scope is not None and scope.parent is not None:
            parts.append(f"{_label(scope.tag)}[{number}]")
            scope, number = scope.parent, scope.parent_number
        return tuple(reversed(parts))

    def warn(
        self, message: str, number: int, *, offset: int | None = None, tag: int | None = None
    ) -> None:
        """Note something that is forgiven in the item of that number."""
        warnings = self.reading.warnings
        if len(warnings) < _MAX_WARNINGS:
            warnings.append(ReadWarning(message, offset=offset, tag=tag, path=self.path(number)))

    def accept_cut(self, end: int) -> bool:
        """Decide whether something beyond `end` is missing since the input is cut short there.

        That is no error where `Reading.keeps_truncated` says so. Whatever the input lacks is
        found by the scan of its top first; within a sequence nothing else counts as cut.
        """
        reading = self.reading
        if not reading.keeps_truncated or end != len(self.buffer):
            return False
        if not self.depth:
            reading.is_cut = True
        return reading.is_cut

    def error(
        self, message: str, number: int, *, offset: int | None = None, tag: int | None = None
    ) -> DecodeError:
        """Make the error for something in the item of that number that cannot be read."""
        return DecodeError(message, offset=offset, tag=tag, path=self.path(number))

    def beyond_limits(
        self, message: str, number: int, *, offset: int | None = None, tag: int | None = None
    ) -> BeyondLimitsError:
        """Make the error for what goes beyond a limit in the item of that number."""
        return BeyondLimitsError(message, offset=offset, tag=tag, path=self.path(number))


def _label(tag: int) -> str:
    return keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
