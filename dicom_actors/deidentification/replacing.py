"""New values in place of those that identify: UIDs, pseudonyms, shifted dates, dummies.

All that depends on the original is a keyed hash of it: the same key gives the same UIDs and
pseudonyms in every process and at any time, and without the key nothing leads back.

Standard: PS3.5 B.2 (UIDs from UUIDs), PS3.15 E.3.6 (dates).
"""

from __future__ import annotations

import csv
import re
from base64 import b32encode
from datetime import date, timedelta
from hashlib import blake2b
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dictionary import uid_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DUMMIES", "Pseudonym", "Pseudonyms", "Replacing", "dummy_of", "shifted"]

DUMMIES: Final[dict[str, Any]] = {
    "AS": "000D",
    "AT": 0,
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "FD": 0.0,
    "FL": 0.0,
    "IS": "0",
    "OB": bytes(2),
    "OD": bytes(8),
    "OF": bytes(4),
    "OL": bytes(4),
    "OV": bytes(8),
    "OW": bytes(2),
    "SL": 0,
    "SS": 0,
    "SV": 0,
    "TM": "000000",
    "UL": 0,
    "UN": bytes(2),
    "UR": "about:blank",
    "US": 0,
    "UV": 0,
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), "REMOVED"),
}
"""A value of each VR that says nothing."""

_MAX_SHIFT: Final = 3650
_DATE: Final = re.compile(r"(\d{4})([.\-]?)(?:(\d\d)(?:\2(\d\d))?)?")
_KNOWN_UIDS: Final = 100_000


def dummy_of(vr: str) -> Any:
    """Return the dummy value of a VR; UIDs have none, they are replaced."""
    return DUMMIES.get(vr)


class Pseudonym(NamedTuple):
    """What a patient or a study is called.

    Attributes:
        text: in place of the identifier.
        name: in place of the patient's name; empty: the text.
        shift_days: by how many days to shift the patient's dates; None: by a keyed hash.
    """

    text: str
    name: str = ""
    shift_days: int | None = None


class Pseudonyms:
    """A mapping from identifiers to pseudonyms.

    Args:
        patients: by Patient ID.
        studies: by Study Instance UID, Accession Number or Study ID.
    """

    def __init__(
        self,
        patients: Mapping[str, Pseudonym] | None = None,
        studies: Mapping[str, Pseudonym] | None = None,
    ) -> None:
        self.patients = dict(patients or {})
        self.studies = dict(studies or {})

    @classmethod
    def from_csv(cls, text: str) -> Pseudonyms:
        """Read a mapping from a table of comma-separated values with a header line.

        The columns ``original`` and ``pseudonym`` have to be there. Those that may: ``level``,
        which is ``patient`` or ``study`` (empty: patient), ``name`` (a patient's new name) and
        ``shift_days``.

        Raises:
            ValueError: it is no such table; the message has the number of the line, and never
                what stands in it.
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"pseudonyms: expected a text, got {type(text).__name__}")
        reader = csv.DictReader(StringIO(text.lstrip("\ufeff")))
        try:
            columns = reader.fieldnames or ()
            rows = [(f"line {reader.line_num}", row) for row in reader]
        except csv.Error as error:  # a value of more than 128 KiB, as where a quote is left open
            raise ValueError(f"line {reader.line_num + 1}: {error}") from None
        if not {"original", "pseudonym"} <= set(columns):
            raise ValueError("expected columns named original and pseudonym in the first line")
        made = cls()
        for line, row in rows:
            original = (row["original"] or "").strip()
            pseudonym = (row["pseudonym"] or "").strip()
            level = (row.get("level") or "patient").strip().lower()
            days = (row.get("shift_days") or "").strip()
            if not original or not pseudonym:
                raise ValueError(f"{line}: expected an original and a pseudonym")
            if len(pseudonym) > 64 or "\\" in pseudonym or not pseudonym.isprintable():
                raise ValueError(f"{line}: expected a pseudonym of up to 64 characters")
            if level not in {"patient", "study"}:
                raise ValueError(f"{line}: expected the level patient or study")
            if days and not re.fullmatch(r"[+-]?\d{1,6}", days):
                raise ValueError(f"{line}: expected a whole number of days")
            table = made.patients if level == "patient" else made.studies
            if original in table:
                raise ValueError(f"{line}: this original stands in an earlier line, too")
            name = (row.get("name") or "").strip()
            table[original] = Pseudonym(pseudonym, name, int(days) if days else None)
        return made


class Replacing:
    """Makes new values from a key.

    Args:
        key: the key of all hashes; who has it can tell what an original became.
        pseudonyms: those that are given; all others are made.
        keeps_uids: whether `uids` has all that were made.

    Attributes:
        uids: new UIDs by the original ones, as many as are kept.
    """

    def __init__(self, key: bytes, pseudonyms: Pseudonyms, *, keeps_uids: bool = False) -> None:
        self._key = blake2b(key, digest_size=32, person=b"dicom-deidentify").digest()
        self._pseudonyms = pseudonyms
        self._keeps_uids = keeps_uids
        self.uids: dict[str, str] = {}

    def _hash(self, kind: bytes, text: str, size: int) -> bytes:
        return blake2b(
            text.encode("utf-8", "surrogatepass"), digest_size=size, key=self._key, person=kind
        ).digest()

    def uid(self, uid: str) -> str:
        """Return the UID in place of another one; those that the standard registers stay."""
        found = self.uids.get(uid)
        if found is None:
            if uid.startswith("1.2.840.10008.") and uid_entry(uid) is not None:
                found = uid
            else:
                raw = bytearray(self._hash(b"uid", uid, 16))
                raw[6] = raw[6] & 0x0F | 0x80  # a UUID of version 8 (RFC 9562)
                raw[8] = raw[8] & 0x3F | 0x80
                found = f"2.25.{int.from_bytes(raw, 'big')}"
            if not self._keeps_uids and len(self.uids) >= _KNOWN_UIDS:
                self.uids.clear()
            self.uids[uid] = found
        return found

    def patient(self, patient_id: str) -> Pseudonym:
        """Return what a patient is called."""
        given = self._pseudonyms.patients.get(patient_id)
        return given or Pseudonym("P" + self._letters(b"patient", patient_id))

    def study(self, *identifiers: str) -> Pseudonym:
        """Return what a study is called.

        Args:
            identifiers: what it is called in the original: the first one that the mapping has
                counts, else the first one that there is.
        """
        for identifier in identifiers:
            if identifier in self._pseudonyms.studies:
                return self._pseudonyms.studies[identifier]
        known = next(filter(None, identifiers), "")
        return Pseudonym("S" + self._letters(b"study", known))

    def has_patient(self, patient_id: str) -> bool:
        """Whether the mapping has a patient."""
        return patient_id in self._pseudonyms.patients

    def has_study(self, *identifiers: str) -> bool:
        """Whether the mapping has a study by one of these."""
        return any(identifier in self._pseudonyms.studies for identifier in identifiers)

    def shift_days(self, patient_id: str) -> int:
        """Return by how many days a patient's dates are shifted: back, by up to ten years."""
        given = self._pseudonyms.patients.get(patient_id)
        if given is not None and given.shift_days is not None:
            return given.shift_days
        number = int.from_bytes(self._hash(b"dates", patient_id, 8), "big")
        return -1 - number % _MAX_SHIFT

    def _letters(self, kind: bytes, text: str) -> str:
        # 14 letters are 70 bits; with the first one they fit into an SH.
        return b32encode(self._hash(kind, text, 10)).decode()[:14]


def shifted(text: str, days: int) -> str | None:
    """Shift a date, or a date and time, by whole days.

    Args:
        text: DA or DT; what stands behind the date (the time, an offset) stays, and so does its
            precision: a month or a year alone is shifted from its first day on.
        days: by how many.

    Returns:
        The shifted one; None if it is no date, or its year would have no four digits.
    """
    match = _DATE.match(text)
    if match is None:
        return None
    year, dot, month, day = match.groups()
    rest = text[match.end() :]
    if rest[:1].isdigit() and day is None:
        return None
    try:
        made = date(int(year), int(month or 1), int(day or 1)) + timedelta(days)
    except (ValueError, OverflowError):
        return None
    parts = (f"{made.year:04}", f"{made.month:02}", f"{made.day:02}")
    return dot.join(parts[: 1 + (month is not None) + (day is not None)]) + rest
