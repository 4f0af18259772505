"""The sub-items of the user information: lengths that do not fit, and what is ignored."""

from __future__ import annotations

import pytest

from dicom_actors.errors import InvalidPduError
from dicom_actors.pdu import (
    AsyncWindow,
    PduLimits,
    RoleSelection,
    SopClassCommonExtended,
    UserIdentity,
)
from dicom_actors.pdu.user_information_decoder import decode_user_information


def item(kind, data=b""):
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data


def counted(data):
    return len(data).to_bytes(2, "big") + data


def decode(*items):
    data = memoryview(b"".join(items))
    return decode_user_information(data, 0, len(data), PduLimits(), "RQ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (item(0x51, b"\0\0\0"), r"item 51H at byte 4: expected 4 bytes, 3 bytes left"),
        (item(0x53, b"\0"), r"item 53H at byte 4: expected 4 bytes, 1 bytes left"),
        (item(0x54, b"\0"), r"item 54H at byte 4: expected a 2-byte length, 1 bytes left"),
        (item(0x54, b"\0\5ab"), r"item 54H field at byte 4: length 5, 2 left"),
        (item(0x54, b"\0\1a\1"), r"item 54H at byte 7: expected the two roles, 1 bytes left"),
        (item(0x56, b"\xff\xff"), r"item 56H field at byte 4: length 65535, 0 left"),
        (item(0x57, b"\0\0"), r"item 57H at byte 6: expected a 2-byte length, 0 bytes left"),
        (item(0x57, b"\0\0\0\0\0\2\0"), r"item 57H field at byte 8: length 2, 1 left"),
        (item(0x57, b"\0\0\0\0\0\2\0\1"), r"item 57H field at byte 10: length 1, 0 left"),
        (item(0x57, b"\0\0\0\0\0\1\0"), r"item 57H at byte 10: expected a 2-byte length, 1 bytes"),
        (item(0x58, b"\1"), r"item 58H at byte 4: expected type and response requested, 1 bytes"),
        (item(0x58, b"\1\0\0\1a"), r"item 58H at byte 9: expected a 2-byte length, 0 bytes left"),
        (item(0x58, b"\1\0\0\1a\0\1"), r"item 58H field at byte 9: length 1, 0 left"),
        (item(0x59, b"\0\1"), r"item 59H field at byte 4: length 1, 0 left"),
        (b"\x51\0\0\5\0\0\0\0", r"information item 51H at byte 0: length 5, 4 left"),
        (item(0x52, b"1") * 2, r"user information: expected one item 52H, got another at byte 9"),
    ],
)
def test_contradictions_are_refused_with_their_place(data, message):
    with pytest.raises(InvalidPduError, match=message) as caught:
        decode(data)
    assert caught.value.abort_reason == 6


@pytest.mark.parametrize("kind", [0x51, 0x52, 0x53, 0x55, 0x58, 0x59])
def test_sub_items_that_stand_there_once(kind):
    single = item(kind, bytes(6))
    decode(single)

    with pytest.raises(InvalidPduError, match=f"expected one item {kind:02X}H"):
        decode(single, single)


def test_bytes_behind_the_fields_are_ignored():
    user = decode(
        item(0x51, b"\0\0\1\0more"),
        item(0x53, b"\0\2\0\3more"),
        item(0x54, counted(b"1.2") + b"\1\0more"),
        item(0x57, counted(b"1.2") + counted(b"1.3") + counted(b"") + b"reserved"),
        item(0x58, b"\2\1" + counted(b"name") + counted(b"code") + b"more"),
        item(0x59, counted(b"response") + b"more"),
    )

    assert user.max_pdu_length == 256
    assert user.async_window == AsyncWindow(2, 3)
    assert user.roles == (RoleSelection("1.2", scu=True, scp=False),)
    assert user.common_extended == (SopClassCommonExtended("1.2", "1.3"),)
    assert user.user_identity == UserIdentity(2, b"name", b"code", positive_response_requested=True)
    assert user.user_identity_response == b"response"


def test_unknown_sub_items_are_kept_as_bytes():
    user = decode(item(0x51, bytes(4)), item(0x5A, b"abc"), item(0x00), item(0x5A, b"abc"))

    assert user.unknown == ((0x5A, b"abc"), (0x00, b""), (0x5A, b"abc"))


def test_secrets_are_not_shown():
    user = decode(
        item(0x58, b"\2\1" + counted(b"anna") + counted(b"hunter2")),
        item(0x59, counted(b"ticket")),
    )

    for secret in ("anna", "hunter2", "ticket"):
        assert secret not in repr(user)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (UserIdentity(1, "Jürgen".encode()), "Jürgen"),
        (UserIdentity(2, b"a\xff", b"x"), r"a\xff"),
        (UserIdentity(3, b"ticket"), None),
        (UserIdentity(5, b"token"), None),
    ],
)
def test_user_name(identity, name):
    assert identity.user_name == name
