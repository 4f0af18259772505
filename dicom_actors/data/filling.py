"""New data sets from keywords and values, made without a detour for each element.

A provider of C-FIND makes one for each match. What is put into a data set later goes through
`DataSet.put`, which does the same and minds what was there before.

Standard: PS3.5 6.2.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.data.coercion import coerce
from dicom_actors.data.data_element import DataElement
from dicom_actors.data.dictionary import KEYWORD_TABLE, VR_TABLE
from dicom_actors.data.element_index import dictionary_vr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.data.data_set import DataSet

__all__ = ["fill"]


def fill(data_set: DataSet, values: Mapping[Any, Any]) -> None:
    """Put values into a data set that is empty; see `DataSet.__init__`."""
    if "PixelRepresentation" in values:  # which decides the VR of others (PS3.5 A.1)
        data_set["PixelRepresentation"] = values["PixelRepresentation"]
    index = data_set._index
    new = object.__new__
    for key, value in values.items():
        try:
            tag = KEYWORD_TABLE[key]
        except KeyError:
            data_set[key] = value
            continue
        if isinstance(value, DataElement):
            data_set.put_element(value)
            continue
        vr = VR_TABLE[tag]
        if len(vr) != 2 or vr == "UN":
            vr = dictionary_vr(data_set, tag)
        element = new(DataElement)
        element._tag = tag
        element._vr = vr
        element._value = coerce(vr, value, tag)
        element._holder = None
        element._offset = -1
        index[tag] = element
    object.__setattr__(data_set, "_is_sorted", False)
