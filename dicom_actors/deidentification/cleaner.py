"""One pass over a data set that makes another one of it, as the plan says.

What stays is left as the bytes that it came from: the new data set is an index over the same
bytes, without what is removed and with new elements in place of what is replaced. Sequences are
gone into wherever they stay, and are only put together anew if something in them changed.

Standard: PS3.15 E.1.1.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.dataset.data_set import DataSet, Sequence
from dicom_actors.data.dataset.element_index import ElementIndex, content_of, hold
from dicom_actors.data.dataset.lists import ItemList
from dicom_actors.data.values.character_sets import TextKind
from dicom_actors.data.values.codec import coerce
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.data.values.unread import UnreadBytes
from dicom_actors.deidentification.identity import LONGEST_SEARCHED, IdentityCheck, texts_of
from dicom_actors.deidentification.options import Option
from dicom_actors.deidentification.plan import Decision, label_of
from dicom_actors.deidentification.replacing import dummy_of, shifted
from dicom_actors.deidentification.report import Report
from dicom_actors.deidentification.tables import safe_private
from dicom_actors.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.deidentification.plan import Plans
    from dicom_actors.deidentification.replacing import Replacing

__all__ = ["Cleaner", "Patient", "elements_alone", "first_text", "value_of"]

_PATIENT_ID: Final = 0x00100020
_PATIENT_NAME: Final = 0x00100010
_STUDY: Final = 0x0020000D
_STUDY_ID: Final = 0x00200010
_ACCESSION: Final = 0x00080050
_SOP_CLASS: Final = 0x00080016
_SCHEME: Final = 0x00080102
_CODE_MEANING: Final = 0x00080104
_PIXEL_GROUP: Final = 0x7FE0
_PRIVATE_SEQUENCE: Final = 0x00090000
"""Stands for all private sequences where decisions depend on the sequence."""

_NUMBERS: Final = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "AT", "SV", "UV"})
_BINARY: Final = _NUMBERS | {"OB", "OW", "OF", "OD", "OL", "OV", "UN"}
_FEW_BYTES: Final = 6
"""Numbers of fewer bytes spell nothing."""
_FREE_TEXT: Final = frozenset({"SH", "LO", "ST", "LT", "UT", "UC", "UR", "PN", "AE"})
_FORMS: Final[dict[str, re.Pattern[bytes]]] = {
    "AS": re.compile(rb"[0-9DWMY \\\0]*"),
    "CS": re.compile(rb"[A-Z0-9_ \\\0]*"),
    "DA": re.compile(rb"[0-9.\-: \\\0]*"),
    "DS": re.compile(rb"[0-9+\-.eE \\\0]*"),
    "DT": re.compile(rb"[0-9+\-.: \\\0]*"),
    "IS": re.compile(rb"[0-9+\-. \\\0]*"),
    "TM": re.compile(rb"[0-9.\-: \\\0]*"),
    "UI": re.compile(rb"[0-9. \\\0]*"),
}
_PUBLIC_SCHEMES: Final = frozenset(
    {
        "ACR", "ASTM", "BARI", "BI", "CD8", "CDT", "CPT4", "CVX", "DCM", "FDDC", "FDI", "FMA",
        "HL7", "I10", "I10P", "I11", "I9", "I9C", "ICDO3", "ICF", "ISO3166_1", "LN", "MA", "MDC",
        "NCDR", "NCIT", "NEU", "NICIP", "NYUMCCG", "PUBCHEM_CID", "RADELEMENT", "RADLEX", "RFC5646",
        "RXNORM", "SCPECG", "SCT", "SNM3", "SRT", "UBERON", "UCUM", "UMLS", "UPC",
    }
)  # fmt: skip
"""Coding schemes that are published (PS3.16 8); codes of others may mean a person or a place."""


class Patient:
    """Whom a data set, or an item of one, is of.

    Attributes:
        patient_id: the original identifier.
        check: searches for what identifies the patient.
    """

    __slots__ = ("check", "patient_id")

    def __init__(self, patient_id: str, check: IdentityCheck) -> None:
        self.patient_id = patient_id
        self.check = check


def value_of(content: ElementIndex, tag: int) -> Any:
    """Return a value, None where there is none or where it cannot be read."""
    if tag not in content.index:
        return None
    try:
        return content.value(tag)
    except DecodeError:
        return None


def first_text(content: ElementIndex, tag: int) -> str:
    """Return the first value of an element as text, empty where there is none."""
    texts = texts_of(value_of(content, tag))
    return texts[0].strip(" \0") if texts else ""


class Cleaner:
    """Cleans one data set.

    Args:
        plans: what becomes of which element.
        replacing: makes the new values.
        report: counts what is done.
        patient_of: finds whom a data set is of, by its content.

    Attributes:
        report: the report.
        counts: what was done to this data set, by action.
    """

    def __init__(
        self,
        plans: Plans,
        replacing: Replacing,
        report: Report,
        patient_of: Callable[[ElementIndex], Patient],
    ) -> None:
        self._plans = plans
        self._replacing = replacing
        self.report = report
        self._patient_of = patient_of
        self._sop_class = ""
        self._plan = plans.at("", 0)
        self._patient: Patient = Patient("", IdentityCheck((), ()))
        self._study: tuple[str, ...] = ()
        self.counts: dict[str, int] = {}
        self._actions: dict[str, Callable[[ElementIndex, int, Any, Decision], Any]] = {
            "accession-number": self._accession,
            "content": self._content,
            "dummy": self._dummy,
            "empty": self._empty,
            "graphics": self._graphics,
            "keep": self._keep,
            "patient-id": self._patient_id,
            "patient-name": self._patient_name,
            "remove": self._remove,
            "set": self._set,
            "shift": self._shift,
            "study-id": self._study_id,
            "uid": self._uid,
            "words": self._words,
        }

    def clean(self, data_set: DataSet, replaced: dict[int, Any]) -> DataSet:
        """Clean a data set; the one that is given stays as it is.

        Args:
            data_set: the data set.
            replaced: elements by tag that are put in, whatever the plan says.
        """
        self.begin(data_set)
        made = self._elements(content_of(data_set), 0, replaced)
        self.end()
        return hold(DataSet, made)

    def begin(self, data_set: DataSet) -> None:
        """Get to know what a data set is and whom it is of, before any of its elements."""
        content = content_of(data_set)
        self._sop_class = first_text(content, _SOP_CLASS)
        self._patient = self._patient_of(content)
        self._study = tuple(first_text(content, tag) for tag in (_STUDY, _ACCESSION, _STUDY_ID))
        self._plan = self._plans.at(self._sop_class, 0)

    def end(self) -> None:
        """Report what was done to a data set."""
        self.report.instances += 1
        self.report.actions.update(self.counts)

    @property
    def context(self) -> tuple[Any, ...]:
        """What decisions about elements at the top depend on, besides the element."""
        return self._sop_class, self._patient, self._study

    def element(self, content: ElementIndex, tag: int, item: Any) -> Any:
        """Clean an element at the top, but no private one.

        Returns:
            The item itself, a new element, or None for nothing.
        """
        return self._element(content, tag, item, self._plan[tag])

    @contextmanager
    def aside(self) -> Iterator[tuple[dict[str, int], Report]]:
        """Count what is done for itself, not for the data set."""
        counts, report = self.counts, self.report
        self.counts, self.report = {}, Report()
        try:
            yield self.counts, self.report
        finally:
            self.counts, self.report = counts, report

    # --- data sets and items -----------------------------------------------------------------

    def _elements(
        self, content: ElementIndex, sequence: int, replaced: dict[int, Any] | None = None
    ) -> ElementIndex:
        """Clean the elements of a data set or item; gives the same one if nothing changed."""
        plan = self._plans.at(self._sop_class, sequence)
        changed = content.changed_values()
        kept: dict[int, Any] = {}
        private: list[int] = []
        is_same = not replaced and not changed
        for tag, item in content.sorted_index().items():
            if tag & 0x10000:
                private.append(tag)
                continue
            if replaced and tag in replaced:
                continue
            if tag in changed:
                item = content.new_element(tag, content.vr_of(tag), changed[tag])  # noqa: PLW2901
            new = self._element(content, tag, item, plan[tag])
            if new is not None:
                kept[tag] = new
            is_same = is_same and new is item
        if private:
            is_same = self._private(content, private, kept) and is_same
        if is_same:
            return content
        if replaced:
            kept.update(replaced)
        return _made(content, kept)

    def _element(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        if decision.action == "remove":
            self.count("removed")
            if decision.why:
                self._note(decision, "removed: " + decision.why)
            return None
        return self._actions[decision.action](content, tag, item, decision)

    def _sequence(
        self, content: ElementIndex, tag: int, item: Any, decision: Decision, sequence: int
    ) -> Any:
        """Clean the items of a sequence; None if it cannot be read as one."""
        items = value_of(content, tag) if type(item) is int else item.value
        if isinstance(items, list) and not isinstance(items, ItemList):
            items = Sequence(items)
        if not isinstance(items, ItemList):
            return self._unjudged(content, tag, decision, "a sequence that cannot be read")
        made, is_same = [], True
        patient = self._patient
        for data_set in items:
            inner = content_of(data_set)
            if _PATIENT_ID in inner.index:
                self._patient = self._patient_of(inner)
            new = self._elements(inner, sequence)
            self._patient = patient
            if new is inner:
                made.append(data_set)
            else:
                is_same = False
                made.append(hold(type(data_set), new))
        return item if is_same else content.new_element(tag, "SQ", Sequence(made))

    # --- actions -----------------------------------------------------------------------------
    # Each returns what stays: the item itself, a new element, or None for nothing.

    def _keep(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        if decision.why:
            self.report.kept[decision.label, decision.why] += 1
            self.count("kept")
        vr, raw = _written(content, tag, item)
        if vr == "SQ":
            return self._sequence(content, tag, item, decision, tag)
        if not decision.is_checked:
            return item
        if vr not in decision.vrs and decision.vrs:
            return self._unjudged(content, tag, decision, "another VR than it should have")
        if raw is None or tag >> 16 == _PIXEL_GROUP or (vr in _NUMBERS and len(raw) < _FEW_BYTES):
            return item
        if vr in _BINARY:
            if self._patient.check.finds(raw):
                return self._unjudged(content, tag, decision, "has what identifies the patient")
            return item
        form = _FORMS.get(vr)
        is_of_form = form is not None and form.fullmatch(raw) is not None
        if vr == "CS" and is_of_form:
            has_patient = self._patient.check.finds_in_code(raw)
        elif form is None or vr == "CS":
            has_patient = self._patient.check.finds(raw)
        elif is_of_form:
            has_patient = False
        else:
            return self._unjudged(content, tag, decision, f"no value of {vr}")
        if has_patient:
            # Whether it may be absent or empty, nobody knows here.
            self._note(decision, "has what identifies the patient")
            self.count("replaced")
            return _new(content, tag, vr, dummy_of(vr))
        return item if raw.find(0, 0, -1) < 0 else self._cut(content, tag, vr)

    @staticmethod
    def _cut(content: ElementIndex, tag: int, vr: str) -> Any:
        """Leave out what is hidden behind a NUL; UIDs and many writers pad with one (PS3.5 6.2)."""
        value = value_of(content, tag)
        texts = [text.partition("\0")[0].rstrip() for text in texts_of(value)]
        return _new(content, tag, vr, texts)

    def _unjudged(self, content: ElementIndex, tag: int, decision: Decision, why: str) -> Any:
        """Remove, empty or replace what nobody can say of what it is."""
        self._note(decision, why)
        if decision.otherwise != "remove" and _right_vr(content, tag, decision) == "SQ":
            return self._empty(content, tag, None, decision)
        return self._otherwise(content, tag, content.index[tag], decision)

    def _empty(self, content: ElementIndex, tag: int, _item: Any, decision: Decision) -> Any:
        self.count("emptied")
        vr = _right_vr(content, tag, decision)
        return content.new_element(tag, vr, Sequence() if vr == "SQ" else None)

    def _remove(self, _content: ElementIndex, _tag: int, _item: Any, _decision: Decision) -> Any:
        self.count("removed")

    def _otherwise(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        """Do what the basic profile would have done."""
        return self._actions[decision.otherwise](content, tag, item, decision)

    def _dummy(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        vr = _right_vr(content, tag, decision)
        if vr == "SQ":
            return self._dummy_sequence(content, tag, item, decision)
        if vr == "UI":
            return self._uid(content, tag, item, decision)
        self.count("replaced")
        return _new(content, tag, vr, dummy_of(vr))

    def _dummy_sequence(
        self, content: ElementIndex, tag: int, item: Any, decision: Decision
    ) -> Any:
        """Keep the shape of a sequence and let its values say nothing."""
        cleaned = self._sequence(content, tag, item, decision, tag)
        if cleaned is None:
            return self._empty(content, tag, item, decision)
        items = content.value(tag) if type(cleaned) is int else cleaned.value
        self.count("replaced")
        return content.new_element(tag, "SQ", Sequence([_hollow(each) for each in items]))

    def _uid(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        value = value_of(content, tag) if type(item) is int else item.value
        if isinstance(value, ItemList):
            return self._sequence(content, tag, item, decision, tag)
        if value is None:
            return item
        uids = [text.strip(" \0") for text in texts_of(value)]
        made = [self._replacing.uid(uid) if uid else "" for uid in uids]
        if not made:
            return self._otherwise(content, tag, item, decision)
        self.count("uid")
        if made == uids and _is_uid_alone(content, tag, item):
            return item
        return _new(content, tag, "UI", made)

    def _shift(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        vr = _right_vr(content, tag, decision)
        if vr == "SQ":
            return self._sequence(content, tag, item, decision, tag)
        value = value_of(content, tag) if type(item) is int else item.value
        if value is None:
            return item
        texts = [text.strip(" \0") for text in texts_of(value)]
        if not texts:
            self._note(decision, "no date that can be shifted")
            return self._otherwise(content, tag, item, decision)
        if vr == "TM" or (vr == "SH" and tag == 0x00080201):
            # Whole days leave the time of the day and the zone alone.
            if not all(re.fullmatch(r"[0-9.:+\-]*", text) for text in texts):
                self._note(decision, "no time")
                return self._otherwise(content, tag, item, decision)
            self._cleaned(decision)
            return _new(content, tag, vr, texts)
        days = self._replacing.shift_days(self._patient.patient_id)
        made = [shifted(text, days) if text else "" for text in texts]
        good = [text for text in made if text is not None]
        if len(good) < len(made) or not all(re.fullmatch(r"[0-9.:+\-]*", text) for text in good):
            self._note(decision, "no date that can be shifted")
            return self._otherwise(content, tag, item, decision)
        self._cleaned(decision)
        return _new(content, tag, vr, good)

    def _words(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        vr = _right_vr(content, tag, decision)
        if vr == "SQ":
            return self._codes(content, tag, item, decision)
        if vr in _FREE_TEXT or vr == "CS":
            value = value_of(content, tag) if type(item) is int else item.value
            text = self._plans.rules.words.cleaned(" ".join(texts_of(value)))
            if vr in {"SH", "AE", "CS"}:
                text = text[:16].rstrip()
            if text:
                self._cleaned(decision)
                return _new(content, tag, vr, text)
        return self._otherwise(content, tag, item, decision)

    def _codes(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        """Keep the items that are codes of published schemes; clean those that are no codes."""
        cleaned = self._sequence(content, tag, item, decision, tag)
        if cleaned is None:
            return None
        items = content.value(tag) if type(cleaned) is int else cleaned.value
        made = []
        for each in items:
            inner = content_of(each)
            scheme = first_text(inner, _SCHEME)
            if _SCHEME not in inner.index:
                made.append(each)
            elif scheme in _PUBLIC_SCHEMES:
                meaning = self._plans.rules.words.cleaned(first_text(inner, _CODE_MEANING))
                index = dict(inner.sorted_index())
                index[_CODE_MEANING] = _new(
                    inner, _CODE_MEANING, "LO", meaning[:64] or dummy_of("LO")
                )
                made.append(hold(type(each), _made(inner, index)))
        if not made:
            return self._otherwise(content, tag, item, decision)
        self._cleaned(decision)
        return content.new_element(tag, "SQ", Sequence(made))

    def _content(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        if _right_vr(content, tag, decision) != "SQ":
            return self._words(content, tag, item, decision)
        self._cleaned(decision)
        return self._sequence(content, tag, item, decision, tag)

    def _graphics(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        if _right_vr(content, tag, decision) == "SQ":
            self._cleaned(decision)
            return self._sequence(content, tag, item, decision, tag)
        # Nobody can say what a bitmap or a curve shows.
        self._note(decision, "graphics that cannot be looked at")
        return self._otherwise(content, tag, item, decision)

    def _set(self, content: ElementIndex, tag: int, _item: Any, decision: Decision) -> Any:
        self.count("replaced")
        return _new(content, tag, _right_vr(content, tag, decision), decision.value or None)

    def _patient_id(self, content: ElementIndex, tag: int, _item: Any, _decision: Decision) -> Any:
        self.count("replaced")
        text = self._replacing.patient(self._patient.patient_id).text
        return _new(content, tag, "LO", _encodable(content, text))

    def _patient_name(
        self, content: ElementIndex, tag: int, _item: Any, _decision: Decision
    ) -> Any:
        self.count("replaced")
        found = self._replacing.patient(self._patient.patient_id)
        return _new(content, tag, "PN", _encodable(content, found.name or found.text))

    def _study_id(self, content: ElementIndex, tag: int, _item: Any, _decision: Decision) -> Any:
        self.count("replaced")
        text = self._replacing.study(*self._study).text[:16]
        return _new(content, tag, "SH", _encodable(content, text))

    def _accession(self, content: ElementIndex, tag: int, item: Any, decision: Decision) -> Any:
        if not self._replacing.has_study(*self._study):
            return self._empty(content, tag, item, decision)
        return self._study_id(content, tag, item, decision)

    # --- private elements --------------------------------------------------------------------

    def _private(self, content: ElementIndex, tags: list[int], kept: dict[int, Any]) -> bool:
        """Decide on private elements; says whether all of them stay as they are.

        Those stay that an own rule keeps, or that are in the table of safe ones where the option
        is taken; and with them the private creator of their block (PS3.5 7.8).
        """
        rules = self._plans.rules.by_tag
        is_safe_kept = Option.RETAIN_SAFE_PRIVATE in self._plans.options
        if not is_safe_kept and not any(creator for creator, _ in rules):
            self.count("removed", len(tags))
            return False
        is_same, blocks = True, set()
        for tag in tags:
            if tag & 0xFFFF < 0x1000:
                continue
            item: Any = content.index[tag]
            new = self._private_element(content, tag, item, is_safe_kept=is_safe_kept)
            if new is None:
                self.count("removed")
                is_same = False
            else:
                kept[tag] = new
                blocks.add(tag & 0xFFFF0000 | tag >> 8 & 0xFF)
                is_same = is_same and new is item
        for tag in tags:
            if tag & 0xFFFF < 0x1000:
                if tag in blocks:
                    kept[tag] = content.index[tag]
                else:
                    self.count("removed")
                    is_same = False
        return is_same

    def _private_element(
        self, content: ElementIndex, tag: int, item: Any, *, is_safe_kept: bool
    ) -> Any:
        creator = content.private_creator(tag).strip()
        place = tag & 0xFFFF00FF
        rule = self._plans.rules.by_tag.get((creator, place)) if creator else None
        label = label_of(tag)
        if rule is not None:
            vr = content.vr_of(tag)
            action = "words" if rule.action == "clean" else rule.action
            decision = Decision(
                action, "remove", frozenset({vr}), label, "rule", rule.value,
                is_checked=action != "keep",
            )  # fmt: skip
            if action == "keep" and vr != "SQ":
                self.report.kept[label, "rule"] += 1
                self.count("kept")
                return item
            return self._actions[action](content, tag, item, decision)
        known = safe_private().get((creator, place)) if is_safe_kept else None
        if known is None:
            return None
        vr = content.vr_of(tag)
        allowed = frozenset(known.split("/")) | ({"SQ"} if known == "SQ" else {"UN"})
        decision = Decision("keep", "remove", allowed, label, Option.RETAIN_SAFE_PRIVATE)
        if vr not in allowed:
            return self._unjudged(content, tag, decision, "another VR than it should have")
        if vr == "UI" and Option.RETAIN_UIDS not in self._plans.options:
            return self._uid(content, tag, item, decision)
        if vr == "SQ":
            self.report.kept[label, decision.why] += 1
            return self._sequence(content, tag, item, decision, _PRIVATE_SEQUENCE)
        return self._keep(content, tag, item, decision)

    # --- counting ----------------------------------------------------------------------------

    def count(self, action: str, count: int = 1) -> None:
        """Count something that was done."""
        self.counts[action] = self.counts.get(action, 0) + count

    def _cleaned(self, decision: Decision) -> None:
        self.count("cleaned")
        self.report.kept[decision.label, decision.why] += 1

    def _note(self, decision: Decision, why: str) -> None:
        self.report.unjudged[decision.label, why] += 1


def _made(content: ElementIndex, kept: dict[int, Any]) -> ElementIndex:
    """Make the content of a data set over the same bytes, with other elements."""
    made = elements_alone(content, {tag: kept[tag] for tag in sorted(kept)})
    made.replaced = set(content.index)
    return made


def elements_alone(content: ElementIndex, elements: dict[int, Any]) -> ElementIndex:
    """Make the content of a part of a data set, to be encoded, over the same bytes."""
    scope = content.scope.of_copy(content.number)
    made = type(content)(scope, content.number, content.start, content.end, elements)
    made.replaced = set()
    scope.note_change(made.number)
    return made


def _written(content: ElementIndex, tag: int, item: Any) -> tuple[str, bytes | None]:
    """Return the VR of an element and the bytes of its value, None for encapsulated pixel data.

    Of one that was put in, the text.
    """
    if type(item) is int:
        scope = content.scope
        layout = scope.layout
        if layout.is_explicit:
            code, length = layout.read_vr(scope.buffer, item)
            if code in layout.short:
                start = item + 8
                return layout.names[code], bytes(scope.buffer[start : start + length])
        vr = content.vr_at(tag, item)
        if vr == "SQ" or tag >> 16 == _PIXEL_GROUP:
            return vr, None
        extent = content.extent_at(tag, item)
        if extent.is_undefined:
            return vr, None
        return vr, bytes(scope.buffer[extent.start : extent.end])
    if item.unread is not None:
        if tag >> 16 == _PIXEL_GROUP or not isinstance(item.unread, UnreadBytes):
            return item.vr, None
        return item.vr, bytes(item.unread[:LONGEST_SEARCHED])
    value = item.value
    if isinstance(value, bytes | memoryview):
        return item.vr, bytes(value)
    if item.vr == "SQ" or isinstance(value, EncapsulatedPixelData):
        return item.vr, None
    return item.vr, "\\".join(texts_of(value)).encode("utf-8", "surrogatepass")


def _right_vr(content: ElementIndex, tag: int, decision: Decision) -> str:
    """Return the VR of what is put in: the written one if it may be, else the right one."""
    vr = content.vr_of(tag)
    if vr in decision.vrs or not decision.vrs:
        return vr
    known = content.dictionary_vr(tag)
    return known if known != "UN" else vr


def _is_uid_alone(content: ElementIndex, tag: int, item: Any) -> bool:
    """Whether an element is a UI and nothing is behind its values."""
    if type(item) is not int:
        return bool(item.vr == "UI")
    if content.vr_at(tag, item) != "UI":
        return False
    return bytes(content.raw_at(tag, item)).rstrip(b"\0 ").find(0) < 0


def _hollow(item: DataSet) -> DataSet:
    """Make an item whose texts are dummies and whose measures are zero; its shape stays.

    Codes of published schemes, UIDs (which were replaced before) and what says how the rest is to
    be read (CS, integers) stay, so that it is still what its IOD demands.
    """
    content = content_of(item)
    is_public_code = first_text(content, _SCHEME) in _PUBLIC_SCHEMES
    index: dict[int, Any] = {}
    for tag, each in content.sorted_index().items():
        vr = content.vr_of(tag)
        if vr == "SQ":
            value = value_of(content, tag)
            items = value if isinstance(value, ItemList) else ()
            index[tag] = content.new_element(tag, "SQ", Sequence([_hollow(one) for one in items]))
        elif tag == _SCHEME and not is_public_code:
            index[tag] = _new(content, tag, "SH", "99REMOVED")
        elif vr in _HOLLOW_KEEPS or (is_public_code and tag >> 16 == 0x0008):
            index[tag] = each
        elif vr in {"FL", "FD"}:
            value = value_of(content, tag)
            index[tag] = _new(
                content, tag, vr, [0.0] * (len(value) if isinstance(value, list) else 1)
            )
        else:
            made = "1" if vr == "IS" else dummy_of(vr)
            index[tag] = _new(content, tag, vr, None if value_of(content, tag) is None else made)
    return hold(type(item), _made(content, index))


_HOLLOW_KEEPS: Final = frozenset({"CS", "UI", "US", "SS", "UL", "SL", "AT"})


def _new(content: ElementIndex, tag: int, vr: str, value: Any) -> Any:
    """Make an element of a value as users give it; of one that its VR cannot have, an empty one."""
    if isinstance(value, list):
        value = [each for each in value if each != ""] if len(value) == 1 else value
    try:
        return content.new_element(tag, vr, coerce(vr, value, tag))
    except EncodeError:
        return content.new_element(tag, vr, None)


def _encodable(content: ElementIndex, text: str) -> str:
    """Return a text, with question marks for what the character set of the data set lacks."""
    if text.isascii():
        return text
    try:
        content.character_set.encode(text, TextKind.TEXT)
    except (EncodeError, UnicodeEncodeError):
        return text.encode("ascii", "replace").decode()
    return text
