"""What a C-GET will bring: SOP classes and transfer syntaxes, asked for with C-FIND before.

A C-GET brings only what has a presentation context, so these must be known when the association
is asked for. The queries are hierarchical ones with the unique keys of the identifier, which any
archive answers; of the optional keys SOP Classes in Study, SOP Class UID and Available Transfer
Syntax UID an archive gives those that it has. Standard: PS3.4 C.3.4, C.6.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary import is_valid_uid
from dicom_actors.errors import DataError, DimseFailure
from dicom_actors.scu.querying import find
from dicom_actors.storage.contexts import MAX_CONTEXTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.scu.session import Session
    from dicom_actors.storage.contexts import ProposedContext

__all__ = ["Found", "InstanceProposals", "sop_classes_of"]

_UNIQUE: Final = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
_LEVELS: Final = tuple(_UNIQUE)
_MOST_QUERIES: Final = 256
"""Queries after which the common SOP classes will have to do."""


class _Unknown(Exception):
    """The peer does not tell, or there are too many series to ask for each."""


_MOST_RENEWALS: Final = 3
"""Associations that a C-GET may take beside the first one."""


class Found(NamedTuple):
    """What the peer tells of instances.

    Attributes:
        sop_classes: their transfer syntaxes, as far as it tells, by SOP class.
        modalities: those of their series, as far as they were asked for.
    """

    sop_classes: dict[str, frozenset[str]]
    modalities: frozenset[str]


def sop_classes_of(session: Session, sop_class_uid: str, identifier: DataSet) -> Found:
    """Ask what the instances are that an identifier is for.

    Args:
        session: whom to ask.
        sop_class_uid: of the queries; there is a presentation context for it.
        identifier: of a retrieval.

    Raises:
        AssociationError: the association is over.
    """
    level = str(identifier.get("QueryRetrieveLevel") or "")
    if level not in _LEVELS:
        return Found({}, frozenset())
    probe = _Probe(session, sop_class_uid)
    found = probe.found
    try:
        probe.look(level, _keys_of(identifier, level))
    except (DimseFailure, DataError, _Unknown):
        found = {}
    return Found(
        {uid: frozenset(syntaxes) for uid, syntaxes in found.items()}, frozenset(probe.modalities)
    )


def _keys_of(identifier: DataSet, level: str) -> dict[str, list[str]]:
    """The unique keys of an identifier, down to its level."""
    keys = {}
    for name in _LEVELS[: _LEVELS.index(level) + 1]:
        values = _texts(identifier, _UNIQUE[name])
        if values:
            keys[_UNIQUE[name]] = values
    return keys


def _texts(data_set: DataSet, keyword: str) -> list[str]:
    value = data_set.get(keyword)
    values = value if isinstance(value, list) else [value]
    return [str(text) for text in values if text]


def _proposed(data_set: DataSet, keyword: str) -> list[str]:
    """UIDs that are to be proposed: of what is none an association request cannot be made."""
    return [text for text in _texts(data_set, keyword) if is_valid_uid(text)]


class _Probe:
    """Goes down from a level to that of instances.

    Attributes:
        found: transfer syntaxes by SOP class.
        modalities: of the series.
    """

    def __init__(self, session: Session, sop_class_uid: str) -> None:
        self._session = session
        self._sop_class_uid = sop_class_uid
        self._queries = 0
        self.found: dict[str, set[str]] = {}
        self.modalities: set[str] = set()

    def look(self, level: str, keys: dict[str, list[str]]) -> None:
        """Find what there is of an entity, whose unique keys these are."""
        if level in {"SERIES", "IMAGE"}:
            for one in _each(keys, _UNIQUE["STUDY"], _UNIQUE["SERIES"]):
                self._look_at_instances(one)
            return
        if level == "PATIENT" and "PatientID" in keys:
            studies = list(self._ask("STUDY", {**keys, "StudyInstanceUID": []}))
            uids = [uid for study in studies for uid in _texts(study, "StudyInstanceUID")]
        else:
            uids = keys.get("StudyInstanceUID", [])
        for uid in uids:
            self._look_at_study({**keys, "StudyInstanceUID": [uid]})

    def _look_at_study(self, keys: dict[str, list[str]]) -> None:
        studies = list(self._ask("STUDY", {**keys, "SOPClassesInStudy": []}))
        classes = [uid for study in studies for uid in _proposed(study, "SOPClassesInStudy")]
        if classes:
            self.found.update({uid: set() for uid in classes if uid not in self.found})
            return
        for series in self._series({**keys, "SeriesInstanceUID": []}):
            for uid in _texts(series, "SeriesInstanceUID"):
                self._look_at_instances({**keys, "SeriesInstanceUID": [uid]})

    def _series(self, keys: dict[str, list[str]]) -> list[DataSet]:
        found = list(self._ask("SERIES", {**keys, "Modality": []}))
        self.modalities.update(text for series in found for text in _texts(series, "Modality"))
        return found

    def _look_at_instances(self, keys: dict[str, list[str]]) -> None:
        wanted: dict[str, list[str]] = {
            "SOPInstanceUID": [],
            **keys,
            "SOPClassUID": [],
            "AvailableTransferSyntaxUID": [],
        }
        for instance in list(self._ask("IMAGE", wanted)):
            classes = _proposed(instance, "SOPClassUID")
            if not classes:
                if not self.modalities:
                    self._series({key: keys[key] for key in keys if key != "SOPInstanceUID"})
                raise _Unknown
            for uid in classes:
                syntaxes = self.found.setdefault(uid, set())
                syntaxes.update(_proposed(instance, "AvailableTransferSyntaxUID"))

    def _ask(self, level: str, keys: dict[str, list[str]]) -> Iterator[DataSet]:
        self._queries += 1
        if self._queries > _MOST_QUERIES:
            raise _Unknown
        identifier = DataSet.from_keywords(QueryRetrieveLevel=level, **keys)
        operation = find(self._session, self._sop_class_uid, identifier, "ignore")
        with contextlib.closing(operation) as matches:
            yield from matches


def _each(keys: dict[str, list[str]], *single: str) -> Iterator[dict[str, list[str]]]:
    """Give keys with one value each for those that must not have several."""
    for index, keyword in enumerate(single):
        values = keys.get(keyword, [])
        if len(values) > 1:
            for value in values:
                yield from _each({**keys, keyword: [value]}, *single[index + 1 :])
            return
    yield keys


class InstanceProposals:
    """What is proposed for the instances of a C-GET, on one association after the other.

    There may be more contexts than one association takes. And some archives take the first context
    of a SOP class for all its objects, and fail those that they would have to convert; without
    that context they take the next one.

    Args:
        session: where.
        asked: the contexts of the queries and of the retrieval itself.
        contexts: those of the instances, most likely ones first.
        is_chosen: whether no others are wanted.

    Raises:
        AssociationError: a new association was needed and did not come about.
    """

    def __init__(
        self,
        session: Session,
        asked: tuple[ProposedContext, ...],
        contexts: tuple[ProposedContext, ...],
        *,
        is_chosen: bool,
    ) -> None:
        self._session = session
        self._asked = asked
        self._room = MAX_CONTEXTS - len(asked)
        self._proposed, self._spare = contexts[: self._room], contexts[self._room :]
        self._renewals = 0
        wanted = (*asked, *self._proposed)
        if is_chosen and not session.serves_only(self._proposed):
            session.propose_only(wanted)
        else:
            session.cover(wanted)

    def renew(self) -> bool:
        """Associate anew with what the peer has not used yet; whether it accepts any of it.

        Raises:
            AssociationError: the new association did not come about.
        """
        session = self._session
        self._renewals += 1
        unused = [context for context in self._proposed if self._is_unused(context)]
        wanted = (*unused, *self._spare)
        if not wanted or self._renewals > _MOST_RENEWALS:
            return False
        self._proposed, self._spare = wanted[: self._room], wanted[self._room :]
        session.propose_only((*self._asked, *self._proposed))
        return any(session.accepted(context.abstract_syntax) for context in self._proposed)

    def _is_unused(self, context: ProposedContext) -> bool:
        """Whether the peer accepts it behind another one of the same SOP class."""
        _, *others = [
            accepted.transfer_syntax for accepted in self._session.accepted(context.abstract_syntax)
        ] or [""]
        return any(syntax in others for syntax in context.transfer_syntaxes)
