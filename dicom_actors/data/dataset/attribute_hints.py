"""What to say about attributes that data sets and elements do not have.

Names of other libraries are answered with what does the same here; misspelled keywords with those
that are close. Nothing is looked for before the message is shown: `hasattr` asks for names that
are not there all the time.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from dicom_actors.data.dictionary import keywords

__all__ = ["NoAttributeError", "hint_for"]

_TO_WRITE: Final = "write_file(path, ds) or ds.save(path)"
_SYNTAX: Final = "ds.transfer_syntax"
_FRAMES: Final = "ds.frames()"

_INSTEAD: Final = {
    "add": "ds.put_element(element)",
    "add_new": "ds.put(key, vr, values)",
    "convert_pixel_data": _FRAMES,
    "data_element": "ds.fetch(keyword)",
    "decode": "ds.character_set, which is heeded when a value is asked for",
    "dir": "ds.keywords()",
    "ensure_file_meta": "ds.file_meta, which is always there",
    "fix_meta_info": "write_file(path, ds), which makes the file meta information right",
    "formatted_lines": "str(ds)",
    "from_dataset": "DataSet(mapping) or DataSet(elements)",
    "get_item": "ds.fetch(key).raw",
    "group_dataset": "ds.elements(), and the group of each tag",
    "is_implicit_VR": f"{_SYNTAX}.is_implicit_vr",
    "is_little_endian": _SYNTAX,
    "is_undefined_length": "element.length",
    "iterall": "ds.walk()",
    "keyword": "ds.fetch(key).keyword",
    "name": "ds.fetch(key).name",
    "original_character_set": "ds.character_set",
    "original_encoding": _SYNTAX,
    "pixel_array": _FRAMES,
    "read_encoding": _SYNTAX,
    "remove_private_tags": "del ds[tag] for each tag of ds with tag.is_private",
    "repeater_has_tag": "tag_of(keyword)",
    "repval": "str(element)",
    "save_as": _TO_WRITE,
    "top": "str(ds)",
    "trait_names": "ds.keywords()",
    "validate": "ds.check()",
    "value": "ds.fetch(key).value",
    "values_only": "ds.values()",
    "VM": "element.vm",
    "VR": "element.vr",
    "write": _TO_WRITE,
    "write_like_original": _TO_WRITE,
}


def hint_for(name: str) -> str:
    """Return what may have been meant, as the end of a sentence; empty if nobody knows."""
    if name in _INSTEAD:
        return f"; what does it here is {_INSTEAD[name]}"
    close = get_close_matches(name, keywords(), n=3, cutoff=0.75)
    return f"; close to it: {', '.join(close)}" if close else ""


class NoAttributeError(AttributeError):
    """An attribute that is neither one of a data set or an element, nor a keyword."""

    def __init__(self, kind: str, wanted: str) -> None:
        super().__init__(kind, wanted)
        self._kind, self._wanted = kind, wanted

    def __str__(self) -> str:
        kind, wanted = self._kind, self._wanted
        keyword = ", nor is it a keyword of the data dictionary" if kind != "DataElement" else ""
        return f"{kind!r} has no attribute {wanted!r}{keyword}{hint_for(wanted)}"
