"""UIDs: the registry (PS3.6 Annex A), SOP classes (PS3.4), their form, and making new ones.

Each table is read when it is first asked.

Standard: PS3.5 chapter 9, Annex B.
"""

from __future__ import annotations

import os
import re
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dictionary.tables import read_columns
from dicom_actors.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping


class UidEntry(NamedTuple):
    """What the registry says of one UID.

    Attributes:
        uid: the UID.
        name: the name as printed in PS3.6, without "(Retired)".
        keyword: the keyword; empty for two retired UIDs.
        type: the kind of UID as printed, for example ``"SOP Class"`` or ``"Transfer Syntax"``.
        is_retired: whether the UID is retired.
        is_storage: whether it is a SOP class that C-STORE carries.
    """

    uid: str
    name: str
    keyword: str
    type: str
    is_retired: bool
    is_storage: bool


class QueryRetrieveSopClass(NamedTuple):
    """A SOP class whose operation is C-FIND, C-MOVE or C-GET (PS3.4).

    Attributes:
        uid: the SOP class UID.
        operation: ``"C-FIND"``, ``"C-MOVE"`` or ``"C-GET"``.
        service: the service class, for example ``"Query/Retrieve"``.
        information_model: for example ``"Study Root"``; empty where there is just one.
        levels: the values of Query/Retrieve Level (0008,0052), top first; empty where the
            service has no levels.
    """

    uid: str
    operation: str
    service: str
    information_model: str
    levels: tuple[str, ...]


class SopClassServices(NamedTuple):
    """What is done with the instances of a SOP class (PS3.4, the DIMSE service groups).

    Attributes:
        uid: the UID of the SOP class or meta SOP class.
        service_class: the service class, for example ``"Print Management"``.
        operations: what its SCU may ask its SCP for, for example ``"N-CREATE"``; those of all its
            members for a meta SOP class, those of the last edition that had it for a retired one.
        has_notifications: whether its SCP sends its SCU N-EVENT-REPORT.
    """

    uid: str
    service_class: str
    operations: frozenset[str]
    has_notifications: bool


class UidRegistry:
    """All registered UIDs, by UID and by keyword."""

    def __init__(self) -> None:
        columns = read_columns("uids.tsv")
        self.entries = {
            uid: UidEntry(uid, name, keyword, kind, retired == "Y", storage == "Y")
            for uid, name, keyword, kind, retired, storage in zip(*columns, strict=True)
        }
        self.uids_by_keyword = {entry.keyword: uid for uid, entry in self.entries.items()}
        self.uids_by_keyword.pop("", None)
        self.storage_sop_classes = tuple(
            uid for uid, entry in self.entries.items() if entry.is_storage
        )


@cache
def registry() -> UidRegistry:
    """Return the registry; it is read on the first call, in a millisecond."""
    return UidRegistry()


@cache
def _query_retrieve_table() -> dict[str, QueryRetrieveSopClass]:
    """Return the query and retrieve SOP classes by UID."""
    columns = read_columns("query_retrieve.tsv")
    return {
        uid: QueryRetrieveSopClass(uid, operation, service, model, tuple(levels.split()))
        for uid, operation, service, model, levels in zip(*columns, strict=True)
    }


SOP_CLASSES = ("SOP Class", "Meta SOP Class")
TRANSFER_SYNTAXES = ("Transfer Syntax",)
SOP_INSTANCES = ("Well-known SOP Instance",)
"""Types of UIDs, as PS3.6 Annex A prints them."""

_UID_MAX_LENGTH = 64
# Zeros in front, which are wrong too, are found in UIDs that are in use; a dot too many is a slip.
_COMPONENTS = re.compile(r"\d+(\.\d+)*", re.ASCII)


def uid_named(name: str, types: tuple[str, ...] = ()) -> str:
    """Return the UID that a UID or a keyword of PS3.6 means.

    Args:
        name: which. A UID that is not registered is taken as it is.
        types: what it may be, as PS3.6 Annex A prints it; none: anything.

    Raises:
        ValueError: it is neither, or of another type; the message has the names that are close.
    """
    if not isinstance(name, str):
        # As for any other that is none, so that a setting which is wrong is one error.
        raise ValueError(  # noqa: TRY004
            f"expected a UID or its keyword in PS3.6, got {shown(name)}"
        )
    table = registry()
    uid: str = table.uids_by_keyword.get(name, name)
    entry = table.entries.get(uid)
    if entry is not None:
        if types and entry.type not in types:
            raise ValueError(f"expected a {types[0]}, got {name!r}, which is a {entry.type}")
        return uid
    if len(uid) <= _UID_MAX_LENGTH and _COMPONENTS.fullmatch(uid):
        return uid
    from difflib import get_close_matches  # noqa: PLC0415 - costs import time, seldom needed

    known = (
        keyword
        for keyword, uid in table.uids_by_keyword.items()
        if not types or table.entries[uid].type in types
    )
    close = get_close_matches(name, known, n=3, cutoff=0.6)
    hint = f"; close to it: {', '.join(close)}" if close else ""
    raise ValueError(f"expected a UID or its keyword in PS3.6, got {name!r}{hint}")


_NOTIFICATION = "N-EVENT-REPORT"


@cache
def _services_table() -> dict[str, SopClassServices]:
    """Return the SOP classes that have other services than storage, by UID."""
    table = {
        entry.uid: SopClassServices(
            entry.uid, entry.service, frozenset((entry.operation,)), has_notifications=False
        )
        for entry in _query_retrieve_table().values()
    }
    # Unified Procedure Step has more than C-FIND, and so stands in both.
    for uid, services, service_class in zip(*read_columns("services.tsv"), strict=True):
        operations = frozenset(services.split())
        table[uid] = SopClassServices(
            uid, service_class, operations - {_NOTIFICATION}, _NOTIFICATION in operations
        )
    return table


_MAX_LENGTH: Final = 64
_FORM: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*")
_ROOT_MAX_LENGTH: Final = 43  # leaves 20 digits, 64 bits that are never drawn twice


def uid_entry(uid: str) -> UidEntry | None:
    """Return what the registry says of a UID, None if it is not registered."""
    return registry().entries.get(uid)


def uid_of(keyword: str) -> str | None:
    """Return the UID of a keyword such as ``"CTImageStorage"``, None if there is none."""
    return registry().uids_by_keyword.get(keyword)


def storage_sop_classes() -> tuple[str, ...]:
    """Return the UIDs of all SOP classes that C-STORE carries, current and retired.

    The class of DICOMDIR is not among them: it is never sent (PS3.4 B.5, B.6, GG.3).
    """
    return registry().storage_sop_classes


def query_retrieve_sop_classes() -> Mapping[str, QueryRetrieveSopClass]:
    """Return the SOP classes with a C-FIND, C-MOVE or C-GET operation, by UID (PS3.4)."""
    return MappingProxyType(_query_retrieve_table())


def sop_class_services() -> Mapping[str, SopClassServices]:
    """Return what is done with the instances of each SOP class that is not for storage, by UID.

    Meta SOP classes and retired ones are among them; those of real-time communication are not,
    since they are not negotiated (PS3.22).
    """
    return MappingProxyType(_services_table())


def uid_name(uid: str) -> str:
    """Return the name of a registered UID, an empty string for any other (PS3.6 Annex A)."""
    found = uid_entry(uid)
    return "" if found is None else found.name


def is_valid_uid(text: str) -> bool:
    """Tell whether a text is a UID: PS3.5 9.1.

    At most 64 characters; components of decimal digits between periods, none empty and none
    with a leading zero.
    """
    return len(text) <= _MAX_LENGTH and _FORM.fullmatch(text) is not None


def generate_uid(root: str | None = None) -> str:
    """Make a UID that nobody else has.

    Args:
        root: a UID of your own to put it under, at most 43 characters; None makes one from a
            random UUID under 2.25 (PS3.5 B.2), which needs no registration.

    Returns:
        The UID, at most 64 characters.

    Raises:
        ValueError: the root is no UID or too long.
    """
    number = int.from_bytes(os.urandom(16), "big")
    if root is None:
        # The bits that RFC 9562 fixes in a random UUID: version 4, variant 10.
        number = number & ~(0xF << 76) | 0x4 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        return f"2.25.{number}"
    if not isinstance(root, str) or not is_valid_uid(root) or len(root) > _ROOT_MAX_LENGTH:
        raise ValueError(
            f"root: expected a UID of at most {_ROOT_MAX_LENGTH} characters, got {root!r}"
        )
    digits = min(_MAX_LENGTH - len(root) - 1, 38)
    return f"{root}.{number % 10**digits}"
