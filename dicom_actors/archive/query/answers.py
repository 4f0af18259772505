"""Answers: what a row says of the attributes that are asked for, and what is made of that.

Each attribute comes from the row of its own level: that of a study from the study, whatever an
instance of it says; some are counted or put together. Text goes out in the character set of the
query where that has all of it, in UTF-8 otherwise.

Standard: PS3.4 C.2.2.2, C.3.4, C.4.1.1.3.2; PS3.3 C.12.1.1.2.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataElement, DataSet, Tag
from dicom_actors.archive.index.attributes import LEVELS, Level, level_of
from dicom_actors.archive.index.description import open_header
from dicom_actors.archive.query.plan import INSTANCE_AVAILABILITY, RETRIEVE_AE_TITLE
from dicom_actors.errors import DataError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors.archive.index import IndexReader
    from dicom_actors.archive.index.database import Connection
    from dicom_actors.archive.query.plan import Plan

__all__ = ["Answers", "everything_of"]

_EXPLICIT: Final = "1.2.840.10008.1.2.1"
_TIMEZONE: Final = 0x00080201
_REGIONS: Final = 0x00080063
_UTF8: Final = "ISO_IR 192"
_ONLINE: Final = "ONLINE"
_MOST_REGIONS: Final = 100

# The ids and the headers of a row and of those above it: patient, study, series, instance.
_ROWS: Final = {
    Level.PATIENT: """
        SELECT id, NULL, NULL, NULL, header, NULL, NULL, NULL FROM patient WHERE id = ?
    """,
    Level.STUDY: """
        SELECT patient, id, NULL, NULL, header, header, NULL, NULL FROM study WHERE id = ?
    """,
    Level.SERIES: """
        SELECT study.patient, study.id, series.id, NULL,
            study.header, study.header, series.header, NULL
        FROM series JOIN study ON study.id = series.study WHERE series.id = ?
    """,
    Level.IMAGE: """
        SELECT study.patient, study.id, series.id, instance.id,
            study.header, study.header, series.header, instance.header
        FROM instance JOIN series ON series.id = instance.series
            JOIN study ON study.id = series.study
        WHERE instance.id = ?
    """,
}


class _Row(NamedTuple):
    """An entity and those above it: ids of rows and of headers; the instance's header itself."""

    patient: int
    study: int | None
    series: int | None
    instance: int | None
    patient_header: int
    study_header: int | None
    series_header: int | None
    instance_header: bytes | None


class Answers:
    """Makes the answers to one query.

    Args:
        plan: the query.
        identifier: as it came.
        retrieve_ae_title: Retrieve AE Title of the answers; empty: none.
    """

    def __init__(self, plan: Plan, identifier: DataSet, retrieve_ae_title: str) -> None:
        self._plan = plan
        self._retrieve_ae_title = retrieve_ae_title
        self._character_set = identifier.character_set.terms
        self._rows = _ROWS[plan.level]
        self._has_moments = any(element.vr == "DT" for element in identifier.elements())
        self._creators = [
            element
            for element in identifier.elements()
            if element.tag >> 16 & 1 and 0x10 <= element.tag & 0xFFFF <= 0xFF
        ]
        wanted = [(tag, level_of(tag)) for tag in plan.tags]
        self._computed = [tag for tag, _ in wanted if tag in _COMPUTED]
        self._wanted = {
            level: [tag for tag, own in wanted if own is level and tag not in _COMPUTED]
            for level in LEVELS
        }
        if plan.private:
            self._wanted[Level.IMAGE] = self._wanted[Level.IMAGE] or []

    def of(self, reader: IndexReader, ids: Sequence[int]) -> Iterator[DataSet]:
        """Give the answers of those rows that match.

        Raises:
            ArchiveError: the index is damaged.
        """
        known: dict[int, _Source] = {}
        for number in ids:
            found = reader.connection.execute(self._rows, (number,)).fetchone()
            if found is None:  # deleted meanwhile
                continue
            row = _Row(*found)
            entity, is_plain = self._entity(reader, row, known)
            if self._plan.query.matches(entity):
                yield self._answer(entity, is_plain=is_plain)

    def _entity(
        self, reader: IndexReader, row: _Row, known: dict[int, _Source]
    ) -> tuple[DataSet, bool]:
        """Put together what is known of the attributes that are asked for.

        Returns:
            That, and whether its text is ASCII for sure.
        """
        entity, is_plain = DataSet(), not self._creators
        for level, tags in self._wanted.items():
            private = self._plan.private if level is Level.IMAGE else ()
            if not tags and not private:
                continue
            found = _source(reader, row, level, known)
            if found is None:
                continue
            source = found.data_set
            is_plain = is_plain and found.is_ascii
            if self._has_moments and _TIMEZONE in source:
                _take(entity, source.fetch(_TIMEZONE), _TIMEZONE)
            for tag in tags:
                if tag in source:
                    _take(entity, source.fetch(tag), tag)
            blocks = {
                (group, name): block
                for group in {tag >> 16 for tag, _ in private}
                for block, name in source.private_creators(group).items()
            }
            for tag, creator in private:
                # The block of a private creator may be any.
                block = blocks.get((tag >> 16, creator))
                if creator and block is not None:
                    own = tag & 0xFFFF0000 | block << 8 | tag & 0xFF
                    if own in source:
                        _take(entity, source.fetch(own), tag)
        for tag in self._computed:
            value = _COMPUTED[tag](reader.connection, reader, row)
            if value is not None:
                entity.put(tag, None, value)
                is_plain = is_plain and tag != _REGIONS and str(value).isascii()
        return entity, is_plain

    def _answer(self, entity: DataSet, *, is_plain: bool) -> DataSet:
        answer = self._plan.query.answer(entity)
        for creator in self._creators:
            answer.put_element(creator)
        if self._retrieve_ae_title:
            answer.put(RETRIEVE_AE_TITLE, "AE", self._retrieve_ae_title)
        if self._plan.answers_availability:
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


class _Source(NamedTuple):
    """What is said at a level, and whether all of it is ASCII."""

    data_set: DataSet
    is_ascii: bool

    @classmethod
    def of(cls, header: bytes) -> _Source:
        """Make it of a header."""
        data_set = open_header(header)
        found = data_set.elements_as_read()
        # Tags have other bytes; of what is longer than most the length has.
        values = () if found is None else [bytes(part[4:]) for _, part in found.elements]
        is_ascii = found is not None and b"".join(values).isascii() and b"\x1b" not in header
        return cls(data_set, is_ascii)


def _source(
    reader: IndexReader, row: _Row, level: Level, known: dict[int, _Source]
) -> _Source | None:
    """What is said at a level."""
    if level is Level.IMAGE:
        if row.instance is None or row.series_header is None:
            return None
        return _Source.of(reader.own_header(row.instance_header, row.series_header))
    number = {
        Level.PATIENT: row.patient_header,
        Level.STUDY: row.study_header,
        Level.SERIES: row.series_header,
    }[level]
    if number is None:
        return None
    if number not in known:
        known[number] = _Source.of(reader.upper_header(number))
    return known[number]


def everything_of(reader: IndexReader, level: Level, number: int) -> DataSet:
    """All that is known of an entity, of the attributes of its own level.

    Raises:
        ArchiveError: the index is damaged.
    """
    found = reader.connection.execute(_ROWS[level], (number,)).fetchone()
    source = None if found is None else _source(reader, _Row(*found), level, {})
    entity = DataSet()
    own = {level, Level.PATIENT} if level is Level.STUDY else {level}
    for element in () if source is None else source.data_set.elements():
        if level_of(element.tag) in own or element.tag.is_private:
            _take(entity, element, element.tag)
    return entity


def _take(entity: DataSet, element: DataElement, tag: int) -> None:
    with suppress(DataError):  # what cannot be read is no value
        if element.tag != tag:
            element = DataElement(tag, element.vr, element.value)
        entity.put_element(element)


# --- what is counted or put together -------------------------------------------------------

_Compute = "Callable[[Connection, IndexReader, _Row], Any]"


def _count(table: str, column: str, level: Level) -> Any:
    statement = f"SELECT {column} FROM {table} WHERE id = ?"  # noqa: S608

    def compute(connection: Connection, _: IndexReader, row: _Row) -> Any:
        number = row[LEVELS.index(level)]
        found = connection.execute(statement, (number,)).fetchone() if number else None
        return found and found[0]

    return compute


def _modalities(connection: Connection, _: IndexReader, row: _Row) -> Any:
    return _listed(
        connection,
        "SELECT modality FROM modality_in_study WHERE study = ? ORDER BY modality",
        row.study,
    )


def _sop_classes(connection: Connection, _: IndexReader, row: _Row) -> Any:
    return _listed(
        connection,
        "SELECT uid FROM sop_class_in_study JOIN common_uid ON common_uid.id = sop_class"
        " WHERE study = ? ORDER BY uid",
        row.study,
    )


def _transfer_syntaxes(connection: Connection, _: IndexReader, row: _Row) -> Any:
    return _listed(
        connection,
        "SELECT uid FROM instance JOIN common_uid ON common_uid.id = transfer_syntax"
        " WHERE instance.id = ?",
        row.instance,
    )


def _listed(connection: Connection, statement: str, number: int | None) -> Any:
    if number is None:
        return None
    return [value for (value,) in connection.execute(statement, (number,))] or None


def _regions(connection: Connection, reader: IndexReader, row: _Row) -> Any:
    """The anatomic regions of a study's series, each once (PS3.3 10.5)."""
    if row.study is None:
        return None
    found: dict[tuple[Any, ...], DataSet] = {}
    headers = connection.execute("SELECT header FROM series WHERE study = ?", (row.study,))
    for (number,) in headers.fetchall():
        source = open_header(reader.upper_header(number))
        for item in source.get("AnatomicRegionSequence") or ():
            code = tuple(item.get(key) for key in ("CodeValue", "CodingSchemeDesignator"))
            if code not in found and len(found) < _MOST_REGIONS:
                found[code] = item.copy()
    return list(found.values()) or None


_COMPUTED: Final[dict[int, Any]] = {
    0x00080061: _modalities,
    0x00080062: _sop_classes,
    _REGIONS: _regions,
    0x00083002: _transfer_syntaxes,
    0x00201200: _count("patient", "number_of_patient_related_studies", Level.PATIENT),
    0x00201202: _count("patient", "number_of_patient_related_series", Level.PATIENT),
    0x00201204: _count("patient", "number_of_patient_related_instances", Level.PATIENT),
    0x00201206: _count("study", "number_of_study_related_series", Level.STUDY),
    0x00201208: _count("study", "number_of_study_related_instances", Level.STUDY),
    0x00201209: _count("series", "number_of_series_related_instances", Level.SERIES),
}
