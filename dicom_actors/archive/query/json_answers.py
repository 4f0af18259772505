"""Answers as text in the DICOM JSON Model, made of headers without taking these apart.

What most attributes are, short text in ASCII, is put into JSON as it stands. All else is made by
`Answers` and written by `DataSet.to_json_dict`: whatever the way, the text says the same.

Standard: PS3.18 8.3.4, 10.6.3.3, Annex F.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

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
    **dict.fromkeys(("AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UI"), (_TEXT, '"', '"')),
    "PN": (_NAME, '{"Alphabetic":"', '"}'),
    "IS": (_INTEGER, "", ""),
}
_FORMS: Final = {
    vr.encode(): (
        re.compile(pattern).fullmatch,
        f'{{"vr":"{vr}","Value":[{before}',
        f"{after}]}}",
        f'{{"vr":"{vr}"}}',
    )
    for vr, (pattern, before, after) in _PATTERNS.items()
}
"""By VR: what finds values that are plain, what stands around them, and what stands for none."""
_MOST_LISTS: Final = 256
_PLAIN_URL: Final = re.compile(r"[\w.:/\[\]~%-]+", re.ASCII).fullmatch
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
    form = _FORMS.get(vr)
    if form is None:
        if vr == b"US" and len(value) == 2:
            return f'{{"vr":"US","Value":[{value[0] | value[1] << 8}]}}'
        return None
    find, before, after, empty = form
    if not value:
        return empty
    found = find(value)
    return None if found is None else before + found[1].decode("ascii") + after


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
        self._lists: dict[tuple[Any, ...], str] = {}
        self._url = names.index(_RETRIEVE_URL)
        self._counted = {
            tag: f'"{tag:08X}":{{"vr":"{self._vrs[tag].decode()}","Value":['
            for tag in answers.wanted.computed
        }
        # What the patient is stands in the header of the study (PS3.4 C.6.2.1).
        by_level = {
            Level.STUDY: wanted[Level.PATIENT] + wanted[Level.STUDY],
            Level.SERIES: wanted[Level.SERIES],
            Level.IMAGE: wanted[Level.IMAGE],
        }
        self._asked = [
            (
                level,
                _Asked(tuple(tags), tuple(self._vrs[tag] for tag in tags)),
                [self._places[tag] for tag in tags],
            )
            for level, tags in by_level.items()
            if tags
        ]

    def of(self, reader: IndexReader, ids: Sequence[int]) -> Iterator[str]:
        """Give the answers of those rows that match.

        Raises:
            ArchiveError: the index is damaged.
        """
        answers = self._answers
        page = answers.page(reader, ids)
        known: dict[bytes, Source] = {}
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
            yield self._text(page, row, known)

    def _whole(self, answer: DataSet, row: Row) -> str:
        """Write an answer that was made."""
        model: dict[str, Any] = {_RETRIEVE_URL: None, **answer.to_json_dict()}
        model[_RETRIEVE_URL] = {"vr": "UR", "Value": [self._address(row.uids)]}
        return json.dumps({name: model[name] for name in sorted(model.keys() - _NOT_SAID)})

    def _text(self, page: Page, row: Row, known: dict[bytes, Source]) -> str:
        """Write the answer of a row."""
        texts, odd = self._empty.copy(), []
        url = _quoted(self._address(row.uids))
        texts[self._url] = f'"{_RETRIEVE_URL}":{{"vr":"UR","Value":[{url}]}}'
        for level, asked, places in self._asked:
            header = page.header(row, level)
            if header is None:
                continue
            plain, others = _said(header, asked)
            for number, text in plain:
                texts[places[number]] = text
            odd += others
        for tag in self._answers.wanted.computed:
            value = page.computed(row, tag)
            if isinstance(value, int):
                texts[self._places[tag]] = f"{self._counted[tag]}{value}]}}"
            elif value is not None:
                listed = self._listed(tag, value)
                if listed is None:
                    odd.append(tag)
                else:
                    texts[self._places[tag]] = listed
        if odd:
            entity, is_plain = self._answers.entity(page, row, Wanted.of(odd), known)
            model = self._answers.answer(entity, is_plain=is_plain).to_json_dict()
            for tag in odd:
                place = self._places[tag]
                texts[place] = self._heads[place] + json.dumps(model[f"{tag:08X}"])
        return f"{{{','.join(texts)}}}"

    def _listed(self, tag: int, values: Any) -> str | None:
        """Write values that were put together, if they are plain: codes and UIDs."""
        if tag == REGIONS:
            return None
        known = self._lists.get((tag, *values))
        if known is None:
            find = _FORMS[self._vrs[tag]][0]
            if not all(value.isascii() and find(value.encode()) for value in values):
                return None
            if len(self._lists) == _MOST_LISTS:
                self._lists.clear()
            known = f"{self._counted[tag]}{json.dumps(values)[1:]}}}"
            self._lists[tag, *values] = known
        return known


class _Asked(NamedTuple):
    """What is asked of the headers of a level.

    Attributes:
        tags: the attributes.
        vrs: what they are in the dictionary.
    """

    tags: tuple[int, ...]
    vrs: tuple[bytes, ...]


@lru_cache(maxsize=512)
def _said(header: bytes, asked: _Asked) -> tuple[list[tuple[int, str]], list[int]]:
    """Write what a header says, as far as it is plain.

    Returns:
        The text of what is plain, with the number of the attribute among those that are asked for;
        and the tags of what is there and is not plain.

    Raises:
        ArchiveError: it is none.
    """
    found = open_header(header).elements_as_read()
    if found is None:
        return [], list(asked.tags)
    plain, odd = [], []
    offsets, buffer, code = found.offsets, found.buffer, header[:1]
    for number, place in _places(found.tags, asked.tags):
        element = bytes(buffer[offsets[place] : offsets[place + 1]])
        vr = element[4:6] if code == b"E" else asked.vrs[number]
        # Of other encodings, what is the same in all of them: text.
        is_known = code == b"E" or (code == b"I" and vr in _FORMS)
        text = plain_value(vr, element[_SHORT:]) if is_known else None
        if text is None:
            odd.append(asked.tags[number])
        else:
            plain.append((number, f'"{asked.tags[number]:08X}":{text}'))
    return plain, odd


@lru_cache(maxsize=256)
def _places(there: tuple[int, ...], tags: tuple[int, ...]) -> list[tuple[int, int]]:
    """Say which elements are asked for: which of the tags, and which of those that are there."""
    numbers = {tag: number for number, tag in enumerate(there)}
    return [(number, numbers[tag]) for number, tag in enumerate(tags) if tag in numbers]


def _quoted(url: str) -> str:
    return f'"{url}"' if _PLAIN_URL(url) else json.dumps(url)
