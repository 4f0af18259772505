"""Matches of a level out of data sets of instances: one for each patient, study or series.

Which data sets match and what an answer holds is `matching`'s business. Here they are brought
together by the unique key of the level, and counted; attributes that tell of all instances of an
entity (PS3.4 C.3.4, "Number of Study Related Instances" and the like) are made of the counts.

Standard: PS3.4 C.3, C.6.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dictionary import vr_of
from dicom_actors.data.dictionary.tag import to_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from dicom_actors.data.dataset.data_set import DataSet

__all__ = ["COUNTED", "Asked", "group"]

_UNIQUE: Final = {
    "PATIENT": (to_tag("PatientID"), to_tag("IssuerOfPatientID")),
    "STUDY": (to_tag("StudyInstanceUID"),),
    "SERIES": (to_tag("SeriesInstanceUID"),),
    "IMAGE": (to_tag("SOPInstanceUID"),),
}
"""What tells the entities of a level apart; two patients may have one ID of two issuers."""

_COUNTED: Final = {
    "PATIENT": {
        "NumberOfPatientRelatedStudies": "StudyInstanceUID",
        "NumberOfPatientRelatedSeries": "SeriesInstanceUID",
        "NumberOfPatientRelatedInstances": "SOPInstanceUID",
    },
    "STUDY": {
        "NumberOfStudyRelatedSeries": "SeriesInstanceUID",
        "NumberOfStudyRelatedInstances": "SOPInstanceUID",
        "ModalitiesInStudy": "Modality",
        "SOPClassesInStudy": "SOPClassUID",
    },
    "SERIES": {"NumberOfSeriesRelatedInstances": "SOPInstanceUID"},
}
"""Attributes of an entity that are made of those of its instances: how many different values
there are; or these values, where the VR is that of the values."""

COUNTED: Final = frozenset(to_tag(key) for keys in _COUNTED.values() for key in keys)
"""Their tags."""

_Key = tuple[Any, ...]


class Asked(NamedTuple):
    """A query.

    Attributes:
        level: the Query/Retrieve Level.
        tags: the attributes that are asked for.
        matches: whether the data set of an instance has what is asked for, but for `COUNTED`.
        answer: makes the answer of the data set of an instance.
        confirms: whether the attributes that were counted are what is asked for.
    """

    level: str
    tags: AbstractSet[int]
    matches: Callable[[DataSet], bool]
    answer: Callable[[DataSet], DataSet]
    confirms: Callable[[DataSet], bool]


class _Count(NamedTuple):
    """An attribute that is counted.

    Attributes:
        tag: its tag.
        of: the tag of what is counted.
        unique: what tells the entities apart of which it is one.
        seen: the different values, in the order in which they came, by entity.
    """

    tag: int
    of: int
    unique: tuple[int, ...]
    seen: dict[_Key, dict[Any, None]]

    def add(self, data_set: DataSet) -> None:
        """Count an instance."""
        value = data_set.get(self.of)
        if value:
            seen = self.seen.setdefault(_key_of(data_set, self.unique), {})
            seen.update(dict.fromkeys(map(str, value if isinstance(value, list) else [value])))

    def put(self, answer: DataSet, key: _Key) -> None:
        """Put the attribute of an entity in."""
        seen = list(self.seen.get(key, ()))
        vr = vr_of(self.tag)
        answer.put(self.tag, vr, len(seen) if vr == "IS" else seen)


class _Found(NamedTuple):
    """An entity that matches.

    Attributes:
        answer: its answer, as that of one of its instances.
        keys: those of the entities that it is in, for each attribute that is counted.
    """

    answer: DataSet
    keys: list[_Key]


def group(data_sets: Iterable[DataSet], asked: Asked) -> Iterator[DataSet]:
    """Give an answer for each entity of the level that matches; see `Query.group`."""
    unique = _UNIQUE[asked.level]
    counts = [
        _Count(to_tag(keyword), to_tag(of), _UNIQUE[level], {})
        for level, keywords in _COUNTED.items()
        for keyword, of in keywords.items()
        if to_tag(keyword) in asked.tags
    ]
    found: dict[_Key, _Found] = {}
    for data_set in data_sets:
        key = _key_of(data_set, unique)
        if not key[0]:
            continue  # nobody could ask for it
        for count in counts:
            count.add(data_set)
        if key not in found and asked.matches(data_set):
            keys = [_key_of(data_set, count.unique) for count in counts]
            found[key] = _Found(asked.answer(data_set), keys)
    for answer, keys in found.values():
        for count, key in zip(counts, keys, strict=True):
            count.put(answer, key)
        if asked.confirms(answer):
            yield answer


def _key_of(data_set: DataSet, unique: tuple[int, ...]) -> _Key:
    content = content_of(data_set)
    return tuple(str(content.value(tag) or "") if tag in content.index else "" for tag in unique)
