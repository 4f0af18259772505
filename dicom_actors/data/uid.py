"""Unique identifiers: their names, their form, and making new ones (PS3.5 chapter 9, Annex B)."""

from __future__ import annotations

import os
import re
from typing import Final

from dicom_actors.data import dictionary

__all__ = ["generate_uid", "is_valid_uid", "uid_name"]

_MAX_LENGTH: Final = 64
_FORM: Final = r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*"
_ROOT_MAX_LENGTH: Final = 43  # leaves 20 digits, 64 bits that are never drawn twice


def uid_name(uid: str) -> str:
    """Return the name of a registered UID, an empty string for any other (PS3.6 Annex A)."""
    found = dictionary.uid_entry(uid)
    return "" if found is None else found.name


def is_valid_uid(text: str) -> bool:
    """Tell whether a text is a UID: PS3.5 9.1.

    At most 64 characters; components of decimal digits between periods, none empty and none
    with a leading zero.
    """
    return len(text) <= _MAX_LENGTH and re.fullmatch(_FORM, text) is not None


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
    if not is_valid_uid(root) or len(root) > _ROOT_MAX_LENGTH:
        raise ValueError(
            f"root: expected a UID of at most {_ROOT_MAX_LENGTH} characters, got {root!r}"
        )
    digits = min(_MAX_LENGTH - len(root) - 1, 38)
    return f"{root}.{number % 10**digits}"
