"""The bytes of a clean file, put together of elements without a data set in between.

The instances of a series share most of their elements, byte by byte. What became of an element is
remembered by its bytes, for a patient's study and a kind of instance, and not decided, decoded or
encoded again. It is for what most files are: what was read without anything odd, not changed, and
not deflated. For all else there is a data set and its writer, with the same result.

Standard: PS3.10 7.1, PS3.15 E.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.data.dataset.element_index import ElementIndex, content_of, hold
from dicom_actors.data.dataset.encoder import encode_elements, joined
from dicom_actors.data.files.part10 import FileMetaHeaders
from dicom_actors.deidentification.cleaner import elements_alone
from dicom_actors.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.data.scan.layout import Layout
    from dicom_actors.deidentification.cleaner import Cleaner
    from dicom_actors.deidentification.report import Report

__all__ = ["CleanFile", "Memory", "is_usual", "pieces_of"]

_SOP_CLASS: Final = 0x00080016
_INSTANCE: Final = 0x00080018
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_NAMING: Final = (_SOP_CLASS, _INSTANCE, _STUDY, _SERIES)
_SHORT: Final = 1 << 10
"""Elements of up to so many bytes are remembered."""
_MOST_ELEMENTS: Final = 4_096
_MOST_STUDIES: Final = 32
_UID_HEADER: Final = 8


class CleanFile(NamedTuple):
    """A clean file.

    Attributes:
        pieces: its bytes, in order.
        study: Study Instance UID, as it is now.
        series: Series Instance UID.
        instance: SOP Instance UID.
    """

    pieces: list[bytes | memoryview]
    study: str
    series: str
    instance: str


class _Fate(NamedTuple):
    """What became of an element: its new bytes, None for none, and what is to be counted."""

    piece: bytes | None
    counts: tuple[tuple[str, int], ...]
    report: Report | None


class Memory:
    """What became of elements, by their bytes, for each study and kind of instance."""

    def __init__(self) -> None:
        self._fates: dict[tuple[Any, ...], dict[bytes, _Fate]] = {}
        self._put_in: dict[tuple[int, Layout], tuple[Any, bytes]] = {}
        self._headers: dict[tuple[str, str], FileMetaHeaders] = {}

    def of(self, *context: Any) -> dict[bytes, _Fate]:
        """Return the memory of all that decisions depend on, besides the element."""
        found = self._fates.get(context)
        if found is None:
            if len(self._fates) >= _MOST_STUDIES:
                self._fates.clear()
            found = self._fates[context] = {}
        return found

    def put_in(self, content: ElementIndex, tag: int, element: Any) -> bytes:
        """Return the bytes of an element that is put in; most are the same ones in all files."""
        layout = content.scope.layout
        known, piece = self._put_in.get((tag, layout), (None, b""))
        if known is not element:
            piece = _encoded(content, {tag: element})
            self._put_in[tag, layout] = (element, piece)
        return piece

    def header(self, sop_class_uid: str, transfer_syntax_uid: str, instance_uid: str) -> bytes:
        """Return what stands before the data set in a file."""
        key = (sop_class_uid, transfer_syntax_uid)
        made = self._headers.get(key)
        if made is None:
            if len(self._headers) >= _MOST_STUDIES:
                self._headers.clear()
            made = self._headers[key] = FileMetaHeaders(*key, None)
        return made.of(instance_uid)


def is_usual(data_set: DataSet) -> bool:
    """Whether the elements of a data set are bytes that can be taken one by one."""
    content = content_of(data_set)
    reading = content.scope.reading
    syntax = reading.transfer_syntax
    return (
        syntax is not None
        and not syntax.is_deflated
        and not reading.warnings
        and not reading.irregular
        and reading.character_set is None
        and content.replaced is None
        and content.is_as_read()
        and content.is_sorted
        and content.scope.depth == 0
    )


def pieces_of(
    cleaner: Cleaner, data_set: DataSet, replaced: Mapping[int, Any], memory: Memory
) -> CleanFile | None:
    """Make a clean file; None where only the way over a data set makes it right.

    Args:
        cleaner: decides; it has to be `Cleaner.begin` that was called last.
        data_set: one that `is_usual`.
        replaced: elements by tag that are put in, whatever the plan says.
        memory: what was decided before.
    """
    content = content_of(data_set)
    scope = content.scope
    buffer = scope.buffer
    fates = memory.of(*cleaner.context, scope.layout, bytes(_raw(content, 0x00080005)))
    made: dict[int, bytes | memoryview] = {}
    counts, report, private = cleaner.counts, cleaner.report, 0
    index: dict[int, Any] = content.index
    following = iter((*index.values(), content.end))
    next(following)
    for (tag, at), end in zip(index.items(), following, strict=True):
        if tag & 0x10000:
            private += 1
            continue
        if tag in replaced:
            continue
        if end - at > _SHORT:
            new = cleaner.element(content, tag, at)
            if content.extent_at(tag, at).following != end:
                return None
            if new is at:
                made[tag] = memoryview(buffer)[at:end]
            elif new is not None:
                made[tag] = _encoded(content, {tag: new})
            continue
        raw = bytes(buffer[at:end])
        fate = fates.get(raw)
        if fate is None:
            if content.extent_at(tag, at).following != end:
                return None
            fate = _decided(cleaner, content, tag, at, raw)
            if len(fates) >= _MOST_ELEMENTS:
                fates.clear()
            fates[raw] = fate
        piece, done, noted = fate
        if piece is not None:
            made[tag] = piece
        for action, number in done:
            counts[action] = counts.get(action, 0) + number
        if noted is not None:
            report.add(noted)
    if private:
        cleaner.count("removed", private)
    for tag, element in replaced.items():
        made[tag] = memory.put_in(content, tag, element)
    return _file(content, made, memory)


def _decided(cleaner: Cleaner, content: ElementIndex, tag: int, at: int, raw: bytes) -> _Fate:
    with cleaner.aside() as (counts, report):
        new = cleaner.element(content, tag, at)
    piece = raw if new is at else None if new is None else _encoded(content, {tag: new})
    noted = report if report.kept or report.unjudged else None
    return _Fate(piece, tuple(counts.items()), noted)


def _encoded(content: ElementIndex, elements: dict[int, Any]) -> bytes:
    alone = elements_alone(content, elements)
    alone.known_character_set = content.character_set
    return joined(encode_elements(hold(DataSet, alone), content.scope.layout))


def _file(
    content: ElementIndex, made: dict[int, bytes | memoryview], memory: Memory
) -> CleanFile | None:
    named = [made[tag] for tag in _NAMING if tag in made]
    if content.scope.layout.is_explicit and any(piece[4:6] != b"UI" for piece in named):
        return None  # UN has another header
    uids = {tag: _uid(made.get(tag, b"")) for tag in _NAMING}
    syntax = content.scope.reading.transfer_syntax
    if not uids[_SOP_CLASS] or not uids[_INSTANCE] or syntax is None:
        return None
    try:
        header = memory.header(uids[_SOP_CLASS], syntax.uid, uids[_INSTANCE])
    except EncodeError:
        return None
    pieces = [header, *(made[tag] for tag in sorted(made))]
    return CleanFile(pieces, uids[_STUDY], uids[_SERIES], uids[_INSTANCE])


def _uid(piece: bytes | memoryview) -> str:
    """Return the text of an element of a UID; its header has 8 bytes, with a VR or without."""
    return bytes(piece[_UID_HEADER:]).rstrip(b"\0 ").decode("ascii", "replace")


def _raw(content: ElementIndex, tag: int) -> bytes | memoryview:
    at = content.index.get(tag)
    return content.raw_at(tag, at) if isinstance(at, int) else b""
