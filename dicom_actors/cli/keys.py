r"""Identifiers from the command line: ``PatientName=DOE*``, ``StudyDate``, ``Sequence.Key=value``.

A key is a keyword or a tag (``0010,0010``); keys within sequences follow that of the sequence and
a period. A value is what must match, with the wild cards and ranges of the standard, several
ones between backslashes; UIDs may have names, and several ones be given one by one; a key without
a value is only to be returned. Standard: PS3.4 C.2.2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from dicom_actors.cli.usage import UsageError
from dicom_actors.data import DataSet
from dicom_actors.data.dictionary import uid_named, vr_of
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.errors import DicomError
from dicom_actors.scu.identifiers import to_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Column", "Query", "put_value", "query_for", "retrieval_for"]

_LEVELS: Final = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    "STUDY": (
        *("PatientID", "PatientName", "StudyDate", "ModalitiesInStudy", "StudyDescription"),
        *("AccessionNumber", "NumberOfStudyRelatedInstances", "StudyInstanceUID"),
    ),
    "SERIES": (
        *("Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances"),
        "SeriesInstanceUID",
    ),
    "IMAGE": ("InstanceNumber", "SOPClassUID", "SOPInstanceUID"),
}
"""The levels, and what is returned of each where nobody says."""

_WORKLIST: Final = (
    *("PatientID", "PatientName", "AccessionNumber", "RequestedProcedureDescription"),
    *(
        f"ScheduledProcedureStepSequence.{keyword}"
        for keyword in (
            *("Modality", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepStartTime"),
            *("ScheduledStationAETitle", "ScheduledProcedureStepDescription"),
        )
    ),
)
_WITH_LEVELS: Final = frozenset({None, "patient", "study", "patient_study_only"})


def _uid(text: str) -> str:
    # More than the standard has, but archives take them.
    return text if set(text) & set("*?") else uid_named(text)


_CONVERSIONS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(("US", "SS", "UL", "SL", "UV", "SV"), int),
    **dict.fromkeys(("FL", "FD"), float),
    "AT": to_tag,
    "UI": _uid,
}


class Column(NamedTuple):
    """A key as a column of what is found.

    Attributes:
        heading: as the user wrote it.
        tags: its tag, behind those of the sequences that it is in.
        is_wanted: whether the user named it.
    """

    heading: str
    tags: tuple[int, ...]
    is_wanted: bool = True


class Query(NamedTuple):
    """What is to be asked.

    Attributes:
        identifier: the keys.
        columns: the same in the order in which the user wrote them.
    """

    identifier: DataSet
    columns: list[Column]


def query_for(
    keys: Iterable[str], level: str | None, model: str | None, columns: Iterable[str] = ()
) -> Query:
    """Make the identifier of a C-FIND.

    Args:
        keys: as the user wrote them. If all of them have values, the usual ones are returned, too.
        columns: keys of what is to be shown and no other; none: all that is asked.
        level: the Query/Retrieve Level; None: STUDY, where the model has levels.
        model: a key of `scu.MODELS`, a keyword or a UID; None: one that fits the keys.

    Raises:
        UsageError: a key is none, or its value does not fit it.
    """
    query = _parsed(keys)
    is_worklist = model == "worklist" or (
        model is None and level is None and "ScheduledProcedureStepSequence" in query.identifier
    )
    if level is None and not is_worklist and model in _WITH_LEVELS:
        level = str(query.identifier.get("QueryRetrieveLevel") or "STUDY")
    usual = _WORKLIST if is_worklist else _LEVELS.get(level or "", ())
    chosen = [(text, _tags(text)) for text in columns]
    for text, tags in chosen:
        if tags not in [column.tags for column in query.columns]:
            _put(query, text, tags, "")
    if chosen:
        query = query._replace(columns=[Column(text, tags) for text, tags in chosen])
    elif all(_is_matched(query.identifier, column.tags) for column in query.columns):
        for text in usual:
            tags = _tags(text)
            if tags not in [column.tags for column in query.columns]:
                _put(query, text, tags, "", is_wanted=False)
    if level is not None:
        query.identifier.QueryRetrieveLevel = level
    return Query(_checked(query.identifier, "all"), query.columns)


def retrieval_for(keys: Iterable[str], level: str | None) -> DataSet:
    """Make the identifier of a C-GET or C-MOVE.

    Args:
        keys: as the user wrote them.
        level: the Query/Retrieve Level; None: the lowest of which there is a unique key.

    Raises:
        UsageError: a key is none, or its value does not fit it.
    """
    identifier = _parsed(keys).identifier
    unique = (
        *(("IMAGE", "SOPInstanceUID"), ("SERIES", "SeriesInstanceUID")),
        *(("STUDY", "StudyInstanceUID"), ("PATIENT", "PatientID")),
    )
    found = (name for name, keyword in unique if identifier.get(keyword))
    level = level or identifier.get("QueryRetrieveLevel") or next(found, None)
    if level is None:
        raise UsageError(
            f"keys: expected a value for one of {', '.join(key for _, key in unique)} at least"
        )
    identifier.QueryRetrieveLevel = level
    return _checked(identifier, "UIDs")


def _checked(identifier: DataSet, check: Literal["all", "UIDs"]) -> DataSet:
    try:
        return to_identifier(identifier, check=check)
    except ValueError as error:
        raise UsageError(f"key {error}") from error


def _parsed(keys: Iterable[str]) -> Query:
    query = Query(DataSet(), [])
    given: dict[tuple[int, ...], tuple[str, list[str]]] = {}
    for key in keys:
        name, _, value = key.partition("=")
        tags = _tags(name)
        if tags in given and vr_of(tags[-1]) != "UI":
            raise UsageError(f"key {name}: given twice; several values stand between backslashes")
        given.setdefault(tags, (name, []))[1].append(value)
    for tags, (name, values) in given.items():
        value = "\\".join(filter(None, values))
        _put(query, name, tags, value)
        if not value.isascii() and "SpecificCharacterSet" not in query.identifier:
            query.identifier.SpecificCharacterSet = "ISO_IR 192"
    return query


def _tags(text: str) -> tuple[int, ...]:
    try:
        tags = tuple(map(to_tag, text.split(".")))
    except DicomError as error:
        raise UsageError(f"key: {error}") from error
    for tag in tags[:-1]:
        if vr_of(tag) != "SQ":
            raise UsageError(f"key: expected a sequence before the period in {text!r}")
    return tags


def _put(
    query: Query, text: str, tags: tuple[int, ...], value: str, *, is_wanted: bool = True
) -> None:
    data_set = query.identifier
    for tag in tags[:-1]:
        if not data_set.get(tag):
            data_set.put(tag, "SQ", [DataSet()])
        data_set = data_set[tag][0]
    try:
        put_value(data_set, tags[-1], value)
    except (DicomError, ValueError) as error:
        raise UsageError(f"key {text}: {error}") from error
    query.columns.append(Column(text, tags, is_wanted))


def put_value(data_set: DataSet, tag: int, value: str) -> None:
    """Put an element whose value a user wrote; several values stand between backslashes.

    An element that is there keeps its VR; any other has that of the dictionary.

    Raises:
        DicomError: the value does not fit the VR.
        ValueError: likewise.
    """
    vr = data_set.fetch(tag).vr if tag in data_set else "UN"
    if vr == "UN":
        data_set.put(tag, "LO" if vr_of(tag) == "UN" else None, None)
        vr = data_set.fetch(tag).vr
    if not value:
        data_set.put(tag, vr, None)
        return
    if vr == "SQ":
        raise ValueError("it is a sequence: a period and one of its keys come behind it")
    convert = _CONVERSIONS.get(vr)
    if convert is None:
        data_set.put(tag, vr, value)
        return
    try:
        data_set.put(tag, vr, [convert(part) for part in value.split("\\")])
    except (DicomError, ValueError) as error:
        if vr == "UI":
            raise
        raise ValueError(f"expected values of VR {vr}, got {value!r}") from error


def _is_matched(data_set: DataSet, tags: tuple[int, ...]) -> bool:
    for tag in tags[:-1]:
        data_set = data_set[tag][0]
    return data_set[tags[-1]] not in (None, [])
