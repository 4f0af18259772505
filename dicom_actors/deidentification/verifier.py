"""A search of de-identified files for what identified the patient in the originals.

It shares no code with what de-identifies, nor with the reading of data sets: it has a small walk
over elements of its own, learns values from the originals (names by part, identifiers, dates,
UIDs, addresses), and searches every byte of a result but for its pixel data, whatever attribute
that is in, or none. Text is searched in the encodings that it may come in, dates in the forms
that people write; NULs between letters (UTF-16) do not hide it.

What is too short to mean anybody (a name of two letters, an identifier of three digits) is not
searched; `Verifier.unsearchable` counts that. Findings never have the value itself.

Standard: PS3.5 7.1 and 7.5 (the walk), PS3.10 7.1, PS3.15 E.1.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_right
from struct import unpack_from
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Finding", "Verifier"]

_LONG_VRS: Final = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT_VRS: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_DEEPEST: Final = 64
_MOST_PLACES: Final = 100
_MOST_INFLATED: Final = 1 << 30
_PIXELS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_CHARACTER_SET: Final = 0x00080005
_MANUFACTURER: Final = 0x00080070
_DEFLATED: Final = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"})
_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
_IMPLICIT: Final = "1.2.840.10008.1.2"

_NAMES: Final = {
    0x00100010: "Patient's Name",
    0x00101001: "Other Patient Names",
    0x00101005: "Patient's Birth Name",
    0x00101060: "Patient's Mother's Birth Name",
    0x00102297: "Responsible Person",
    0x00080090: "Referring Physician's Name",
    0x0008009C: "Consulting Physician's Name",
    0x00081048: "Physician(s) of Record",
    0x00081050: "Performing Physician's Name",
    0x00081060: "Name of Physician(s) Reading Study",
    0x00081070: "Operators' Name",
    0x00321032: "Requesting Physician",
    0x0040A123: "Person Name",
    0x0040A075: "Verifying Observer Name",
    0x00700084: "Content Creator's Name",
    0x300E0008: "Reviewer Name",
    0x40080114: "Physician Approving Interpretation",
}
_IDENTIFIERS: Final = {
    0x00100020: "Patient ID",
    0x00101000: "Other Patient IDs",
    0x00080050: "Accession Number",
    0x00200010: "Study ID",
    0x00380010: "Admission ID",
    0x00380060: "Service Episode ID",
    0x00101090: "Medical Record Locator",
    0x00402016: "Placer Order Number",
    0x00402017: "Filler Order Number",
    0x00401001: "Requested Procedure ID",
    0x00120040: "Clinical Trial Subject ID",
    0x00102154: "Patient's Telephone Numbers",
}
_PLACES: Final = {
    0x00101040: "Patient's Address",
    0x00080081: "Institution Address",
    0x00080080: "Institution Name",
    0x00080092: "Referring Physician's Address",
    0x00080094: "Referring Physician's Telephone Numbers",
    0x00102299: "Responsible Organization",
}
_DEVICES: Final = {0x00181000: "Device Serial Number", 0x00081010: "Station Name"}
_INSTANCE_UIDS: Final = frozenset(
    {
        0x00020003, 0x00041511, 0x00080014, 0x00080017, 0x00080018, 0x00080019, 0x00080058,
        0x00081155, 0x00081167, 0x00083010, 0x00181002, 0x00189074, 0x0020000D, 0x0020000E,
        0x00200052, 0x00200200, 0x00209161, 0x00209164, 0x00281199, 0x00281214, 0x0040A124,
        0x0040A171, 0x0040A402, 0x0040DB0D, 0x00880140, 0x04000100, 0x0070031A, 0x30060024,
        0x300600C2, 0x300A0013,
    }
)  # fmt: skip
_NOBODY: Final = frozenset(
    {
        "anonymous", "anonymized", "anonymised", "anon", "none", "unknown", "removed", "empty",
        "19000101", "patient", "name", "phantom", "test", "tests", "text", "code", "num",
        "pname", "image", "images", "report", "axial", "sagittal", "coronal", "original",
        "derived", "primary", "secondary", "other", "localizer", "volume", "series", "study",
        "perfusion", "diffusion", "head", "skull", "brain", "face", "orbit", "neck", "cspine",
        "tspine", "lspine", "spine", "chest", "thorax", "heart", "lung", "abdomen", "liver",
        "kidney", "pancreas", "pelvis", "prostate", "bladder", "uterus", "breast", "shoulder",
        "arm", "elbow", "wrist", "hand", "finger", "hip", "leg", "knee", "ankle", "foot",
        "extremity", "aorta", "carotid", "vessel", "whole", "body", "wholebody"
    }
)  # fmt: skip
"""Words that stand in names and identifiers and mean nobody."""

_PARTS: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_UID: Final = re.compile(rb"(?<![0-9.])[0-2](?:\.[0-9]{1,64}){3,30}")
_DIGITS: Final = re.compile(rb"[0-9]{8,20}")
_WRITTEN: Final = re.compile(
    rb"(?<![0-9])(?:([0-9]{4})[-./ ]([0-9]{1,2})[-./ ]([0-9]{1,2})"
    rb"|([0-9]{1,2})[-./ ]([0-9]{1,2})[-./ ]([0-9]{4}))(?![0-9])"
)
_ESCAPE: Final = re.compile(rb"\x1b[\x20-\x2f]{1,3}[\x30-\x7e]")
_CODECS: Final = (
    "utf-8", "iso8859-1", "iso8859-2", "iso8859-3", "iso8859-4", "iso8859-5", "iso8859-6",
    "iso8859-7", "iso8859-8", "iso8859-9", "iso8859-15", "cp1252", "tis-620", "shift_jis",
    "iso2022_jp_2", "euc_jp", "euc_kr", "gb2312", "gb18030", "utf-16-le", "utf-16-be", "cp437",
    "mac-roman", "koi8-r",
)  # fmt: skip
_DECODERS: Final = {
    "ISO_IR 100": "iso8859-1", "ISO_IR 101": "iso8859-2", "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4", "ISO_IR 144": "iso8859-5", "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7", "ISO_IR 138": "iso8859-8", "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15", "ISO_IR 166": "tis-620", "ISO_IR 13": "shift_jis",
    "ISO_IR 192": "utf-8", "GB18030": "gb18030", "GBK": "gbk", "ISO 2022 IR 87": "iso2022_jp_2",
    "ISO 2022 IR 159": "iso2022_jp_2", "ISO 2022 IR 149": "euc_kr", "ISO 2022 IR 58": "gb2312",
}  # fmt: skip
_KINDS: Final = frozenset({"dates", "uids", "institution", "device"})


class Finding(NamedTuple):
    """A value of an original that a result has.

    Attributes:
        what: which attribute of the original it is of.
        where: the element of the result, through sequences; else ``"preamble"`` or
            ``"outside of all elements"``.
        offset: where in the file, in bytes; in the inflated data set, if it is deflated.
    """

    what: str
    where: str
    offset: int

    def __str__(self) -> str:
        return f"{self.what} in {self.where} at byte {self.offset}"


class _Element(NamedTuple):
    path: str
    tag: int
    vr: bytes
    start: int
    end: int
    character_set: tuple[str, ...]


class Verifier:
    """Learns from originals, and searches results.

    Args:
        retained: what was kept on purpose and is not searched: of ``"dates"``, ``"uids"``,
            ``"institution"`` and ``"device"``.

    Attributes:
        unsearchable: how many values of the originals are too short to be searched.

    Raises:
        ValueError: a word of `retained` is none of these.
    """

    def __init__(self, retained: Iterable[str] = ()) -> None:
        self._retained = frozenset([retained] if isinstance(retained, str) else retained)
        if not self._retained <= _KINDS:
            raise ValueError(f"expected some of {', '.join(sorted(_KINDS))}")
        self._needles: dict[bytes, str] = {}
        self._by_start: dict[bytes, list[bytes]] = {}
        self._uids: dict[bytes, str] = {}
        self._dates: dict[bytes, str] = {}
        self._seen: set[tuple[str, bytes]] = set()
        self._makers: set[str] = set()
        self.unsearchable = 0

    # --- learning ----------------------------------------------------------------------------

    def learn(self, original: bytes) -> None:
        """Learn the values that identify the patient from an original file.

        Args:
            original: its bytes.

        Raises:
            TypeError: it is no bytes, such as the path of a file.
        """
        data, found = _read(original)
        elements = list(found)
        for element in elements:
            if element.tag == _MANUFACTURER:
                raw = data[element.start : element.end].strip(b" \0")
                self._makers.add(raw.decode("ascii", "replace").casefold())
        for element in elements:
            raw = data[element.start : element.end].strip(b" \0")
            if raw and len(raw) < 65_536:
                self._learn(element, raw)

    def _learn(self, element: _Element, raw: bytes) -> None:
        tag, vr = element.tag, element.vr
        label = _NAMES.get(tag)
        if label is None and vr == b"PN":
            label = _label(tag)
        if (label or tag in _IDENTIFIERS or tag in _PLACES or tag in _DEVICES) and (
            (key := (f"{tag:X}", raw)) not in self._seen
        ):
            self._seen.add(key)
            texts = _decoded(raw, element.character_set)
            if label is not None:
                self._learn_name(label, raw, texts)
            elif tag in _IDENTIFIERS:
                for text in texts:
                    for value in text.split("\\"):
                        self._add_text(_IDENTIFIERS[tag], value.strip())
            elif tag in _PLACES and not (
                "institution" in self._retained and tag in {0x00080080, 0x00080081}
            ):
                for text in texts:
                    if any(text.strip().casefold() in maker for maker in self._makers):
                        continue  # named as the manufacturer, which stays
                    self._add_text(_PLACES[tag], text.strip())
                    for part in re.split(r"[,;\r\n\\]", text):
                        self._add_text(_PLACES[tag], part.strip(), shortest=6)
            elif tag in _DEVICES and "device" not in self._retained:
                for text in texts:
                    self._add_text(_DEVICES[tag], text.strip(), shortest=5)
        elif tag in _INSTANCE_UIDS and "uids" not in self._retained:
            for uid in raw.split(b"\\"):
                uid = uid.strip(b" \0")  # noqa: PLW2901
                if uid.count(b".") >= 3 and not uid.startswith(b"1.2.840.10008."):
                    self._uids.setdefault(uid, _label(tag))
        elif vr in {b"DA", b"DT"} and "dates" not in self._retained and element.tag >> 16 != 2:
            for written in raw.split(b"\\"):
                digits = re.sub(rb"(?<=[0-9])[.\-](?=[0-9])", b"", written[:10])[:8]
                if re.fullmatch(rb"(?:1[89]|2[01])[0-9]{6}", digits) and digits != b"19000101":
                    self._dates.setdefault(digits, _label(tag))

    def _learn_name(self, label: str, raw: bytes, texts: list[str]) -> None:
        for text in texts:
            for component in re.split(r"[\\^=]", text):
                for part in _PARTS.findall(component):
                    self._add_text(f"part of {label}", part)
        for run in _ESCAPE.split(raw) if b"\x1b" in raw else ():
            for part in re.split(rb"[\\^= ]", run):
                if len(part) >= 4:
                    self._add(label, part.lower())

    def _add_text(self, label: str, text: str, shortest: int = 3) -> None:
        folded = text.casefold()
        if not text or folded in _NOBODY:
            return
        wanted = max(shortest, 4) if not any(map(str.isalpha, text)) else shortest
        if text.isascii():
            if len(text) < wanted:
                self.unsearchable += 1
            else:
                self._add(label, text.encode().lower())
            return
        for form in {text, text.upper(), text.lower()}:
            for codec in _CODECS:
                try:
                    needle = form.encode(codec)
                except UnicodeEncodeError:
                    continue
                for run in _ESCAPE.split(needle):
                    if len(run) >= 4 or (len(run) == 3 and len(text) >= 3):
                        self._add(label, run.lower())

    def _add(self, label: str, needle: bytes) -> None:
        if needle not in self._needles:
            self._needles[needle] = label
            self._by_start.setdefault(needle[:3], []).append(needle)

    # --- searching ---------------------------------------------------------------------------

    def search(self, result: bytes) -> list[Finding]:
        """Search a result for all that was learned.

        Returns:
            What was found, each place once, in order.

        Raises:
            TypeError: as `learn` does.
        """
        data, found_elements = _read(result)
        elements = sorted(found_elements, key=lambda each: (each.start, -each.end))
        places: dict[int, str] = {}
        kept = []
        if "uids" in self._retained:
            kept = [each for each in elements if each.vr == b"UI" or each.tag in _INSTANCE_UIDS]
        blank = _without(data, [(each.start, data[each.start : each.end]) for each in kept])
        for start, end in _without_pixels(elements, len(data)):
            self._search_part(data[start:end], blank[start:end], start, places)
        starts = [element.start for element in elements]
        return [
            Finding(what, _place(elements, starts, at), at) for at, what in sorted(places.items())
        ]

    def _search_part(self, part: bytes, blank: bytes, start: int, places: dict[int, str]) -> None:
        """Search a part of a result, as it is and without its NULs.

        Args:
            part: its bytes.
            blank: the same, without UIDs that were kept on purpose.
            start: where it starts.
            places: what is found, by where.
        """
        found: dict[int, str] = {}
        # Dates within UIDs are no dates. Without NULs, the digit before one may be a length's.
        blank = _without(blank, [(match.start(), match[0]) for match in _UID.finditer(part)])
        self._search(part, blank, found)
        if b"\0" in part:
            others: dict[int, str] = {}
            self._search(part.replace(b"\0", b""), blank.replace(b"\0", b""), others)
            known = set(found.values())
            for at, what in others.items():
                if what not in known:
                    found.setdefault(_before_squeezing(part, at), what)
        places.update((start + at, what) for at, what in found.items())

    def _search(self, data: bytes, blank: bytes, places: dict[int, str]) -> None:
        """Search bytes; for dates, the same bytes with other ones in place of UIDs."""
        uids = [(match.start(), match[0]) for match in _UID.finditer(data)]
        for at, uid in uids:
            what = self._uids.get(uid)
            if what is not None:
                places[at] = what
        if self._dates:
            self._search_dates(_without(blank, uids), places)
        low = data.lower()
        windows = {low[at : at + 3] for at in range(len(low) - 2)}
        for start in windows & self._by_start.keys():
            for needle in self._by_start[start]:
                at, left = low.find(needle), _MOST_PLACES
                while at >= 0 and left:
                    if _is_apart(low, at, needle):
                        places.setdefault(at, self._needles[needle])
                        left -= 1
                    at = low.find(needle, at + len(needle))

    def _search_dates(self, data: bytes, places: dict[int, str]) -> None:
        dates = self._dates
        for match in _DIGITS.finditer(data):
            run = match[0]
            for at in range(len(run) - 7):
                what = dates.get(run[at : at + 8])
                if what is not None:
                    places[match.start() + at] = what
        for match in _WRITTEN.finditer(data):
            year, month, day, first, second, year_last = match.groups()
            forms = (
                {year + month.zfill(2) + day.zfill(2)}
                if year
                else {
                    year_last + first.zfill(2) + second.zfill(2),
                    year_last + second.zfill(2) + first.zfill(2),
                }
            )
            for form in forms & dates.keys():
                places[match.start()] = dates[form]


def _is_apart(data: bytes, at: int, needle: bytes) -> bool:
    """Whether what is found is no part of another word; long and non-ASCII text may be."""
    if not needle.isascii() or len(needle) >= 12:
        return True
    before, behind = data[max(at - 1, 0) : at], data[at + len(needle) : at + len(needle) + 1]
    if before.isalnum() or behind.isalnum():
        return False
    if needle.isdigit():
        # A part of a number with a sign or a fraction is no identifier.
        return before not in {b".", b"-", b"+"} and behind != b"."
    return True


def _without_pixels(elements: list[_Element], end: int) -> Iterator[tuple[int, int]]:
    """Give what is not pixel data of the top, as starts and ends."""
    start = 0
    for element in elements:
        if element.tag in _PIXELS and "/" not in element.path and element.start >= start:
            yield start, element.start
            start = element.end
    yield start, end


def _without(data: bytes, runs: list[tuple[int, bytes]]) -> bytes:
    if not runs:
        return data
    made = bytearray(data)
    for at, run in runs:
        made[at : at + len(run)] = b"." * len(run)
    return bytes(made)


def _before_squeezing(data: bytes, at: int) -> int:
    """Return where the byte of an offset was before the NULs were taken out."""
    low, high = 0, len(data)
    while low < high:
        middle = (low + high) // 2
        if middle - data.count(b"\0", 0, middle) <= at:
            low = middle + 1
        else:
            high = middle
    return low - 1


def _place(elements: list[_Element], starts: list[int], at: int) -> str:
    number = bisect_right(starts, at) - 1
    # Elements are nested a few deep; what is before may end before.
    for step in range(number, max(number - 200, -1), -1):
        if elements[step].start <= at < elements[step].end:
            return elements[step].path
    return "preamble" if at < 128 else "outside of all elements"


def _label(tag: int) -> str:
    known = _NAMES.get(tag) or _IDENTIFIERS.get(tag) or _PLACES.get(tag)
    return known or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _decoded(raw: bytes, terms: tuple[str, ...]) -> list[str]:
    """Decode text in all the ways that its character set, or a wrong one, may mean."""
    codecs = [_DECODERS[term] for term in terms if term in _DECODERS]
    if raw.isascii() and b"\x1b" not in raw:
        codecs = ["ascii"]
    elif not codecs:
        codecs = ["utf-8", "iso8859-1"]
    found: list[str] = []
    for codec in codecs:
        text = _ESCAPE.sub(b"", raw) if codec in {"euc_kr", "gb2312"} else raw
        decoded = text.decode(codec, "ignore")
        if decoded and decoded not in found:
            found.append(decoded)
    return found


# --- reading ---------------------------------------------------------------------------------


def _read(file: bytes) -> tuple[bytes, list[_Element]]:
    """Walk over a file; returns its bytes, inflated if need be, and what elements were found."""
    if not isinstance(file, bytes):
        raise TypeError(f"expected the bytes of a file, got {type(file).__name__}")
    start = 132 if file[128:132] == b"DICM" else 0
    elements: list[_Element] = []
    syntax = ""
    at = start
    while at + 8 <= len(file) and file[at : at + 2] == b"\x02\0":
        # The file meta information is explicit little endian always.
        header = _header(file, at, explicit=True, order="<")
        if header is None:
            break
        tag, vr, value, length = header
        end = value + length
        if length == _UNDEFINED or end > len(file):
            break
        elements.append(_Element(_label(tag), tag, vr, value, end, ()))
        if tag == 0x00020010:
            syntax = file[value:end].strip(b" \0").decode("ascii", "replace")
        at = end
    data = file
    if syntax in _DEFLATED:
        try:
            machine = zlib.decompressobj(-zlib.MAX_WBITS)
            inflated = machine.decompress(file[at:], _MOST_INFLATED)
            data = file[:at] + inflated + machine.unused_data
        except zlib.error:
            data = file
    order = ">" if syntax == _BIG_ENDIAN else "<"
    explicit = syntax != _IMPLICIT
    if explicit != (data[at + 4 : at + 6] in _LONG_VRS | _SHORT_VRS) and at + 8 <= len(data):
        explicit = not explicit  # it is not what it is announced as
    elements += _walk(data, at, len(data), explicit=explicit, order=order)
    return data, elements


def _header(
    data: bytes, at: int, *, explicit: bool, order: str
) -> tuple[int, bytes, int, int] | None:
    if at + 8 > len(data):
        return None
    group, element = unpack_from(order + "HH", data, at)
    tag = group << 16 | element
    vr = data[at + 4 : at + 6]
    if not explicit or group == 0xFFFE or (vr not in _LONG_VRS and vr not in _SHORT_VRS):
        return tag, b"", at + 8, unpack_from(order + "I", data, at + 4)[0]
    if vr in _LONG_VRS:
        if at + 12 > len(data):
            return None
        return tag, vr, at + 12, unpack_from(order + "I", data, at + 8)[0]
    return tag, vr, at + 8, unpack_from(order + "H", data, at + 6)[0]


class _Level(NamedTuple):
    """What the walk is in: a data set or item, or the items of a sequence."""

    is_items: bool
    path: str
    end: int
    explicit: bool
    character_set: tuple[str, ...]


def _walk(data: bytes, at: int, end: int, *, explicit: bool, order: str) -> Iterator[_Element]:
    """Give all elements, those in sequences too, as far as there is sense in the bytes."""
    levels = [_Level(False, "", end, explicit, ())]
    while levels:
        here = levels[-1]
        if at + 8 > here.end:
            at = max(at, here.end) if here.end < end else at
            levels.pop()
            continue
        header = _header(data, at, explicit=here.explicit and not here.is_items, order=order)
        if header is None:
            return
        tag, vr, value, length = header
        if tag in {_ITEM_END, _SEQUENCE_END}:
            at += 8
            levels.pop()
            continue
        stop = here.end if length == _UNDEFINED else value + length
        stop = min(stop, here.end)
        if here.is_items:
            if tag != _ITEM:
                levels.pop()  # no items after all
                continue
            at = value
            levels.append(here._replace(is_items=False, end=stop))
            continue
        path = f"{here.path}/{_label(tag)}".lstrip("/")
        if tag == _CHARACTER_SET and length != _UNDEFINED:
            text = data[value:stop].decode("ascii", "replace")
            terms = tuple(part.strip(" \0") for part in text.split("\\"))
            levels[-1] = here = here._replace(character_set=terms)
        if tag in _PIXELS and length == _UNDEFINED:
            after = _past_fragments(data, value, here.end, order)
            yield _Element(path, tag, vr, value, after, here.character_set)
            at = after
            continue
        is_item = data[value : value + 4] in {b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"}
        is_sequence = vr == b"SQ" or length == _UNDEFINED or (vr in {b"", b"UN"} and is_item)
        if is_sequence and len(levels) < 2 * _DEEPEST:
            inner = here.explicit
            if vr == b"UN":
                inner = data[value + 12 : value + 14] in _LONG_VRS | _SHORT_VRS
            yield _Element(path, tag, b"SQ", value, stop, here.character_set)
            at = value
            levels.append(_Level(True, path, stop, inner, here.character_set))
            continue
        yield _Element(path, tag, vr or _KNOWN_VRS.get(tag, b""), value, stop, here.character_set)
        at = stop


def _past_fragments(data: bytes, at: int, end: int, order: str) -> int:
    while at + 8 <= end:
        group, element, length = unpack_from(order + "HHI", data, at)
        at += 8
        if group << 16 | element != _ITEM:
            return int(at)
        at += length
    return end


_KNOWN_VRS: Final = {
    **dict.fromkeys(_NAMES, b"PN"),
    **dict.fromkeys(
        (
            0x00080012, 0x00080020, 0x00080021, 0x00080022, 0x00080023, 0x00080024, 0x00080025,
            0x00100030, 0x001021D0, 0x00321000, 0x00321040, 0x00380020, 0x00380030, 0x00400002,
            0x00400004, 0x00400244, 0x00400250, 0x00402004, 0x00700082, 0x0040A121, 0x00181012,
            0x00181200, 0x300A0006, 0x30080250, 0x300E0004,
        ),
        b"DA",
    ),
    **dict.fromkeys((0x0008002A, 0x00080015, 0x0040A120, 0x0040A032), b"DT"),
}  # fmt: skip
"""VRs of what is learned from, where no VR is written."""
