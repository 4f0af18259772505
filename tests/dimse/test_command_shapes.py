"""Command sets read by their shape: the same as read in full, and bounded in what is kept."""

from __future__ import annotations

import random
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dicom_actors.dimse import (
    Command,
    CommandDecoder,
    CommandField,
    CommandShapes,
    command_shapes,
    decode_command,
)
from dicom_actors.dimse.command import RESPONSE
from dicom_actors.dimse.command_shapes import MAX_SHAPE_LENGTH, MAX_SHAPES
from dicom_actors.errors import InvalidPduError

FIELDS = [*CommandField, *(field | RESPONSE for field in CommandField)]
CT = b"1.2.840.10008.5.1.4.1.1.2\0"

uids = st.one_of(
    st.sampled_from([b"", b"\0", b" ", b"1.2.3 ", b"1.2\0\0", b"1.2.3\xe9", b"\xff"]),
    st.from_regex(rb"[1-9][0-9.]{0,62}", fullmatch=True).map(lambda u: u + b"\0" * (len(u) % 2)),
)
numbers = st.integers(0, 0xFFFF).map(lambda number: number.to_bytes(2, "little"))

# What an element of a command set may hold, by its number.
VALUES = {
    0x0000: st.integers(0, 0xFFFFFFFF).map(lambda length: length.to_bytes(4, "little")),
    0x0002: st.sampled_from([CT, b"1.2.840.10008.1.1\0", b""]),
    0x0003: st.sampled_from([CT, b""]),
    0x0110: numbers,
    0x0120: numbers,
    0x0600: st.sampled_from([b"ARCHIVE ", b"PACS"]),
    0x0700: st.sampled_from([b"\0\0", b"\2\0"]),
    0x0800: st.sampled_from([b"\1\1", b"\1\0", b"\0\0"]),
    0x0900: numbers,
    0x0901: st.just(b"\x08\0\x18\0"),
    0x0902: st.sampled_from([b"it failed ", b""]),
    0x1000: uids,
    0x1001: uids,
    0x1002: numbers,
    0x1005: st.just(b"\x10\0\x10\0" * 3),
    0x1008: numbers,
    0x1020: numbers,
    0x1021: numbers,
    0x1022: numbers,
    0x1023: numbers,
    0x1030: st.just(b"MODALITY"),
    0x1031: numbers,
}


def encoded(elements: list[tuple[int, bytes]], tail: bytes = b"") -> bytes:
    return b"".join(pack("<HHL", 0, e, len(v)) + v for e, v in elements) + tail


@st.composite
def kinds(draw) -> tuple[dict[int, object], list[int], bytes]:
    """The values of a command, its elements in their order, and what stands behind them."""
    field = draw(st.sampled_from(FIELDS)).to_bytes(2, "little")
    elements = {0x0000, 0x0002, 0x0100, 0x0110, 0x0120, 0x0800}
    elements |= set(draw(st.lists(st.sampled_from(sorted(VALUES)), max_size=6)))
    ordered = sorted(elements)
    oddity = draw(st.sampled_from(["", "", "", "", "missing", "disorder", "twice"]))
    if oddity == "missing":
        ordered.remove(draw(st.sampled_from(ordered)))
    elif oddity == "disorder":
        ordered = draw(st.permutations(ordered))
    elif oddity == "twice":
        ordered.append(draw(st.sampled_from(ordered)))
    tail = draw(st.sampled_from([b""] * 6 + [b"\x08\0\x58\0\4\0\0\0" + b"1.2\0", b"\0\0", b"\7"]))
    values = {e: draw(VALUES[e]) for e in ordered if e != 0x0100}
    return {**values, 0x0100: field}, ordered, tail


@st.composite
def conversations(draw) -> list[bytes]:
    """The command sets of an association: a few kinds, each again and again, some damaged."""
    found: list[bytes] = []
    known = draw(st.lists(kinds(), min_size=1, max_size=3))
    for values, ordered, tail in known * 2:
        found.append(encoded([(e, values[e]) for e in ordered], tail))
    for values, ordered, tail in draw(st.lists(st.sampled_from(known), min_size=3, max_size=12)):
        changed = draw(st.sets(st.sampled_from([0x0110, 0x0120, 0x0900, 0x1000, 0x1001])))
        fresh = {e: draw(VALUES[e]) for e in changed & VALUES.keys()}
        raw = encoded([(e, {**values, **fresh}[e]) for e in ordered], tail)
        damage = draw(st.sampled_from(["", "", "", "byte", "byte", "cut", "insert", "number"]))
        at = draw(st.integers(0, max(0, len(raw) - 1)))
        if damage == "byte":
            raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
        elif damage == "cut":
            raw = raw[:at]
        elif damage == "insert":
            raw = raw[:at] + draw(st.binary(max_size=9)) + raw[at:]
        elif damage == "number":
            raw = raw.replace(b"\x10\1\2\0\0\0", b"\x10\1\4\0\0\0\1\0", 1)
        found.append(raw)
    return found


def outcome(decode, raw: bytes) -> object:
    try:
        command = decode(raw)
    except InvalidPduError as error:
        return (str(error), error.abort_reason)
    assert type(command) is Command
    return [(type(value), value) for value in command]


STORE = encoded(
    [
        (0x0000, bytes(4)),
        (0x0002, CT),
        (0x0100, b"\1\0"),
        (0x0110, b"\1\0"),
        (0x0700, b"\0\0"),
        (0x0800, b"\1\0"),
        (0x1000, b"1.2.3\0"),
    ]
)


def with_elements(raw: bytes, *elements: tuple[int, bytes]) -> bytes:
    return raw + encoded(list(elements))


ECHO = encoded([(0x0002, CT), (0x0100, b"\x30\0"), (0x0110, b"\1\0"), (0x0800, b"\1\1")])
LONG_ID = encoded([(0x0100, b"\x30\0"), (0x0110, b"\1\0\0\0"), (0x0800, b"\1\1")])
EVENT = with_elements(STORE, (0x1002, b"\1\0"))
NO_AFFECTED_INSTANCE = with_elements(STORE[:-14], (0x1000, b""), (0x1001, b"1.2\0"))
TWO_IDS = with_elements(ECHO, (0x0110, b"\7\0\0\0"))


@given(conversations())
@example([STORE, STORE, STORE[:-6] + b"1.2.33", STORE[:-10] + b"\x08\0\0\0" + b"1.2.3\0"])
@example([STORE, STORE, STORE[:-10] + b"\xff\xff\xff\xff" + b"1.2.3\0", STORE[:-6], STORE + b"\0"])
@example([ECHO, ECHO, ECHO + b"\0", with_elements(ECHO, (0x0800, b"\0\0"))])
@example([EVENT, EVENT, EVENT[:-6] + b"\x09\0\0\0\1\0", EVENT[:-9] + b"\1" + EVENT[-8:]])
@example([NO_AFFECTED_INSTANCE] * 3)
@example([TWO_IDS] * 3)
@example([LONG_ID, LONG_ID, LONG_ID[:-2] + b"\0\0"])
def test_by_shape_everything_is_read_as_in_full(raws: list[bytes]) -> None:
    decoder = CommandDecoder()
    for raw in raws:
        assert outcome(decoder.decode, raw) == outcome(decode_command, raw)


def ordinary(field: int, message_id: int, uid: str, status: int = 0) -> bytes:
    """A command as the standard has it, with what differs between two of a kind."""
    is_response = bool(field & RESPONSE)
    values: list[tuple[int, bytes]] = [(0x0100, field.to_bytes(2, "little"))]
    if field != CommandField.C_CANCEL_RQ:
        values.append((0x0002, CT))
    own_id = 0x0120 if is_response or field == CommandField.C_CANCEL_RQ else 0x0110
    values.append((own_id, message_id.to_bytes(2, "little")))
    values.append((0x0800, b"\1\1"))
    if is_response:
        values.append((0x0900, status.to_bytes(2, "little")))
    service = field & ~RESPONSE
    if service in {CommandField.C_GET_RQ, CommandField.C_MOVE_RQ} and is_response:
        count = (status % 256).to_bytes(2, "little")
        values += [(element, count) for element in range(0x1020, 0x1024)]
    if service == CommandField.C_STORE_RQ or service >= CommandField.N_EVENT_REPORT_RQ:
        padded = uid.encode() + b"\0" * (len(uid) % 2)
        values.append((0x1000 if is_response else 0x1001, padded))
    if service == CommandField.N_EVENT_REPORT_RQ:
        values.append((0x1002, b"\1\0"))
    if service == CommandField.N_GET_RQ:
        values.append((0x1005, b"\x10\0\x10\0"))
    values.sort()
    return encoded([(0x0000, len(encoded(values)).to_bytes(4, "little")), *values])


@pytest.mark.parametrize("field", [f for f in FIELDS if f != 0x8FFF], ids="{:04X}".format)
def test_the_general_decoder_sees_two_of_a_kind_and_no_more(monkeypatch, field: int) -> None:
    decoder = CommandDecoder()
    numbers = random.Random(field)
    raws = [
        ordinary(field, n, "1.2." + "9" * numbers.randrange(60) + str(n), numbers.randrange(65536))
        for n in range(100)
    ]
    expected = [decode_command(raw) for raw in raws]
    got = [decoder.decode(raw) for raw in raws[:2]]
    monkeypatch.setattr(command_shapes, "decode_command", None)
    got += [decoder.decode(raw) for raw in raws[2:]]
    assert got == expected


def test_what_stands_behind_a_response_makes_no_difference(monkeypatch) -> None:
    decoder = CommandDecoder()
    behind = b"\x08\0\x58\0\4\0\0\0" + b"1.2\0"
    for number in range(5):
        raw = ordinary(0x8010, number, "") + behind
        assert decoder.decode(raw) == decode_command(raw)
        if number == 1:
            monkeypatch.setattr(command_shapes, "decode_command", None)


def test_kinds_that_take_turns_are_all_known(monkeypatch) -> None:
    decoder = CommandDecoder()
    fields = [f for f in FIELDS if f != 0x8FFF][:MAX_SHAPES]
    for field in (fields[0], *fields):
        decoder.decode(ordinary(field, 1, "1.2"))
    monkeypatch.setattr(command_shapes, "decode_command", None)
    for number in range(40):
        raw = ordinary(fields[number * 7 % MAX_SHAPES], number, f"1.2.{number}")
        assert decoder.decode(raw).message_id == number


def test_what_a_peer_can_make_it_keep_is_bounded() -> None:
    decoder = CommandDecoder()
    for number in range(200):
        comment = (0x0902, b"x" * 2 * number)
        raw = encoded([(0x0100, b"\x01\x80"), (0x0120, b"\1\0"), (0x0800, b"\1\1"), comment])
        decoder.decode(raw)
    kept = decoder._shapes
    assert len(kept) == MAX_SHAPES
    assert all(len(shape.model.raw) <= MAX_SHAPE_LENGTH for shape in kept)


def test_associations_share_what_was_met(monkeypatch) -> None:
    shared = CommandShapes()
    assert CommandDecoder(shared).decode(STORE) == decode_command(STORE)
    other = STORE[:-6] + b"1.2.33"
    expected = decode_command(other)
    monkeypatch.setattr(command_shapes, "decode_command", None)
    assert CommandDecoder(shared).decode(other) == expected


def test_what_is_shared_is_bounded() -> None:
    shared = CommandShapes()
    for number in range(200):
        comment = (0x0902, b"x" * 2 * number)
        raw = encoded([(0x0100, b"\x01\x80"), (0x0120, b"\1\0"), (0x0800, b"\1\1"), comment])
        CommandDecoder(shared).decode(raw)
    assert len(shared.recent) == MAX_SHAPES
    assert all(len(shape.model.raw) <= MAX_SHAPE_LENGTH for shape in shared.recent)


def test_an_association_with_one_command_keeps_nothing() -> None:
    decoder = CommandDecoder()
    decoder.decode(STORE)
    assert decoder._shapes == []
