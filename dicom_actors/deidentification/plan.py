"""What becomes of an element: decided from the standard's table, the options and own rules.

A decision depends on the tag, and where table E.1-1 leaves a choice ("X/Z/D": remove, else empty,
else a dummy, by what the IOD demands) on the SOP class and on the sequence that the element is in.
So there is a table of decisions for each pair of these, which fills itself: for all others of that
kind a decision is one look-up.

Attributes that E.1-1 does not list stay, but for: names of persons and dates, which are treated
as those that it lists; the text of content items; group lengths, which are made anew by nobody;
and what PS3.6 does not know.

Standard: PS3.15 E.1 and table E.1-1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dictionary import VR_TABLE, entry, keyword_of
from dicom_actors.deidentification.options import Option
from dicom_actors.deidentification.tables import Row, attribute_types, rows

if TYPE_CHECKING:
    from dicom_actors.deidentification.rules import Rules

__all__ = ["Decision", "Plan", "Plans", "label_of"]

PATIENT_ID: Final = 0x00100020
PATIENT_NAME: Final = 0x00100010
STUDY_ID: Final = 0x00200010
ACCESSION_NUMBER: Final = 0x00080050
TEXT_VALUE: Final = 0x0040A160
_IDENTITIES: Final = {
    PATIENT_ID: "patient-id",
    PATIENT_NAME: "patient-name",
    STUDY_ID: "study-id",
    ACCESSION_NUMBER: "accession-number",
}
_CURVES_AND_OVERLAYS: Final = {0x50: "50xxxxxx", 0x60: "60xx"}
_OVERLAY_DATA: Final = 0x60003000
_MOST_PLANS: Final = 4_096
_DATES: Final = frozenset({"DA", "DT"})
_UNLISTED_DATE: Final = Row(
    "", "", "X", {Option.RETAIN_FULL_DATES: "K", Option.RETAIN_MODIFIED_DATES: "C"}
)
_UNLISTED_NAME: Final = Row("", "", "Z", {})
_UNLISTED_TEXT: Final = Row("", "", "D", {Option.CLEAN_STRUCTURED_CONTENT: "C"})
_CLEANED_BY: Final = {
    Option.RETAIN_MODIFIED_DATES: "shift",
    Option.CLEAN_STRUCTURED_CONTENT: "content",
    Option.CLEAN_GRAPHICS: "graphics",
}
_LIKE: Final = {
    "US": frozenset({"US", "SS"}),
    "SS": frozenset({"US", "SS"}),
    "OB": frozenset({"OB", "OW"}),
    "OW": frozenset({"OB", "OW"}),
    "SH": frozenset({"SH", "LO", "CS", "ST", "LT", "UC", "UT"}),
    "LO": frozenset({"SH", "LO", "CS", "ST", "LT", "UC", "UT"}),
    "ST": frozenset({"SH", "LO", "ST", "LT", "UC", "UT"}),
    "LT": frozenset({"SH", "LO", "ST", "LT", "UC", "UT"}),
    "UT": frozenset({"SH", "LO", "ST", "LT", "UC", "UT"}),
    "UC": frozenset({"SH", "LO", "ST", "LT", "UC", "UT"}),
    "CS": frozenset({"CS", "SH", "LO"}),
    "DS": frozenset({"DS", "IS"}),
    "IS": frozenset({"DS", "IS"}),
}
"""VRs that are taken one for the other, in changes of the standard and by writers."""


class Decision(NamedTuple):
    """What becomes of an element.

    Attributes:
        action: ``"remove"``, ``"empty"``, ``"dummy"``, ``"keep"``, ``"uid"``, ``"shift"``,
            ``"words"``, ``"content"``, ``"graphics"``, ``"set"``, or one of the identities, such
            as ``"patient-id"``.
        otherwise: what becomes of it where that cannot be done: ``"remove"``, ``"empty"`` or
            ``"dummy"``.
        vrs: the VRs that it may be written in.
        label: what it is called in reports: keyword or tag.
        why: why it is not treated as the basic profile says; empty if it is.
        value: what is written, where the action is ``"set"``.
        is_checked: whether what stays is looked at for what identifies the patient.
    """

    action: str
    otherwise: str = "remove"
    vrs: frozenset[str] = frozenset()
    label: str = ""
    why: str = ""
    value: str = ""
    is_checked: bool = True


class Plans:
    """The decisions of one profile with its options and rules.

    Args:
        options: the options.
        rules: own rules, which come first.
    """

    def __init__(self, options: frozenset[Option], rules: Rules) -> None:
        self.options = options
        self.rules = rules
        self._plans: dict[tuple[str, int], Plan] = {}

    def at(self, sop_class_uid: str, sequence: int) -> Plan:
        """Return the decisions at a place.

        Args:
            sop_class_uid: the SOP class of the data set.
            sequence: the sequence that the elements are in; 0 at the top.
        """
        plan = self._plans.get((sop_class_uid, sequence))
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            plan = self._plans[sop_class_uid, sequence] = Plan(self, sop_class_uid, sequence)
        return plan

    def decide(self, tag: int, sop_class_uid: str, sequence: int) -> Decision:
        """Decide what becomes of an element of the standard; private ones need their creator."""
        vrs = _vrs(tag)
        label = label_of(tag)
        row = _row(tag, next(iter(vrs)) if len(vrs) == 1 else "")
        basic = "keep" if row is None else _basic(row, tag, sop_class_uid, sequence)
        otherwise = basic if basic in {"remove", "empty", "dummy"} else "dummy"
        rule = self.rules.by_tag.get(("", tag))
        if rule is not None:
            action = {"clean": "words"}.get(rule.action, rule.action)
            return Decision(
                action, otherwise, vrs, label, "rule", rule.value, is_checked=action != "keep"
            )
        if not tag & 0xFFFF or tag < 0x00080000:
            return Decision("remove", label=label)
        if row is None:
            if entry(tag) is None:
                return Decision("remove", label=label, why="not known to PS3.6")
            if tag >> 24 == _OVERLAY_DATA >> 24:
                # An overlay without its data is none: all of its group goes (PS3.3 C.9.2).
                data = self.decide(
                    tag & 0xFFFF0000 | _OVERLAY_DATA & 0xFFFF, sop_class_uid, sequence
                )
                if data.action not in {"keep", "set", "dummy"}:
                    return Decision("remove", label=label)
            return Decision("keep", "remove", vrs, label)
        retained, cleaned = self._of_options(row)
        if cleaned is not None:
            return Decision(_CLEANED_BY.get(cleaned, "words"), otherwise, vrs, label, cleaned)
        if retained is not None:
            return Decision("keep", otherwise, vrs, label, retained)
        return Decision(
            _IDENTITIES.get(tag, basic) if basic != "keep" else basic, otherwise, vrs, label
        )

    def _of_options(self, row: Row) -> tuple[Option | None, Option | None]:
        """Find the option that keeps an element and the one that cleans it; cleaning goes first."""
        retained = cleaned = None
        for name, action in row.options.items():
            option = Option(name)
            if option in self.options:
                if action == "K":
                    retained = retained or option
                else:
                    cleaned = cleaned or option
        return retained, cleaned


class Plan(dict[int, Decision]):
    """The decisions at one place, by tag; ``plan[tag]`` never fails.

    Tags that PS3.6 does not know are decided each time and not kept, so that nobody can fill the
    memory with them.
    """

    def __init__(self, plans: Plans, sop_class_uid: str, sequence: int) -> None:
        self._plans = plans
        self._place = (sop_class_uid, sequence)

    def __missing__(self, tag: int) -> Decision:
        decision = self._plans.decide(tag, *self._place)
        if entry(tag) is not None:
            self[tag] = decision
        return decision


def label_of(tag: int) -> str:
    """Return what an element is called in reports."""
    return keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _row(tag: int, vr: str) -> Row | None:
    table = rows()
    row = table.get(f"{tag:08X}")
    if row is not None:
        return row
    repeating = _CURVES_AND_OVERLAYS.get(tag >> 24)
    if repeating == "50xxxxxx":
        return table[repeating]
    if repeating is not None and (row := table.get(f"60xx{tag & 0xFFFF:04X}")) is not None:
        return row
    if tag == TEXT_VALUE:
        return _UNLISTED_TEXT
    if vr == "PN":
        return _UNLISTED_NAME
    return _UNLISTED_DATE if vr in _DATES else None


def _vrs(tag: int) -> frozenset[str]:
    found: set[str] = set()
    for vr in VR_TABLE[tag].split(" or "):
        found |= _LIKE.get(vr, {vr})
    return frozenset(found)


def _basic(row: Row, tag: int, sop_class_uid: str, sequence: int) -> str:
    """Decide what the basic profile does with an attribute, where it leaves a choice by its type.

    That of the attribute in its IOD counts, also where the table says to remove what must not be
    absent; where it is not known, the strictest of those that
    the standard has for it, and if there is none, a dummy, which is right for all.
    """
    choices = row.basic.rstrip("*").split("/")
    if "U" in choices:
        # References whose UIDs are replaced point to the same instances as before.
        return "uid"
    choice = choices[0]
    types = attribute_types().get((tag, sequence))
    if choices == ["X"] and types is not None:
        # The result has to be what its IOD demands, whatever says nothing may stand there.
        choice = {1: "D", 2: "Z", 3: "X"}[types.of(sop_class_uid)]
    elif len(choices) > 1:
        kind = types.of(sop_class_uid) if types is not None else 1
        wanted = {1: "D", 2: "ZD", 3: "XZD"}[kind]
        choice = next((each for each in wanted if each in choices), choices[-1])
    return {"X": "remove", "Z": "empty", "D": "dummy", "K": "keep", "U": "uid"}[choice]
