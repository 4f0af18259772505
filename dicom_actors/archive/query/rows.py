"""Rows of the index as answers need them: many at a time, with what is said of them and counted.

What a page of answers needs takes a few statements, however many rows it has; anatomic regions
alone take one for each series, so that their headers are not in memory all at once.

Standard: PS3.4 C.3.4, C.6.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.archive.index.attributes import LEVELS, Level
from dicom_actors.archive.index.description import open_header
from dicom_actors.archive.index.headers import restore

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from dicom_actors import DataSet
    from dicom_actors.archive.index import IndexReader

__all__ = ["COMPUTED", "REGIONS", "Page", "Row"]

REGIONS: Final = 0x00080063
"""Anatomic Regions in Study Code Sequence."""
_MODALITIES: Final = 0x00080061
_SOP_CLASSES: Final = 0x00080062
_TRANSFER_SYNTAX: Final = 0x00083002
_COUNTED: Final[dict[int, int]] = {
    0x00201206: 0,
    0x00201208: 1,
    0x00201209: 2,
}
"""What is counted, and where it is in `Row.counts`."""
_OF_PATIENT: Final = {
    0x00201200: "count(*)",
    0x00201202: "sum(number_of_study_related_series)",
    0x00201204: "sum(number_of_study_related_instances)",
}
"""What is counted of a patient, made of the rows of the studies."""
COMPUTED: Final = frozenset(
    {REGIONS, _MODALITIES, _SOP_CLASSES, _TRANSFER_SYNTAX, *_COUNTED, *_OF_PATIENT}
)
"""Attributes that no instance says, but all of them together."""
_MOST_REGIONS: Final = 100
_IDS: Final = "IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"

_STUDY_COUNTS: Final = (
    "study.number_of_study_related_series, study.number_of_study_related_instances"
)
_SERIES_COUNTS: Final = f"{_STUDY_COUNTS}, series.number_of_series_related_instances"
_ABOVE_SERIES: Final = "JOIN study ON study.id = series.study"
# What is in a `Row`, in its order.
_ROWS: Final = {
    Level.PATIENT: f"""
        SELECT id, NULL, NULL, NULL, header, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
            NULL, NULL, NULL
        FROM patient WHERE id {_IDS}
    """,  # noqa: S608
    Level.STUDY: f"""
        SELECT study.patient, study.id, NULL, NULL,
            study.header, study.header, NULL, NULL, NULL,
            study.study_instance_uid, NULL, NULL, {_STUDY_COUNTS}, NULL
        FROM study WHERE study.id {_IDS}
    """,  # noqa: S608
    Level.SERIES: f"""
        SELECT study.patient, study.id, series.id, NULL,
            study.header, study.header, series.header, NULL, NULL,
            study.study_instance_uid, series.series_instance_uid, NULL, {_SERIES_COUNTS}
        FROM series {_ABOVE_SERIES} WHERE series.id {_IDS}
    """,  # noqa: S608
    Level.IMAGE: f"""
        SELECT study.patient, study.id, series.id, instance.id,
            study.header, study.header, series.header, instance.header, syntax.uid,
            study.study_instance_uid, series.series_instance_uid, instance.sop_instance_uid,
            {_SERIES_COUNTS}
        FROM instance JOIN series ON series.id = instance.series {_ABOVE_SERIES}
            JOIN common_uid AS syntax ON syntax.id = instance.transfer_syntax
        WHERE instance.id {_IDS}
    """,  # noqa: S608
}


class Row(NamedTuple):
    """An entity and those above it, from the patient on; what is below its level is None.

    Attributes:
        ids: of the rows of each level.
        headers: of patient, study and series: the ids of the headers that say what they are.
        instance_header: what the instance says, packed.
        transfer_syntax: of the instance.
        uids: of study, series and instance, as many as there are.
        counts: how many series and instances the study has, and instances the series.
    """

    ids: tuple[int | None, ...]
    headers: tuple[int | None, ...]
    instance_header: bytes | None
    transfer_syntax: str | None
    uids: tuple[str, ...]
    counts: tuple[int | None, ...]

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Row:
        """Make it of what `_ROWS` give."""
        uids = tuple(uid for uid in row[9:12] if uid is not None)
        return cls(row[:4], row[4:7], row[7], row[8], uids, row[12:])

    @property
    def study(self) -> int | None:
        """The id of the study's row."""
        return self.ids[1]


class Page:
    """Some rows of a level.

    Args:
        reader: of the index; it is not used any more once this is made.
        level: of the rows.
        ids: which rows.
        levels: those whose attributes are wanted.
        computed: which of `COMPUTED` are wanted.

    Raises:
        ArchiveError: the index is damaged.

    Attributes:
        rows: those that are there, in the order of the ids.
    """

    def __init__(
        self,
        reader: IndexReader,
        level: Level,
        ids: Sequence[int],
        *,
        levels: Collection[Level],
        computed: Collection[int],
    ) -> None:
        execute = reader.connection.execute
        found = execute(_ROWS[level], (json.dumps(list(ids)),)).fetchall()
        by_id = {row[LEVELS.index(level)]: Row.of(row) for row in found}
        # Some may have been deleted meanwhile.
        self.rows: Final = [by_id[number] for number in ids if number in by_id]
        above = [LEVELS.index(one) for one in levels if one is not Level.IMAGE]
        ids_above = [row.headers[at] for row in self.rows for at in above]
        self._upper = _headers(reader, "upper", ids_above)
        self._own: dict[int, bytes] = {}
        if level is Level.IMAGE and level in levels:
            self._own = _headers(reader, "own", [row.headers[2] for row in self.rows])
        self._computed: dict[int, dict[int | None, Any]] = {}
        studies = json.dumps(list({row.study for row in self.rows} - {None}))
        for tag in set(computed) & _STATEMENTS.keys():
            listed: dict[int | None, list[str]] = {}
            for study, value in execute(_STATEMENTS[tag], (studies,)):
                listed.setdefault(study, []).append(value)
            self._computed[tag] = listed
        for tag in set(computed) & _OF_PATIENT.keys():
            patients = json.dumps(list({row.ids[0] for row in self.rows}))
            self._computed[tag] = dict(
                execute(
                    f"SELECT patient, CAST({_OF_PATIENT[tag]} AS BIGINT) FROM study"  # noqa: S608
                    f" WHERE patient {_IDS} GROUP BY patient",
                    (patients,),
                ).fetchall()
            )
        if REGIONS in computed:
            self._computed[REGIONS] = _regions(reader, studies)

    def header(self, row: Row, level: Level) -> bytes | None:
        """What is said at a level, for `open_header`; None: the row has nothing there.

        Raises:
            ArchiveError: it is damaged.
        """
        if level is not Level.IMAGE:
            number = row.headers[LEVELS.index(level)]
            return None if number is None else self._upper[number]
        series = row.headers[2]
        if row.ids[3] is None or series is None:
            return None
        return restore(row.instance_header, self._own[series])

    def computed(self, row: Row, tag: int) -> Any:
        """The value of one of `COMPUTED`; None if there is none."""
        if tag in _COUNTED:
            return row.counts[_COUNTED[tag]]
        if tag in _OF_PATIENT:
            return self._computed[tag].get(row.ids[0])
        if tag == _TRANSFER_SYNTAX:
            return row.transfer_syntax and [row.transfer_syntax]
        return None if row.study is None else self._computed[tag].get(row.study)


def _headers(reader: IndexReader, part: str, ids: Iterable[int | None]) -> dict[int, bytes]:
    wanted = {number for number in ids if number is not None}
    return reader.headers(part, wanted) if wanted else {}


_STATEMENTS: Final = {
    _MODALITIES: f"SELECT study, modality FROM modality_in_study WHERE study {_IDS}"  # noqa: S608
    " ORDER BY modality",
    _SOP_CLASSES: f"SELECT study, uid FROM sop_class_in_study JOIN common_uid"  # noqa: S608
    f" ON common_uid.id = sop_class WHERE study {_IDS} ORDER BY uid",
}


def _regions(reader: IndexReader, studies: str) -> dict[int | None, list[DataSet]]:
    """The anatomic regions of the series of studies, each once (PS3.3 10.5)."""
    rows = reader.connection.execute(
        f"SELECT study, header FROM series WHERE study {_IDS} ORDER BY id",  # noqa: S608
        (studies,),
    ).fetchall()
    found: dict[int, dict[tuple[Any, ...], DataSet]] = {}
    for study, number in rows:
        source = open_header(reader.headers("upper", [number])[number])
        regions = found.setdefault(study, {})
        for item in source.get("AnatomicRegionSequence") or ():
            code = tuple(item.get(key) for key in ("CodeValue", "CodingSchemeDesignator"))
            if code not in regions and len(regions) < _MOST_REGIONS:
                regions[code] = item.copy()
    return {study: list(regions.values()) for study, regions in found.items() if regions}
