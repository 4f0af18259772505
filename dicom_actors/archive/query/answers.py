"""Answers: what a row says of the attributes that are asked for, and what is made of that.

Each attribute comes from the row of its own level: that of a study from the study, whatever an
instance of it says; some are counted or put together. Text goes out in the character set of the
query where that has all of it, in UTF-8 otherwise.

Standard: PS3.4 C.2.2.2, C.3.4, C.4.1.1.3.2; PS3.3 C.12.1.1.2.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors import DataElement, DataSet, Tag
from dicom_actors.archive.index.attributes import LEVELS, Level, level_of
from dicom_actors.archive.index.description import open_header
from dicom_actors.archive.query.plan import INSTANCE_AVAILABILITY, RETRIEVE_AE_TITLE
from dicom_actors.archive.query.rows import COMPUTED, REGIONS, Page
from dicom_actors.errors import DataError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_actors.archive.index import IndexReader
    from dicom_actors.archive.query.plan import Plan
    from dicom_actors.archive.query.rows import Row

__all__ = ["Answers", "Source", "Wanted", "everything_of"]

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_TIMEZONE: Final = 0x00080201
_UTF8: Final = "ISO_IR 192"
_ONLINE: Final = "ONLINE"


class Wanted(NamedTuple):
    """Attributes, by where they come from.

    Attributes:
        by_level: those that headers have.
        computed: those that are counted or put together.
    """

    by_level: dict[Level, list[int]]
    computed: list[int]

    @classmethod
    def of(cls, tags: Iterable[int]) -> Wanted:
        """Sort them."""
        wanted = cls({level: [] for level in LEVELS}, [])
        for tag in tags:
            (wanted.computed if tag in COMPUTED else wanted.by_level[level_of(tag)]).append(tag)
        return wanted


class Answers:
    """Makes the answers to one query.

    Args:
        plan: the query.
        identifier: as it came.
        retrieve_ae_title: Retrieve AE Title of the answers; empty: none.

    Attributes:
        plan: the query.
        wanted: what rows are asked for.
        is_private: whether private attributes are asked for.
    """

    def __init__(self, plan: Plan, identifier: DataSet, retrieve_ae_title: str) -> None:
        self.plan: Final = plan
        self._retrieve_ae_title = retrieve_ae_title
        self._character_set = identifier.character_set.terms
        self._has_moments = any(element.vr == "DT" for element in identifier.elements())
        self._creators = [
            element
            for element in identifier.elements()
            if element.tag >> 16 & 1 and 0x10 <= element.tag & 0xFFFF <= 0xFF
        ]
        self.wanted: Final = Wanted.of(plan.tags)
        self.is_private: Final = bool(plan.private or self._creators)

    def of(self, reader: IndexReader, ids: Sequence[int]) -> Iterator[DataSet]:
        """Give the answers of those rows that match.

        Raises:
            ArchiveError: the index is damaged.
        """
        page = self.page(reader, ids)
        known: dict[bytes, Source] = {}
        for row in page.rows:
            entity, is_plain = self.entity(page, row, self.wanted, known)
            if self.plan.query.matches(entity):
                yield self.answer(entity, is_plain=is_plain)

    def page(self, reader: IndexReader, ids: Sequence[int]) -> Page:
        """Read what answers are made of.

        Raises:
            ArchiveError: the index is damaged.
        """
        levels = [
            level
            for level, tags in self.wanted.by_level.items()
            if tags or (self.plan.private and level is Level.IMAGE)
        ]
        return Page(reader, self.plan.level, ids, levels=levels, computed=self.wanted.computed)

    def entity(
        self, page: Page, row: Row, wanted: Wanted, known: dict[bytes, Source]
    ) -> tuple[DataSet, bool]:
        """Put together what is known of some attributes that are asked for.

        Args:
            page: it has the row.
            row: the entity.
            wanted: which attributes; those that are asked for, or fewer.
            known: what was made of headers so far.

        Returns:
            That, and whether its text is ASCII for sure.

        Raises:
            ArchiveError: the index is damaged.
        """
        entity, is_plain = DataSet(), not self._creators
        for level, tags in wanted.by_level.items():
            private = self.plan.private if level is Level.IMAGE else ()
            if not tags and not private:
                continue
            header = page.header(row, level)
            if header is None:
                continue
            if header not in known:
                known[header] = Source.of(header)
            source, is_ascii = known[header]
            is_plain = is_plain and is_ascii
            if self._has_moments and _TIMEZONE in source:
                _take(entity, source.fetch(_TIMEZONE), _TIMEZONE)
            for tag in tags:
                if tag in source:
                    _take(entity, source.fetch(tag), tag)
            _take_private(entity, source, private)
        for tag in wanted.computed:
            value = page.computed(row, tag)
            if value is not None:
                entity.put(tag, None, value)
                is_plain = is_plain and tag != REGIONS and str(value).isascii()
        return entity, is_plain

    def answer(self, entity: DataSet, *, is_plain: bool) -> DataSet:
        """Make an answer of an entity.

        Args:
            entity: what is known of it.
            is_plain: whether its text is ASCII for sure.
        """
        answer = self.plan.query.answer(entity)
        for creator in self._creators:
            answer.put_element(creator)
        if self._retrieve_ae_title:
            answer.put(RETRIEVE_AE_TITLE, "AE", self._retrieve_ae_title)
        if self.plan.answers_availability:
            answer.put(INSTANCE_AVAILABILITY, "CS", _ONLINE)
        self._declare(answer)
        if not is_plain:
            _widen(answer)
        return answer

    def _declare(self, answer: DataSet) -> None:
        """Say in which character set the text is."""
        terms = self._character_set
        answer.SpecificCharacterSet = list(terms) if terms else None
        if not terms:
            del answer["SpecificCharacterSet"]


def _widen(answer: DataSet) -> None:
    """Say UTF-8 where the text does not fit into what was said; leave out what never fits.

    That is text in a VR that has ASCII alone, which an instance may have all the same.
    """
    for _ in range(len(answer) + 1):
        try:
            answer.to_bytes(_EXPLICIT)
        except EncodeError as error:
            if answer.get("SpecificCharacterSet") != _UTF8:
                answer.SpecificCharacterSet = _UTF8
                continue
            tag = Tag(error.path[0].partition("[")[0]) if error.path else error.tag
            if tag is None or tag not in answer:
                return
            answer.put(tag, answer.fetch(tag).vr, None)
        else:
            return


class Source(NamedTuple):
    """What is said at a level, and whether all of it is ASCII."""

    data_set: DataSet
    is_ascii: bool

    @classmethod
    def of(cls, header: bytes) -> Source:
        """Make it of a header."""
        data_set = open_header(header)
        found = data_set.elements_as_read()
        # Tags have other bytes; of what is longer than most the length has.
        values = () if found is None else [bytes(part[4:]) for _, part in found.elements]
        is_ascii = found is not None and b"".join(values).isascii() and b"\x1b" not in header
        return cls(data_set, is_ascii)


def everything_of(reader: IndexReader, level: Level, number: int) -> DataSet:
    """All that is known of an entity, of the attributes of its own level.

    Raises:
        ArchiveError: the index is damaged.
    """
    page = Page(reader, level, [number], levels=[level], computed=())
    entity = DataSet()
    own = {level, Level.PATIENT} if level is Level.STUDY else {level}
    for row in page.rows:
        header = page.header(row, level)
        for element in () if header is None else open_header(header).elements():
            if level_of(element.tag) in own or element.tag.is_private:
                _take(entity, element, element.tag)
    return entity


def _take(entity: DataSet, element: DataElement, tag: int) -> None:
    with suppress(DataError):  # what cannot be read is no value
        if element.tag != tag:
            element = DataElement(tag, element.vr, element.value)
        entity.put_element(element)


def _take_private(entity: DataSet, source: DataSet, private: Sequence[tuple[int, str]]) -> None:
    """Take private attributes; the block of a private creator may be any."""
    blocks = {
        (group, name): block
        for group in {tag >> 16 for tag, _ in private}
        for block, name in source.private_creators(group).items()
    }
    for tag, creator in private:
        block = blocks.get((tag >> 16, creator))
        if creator and block is not None:
            own = tag & 0xFFFF0000 | block << 8 | tag & 0xFF
            if own in source:
                _take(entity, source.fetch(own), tag)
