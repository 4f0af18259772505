"""Answers as text in the DICOM JSON Model, made of headers without taking these apart.

What most attributes are, short text in ASCII, is put into JSON as it stands. All else is made by
`Answers` and written by `DataSet.to_json_dict`: whatever the way, the text says the same.

Standard: PS3.18 8.3.4, 10.6.3.3, Annex F.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet
from dicom_actors.archive.index.attributes import Level
from dicom_actors.archive.index.description import open_header
from dicom_actors.archive.query.answers import Wanted
from dicom_actors.archive.query.rows import REGIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dicom_actors.archive.index import IndexReader
    from dicom_actors.archive.query.answers import Answers, Source
    from dicom_actors.archive.query.rows import Page, Row

    Address = Callable[[Sequence[str]], str]

__all__ = ["JsonAnswers", "plain_value"]

_RETRIEVE_URL: Final = "00081190"
_NOT_SAID: Final = frozenset({"00080052", "00080054"})
"""Query/Retrieve Level and Retrieve AE Title, which are of C-FIND alone."""

# Characters that mean the same in all character sets, and stand in JSON as they are: no quotation
# mark, backslash or tilde. The first and the last one are no padding.
_TEXT: Final = rb"([!#-\[\]-}](?:[ !#-\[\]-}]*[!#-\[\]-}])?)[ \0]*"
_NAME: Final = rb"([!#-<>-\[\]-}](?:[ !#-<>-\[\]-}]*[!#-<>-\[\]-}])?)[ \0]*"
_INTEGER: Final = rb"(0|-?[1-9][0-9]{0,8}) *"
_PATTERNS: Final = {
    **dict.fromkeys(
        (b"AE", b"AS", b"CS", b"DA", b"DT", b"LO", b"SH", b"TM", b"UI"),
        (re.compile(_TEXT), '"', '"'),
    ),
    b"PN": (re.compile(_NAME), '{"Alphabetic":"', '"}'),
    b"IS": (re.compile(_INTEGER), "", ""),
}
"""By VR: the values that are plain, and what stands around them."""
_SHORT: Final = 8
"""Bytes of the header of an element of these VRs (PS3.5 7.1.2, 7.1.3)."""


def plain_value(vr: bytes, value: bytes) -> str | None:
    """Write an attribute whose value is plain.

    Args:
        vr: its VR.
        value: its bytes, in little endian.

    Returns:
        The attribute in the DICOM JSON Model; None if it is not plain.
    """
    known = _PATTERNS.get(vr)
    if known is None:
        if vr == b"US" and len(value) == 2:
            return f'{{"vr":"US","Value":[{value[0] | value[1] << 8}]}}'
        return None
    if not value:
        return f'{{"vr":"{vr.decode()}"}}'
    pattern, before, after = known
    found = pattern.fullmatch(value)
    if found is None:
        return None
    return f'{{"vr":"{vr.decode()}","Value":[{before}{found[1].decode()}{after}]}}'


class JsonAnswers:
    """Makes the answers to one query on Study Root, as text.

    Args:
        answers: makes them as data sets.
        identifier: the query; its text is in ISO_IR 192.
        address: gives Retrieve URL for the UIDs of study, series and instance, as many as there
            are.
    """

    def __init__(self, answers: Answers, identifier: DataSet, address: Address) -> None:
        self._answers = answers
        self._plan = answers.plan
        self._address = address
        self._judged = Wanted.of(
            tag for tag in answers.plan.tags if not identifier.fetch(tag).is_empty
        )
        self._has_judged = bool(self._judged.computed or any(self._judged.by_level.values()))
        empty = answers.answer(DataSet(), is_plain=False).to_json_dict()
        names = sorted({*empty, _RETRIEVE_URL} - _NOT_SAID)
        self._heads = [f'"{name}":' for name in names]
        self._places = {int(name, 16): place for place, name in enumerate(names)}
        self._empty = [
            head + json.dumps(empty.get(name))
            for head, name in zip(self._heads, names, strict=True)
        ]
        self._vrs = {tag: empty[f"{tag:08X}"]["vr"].encode() for tag in answers.plan.tags}
        wanted = answers.wanted.by_level
        # What the patient is stands in the header of the study (PS3.4 C.6.2.1).
        self._tags = {
            **wanted,
            Level.PATIENT: [],
            Level.STUDY: wanted[Level.PATIENT] + wanted[Level.STUDY],
        }
        self._elements = {
            level: lru_cache(maxsize=64)(self._finder(tags)) for level, tags in self._tags.items()
        }

    @staticmethod
    def _finder(tags: Sequence[int]) -> Callable[[tuple[int, ...]], list[tuple[int, int]]]:
        """Make what says which elements are wanted; those of a scanner have the same tags."""

        def find(there: tuple[int, ...]) -> list[tuple[int, int]]:
            numbers = {tag: number for number, tag in enumerate(there)}
            return [(tag, numbers[tag]) for tag in tags if tag in numbers]

        return find

    def of(self, reader: IndexReader, ids: Sequence[int]) -> Iterator[str]:
        """Give the answers of those rows that match.

        Raises:
            ArchiveError: the index is damaged.
        """
        answers = self._answers
        page = answers.page(reader, ids)
        known: dict[bytes, Source] = {}
        said: dict[tuple[Level, bytes], _Said] = {}
        for row in page.rows:
            if answers.is_private:
                entity, is_plain = answers.entity(page, row, answers.wanted, known)
                if self._plan.query.matches(entity):
                    yield self._whole(answers.answer(entity, is_plain=is_plain), row)
                continue
            if self._has_judged:
                entity, _ = answers.entity(page, row, self._judged, known)
                if not self._plan.query.matches(entity):
                    continue
            yield self._text(page, row, known, said)

    def _whole(self, answer: DataSet, row: Row) -> str:
        """Write an answer that was made."""
        model: dict[str, Any] = {_RETRIEVE_URL: None, **answer.to_json_dict()}
        model[_RETRIEVE_URL] = {"vr": "UR", "Value": [self._address(row.uids)]}
        return json.dumps({name: model[name] for name in sorted(model.keys() - _NOT_SAID)})

    def _text(
        self,
        page: Page,
        row: Row,
        known: dict[bytes, Source],
        said: dict[tuple[Level, bytes], _Said],
    ) -> str:
        """Write the answer of a row."""
        texts, odd = self._empty.copy(), []
        url = json.dumps(self._address(row.uids))
        self._put(texts, int(_RETRIEVE_URL, 16), f'{{"vr":"UR","Value":[{url}]}}')
        for level, tags in self._tags.items():
            header = page.header(row, level) if tags else None
            if header is None:
                continue
            if (level, header) not in said:
                said[level, header] = self._said(header, level)
            plain, others = said[level, header]
            for place, text in plain:
                texts[place] = text
            odd += others
        for tag in self._answers.wanted.computed:
            value = page.computed(row, tag)
            counted = self._computed(tag, value)
            if counted is not None:
                self._put(texts, tag, counted)
            elif value is not None:
                odd.append(tag)
        if odd:
            entity, is_plain = self._answers.entity(page, row, Wanted.of(odd), known)
            model = self._answers.answer(entity, is_plain=is_plain).to_json_dict()
            for tag in odd:
                self._put(texts, tag, json.dumps(model[f"{tag:08X}"]))
        return f"{{{','.join(texts)}}}"

    def _put(self, texts: list[str], tag: int, text: str) -> None:
        place = self._places[tag]
        texts[place] = self._heads[place] + text

    def _said(self, header: bytes, level: Level) -> _Said:
        """Write what a header says, as far as it is plain; and give the tags of what is not."""
        found = open_header(header).elements_as_read()
        if found is None:
            return [], self._tags[level]
        plain, odd = [], []
        offsets, buffer, code = found.offsets, found.buffer, header[:1]
        for tag, number in self._elements[level](found.tags):
            element = bytes(buffer[offsets[number] : offsets[number + 1]])
            text = None
            if code == b"E":
                text = plain_value(element[4:6], element[_SHORT:])
            elif code == b"I" and self._vrs[tag] in _PATTERNS:
                text = plain_value(self._vrs[tag], element[_SHORT:])
            if text is None:
                odd.append(tag)
            else:
                place = self._places[tag]
                plain.append((place, self._heads[place] + text))
        return plain, odd

    def _computed(self, tag: int, value: Any) -> str | None:
        """Write what is counted or put together, if it is plain."""
        vr = self._vrs[tag]
        if isinstance(value, int):
            return plain_value(vr, b"%d" % value)
        if tag == REGIONS or not value or not all(map(str.isascii, value)):
            return None
        texts = [_PATTERNS[vr][0].fullmatch(one.encode()) for one in value]
        if not all(texts):
            return None
        return f'{{"vr":"{vr.decode()}","Value":{json.dumps(value)}}}'


_Said = tuple[list[tuple[int, str]], list[int]]
"""Plain attributes and where they stand, and the tags of the others."""
