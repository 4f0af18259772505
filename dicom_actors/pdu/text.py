r"""The text fields of PDUs: AE titles, UIDs and names, from bytes of a peer and to bytes.

What a peer sends as text may hold any byte. It comes out of here as printable ASCII, with
``\xNN`` for every byte that is none, so that it can stand in a log line or a message; no
legal AE title or UID has a backslash, so an escaped one never equals a legal one.
Standard: PS3.8 9.3.2 and annex F, PS3.5 6.2 (AE, UI).
"""

from __future__ import annotations

from typing import Final

from dicom_actors.errors import LocalProtocolError

__all__ = ["decode_ae_title", "decode_text", "decode_uid", "encode_ae_title", "is_ae_title"]

_AE_TITLE_LENGTH: Final = 16
_LONGEST: Final = 64  # a UID; names and titles are shorter


def decode_text(field: bytes | memoryview) -> str:
    r"""Return the bytes as printable ASCII; any other byte as ``\xNN``.

    What is longer than any text field may be is cut and ends in ``...``, so that it neither
    costs much nor equals anything legal.
    """
    text = bytes(field[:_LONGEST]).decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in text)
    return text if len(field) <= _LONGEST else f"{text}..."


def decode_uid(field: bytes | memoryview) -> str:
    """Return a UID.

    UIDs in PDUs are not padded, but some peers pad them to an even length, as data sets do.
    """
    return decode_text(bytes(field).rstrip(b"\0 "))


def decode_ae_title(field: bytes | memoryview) -> str:
    """Return an AE title without the spaces around it, which do not count.

    Some workstations pad with NUL in place of spaces, as programs in C do.
    """
    return decode_text(bytes(field).rstrip(b"\0 ")).strip(" ")


def is_ae_title(title: str) -> bool:
    """Return whether this is an AE title that may be used (PS3.5 6.2: VR AE).

    1 to 16 printable ASCII characters, no backslash, and not spaces alone.
    """
    return (
        len(title) <= _AE_TITLE_LENGTH
        and title.isascii()
        and title.isprintable()
        and "\\" not in title
        and bool(title.strip(" "))
    )


def encode_ae_title(title: str) -> bytes:
    """Return the 16 bytes of an AE title, padded with spaces.

    Raises:
        LocalProtocolError: it is no AE title.
    """
    if not is_ae_title(title):
        raise LocalProtocolError(
            f"AE title: expected 1 to 16 ASCII characters without backslash, got {title!r}"
        )
    return title.encode("ascii").ljust(_AE_TITLE_LENGTH)
