"""What identifies the patient of a data set, looked for in what is about to stay.

The profile goes by attributes, and a name that somebody typed into another one would stay. So what
stays is searched for the parts of the patient's names and for the identifiers, in the encodings
that text comes in; and what has one is treated like an attribute that the profile lists.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LONGEST_SEARCHED", "IdentityCheck", "texts_of"]

_PARTS: Final = re.compile(r"[^\W_]{2,}(?:['-][^\W_]+)*")
_CODECS: Final = (
    "utf-8",
    "utf-16-le",
    "utf-16-be",
    "iso8859-1",
    "iso8859-2",
    "iso8859-5",
    "iso8859-6",
    "iso8859-7",
    "iso8859-8",
    "iso8859-9",
    "shift_jis",
    "iso2022_jp_2",
    "euc_kr",
    "gb18030",
)
_SHORTEST: Final = 3
LONGEST_SEARCHED: Final = 1 << 20
"""Bytes of a value that are searched."""
_MOST_NEEDLES: Final = 400
_ANYWHERE: Final = 8
"""From this length on, an identifier counts within a longer word, too."""
_MOST_CODES: Final = 1_000
_TERMS: Final = frozenset(
    b"ORIGINAL DERIVED PRIMARY SECONDARY MIXED AXIAL SAGITTAL CORONAL LOCALIZER VOLUME OTHER NONE"
    b" PERFUSION DIFFUSION ANGIO FLUOROSCOPY CARDIAC DYNAMIC STATIC GATED WHOLE TOMO SUMMATION"
    b" SUBTRACTION MAXIMUM MINIMUM MEAN MEDIAN FILTERED ADDITION DIVISION MASKED PHASE MAGNITUDE"
    b" HEAD SKULL BRAIN FACE EYE ORBIT EAR NOSE JAW MAXILLA MANDIBLE TEETH TONGUE NECK LARYNX"
    b" PHARYNX THYROID CSPINE TSPINE LSPINE SSPINE SPINE COCCYX SACRUM CHEST STERNUM RIB CLAVICLE"
    b" SCAPULA HEART AORTA CAROTID LUNG BRONCHUS BREAST DIAPHRAGM ESOPHAGUS ABDOMEN STOMACH LIVER"
    b" SPLEEN PANCREAS GALLBLADDER DUODENUM COLON RECTUM KIDNEY URETER BLADDER URETHRA PELVIS"
    b" PROSTATE UTERUS OVARY VAGINA PENIS TESTIS SHOULDER HUMERUS ARM ELBOW FOREARM RADIUS ULNA"
    b" WRIST HAND FINGER THUMB HIP FEMUR LEG THIGH KNEE PATELLA CALF TIBIA FIBULA ANKLE FOOT TOE"
    b" EXTREMITY WHOLEBODY VEIN ARTERY VESSEL CODE TEXT NUM IMAGE PNAME CONTAINER YES NO".split()
)
"""Terms of the standard that names are, too: without them nobody could read the image."""
_COMMON: Final = frozenset(
    {"anonymous", "anonymized", "anon", "none", "unknown", "removed", "test", "patient", "phantom"}
)


class IdentityCheck:
    """Searches bytes for what identifies a patient.

    Args:
        names: names of the patient.
        identifiers: Patient ID and its like.
        raw: the same as they are encoded in the data set.
    """

    def __init__(
        self, names: Iterable[str], identifiers: Iterable[str], raw: Iterable[bytes] = ()
    ) -> None:
        words: set[str] = set()
        for name in names:
            words.update(_PARTS.findall(name))
        words.update(text.strip() for text in identifiers)
        needles: set[bytes] = {value.strip(b" \0").lower() for value in raw}
        for word in sorted(words):
            if word.lower() in _COMMON or (word.isascii() and len(word) < _SHORTEST):
                continue
            needles.update(_encoded(word))
        found = sorted(each for each in needles if len(each) >= _SHORTEST)[:_MOST_NEEDLES]
        self._pattern = (
            re.compile(b"|".join(map(_bounded, found)), re.IGNORECASE) if found else None
        )
        self._codes: dict[bytes, bool] = {}

    def finds(self, data: bytes) -> bool:
        """Whether one of them is in some bytes; of long ones the first megabyte is searched."""
        pattern = self._pattern
        return pattern is not None and pattern.search(data[:LONGEST_SEARCHED]) is not None

    def finds_in_code(self, data: bytes) -> bool:
        """Whether one of them is in a CS; terms that many images have there mean nobody."""
        found = self._codes.get(data)
        if found is None:
            parts = [part for part in data.split(b"\\") if part.strip(b" \0") not in _TERMS]
            found = bool(parts) and self.finds(b"\\".join(parts))
            if len(self._codes) < _MOST_CODES:
                self._codes[data] = found
        return found


def _encoded(word: str) -> set[bytes]:
    if word.isascii():
        return {word.encode(), word.encode("utf-16-le")}
    found = set()
    for form in {word, word.upper(), word.lower()}:
        for codec in _CODECS:
            try:
                found.add(form.encode(codec))
            except UnicodeEncodeError:
                continue
    return found


def _bounded(needle: bytes) -> bytes:
    escaped = re.escape(needle)
    if not needle.isascii() or not needle.strip() or b"\0" in needle or len(needle) >= _ANYWHERE:
        return escaped
    return rb"(?<![0-9A-Za-z])" + escaped + rb"(?![0-9A-Za-z])"


def texts_of(value: Any) -> list[str]:
    """Return the texts of a value, a list or None."""
    if value is None:
        return []
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each is not None and not isinstance(each, bytes)]
