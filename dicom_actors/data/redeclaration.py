"""What has to be done before a data set declares another character set.

Untouched text stays the bytes that were read; under another Specific Character Set (0008,0005)
these would mean something else. So such text is decoded by the old declaration, and encoded by
the new one when the data set is written.

Standard: PS3.3 C.12.1.1.2.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.data.data_element import DataElement
from dicom_actors.data.element_index import CHARACTER_SET
from dicom_actors.data.sequence import Sequence
from dicom_actors.data.vr import VR

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet

__all__ = ["keep_text"]


def keep_text(data_set: DataSet) -> None:
    """Decode text that is more than ASCII, in the data set and in items that inherit its set."""
    rest = [data_set]
    while rest:
        holder = rest.pop()
        for tag, item in holder._index.items():
            if not isinstance(item, int):
                items = item.value if item._vr == "SQ" else None
            elif (vr := holder.vr_at(tag, item)) == "SQ":
                items = holder._value(tag)
            else:
                items = None
                if VR[vr].uses_character_set and not bytes(holder.raw_at(tag, item)).isascii():
                    element = DataElement._of(tag, vr, holder._value(tag))
                    holder._before_change(tag)
                    holder._index[tag] = element
            if isinstance(items, Sequence):
                rest += [part for part in items if CHARACTER_SET not in part._index]
        object.__setattr__(holder, "_character_set", None)
