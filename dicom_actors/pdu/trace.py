"""Lines about PDUs of which only bytes are at hand: for traces and crash reports.

The line of a PDU itself is `description`'s. Secrets and data are never shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.errors import RemoteProtocolError
from dicom_actors.pdu.decoder import decode_pdu
from dicom_actors.pdu.description import describe_pdu
from dicom_actors.pdu.pdus import PduType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["describe_head", "describe_stream"]

_HEADER_LENGTH: Final = 6
_TITLES: Final = {int(kind): kind.title for kind in PduType}


def describe_stream(data: bytes | memoryview, name_of: Callable[[str], str] = str) -> Iterator[str]:
    """Yield a line for each of the whole PDUs that follow each other in `data`.

    Args:
        data: their bytes.
        name_of: gives a UID's name; by default it stays a UID.
    """
    view = memoryview(data)
    while len(view) >= _HEADER_LENGTH:
        length = _HEADER_LENGTH + int.from_bytes(view[2:6], "big")
        pdu, view = view[:length], view[length:]
        try:
            yield describe_pdu(decode_pdu(pdu), name_of)
        except RemoteProtocolError as error:
            yield f"{describe_head(bytes(pdu[:12]), len(pdu))}: {error}"


def describe_head(head: bytes, length: int) -> str:
    """Return a line for a PDU of which only the beginning is at hand.

    Args:
        head: its first bytes, 12 at the most.
        length: bytes of the whole PDU.
    """
    title = _TITLES.get(head[0], f"PDU of type {head[:1].hex()}H") if head else "nothing"
    text = f"{title}, {length} bytes"
    if head[:1] == b"\x04" and len(head) >= 12:
        kind = "command" if head[11] & 1 else "data"
        text += f": context {head[10]} {kind}{', last' if head[11] & 2 else ''}"
    return text
