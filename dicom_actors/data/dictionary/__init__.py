"""The standard's dictionaries: data elements (PS3.6, PS3.7 Annex E) and UIDs (PS3.6 Annex A).

Look-ups by tag, keyword and UID. The tables are package data of the 2026c edition; each is read
when the first look-up needs it, so that importing this package costs nothing. Private elements
are in `dicom_actors.data.private`, transfer syntaxes in `dicom_actors.data.transfer_syntax`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from dicom_actors.data.dictionary import elements, uids
from dicom_actors.data.dictionary.elements import Entry, KeywordTable, VrTable
from dicom_actors.data.dictionary.uids import (
    SOP_CLASSES,
    SOP_INSTANCES,
    TRANSFER_SYNTAXES,
    QueryRetrieveSopClass,
    SopClassServices,
    UidEntry,
    uid_named,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "KEYWORD_TABLE",
    "SOP_CLASSES",
    "SOP_INSTANCES",
    "TRANSFER_SYNTAXES",
    "VR_TABLE",
    "Entry",
    "QueryRetrieveSopClass",
    "SopClassServices",
    "UidEntry",
    "entry",
    "keyword_of",
    "keywords",
    "query_retrieve_sop_classes",
    "sop_class_services",
    "storage_sop_classes",
    "tag_of",
    "uid_entry",
    "uid_named",
    "uid_of",
    "vr_of",
]

VR_TABLE = VrTable()
"""VRs by tag for decoders: ``VR_TABLE[tag]`` is ``vr_of(tag)`` without the call. Read only."""

KEYWORD_TABLE = KeywordTable()
"""Tags by keyword: ``KEYWORD_TABLE[keyword]`` is `tag_of` without the call, and raises KeyError
for what is no keyword. Read only."""


def entry(tag: int) -> Entry | None:
    """Return what the registry says of a data element.

    Repeating groups, group lengths and private creators are resolved by their rules.

    Args:
        tag: the tag as an int, 0 to 0xFFFFFFFF.

    Returns:
        The entry, or None if the registry has none (private elements among them).
    """
    return elements.registry().entry(tag)


def vr_of(tag: int) -> str:
    """Return the VR of a data element as printed in PS3.6.

    Args:
        tag: the tag as an int, 0 to 0xFFFFFFFF.

    Returns:
        A VR, a choice such as ``"US or SS"``, or ``"UN"`` where the registry has no VR.
    """
    return VR_TABLE[tag]


def tag_of(keyword: str) -> int | None:
    """Return the tag of a keyword, None if there is no such keyword.

    For a repeating group this is the tag of its first group: ``OverlayData`` is (6000,3000).
    """
    try:
        return KEYWORD_TABLE[keyword]
    except KeyError:
        return None


def keyword_of(tag: int) -> str:
    """Return the keyword of a tag, an empty string if it has none."""
    found = elements.registry().entry(tag)
    return "" if found is None else found.keyword


def keywords() -> Iterable[str]:
    """Return every keyword of the registry, in tag order."""
    return elements.registry().tags_by_keyword.keys()


def uid_entry(uid: str) -> UidEntry | None:
    """Return what the registry says of a UID, None if it is not registered."""
    return uids.registry().entries.get(uid)


def uid_of(keyword: str) -> str | None:
    """Return the UID of a keyword such as ``"CTImageStorage"``, None if there is none."""
    return uids.registry().uids_by_keyword.get(keyword)


def storage_sop_classes() -> tuple[str, ...]:
    """Return the UIDs of all SOP classes that C-STORE carries, current and retired.

    The class of DICOMDIR is not among them: it is never sent (PS3.4 B.5, B.6, GG.3).
    """
    return uids.registry().storage_sop_classes


def query_retrieve_sop_classes() -> Mapping[str, QueryRetrieveSopClass]:
    """Return the SOP classes with a C-FIND, C-MOVE or C-GET operation, by UID (PS3.4)."""
    return MappingProxyType(uids.query_retrieve_table())


def sop_class_services() -> Mapping[str, SopClassServices]:
    """Return what is done with the instances of each SOP class that is not for storage, by UID.

    Meta SOP classes and retired ones are among them; those of real-time communication are not,
    since they are not negotiated (PS3.22).
    """
    return MappingProxyType(uids.services_table())
