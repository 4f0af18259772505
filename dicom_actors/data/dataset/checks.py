"""Where a data set departs from the rules: VRs and their repertoires, lengths, multiplicities.

A list for people and tests; nothing in reading or writing depends on it. What a SOP class asks
for (which attributes, which values) is not checked.

Standard: PS3.5 6.2 (VRs), PS3.6 (VR and VM of each attribute).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dataset.lists import ItemList
from dicom_actors.data.dataset.whole import Path, in_itself, settled_values
from dicom_actors.data.dictionary import entry
from dicom_actors.data.values.checks import departures
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.data.dataset.element_index import ElementIndex

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


def check(content: ElementIndex) -> list[Departure]:
    """List the departures of a data set; see `DataSet.check`."""
    found: list[Departure] = []
    # What is left at each depth: elements of a data set, or numbered items.
    stack: list[Iterator[Any]] = [content.elements()]
    trail: list[int] = []  # what leads there: one part for each depth but the first
    holders = [id(content)]  # which data sets are further out
    while stack:
        for part in stack[-1]:
            if isinstance(part, tuple):
                number, item = part
                inner = content_of(item)
                if id(inner) in holders:
                    # `trail` leads to the sequence, and what is in there has no end.
                    found.append(Departure(Path(trail), str(in_itself())))
                    continue
                trail.append(number)
                holders.append(id(inner))
                stack.append(inner.elements())
                break
            try:
                value = part.value
                items = value if isinstance(value, ItemList) else None
                messages = [
                    *_encapsulation(part.vr, value),
                    *_multiplicity(part),
                    *(() if part.vr == "SQ" else departures(part.vr, settled_values(part))),
                ]
            except (DecodeError, EncodeError) as error:
                items, messages = None, [str(error)]
            found += [Departure(Path((*trail, part.tag)), message) for message in messages]
            if items:
                trail.append(int(part.tag))
                stack.append(enumerate(items))
                break
        else:
            stack.pop()
            del trail[-1:]
            if len(stack) % 2 == 0:
                holders.pop()
    return found


def _encapsulation(vr: str, value: Any) -> list[str]:
    if isinstance(value, EncapsulatedPixelData) and vr != "OB":
        return [f"expected VR OB for encapsulated pixel data, got {vr}"]
    return []


def _multiplicity(element: Any) -> list[str]:
    known = entry(element.tag)
    if known is None or not known.vr:
        return []
    messages = []
    if known.vr == "SQ" and element.vr == "UN" and not element.is_empty:
        messages.append(f"expected items, got {len(element.value)} bytes that are none")
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
