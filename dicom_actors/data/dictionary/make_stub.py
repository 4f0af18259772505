"""Writes the stub that tells editors and type checkers what each keyword's value is.

Run it after a change of the tables: ``python -m dicom_actors.data.dictionary.make_stub``. The
stub, `dicom_actors/data/dataset/keywords.pyi`, has no module behind it: `DataSet` inherits from its
class while types are checked, and from nothing when the program runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dicom_actors.data.dictionary import elements

__all__ = ["stub_text"]

_STUB: Final = Path(__file__).parents[1] / "dataset" / "keywords.pyi"

_HEAD: Final = '''\
# ruff: noqa: N815, E501, PYI021 - dBdt is the standard's; nobody reads lines made by a program
# fmt: off
"""The value of each keyword of the data dictionary, for editors and type checkers alone.

Made by `dicom_actors.data.dictionary.make_stub`; there is no such module when the program runs.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Generic, TypeAlias, TypeVar, overload

from dicom_actors.data.dataset.data_set import DataSet
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.value_types import AS, DA, DS, DT, IS, TM, UID, PersonName

_Got = TypeVar("_Got")
_Put = TypeVar("_Put")

class _Element(Generic[_Got, _Put]):
    @overload
    def __get__(self, instance: None, owner: type) -> _Element[_Got, _Put]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> _Got: ...
    def __set__(self, instance: object, value: _Put | None) -> None: ...
    def __delete__(self, instance: object) -> None: ...

# An empty element gives None. A type that says so would ask for a test at every use, so it is
# left open: "str | Any" completes as str does and allows the test.
_MaybeNone: TypeAlias = Any

_Buffer: TypeAlias = bytes | bytearray | memoryview
'''

# For each VR: the type of a value that is read, and that of one that may be put in.
_TYPES: Final[dict[str, tuple[str, str]]] = {
    **dict.fromkeys(
        ("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"),
        ("str", "str"),
    ),
    **dict.fromkeys(("SL", "SS", "SV", "UL", "US", "UV", "US or SS"), ("int", "int")),
    **dict.fromkeys(("FD", "FL"), ("float", "float")),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), ("bytes | memoryview", "_Buffer")),
    "OB or OW": (
        "bytes | memoryview | EncapsulatedPixelData",
        "_Buffer | EncapsulatedPixelData",
    ),
    "US or SS or OW": ("int | bytes | memoryview", "int | _Buffer"),
    "US or OW": ("int | bytes | memoryview", "int | _Buffer"),
    "AS": ("AS", "str"),
    "AT": ("Tag", "int | str | tuple[int, int]"),
    "DA": ("DA", "str | date"),
    "DS": ("DS", "str | float"),
    "DT": ("DT", "str | datetime"),
    "IS": ("IS", "str | int"),
    "PN": ("PersonName", "str"),
    "TM": ("TM", "str | time"),
    "UI": ("UID", "str"),
}
_SEQUENCE: Final = (
    "list[DataSet]",
    "Sequence[DataSet | Mapping[Any, Any]] | DataSet",
)


def stub_text() -> str:
    """Return the text of the stub."""
    aliases: dict[str, str] = {}
    lines = []
    for keyword in elements.keywords():
        tag = elements.tag_of(keyword)
        entry = elements.entry(tag) if tag is not None else None
        if entry is None or not entry.vr:  # items and delimiters are no elements
            continue
        name, definition = _alias(entry.vr, entry.vm)
        aliases[name] = definition
        lines.append(f"    {keyword}: {name}\n")
    defined = "".join(f"{name}: TypeAlias = {text}\n" for name, text in sorted(aliases.items()))
    return f"{_HEAD}\n{defined}\nclass Keywords:\n{''.join(lines)}"


def _alias(vr: str, vm: str) -> tuple[str, str]:
    """Return the name and the definition of the type for a VR and a multiplicity."""
    name = "_" + vr.replace(" or ", "")
    if vr == "SQ":
        return name, f"_Element[{_SEQUENCE[0]} | _MaybeNone, {_SEQUENCE[1]}]"
    got, put = _TYPES[vr]
    if vm == "1":
        return name, f"_Element[{got} | _MaybeNone, {put}]"
    several = f"list[{got}] | _MaybeNone"
    put = f"{put} | Sequence[{put}]"
    if vm.startswith("1"):
        return f"{name}OneOrMore", f"_Element[{got} | {several}, {put}]"
    return f"{name}Several", f"_Element[{several}, {put}]"


def _main() -> None:
    _STUB.write_text(stub_text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    _main()
