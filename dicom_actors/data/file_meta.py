"""The file meta information with which a data set is written.

Reading it is left to `dicom_actors.data.part10`.

Standard: PS3.10 7.1.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.data_element import DataElement
from dicom_actors.errors import DecodeError, EncodeError
from dicom_actors.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet
    from dicom_actors.data.transfer_syntax import TransferSyntax

__all__ = ["NO_PREAMBLE", "PREFIX", "file_meta_for", "file_meta_header"]

PREFIX: Final = b"DICM"
NO_PREAMBLE: Final = bytes(128)


def _check_groups(data_set: DataSet, meta: DataSet) -> None:
    """Refuse elements that a reader of the file would take for the other part of it."""
    for tag, item in data_set._sorted_index().items():
        if tag >= 0x00030000:
            break
        # What was read out of place can be written.
        was_read = isinstance(item, int) or tag in (data_set._replaced or ())
        if tag >= 0x00020000 and not was_read:
            raise EncodeError(
                "expected this element in the file meta, got it in the data set", tag=tag
            )
    for tag in meta._index:
        if tag >> 16 != 2:
            raise EncodeError("expected elements of group 0002 in the file meta", tag=tag)


def file_meta_for(data_set: DataSet, transfer_syntax: TransferSyntax) -> DataSet:
    """Make the file meta information with which a data set is written (PS3.10 7.1).

    Raises:
        EncodeError: neither a new data set nor its file meta has the SOP class or instance, or
            an element is in the one that belongs in the other.
    """
    meta = data_set.file_meta.copy()
    _check_groups(data_set, meta)
    irregular = meta._scope.reading.irregular
    for tag, item in meta._index.items() if irregular else ():
        if isinstance(item, int) and item in irregular:
            # What its header means depends on what follows, which is made anew.
            raw, vr = bytes(meta.raw_at(tag, item)), meta.vr_at(tag, item)
            meta._before_change(tag)
            meta._index[tag] = DataElement._of(tag, "UN" if vr == "SQ" else vr, raw or None)
    class_uid = _get(data_set, "SOPClassUID") or _get(meta, "MediaStorageSOPClassUID")
    instance_uid = _get(data_set, "SOPInstanceUID") or _get(meta, "MediaStorageSOPInstanceUID")
    if "DirectoryRecordSequence" in data_set:
        # A DICOMDIR has its class and instance in the file meta alone (PS3.10 8.6).
        class_uid = "1.2.840.10008.1.3.10"
    if (not class_uid or not instance_uid) and data_set.transfer_syntax is None:
        raise EncodeError("expected SOPClassUID and SOPInstanceUID in what is to be a file")
    for keyword, uid in (
        ("MediaStorageSOPClassUID", class_uid),
        ("MediaStorageSOPInstanceUID", instance_uid),
        ("TransferSyntaxUID", transfer_syntax.uid),
    ):
        # A file that was read without them is written without them; what was read and is no text
        # of a UID is left alone, since writing does not fail on what was read.
        is_text = isinstance(uid, str) and uid.isascii()
        if uid and _get(meta, keyword) != uid and (is_text or data_set.transfer_syntax is None):
            meta.put(keyword, "UI", uid)
    for keyword, vr, value in (
        ("FileMetaInformationVersion", "OB", b"\0\x01"),
        ("ImplementationClassUID", "UI", IMPLEMENTATION_CLASS_UID),
        ("ImplementationVersionName", "SH", IMPLEMENTATION_VERSION_NAME),
    ):
        if _get(meta, keyword) != value:
            meta.put(keyword, vr, value)
    length = meta._end - meta._start - 12
    is_right = meta._replaced is None and _get(meta, "FileMetaInformationGroupLength") == length
    if not is_right or meta.warnings:
        meta.put("FileMetaInformationGroupLength", "UL", 0)  # the encoder counts
    return meta


def _get(data_set: DataSet, keyword: str) -> Any:
    """Get a value if there is one that can be decoded."""
    try:
        return data_set.get(keyword)
    except DecodeError:
        return None


def file_meta_header(
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    source_ae_title: str | None = None,
) -> bytes:
    """Make all that stands before the data set in a file: preamble, prefix, file meta.

    A received data set becomes a file by writing this before its bytes.

    Args:
        sop_class_uid: Media Storage SOP Class UID.
        sop_instance_uid: Media Storage SOP Instance UID.
        transfer_syntax_uid: the transfer syntax of the data set that follows.
        source_ae_title: who sent it (Source Application Entity Title); None: not said.

    Raises:
        EncodeError: a UID or the title is not ASCII text.

    Standard: PS3.10 7.1.
    """
    group = b"".join(
        (
            b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01",
            _short_text(0x0002, b"UI", sop_class_uid, b"\0"),
            _short_text(0x0003, b"UI", sop_instance_uid, b"\0"),
            _short_text(0x0010, b"UI", transfer_syntax_uid, b"\0"),
            _short_text(0x0012, b"UI", IMPLEMENTATION_CLASS_UID, b"\0"),
            _short_text(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME, b" "),
            b"" if source_ae_title is None else _short_text(0x0016, b"AE", source_ae_title, b" "),
        )
    )
    return NO_PREAMBLE + PREFIX + b"\x02\0\0\0UL\x04\0" + pack("<I", len(group)) + group


def _short_text(element: int, vr: bytes, text: str, padding: bytes) -> bytes:
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise EncodeError(f"expected ASCII text, got {text!r}", tag=0x00020000 | element) from error
    if len(raw) & 1:
        raw += padding
    return pack("<HH2sH", 2, element, vr, len(raw)) + raw
