"""Broken and hostile association requests: items that lie, too much of everything, bad names."""

from __future__ import annotations

import logging
import struct
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.siege import besieged

from dicom_actors import Reject, events
from dicom_actors.pdu import AssociateAc, ReleaseRp

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

APPLICATION = wire.item(0x10, wire.APPLICATION_CONTEXT)
USER = wire.user_information()


def request(*items: bytes, **fields: Any) -> bytes:
    return wire.associate_rq(APPLICATION + b"".join(items) + USER, **fields)


# --- 13: lengths past their parent -----------------------------------------------------------

TOO_LONG = {
    "application context": wire.item(0x10, b"1.2", 5000) + wire.CONTEXTS + USER,
    "presentation context": APPLICATION + wire.context(1, length=5000) + USER,
    "presentation context, past nothing but the last byte": APPLICATION
    + wire.context(1)[:2]
    + struct.pack(">H", len(wire.context(1)) - 3)
    + wire.context(1)[4:],
    "abstract syntax": APPLICATION
    + wire.item(0x20, b"\1\0\0\0" + wire.item(0x30, wire.VERIFICATION, 500))
    + USER,
    "transfer syntax": APPLICATION
    + wire.item(
        0x20,
        b"\1\0\0\0" + wire.item(0x30, wire.VERIFICATION) + wire.item(0x40, wire.IMPLICIT, 500),
    )
    + USER,
    "user information": APPLICATION + wire.CONTEXTS + wire.item(0x50, USER[4:], 5000),
    "maximum length": APPLICATION + wire.CONTEXTS + wire.item(0x50, wire.item(0x51, b"\0\0@\0", 9)),
    "role selection": APPLICATION
    + wire.CONTEXTS
    + wire.user_information(wire.item(0x54, struct.pack(">H", 400) + b"1.2\1\1")),
    "user identity": APPLICATION
    + wire.CONTEXTS
    + wire.user_information(wire.item(0x58, struct.pack(">BBH", 1, 0, 65535) + b"me")),
    "item header": APPLICATION + wire.CONTEXTS + USER + b"\x60\0",
    "unknown item": APPLICATION + wire.CONTEXTS + USER + wire.item(0x60, b"abc", 4),
}


@pytest.mark.parametrize("name", TOO_LONG)
def test_row_13_an_item_that_is_longer_than_its_parent_is_refused(name: str) -> None:
    with besieged() as siege:
        with siege.connect() as peer:
            peer.send(wire.associate_rq(TOO_LONG[name]))
            peer.expect_abort(0, 0)
        closed = siege.closed()
        assert closed.reason == "refused"
        assert closed.detail.startswith("A-ASSOCIATE-RQ")


@pytest.mark.parametrize("name", TOO_LONG)
def test_row_13_the_same_request_within_an_association_is_unexpected_before_it_is_read(
    name: str,
) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.associate_rq(TOO_LONG[name]))
        peer.expect_abort(2, 2)


# --- 14: numbers and amounts -----------------------------------------------------------------

MANY_SYNTAXES = b"".join(wire.item(0x40, b"1.2.%d" % number) for number in range(4000))
REFUSED = {
    "no contexts": (),
    "an even id": (wire.context(2),),
    "id zero": (wire.context(0),),
    "id 254": (wire.context(1), wire.context(254)),
    "the same id twice": (wire.context(1), wire.context(1)),
    "129 contexts": tuple(wire.context(2 * n + 1 & 0xFF) for n in range(129)),
    "4000 contexts": tuple(wire.context(2 * n + 1 & 0xFF) for n in range(4000)),
    "4000 transfer syntaxes": (
        wire.item(0x20, b"\1\0\0\0" + wire.item(0x30, wire.VERIFICATION) + MANY_SYNTAXES),
    ),
    "1000 items of unknown types": (wire.context(1), *[wire.item(0x60, b"x")] * 1000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_row_14_contexts_against_the_rules_are_rejected(name: str) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(request(*REFUSED[name]))
        peer.expect_rejection(1, 2, 1)
        peer.close()
        assert siege.closed().reason in {"refused", "rejected"}


def test_row_14_user_information_of_64_kib_is_rejected() -> None:
    roles = b"".join(
        wire.item(0x54, struct.pack(">H", 20) + b"1.2.840.%012d" % n + b"\1\1") for n in range(2300)
    )
    information = wire.user_information(roles)
    assert 60_000 < len(information) < 65_536
    with besieged() as siege, siege.connect() as peer:
        peer.send(wire.associate_rq(APPLICATION + wire.CONTEXTS + information))
        peer.expect_rejection(1, 2, 1)


def test_row_14_as_much_as_is_allowed_is_accepted() -> None:
    contexts = [wire.context(2 * n + 1) for n in range(128)]
    with besieged() as siege, siege.connect() as peer:
        peer.send(request(*contexts))
        answer = peer.receive()
        assert isinstance(answer, AssociateAc)
        assert len(answer.presentation_contexts) == 128


# --- 15: what we do not know -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [0x00, 0x5A, 0x60, 0xFF])
@pytest.mark.parametrize("body", [b"", b"\0\1\2", bytes(5000)])
def test_row_15_an_unknown_sub_item_is_ignored_and_kept(kind: int, body: bytes) -> None:
    with besieged() as siege, siege.connect() as peer:
        information = wire.user_information(wire.item(kind, body))
        peer.send(wire.associate_rq(APPLICATION + wire.CONTEXTS + information))
        peer.expect(AssociateAc)
        (unknown,) = siege.record().association_rq.user_information.unknown
        assert (unknown.item_type, unknown.data) == (kind, body)
        peer.send(wire.RELEASE_RQ)
        peer.expect(ReleaseRp)


# --- 16 and 17: who may come -----------------------------------------------------------------


@pytest.mark.parametrize("version", [0, 2, 0xFFFE])
def test_row_16_a_protocol_version_without_bit_0_is_rejected(version: int) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(request(wire.CONTEXTS, version=version))
        peer.expect_rejection(1, 2, 2)


@pytest.mark.parametrize("version", [1, 3, 0xFFFF])
def test_row_16_other_bits_do_not_count(version: int) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(request(wire.CONTEXTS, version=version))
        peer.expect(AssociateAc)


@pytest.mark.parametrize("name", [b"1.2.840.10008.3.1.1.2", b"", b"1.2.840.10008.3.1.1.1.1"])
def test_row_16_another_application_context_is_rejected(name: bytes) -> None:
    with besieged() as siege, siege.connect() as peer:
        peer.send(wire.associate_rq(wire.item(0x10, name) + wire.CONTEXTS + USER))
        peer.expect_rejection(1, 1, 2)


def test_row_16_another_called_title_is_rejected() -> None:
    with besieged(ae_title="TEST") as siege, siege.connect() as peer:
        peer.send(request(wire.CONTEXTS, called=b"OTHER"))
        peer.expect_rejection(1, 1, 7)


def test_row_16_a_calling_title_that_the_validator_refuses_is_rejected() -> None:
    def validate(request: Any) -> Any:
        if request.calling_ae_title == "STRANGER":
            return Reject.CALLING_AE_TITLE_NOT_RECOGNIZED
        return None

    with besieged({"association_validator": validate}) as siege, siege.connect() as peer:
        peer.send(request(wire.CONTEXTS, calling=b"STRANGER"))
        peer.expect_rejection(1, 1, 3)


def test_row_17_too_many_associations_are_rejected_where_configured() -> None:
    with besieged(max_associations=3, when_full="reject") as siege:
        with siege.associated(), siege.associated():
            for _ in range(3):
                with siege.connect() as peer:
                    peer.send(request(wire.CONTEXTS))
                    peer.expect_rejection(2, 3, 2)
            siege.until(lambda: len(siege.kernel.connections) == 3)
        siege.until(lambda: len(siege.kernel.connections) == 1)
        with siege.associated() as peer:
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)


def test_row_17_too_many_associations_of_one_title_are_rejected() -> None:
    with besieged(max_associations_per_ae=2) as siege, siege.associated(), siege.associated():
        with siege.connect() as peer:
            peer.send(request(wire.CONTEXTS))
            peer.expect_rejection(2, 3, 2)
        with siege.connect() as peer:
            peer.send(request(wire.CONTEXTS, calling=b"ANOTHER"))
            peer.expect(AssociateAc)


# --- 18: who the user is ---------------------------------------------------------------------

SECRET = b"correct horse battery staple"


def identity(kind: int, first: bytes, second: bytes = b"") -> bytes:
    fields = struct.pack(">BBH", kind, 1, len(first)) + first
    return wire.item(0x58, fields + struct.pack(">H", len(second)) + second)


@pytest.mark.parametrize(
    "item",
    [
        identity(2, b"eve", SECRET),
        identity(3, SECRET),
        identity(4, b"<saml>" + SECRET),
        identity(5, SECRET),
        identity(99, SECRET),
    ],
    ids=["passcode", "kerberos", "saml", "web token", "unknown"],
)
@pytest.mark.parametrize("raises", [False, True])
def test_row_18_a_bad_user_identity_is_rejected_and_its_secret_stays_secret(
    item: bytes, raises: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []

    def validate(request: Any) -> Any:
        if request.calling_ae_title != "HOSTILE":
            return None
        who = request.user_identity
        seen.append(f"{request} {who}")
        if raises:
            raise ValueError(f"no access for {who}")
        return SECRET not in who.primary_field + who.secondary_field

    with besieged({"association_validator": validate}) as siege:
        with siege.connect() as peer:
            information = wire.user_information(item)
            peer.send(wire.associate_rq(APPLICATION + wire.CONTEXTS + information))
            if raises:
                peer.expect_rejection(2, 2, 1)
            else:
                peer.expect_rejection(1, 1, 1)
        told = [siege.endpoint.wait_for(events.AssociationClosed)[0]]
        seen += [repr(event) for event in told]
        seen += [repr(info) for info in siege.endpoint.associations()]
    text = caplog.text + "".join(seen)
    assert len(seen) > 2
    assert SECRET.decode() not in text
    assert repr(SECRET)[2:-1] not in text


# --- 19: names that are none -----------------------------------------------------------------

BAD_TITLES = {
    "spaces": b" " * 16,
    "nothing": bytes(16),
    "line feed": b"A\nADMIN logged in",
    "escape": b"A\x1b[31mRED\x1b[0m",
    "backslash": b"A\\B",
    "delete": b"A\x7fB",
    "latin-1": b"M\xfcller",
    "utf-8": "Ж".encode() * 8,
    "markup": b"<b>\0</b>",
}


@pytest.mark.parametrize("name", BAD_TITLES)
@pytest.mark.parametrize("field", ["called", "calling"])
def test_row_19_a_title_that_is_none_is_refused_and_never_shown_raw(
    field: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with besieged() as siege:
        with siege.connect() as peer:
            peer.send(request(wire.CONTEXTS, **{field: BAD_TITLES[name]}))
            peer.expect_rejection(1, 1, 7 if field == "called" else 3)
            seen = repr(siege.endpoint.associations())
        closed = siege.closed()
        seen += closed.association.calling_ae_title + closed.association.called_ae_title
    text = caplog.text + seen
    assert all(c.isascii() and (c.isprintable() or c == "\n") for c in text)
    assert "\nADMIN" not in text


def test_row_19_a_title_with_markup_is_only_text(tmp_path: Path) -> None:
    paths = []
    with besieged({"cstore": lambda event: paths.append(event.save(tmp_path))}) as siege:
        with siege.connect() as peer:
            peer.send(request(wire.CONTEXTS, calling=b"../../<b>&"))
            peer.expect(AssociateAc)
            peer.send(wire.store())
            assert peer.receive() is not None
    assert [path.parent for path in paths] == [tmp_path]
    assert [path.name for path in tmp_path.iterdir()] == ["1.2.3.dcm"]
