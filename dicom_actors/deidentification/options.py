"""The profile and its options, and what a data set says of them afterwards.

Standard: PS3.15 E.2 and E.3; PS3.16 CID 7050 (the codes).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CODES", "Option", "Profile", "checked_options"]


class Profile(StrEnum):
    """What all else is decided from."""

    BASIC = "basic"


class Option(StrEnum):
    """An option of the profile (PS3.15 E.3)."""

    RETAIN_SAFE_PRIVATE = "retain-safe-private"
    RETAIN_UIDS = "retain-uids"
    RETAIN_DEVICE_IDENTITY = "retain-device-identity"
    RETAIN_INSTITUTION_IDENTITY = "retain-institution-identity"
    RETAIN_PATIENT_CHARACTERISTICS = "retain-patient-characteristics"
    RETAIN_FULL_DATES = "retain-full-dates"
    RETAIN_MODIFIED_DATES = "retain-modified-dates"
    CLEAN_DESCRIPTORS = "clean-descriptors"
    CLEAN_STRUCTURED_CONTENT = "clean-structured-content"
    CLEAN_GRAPHICS = "clean-graphics"
    CLEAN_VISUAL_FEATURES = "clean-visual-features"
    CLEAN_PIXEL_DATA = "clean-pixel-data"


CODES: Final[dict[Profile | Option, tuple[str, str]]] = {
    Profile.BASIC: ("113100", "Basic Application Confidentiality Profile"),
    Option.CLEAN_PIXEL_DATA: ("113101", "Clean Pixel Data Option"),
    Option.CLEAN_VISUAL_FEATURES: ("113102", "Clean Recognizable Visual Features Option"),
    Option.CLEAN_GRAPHICS: ("113103", "Clean Graphics Option"),
    Option.CLEAN_STRUCTURED_CONTENT: ("113104", "Clean Structured Content Option"),
    Option.CLEAN_DESCRIPTORS: ("113105", "Clean Descriptors Option"),
    Option.RETAIN_FULL_DATES: (
        "113106",
        "Retain Longitudinal Temporal Information Full Dates Option",
    ),
    Option.RETAIN_MODIFIED_DATES: (
        "113107",
        "Retain Longitudinal Temporal Information Modified Dates Option",
    ),
    Option.RETAIN_PATIENT_CHARACTERISTICS: ("113108", "Retain Patient Characteristics Option"),
    Option.RETAIN_DEVICE_IDENTITY: ("113109", "Retain Device Identity Option"),
    Option.RETAIN_UIDS: ("113110", "Retain UIDs Option"),
    Option.RETAIN_SAFE_PRIVATE: ("113111", "Retain Safe Private Option"),
    Option.RETAIN_INSTITUTION_IDENTITY: ("113112", "Retain Institution Identity Option"),
}
"""Code value and meaning in the coding scheme DCM."""


def checked_options(options: Iterable[str | Option]) -> frozenset[Option]:
    """Return the options by these names.

    Raises:
        ValueError: a name is none, or two options contradict each other.
        TypeError: they are a text, whose characters would be the names.
    """
    if isinstance(options, str):
        raise TypeError(f"options: expected several names, as in [{str(options)!r}], got a text")
    known = {option.value: option for option in Option}
    found = set()
    for name in options:
        if str(name) not in known:
            raise ValueError(f"expected one of {', '.join(known)}, got {str(name)!r}")
        found.add(known[str(name)])
    if {Option.RETAIN_FULL_DATES, Option.RETAIN_MODIFIED_DATES} <= found:
        raise ValueError("expected full dates or modified dates to be retained, got both")
    return frozenset(found)
