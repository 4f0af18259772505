"""Where a data set departs from the rules: VRs and their repertoires, lengths, multiplicities.

A list for people and tests; nothing in reading or writing depends on it. What a SOP class asks
for (which attributes, which values) is not checked.

Standard: PS3.5 6.2 (VRs), PS3.6 (VR and VM of each attribute).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dictionary import entry
from dicom_actors.data.number_strings import DS, IS
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.uid import is_valid_uid
from dicom_actors.data.views import Path
from dicom_actors.data.vr import VR
from dicom_actors.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.data.data_element import DataElement
    from dicom_actors.data.data_set import DataSet

__all__ = ["Departure", "check"]


class Departure(NamedTuple):
    """One departure from the rules.

    Attributes:
        path: what leads to the element; a key of the data set.
        message: what was expected and what there is.
    """

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def check(data_set: DataSet) -> list[Departure]:
    """List the departures of a data set; see `DataSet.check`."""
    found: list[Departure] = []
    # What is left at each depth: elements of a data set, or numbered items.
    stack: list[tuple[tuple[int, ...], Iterator[Any]]] = [((), data_set.elements())]
    while stack:
        prefix, rest = stack[-1]
        for part in rest:
            if isinstance(part, tuple):
                number, item = part
                stack.append(((*prefix, number), item.elements()))
                break
            path = Path((*prefix, part.tag))
            try:
                value = part.value
                items = value if isinstance(value, Sequence) else None
                messages = [*_multiplicity(part), *_values(part)]
            except DecodeError as error:
                items, messages = None, [str(error)]
            found += [Departure(path, message) for message in messages]
            if items:
                stack.append((path, enumerate(items)))
                break
        else:
            stack.pop()
    return found


def _multiplicity(element: DataElement) -> list[str]:
    known = entry(element.tag)
    if known is None or not known.vr:
        return []
    messages = []
    allowed = known.vr.split(" or ")
    if element.vr not in allowed and element.vr != "UN" and known.vr != "See Note":
        messages.append(f"expected VR {known.vr}, got {element.vr}")
    if element.is_empty or element.vr in {"SQ", "UN"} or element.vr[0] == "O":
        return messages
    if not any(_allows(vm, element.vm) for vm in known.vm.split(" or ")):
        messages.append(f"expected {known.vm} values, got {element.vm}")
    return messages


def _allows(vm: str, count: int) -> bool:
    """Whether a multiplicity as printed, such as ``2-2n``, allows so many values."""
    if not vm:
        return True
    least, _, most = vm.partition("-")
    if not most:
        return count == int(least)
    if count < int(least):
        return False
    if most.endswith("n"):
        return count % int(most[:-1] or 1) == 0
    return count <= int(most)


def _values(element: DataElement) -> list[str]:
    rule = _RULES.get(element.vr)
    vr = VR[element.vr]
    messages = []
    for value in element.values if element.vr != "SQ" else ():
        text = value.text if isinstance(value, DS | IS) else value
        if isinstance(text, float | int) and vr.is_text:
            continue  # one of many numbers; their texts are not kept
        if vr.is_text and not isinstance(text, str):
            if text is not None:
                messages.append(f"expected {vr.description}, got {text!r}")
            continue
        if not vr.is_text:
            if isinstance(text, bytes) and rule is not None:
                messages.append(f"expected whole numbers of {vr}, got {len(text)} bytes")
            continue
        parts = text.split("=") if vr == VR.PN else [text]
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
