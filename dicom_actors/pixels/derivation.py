"""What an object has to say once its pixels lost information.

Standard: PS3.3 C.7.6.1.1.5 (Lossy Image Compression), C.7.6.1.1.3 (Derivation Description),
C.12.4 (Common Instance Reference is left alone); PS3.16 CID 7202, 7203.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary.uids import generate_uid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data import TransferSyntax

__all__ = ["mark_derived", "mark_lossy"]

_LOSSY: Final = {
    "CodeValue": "113040",
    "CodingSchemeDesignator": "DCM",
    "CodeMeaning": "Lossy Compression",
}
_PREDECESSOR: Final = {
    "CodeValue": "121320",
    "CodingSchemeDesignator": "DCM",
    "CodeMeaning": "Uncompressed predecessor",
}
_MOST_OF_DESCRIPTION: Final = 1024


def mark_lossy(data_set: DataSet, ratio: float | None, method: str) -> None:
    """Say that information was lost, by what, and at which ratio; what was said before stays.

    Args:
        data_set: the data set, which is changed.
        ratio: of the bytes before to those after; None: it is not known.
        method: the Lossy Image Compression Method; empty: it is not known.
    """
    was_lossy = data_set.get("LossyImageCompression") == "01"
    data_set.put("LossyImageCompression", "CS", "01")
    if ratio is not None:
        ratios = _values(data_set, "LossyImageCompressionRatio") if was_lossy else []
        text = f"{max(ratio, 0.001):.6g}"
        data_set.put("LossyImageCompressionRatio", "DS", [*ratios, text])
    if method:
        methods = _values(data_set, "LossyImageCompressionMethod") if was_lossy else []
        data_set.put("LossyImageCompressionMethod", "CS", [*methods, method])


def mark_derived(data_set: DataSet, syntax: TransferSyntax, digests: Iterable[bytes]) -> None:
    """Make it an instance of its own, derived from what it was.

    The same frames of the same instance make the same one, so that who gets it twice has it once.

    Args:
        data_set: the data set, which is changed.
        syntax: what it was compressed with.
        digests: the SHA-256 of each of its frames, compressed.
    """
    sop_class, instance = data_set.get("SOPClassUID"), data_set.get("SOPInstanceUID")
    if sop_class and instance:
        source = DataSet.from_keywords(
            ReferencedSOPClassUID=sop_class,
            ReferencedSOPInstanceUID=instance,
            PurposeOfReferenceCodeSequence=[_PREDECESSOR],
        )
        sources = data_set.get("SourceImageSequence")
        data_set.put("SourceImageSequence", "SQ", [*(sources or ()), source])
    data_set.put("SOPInstanceUID", "UI", _derived_uid(instance, syntax, digests))
    data_set.file_meta.put("MediaStorageSOPInstanceUID", "UI", data_set["SOPInstanceUID"])
    image_type = _values(data_set, "ImageType")
    data_set.put("ImageType", "CS", ["DERIVED", *(image_type[1:] or ["PRIMARY"])])
    before = data_set.get("DerivationDescription")
    text = f"Lossy compression: {syntax.name}"
    if isinstance(before, str) and before:
        text = f"{before}; {text}"
    data_set.put("DerivationDescription", "ST", text[-_MOST_OF_DESCRIPTION:])
    codes = data_set.get("DerivationCodeSequence")
    data_set.put("DerivationCodeSequence", "SQ", [*(codes or ()), _LOSSY])


def _derived_uid(instance: object, syntax: TransferSyntax, digests: Iterable[bytes]) -> str:
    """Make a UID under 2.25 (PS3.5 B.2) of a UUID whose bits come from a hash (RFC 9562 5.8)."""
    if not isinstance(instance, str) or not instance:
        return generate_uid()
    digest = hashlib.sha256(f"{instance}\n{syntax.uid}\n".encode())
    for of_frame in digests:
        digest.update(of_frame)
    number = int.from_bytes(digest.digest()[:16], "big")
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{number}"


def _values(data_set: DataSet, keyword: str) -> list[Any]:
    value = data_set.get(keyword)
    return value if isinstance(value, list) else [] if value is None else [value]
