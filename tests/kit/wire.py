"""PDUs and command sets put together by hand, right and wrong, without our own encoder.

PS3.8 9.3, PS3.7 6.3.1.
"""

from __future__ import annotations

import struct

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
VERIFICATION = b"1.2.840.10008.1.1"
CT_IMAGE = b"1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = b"1.2.840.10008.1.2"
EXPLICIT = b"1.2.840.10008.1.2.1"

RELEASE_RQ = b"\x05\0\0\0\0\x04\0\0\0\0"
RELEASE_RP = b"\x06\0\0\0\0\x04\0\0\0\0"
ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"


def pdu(kind: int, body: bytes, length: int | None = None) -> bytes:
    """A PDU: type, reserved, length, body."""
    return struct.pack(">BxI", kind, len(body) if length is None else length) + body


def item(kind: int, body: bytes, length: int | None = None) -> bytes:
    """An item or sub-item: type, reserved, length, body."""
    return struct.pack(">BxH", kind, len(body) if length is None else length) + body


def context(
    number: int, abstract_syntax: bytes = VERIFICATION, *syntaxes: bytes, length: int | None = None
) -> bytes:
    """A presentation context item."""
    body = struct.pack(">Bxxx", number) + item(0x30, abstract_syntax)
    body += b"".join(item(0x40, syntax) for syntax in syntaxes or (IMPLICIT,))
    return item(0x20, body, length)


def user_information(*more: bytes, max_pdu_length: int = 16384) -> bytes:
    """A user information item."""
    return item(
        0x50,
        item(0x51, struct.pack(">I", max_pdu_length)) + item(0x52, b"1.2.3.4") + b"".join(more),
    )


CONTEXTS = context(1) + context(3, CT_IMAGE, EXPLICIT)


def associate_rq(
    items: bytes | None = None,
    *,
    called: bytes = b"TEST",
    calling: bytes = b"HOSTILE",
    version: int = 1,
    length: int | None = None,
) -> bytes:
    """An A-ASSOCIATE-RQ; titles are padded with spaces."""
    if items is None:
        items = item(0x10, APPLICATION_CONTEXT) + CONTEXTS + user_information()
    body = struct.pack(">Hxx16s16s32x", version, called.ljust(16), calling.ljust(16)) + items
    return pdu(1, body, length)


def pdv(
    data: bytes,
    context_id: int = 1,
    *,
    command: bool = True,
    last: bool = True,
    length: int | None = None,
) -> bytes:
    """A presentation data value item."""
    size = len(data) + 2 if length is None else length
    return struct.pack(">IBB", size, context_id, command | last << 1) + data


def p_data(*pdvs: bytes, length: int | None = None) -> bytes:
    """A P-DATA-TF."""
    return pdu(4, b"".join(pdvs), length)


def element(number: int, value: bytes, group: int = 0) -> bytes:
    """An element of a command set."""
    return struct.pack("<HHI", group, number, len(value)) + value


def us(number: int, value: int) -> bytes:
    """An element of a command set, VR US."""
    return element(number, struct.pack("<H", value))


def ui(number: int, value: bytes) -> bytes:
    """An element of a command set, VR UI."""
    return element(number, value + b"\0" * (len(value) % 2))


def command_set(*elements: bytes, group_length: bool = True) -> bytes:
    """A command set."""
    body = b"".join(elements)
    return (element(0, struct.pack("<I", len(body))) if group_length else b"") + body


def echo_rq(message_id: int = 1) -> bytes:
    """The command set of a C-ECHO-RQ."""
    return command_set(
        ui(0x0002, VERIFICATION), us(0x0100, 0x0030), us(0x0110, message_id), us(0x0800, 0x0101)
    )


def store_rq(message_id: int = 1, instance: bytes = b"1.2.3", *, data_set: bool = True) -> bytes:
    """The command set of a C-STORE-RQ."""
    return command_set(
        ui(0x0002, CT_IMAGE),
        us(0x0100, 0x0001),
        us(0x0110, message_id),
        us(0x0700, 0),
        us(0x0800, 0x0001 if data_set else 0x0101),
        ui(0x1000, instance),
    )


def cancel_rq(message_id: int) -> bytes:
    """The command set of a C-CANCEL-RQ."""
    return command_set(us(0x0100, 0x0FFF), us(0x0120, message_id), us(0x0800, 0x0101))


def query_rq(
    field: int, sop_class: bytes, message_id: int = 1, instance: bytes | None = None
) -> bytes:
    """The command set of any other request that has a data set."""
    return command_set(
        ui(0x0002, sop_class),
        us(0x0100, field),
        us(0x0110, message_id),
        us(0x0700, 0),
        us(0x0800, 0x0001),
        *([] if instance is None else [ui(0x1000, instance)]),
    )


def store_rsp(message_id: int, status: int = 0) -> bytes:
    """The command set of a C-STORE-RSP."""
    return command_set(
        us(0x0100, 0x8001), us(0x0120, message_id), us(0x0800, 0x0101), us(0x0900, status)
    )


def role(sop_class: bytes, *, scu: bool, scp: bool) -> bytes:
    """A role selection sub-item."""
    return item(0x54, struct.pack(">H", len(sop_class)) + sop_class + bytes([scu, scp]))


DATA_SET = (
    b"\x08\0\x16\0UI\x1a\0" + CT_IMAGE + b"\0"
    b"\x08\0\x18\0UI\x06\0" + b"1.2.3\0"
    b"\x10\0\x20\0LO\x04\0ABC "
)
"""A small data set in Explicit VR Little Endian."""


def data_set_of(length: int) -> bytes:
    """A data set of that many bytes; as many as the smallest one has, and 12, at least."""
    size = length - len(DATA_SET) - 12
    return DATA_SET + b"\xe0\x7f\x10\0OB\0\0" + struct.pack("<I", size) + bytes(size)


def store(message_id: int = 1, data: bytes = DATA_SET, instance: bytes = b"1.2.3") -> bytes:
    """A whole C-STORE on context 3, in two PDUs."""
    return p_data(pdv(store_rq(message_id, instance), 3)) + p_data(pdv(data, 3, command=False))
