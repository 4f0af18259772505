"""Where values depart from the rules of their VR: repertoires, forms, lengths.

Nothing in reading or writing depends on it.

Standard: PS3.5 6.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dictionary import VR, is_valid_uid
from dicom_actors.data.values.value_types import DS, IS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["departures"]


def departures(vr_name: str, values: list[Any]) -> list[str]:
    """List where values depart from the rules of their VR.

    Args:
        vr_name: the VR, not SQ.
        values: the values, as decoding gives them.

    Returns:
        What was expected and what there is, for each departure.
    """
    rule = _RULES.get(vr_name)
    vr = VR[vr_name]
    messages = []
    for value in values:
        text = value.text if isinstance(value, DS | IS) else value
        if isinstance(text, float | int) and vr.is_text:
            continue  # one of many numbers; their texts are not kept
        if vr.is_text and not isinstance(text, str):
            if text is not None:
                messages.append(f"expected {vr.description}, got {text!r}")
            continue
        if not vr.is_text:
            width = _WIDTHS.get(vr_name, 1)
            is_part = isinstance(text, bytes | memoryview) and len(text) % width
            if is_part or (isinstance(text, bytes) and rule is not None):
                messages.append(f"expected whole numbers of {vr}, got {len(text)} bytes")
            continue
        parts = text.split("=") if vr == VR.PN else [text]
        if vr == VR.PN and (
            len(parts) > _GROUPS or any(part.count("^") >= _COMPONENTS for part in parts)
        ):
            messages.append(
                f"expected at most {_GROUPS} groups of {_COMPONENTS} components, got {text!r}"
            )
        longest = max(map(len, parts))
        if longest > _longest(vr, text):
            messages.append(f"expected at most {vr.max_length} {vr.length_unit}, got {longest}")
        if text and rule is not None and not rule(text):
            messages.append(f"expected {vr.description}, got {text!r}")
    return messages


def _longest(vr: VR, text: str) -> int:
    # Ranges in queries may be longer (PS3.4 C.2.2.2.5).
    if vr in {VR.DA, VR.TM, VR.DT} and "-" in text:
        return 2 * vr.max_length + 2
    return vr.max_length


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern, re.ASCII | re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _is_meant(method: str, ranges: str) -> Callable[[Any], bool]:
    def is_meant(text: Any) -> bool:
        try:
            getattr(text, ranges if ranges and text.is_range else method)()
        except ValueError:
            return False
        return True

    return is_meant


_GROUPS: Final = 3
_COMPONENTS: Final = 5
"""Of a person name (PS3.5 6.2.1)."""

_WIDTHS: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Bytes of a number in values that are kept as bytes."""

_matches_integer: Final = _matches(r" *[+-]?\d{1,12} *")


def _is_integer_string(text: Any) -> bool:
    return _matches_integer(text) and -(1 << 31) <= int(text) < 1 << 31


def _is_a_number(value: Any) -> bool:
    return isinstance(value, float | int)


_RULES: Final[dict[str, Callable[[Any], bool]]] = {
    "AE": _matches(r"[ -\[\]-~]*"),
    "AS": _is_meant("as_age", ""),
    "CS": _matches(r"[A-Z0-9 _]*"),
    "DA": _is_meant("as_date", "as_range"),
    "DS": _matches(r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *"),
    "DT": _is_meant("as_datetime", "as_range"),
    "IS": _is_integer_string,
    "LO": _matches(r"[^\x00-\x1a\x1c-\x1f\\]*"),
    "LT": _matches(r"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]*"),
    "PN": _matches(r"[^\x00-\x1a\x1c-\x1f\\]*"),
    "SH": _matches(r"[^\x00-\x1a\x1c-\x1f\\]*"),
    "ST": _matches(r"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]*"),
    "TM": _is_meant("as_time", "as_range"),
    "UC": _matches(r"[^\x00-\x1a\x1c-\x1f\\]*"),
    "UI": is_valid_uid,
    "UT": _matches(r"[^\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]*"),
    **dict.fromkeys(("AT", "SS", "US", "SL", "UL", "SV", "UV", "FL", "FD"), _is_a_number),
}
