"""All keys of an identifier as one statement, and as the query that judges its rows.

Standard: PS3.4 C.2.2.2, C.4.1.1.3, C.4.1.2.2, C.6.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dicom_actors import DataElement, DataSet, Query, Status
from dicom_actors.archive.index.attributes import COLUMNS, LEVELS, Column, Level, level_of
from dicom_actors.archive.index.folding import NO_CHARACTER
from dicom_actors.archive.query.conditions import Condition, condition_of, text_condition
from dicom_actors.errors import DecodeError, DimseFailure

__all__ = ["NEVER_MATCHED", "Plan", "make_plan"]

_TABLES: Final = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series JOIN study ON study.id = series.study",
    Level.IMAGE: (
        "instance JOIN series ON series.id = instance.series JOIN study ON study.id = series.study"
    ),
}
_NAMES: Final = {
    Level.PATIENT: "patient",
    Level.STUDY: "study",
    Level.SERIES: "series",
    Level.IMAGE: "instance",
}
_COLUMNS: Final = {column.tag: column for column in COLUMNS}

_MODALITIES_IN_STUDY: Final = 0x00080061
_SOP_CLASSES_IN_STUDY: Final = 0x00080062
_AVAILABLE_TRANSFER_SYNTAX: Final = 0x00083002
_CHARACTER_SET: Final = 0x00080005
_LEVEL: Final = 0x00080052
RETRIEVE_AE_TITLE: Final = 0x00080054
INSTANCE_AVAILABILITY: Final = 0x00080056
_TIMEZONE: Final = 0x00080201
NEVER_MATCHED: Final = frozenset(
    {_CHARACTER_SET, _LEVEL, RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY, _TIMEZONE}
)
"""What an answer has, and what is no key."""
_TIME_OF: Final = {
    0x00080020: 0x00080030,
    0x00080021: 0x00080031,
    0x00100030: 0x00100032,
    0x00400244: 0x00400245,
}


class Plan(NamedTuple):
    """How a query is answered.

    Attributes:
        level: of what is looked for.
        statement: gives the rows of those that may match.
        parameters: of the statement.
        query: says which do, and makes the answers.
        tags: the attributes of these levels that are asked for.
        private: the private ones, with their private creators.
        has_unsupported: whether keys are of a lower level, and so not looked at.
        answers_availability: whether Instance Availability was asked for.
    """

    level: Level
    statement: str
    parameters: tuple[Any, ...]
    query: Query
    tags: tuple[int, ...]
    private: tuple[tuple[int, str], ...]
    has_unsupported: bool
    answers_availability: bool


def make_plan(
    identifier: DataSet,
    level: Level,
    *,
    ignore_accents: bool = False,
    combines_dates_and_times: bool = False,
) -> Plan:
    """Make the plan for an identifier.

    Args:
        identifier: the keys.
        level: of what is looked for.
        ignore_accents: whether letters of names match with and without accents.
        combines_dates_and_times: whether a range of dates and one of times are one span.

    Raises:
        DimseFailure: C000H, a key is none that can be matched.
    """
    try:
        judged, tags, private, has_unsupported = _keys(identifier, level)
        query = Query(
            judged,
            ignore_accents=ignore_accents,
            combines_dates_and_times=combines_dates_and_times,
        )
        conditions = _conditions(judged, level, combines_dates_and_times)
    except DecodeError as error:
        tag = {} if error.tag is None else {"OffendingElement": [error.tag]}
        raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error)[:64], **tag) from error
    where = " AND ".join(one.sql for one in conditions) or "TRUE"
    name = _NAMES[level]
    return Plan(
        level,
        f"SELECT {name}.id FROM {_TABLES[level]} WHERE {where}",  # noqa: S608 - see `conditions`
        tuple(parameter for one in conditions for parameter in one.parameters),
        query,
        tags,
        private,
        has_unsupported,
        INSTANCE_AVAILABILITY in identifier,
    )


def _keys(
    identifier: DataSet, level: Level
) -> tuple[DataSet, tuple[int, ...], tuple[tuple[int, str], ...], bool]:
    """Sort the keys: what is judged, what is read of rows, and whether some are of lower levels."""
    judged, tags, private = DataSet(), [], []
    creators: dict[int, dict[int, str]] = {}
    has_unsupported = False
    for element in identifier.elements():
        tag = int(element.tag)
        if tag in {RETRIEVE_AE_TITLE, INSTANCE_AVAILABILITY}:
            continue
        if tag >> 16 & 1:
            if not _is_creator(tag):
                group = tag >> 16
                if group not in creators:
                    creators[group] = identifier.private_creators(group)
                private.append((tag, creators[group].get(tag >> 8 & 0xFF, "")))
                judged.put_element(element)
            continue
        if tag in NEVER_MATCHED or not tag & 0xFFFF:
            judged.put_element(element)
        elif LEVELS.index(level_of(tag)) > LEVELS.index(level):
            judged.put_element(DataElement(tag, element.vr))
            has_unsupported = True
        else:
            judged.put_element(element)
            tags.append(tag)
    return judged, tuple(tags), tuple(private), has_unsupported


def _is_creator(tag: int) -> bool:
    return 0x10 <= tag & 0xFFFF <= 0xFF


def _conditions(judged: DataSet, level: Level, combines: bool) -> list[Condition]:  # noqa: FBT001
    found = []
    tags = {int(element.tag) for element in judged.elements()}
    skipped = {_TIME_OF[tag] for tag in tags & _TIME_OF.keys()} if combines else set()
    for element in judged.elements():
        tag = int(element.tag)
        if element.vr == "SQ" or tag in NEVER_MATCHED or tag in skipped:
            continue
        values = [value for value in element.values if value is not None and value != ""]
        condition = _condition(tag, element.vr, values, level) if values else None
        if condition is not None:
            found.append(condition)
    return found


def _condition(tag: int, vr: str, values: list[Any], level: Level) -> Condition | None:
    column = _COLUMNS.get(tag)
    if column is not None:
        table = _table_of(column, level)
        return condition_of(column, vr, values, lambda name: f"{table}.{name}")
    if '""' in values or any(not str(value).strip("*") for value in values):
        return None
    texts = [str(value) for value in values]
    if tag == _MODALITIES_IN_STUDY and vr == "CS" and level is not Level.PATIENT:
        inner = text_condition("modality", texts)
        return inner and Condition(
            "EXISTS (SELECT 1 FROM modality_in_study AS there"  # noqa: S608
            f" WHERE there.study = study.id AND {inner.sql})",
            inner.parameters,
        )
    if tag == _SOP_CLASSES_IN_STUDY and vr == "UI" and level is not Level.PATIENT:
        return _of_uids(
            "EXISTS (SELECT 1 FROM sop_class_in_study AS there"
            " WHERE there.study = study.id AND sop_class IN ({}))",
            texts,
        )
    if tag == _AVAILABLE_TRANSFER_SYNTAX and vr == "UI" and level is Level.IMAGE:
        return _of_uids("instance.transfer_syntax IN ({})", texts)
    return None


def _of_uids(sql: str, uids: list[str]) -> Condition:
    marks = ", ".join("?" * len(uids[:_MOST_MARKS]))
    if len(uids) > _MOST_MARKS:
        return Condition("TRUE")
    inner = f"SELECT id FROM common_uid WHERE uid IN ({marks})"  # noqa: S608 - marks alone
    return Condition(sql.format(inner), tuple(uid.replace("\0", NO_CHARACTER) for uid in uids))


_MOST_MARKS: Final = 500


def _table_of(column: Column, level: Level) -> str:
    """The table that has a column in the statement of a level."""
    if column.level is Level.PATIENT and level is not Level.PATIENT:
        return "study"  # whose row has the patient's columns
    return _NAMES[column.level]
