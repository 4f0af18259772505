"""What an identifier asks for: its information model, its level, its unique keys.

Standard: PS3.4 C.3, C.4.1.1.3, C.4.1.2.2, C.4.2.2, C.6.1, C.6.2, Y.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors import Status, Tag
from dicom_actors.archive.index.attributes import LEVELS, Level
from dicom_actors.errors import DecodeError, DimseFailure

if TYPE_CHECKING:
    from dicom_actors import DataSet

__all__ = ["UNIQUE_KEYS", "Model", "Target", "level_of_identifier", "unique_keys"]

UNIQUE_KEYS: Final = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}


class Model(Enum):
    """An information model; its value is where its SOP classes begin."""

    PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
    STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
    PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3."
    COMPOSITE_INSTANCE_ROOT = "1.2.840.10008.5.1.4.1.2.4."
    """For retrieval of whole instances by their UIDs alone (PS3.4 Y)."""

    @classmethod
    def of(cls, sop_class_uid: str) -> Model | None:
        """The model of a SOP class for queries and retrieval; None if it is none of these."""
        for model in cls:
            if sop_class_uid.startswith(model.value):
                return model
        return None

    @property
    def levels(self) -> tuple[Level, ...]:
        """Its levels, from the highest."""
        if self is Model.PATIENT_ROOT:
            return LEVELS
        if self is Model.COMPOSITE_INSTANCE_ROOT:
            return LEVELS[-1:]
        return LEVELS[1:] if self is Model.STUDY_ROOT else LEVELS[:2]


class Target(NamedTuple):
    """The instances that somebody wants to have.

    Attributes:
        level: the level of what is named.
        uids: by level, the unique keys that must match one of these.
    """

    level: Level
    uids: dict[Level, list[str]]


def level_of_identifier(identifier: DataSet, model: Model) -> Level:
    """Take the level out of an identifier.

    Raises:
        DimseFailure: A900H, it has none, or one that the model does not have.
    """
    try:
        value = str(identifier.get("QueryRetrieveLevel") or "").strip()
    except DecodeError:
        value = "what cannot be read"
    for level in model.levels:
        if level.value == value:
            return level
    names = ", ".join(level.value for level in model.levels)
    raise _refused("QueryRetrieveLevel", f"level: one of {names}, not {value or 'none'!s:.20}")


def unique_keys(
    identifier: DataSet, model: Model, level: Level, *, is_relational: bool, retrieves: bool
) -> Target:
    """Take the unique keys out of an identifier, and check that those are there that must be.

    Args:
        identifier: what came.
        model: its model.
        level: its level.
        is_relational: whether keys of higher levels may be absent (PS3.4 C.4.1.2.2.2).
        retrieves: whether it is one for C-GET or C-MOVE, where the key of the level itself must
            be there, and those of higher levels may be absent.

    Raises:
        DimseFailure: A900H, a key is absent or is no single value.
    """
    found: dict[Level, list[str]] = {}
    for own in model.levels[: model.levels.index(level) + 1]:
        keyword = UNIQUE_KEYS[own]
        values = _values(identifier, keyword)
        # An instance that is named by a UID is the same one without the keys above. Some users
        # leave them out, as Orthanc does, so that this is more than PS3.4 C.4.2.2.1 asks for.
        is_needed = own is level if retrieves else own is not level and not is_relational
        if is_needed and not values:
            raise _refused(keyword, f"{keyword} is needed at level {level.value}")
        if is_needed and any(set("*?") & set(value) for value in values):
            raise _refused(keyword, f"{keyword} has to be a single value here")
        if is_needed and len(values) > 1 and own is not level:
            raise _refused(keyword, f"{keyword} has to be one value at level {level.value}")
        if values:
            found[own] = values
    return Target(level, found)


def _values(identifier: DataSet, keyword: str) -> list[str]:
    try:
        value = identifier.get(keyword)
    except DecodeError as error:
        raise _refused(keyword, str(error)) from error
    values = value if isinstance(value, list) else [value]
    return [str(one).strip() for one in values if one is not None and str(one).strip()]


def _refused(keyword: str, comment: str) -> DimseFailure:
    # PS3.4 C.4.1.1.4, C.4.2.1.5: A900H, the same in C-FIND and in retrieval.
    return DimseFailure(
        Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, comment[:64], OffendingElement=[Tag(keyword)]
    )
