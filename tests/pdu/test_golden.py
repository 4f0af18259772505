"""PDUs as bytes with their key, both ways, and the standard's field table against them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_actors.pdu import decode_pdu, encode_pdu
from tests.pdu.golden import GOLDEN

# The field layout of PS3.8 9.3 and PS3.7 D.3.3: type, name, kind, inside, offset, size, field.
FIELDS = [
    line.split("\t")
    for line in Path(__file__).with_name("pdu_items.tsv").read_text("utf-8").splitlines()[1:]
]
FIXED_FIELDS = [row for row in FIELDS if row[0] and row[4].isdigit() and row[5].isdigit()]
ENCODED = [encode_pdu(golden.pdu) for golden in GOLDEN]


def units(data):
    """Return each PDU, item and sub-item in the bytes as (type, its own bytes)."""
    found = [(data[0], data)]
    if data[0] in {1, 2}:
        found += items_of(data[74:])
    return found


def items_of(data):
    found = []
    while data:
        end = 4 + int.from_bytes(data[2:4], "big")
        assert end <= len(data)
        found.append((data[0], data[:end]))
        inside = {0x20: 8, 0x21: 8, 0x50: 4}.get(data[0])
        if inside is not None:
            found += items_of(data[inside:end])
        data = data[end:]
    return found


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_bytes_decode_to_what_the_key_says(golden):
    decoded = decode_pdu(memoryview(golden.data))

    assert type(decoded) is type(golden.pdu)
    assert decoded == golden.pdu


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_what_the_key_says_encodes_to_the_bytes(golden):
    encoded = encode_pdu(golden.pdu)

    assert decode_pdu(memoryview(encoded)) == golden.pdu
    assert (encoded == golden.data) is golden.canonical


@pytest.mark.parametrize("source", [[golden.data for golden in GOLDEN], ENCODED], ids=["in", "out"])
def test_the_golden_pdus_have_every_pdu_type_item_and_sub_item(source):
    seen = {unit_type for data in source for unit_type, _ in units(data)}

    assert {int(row[0], 16) for row in FIELDS if row[0]} <= seen


@pytest.mark.parametrize("row", FIXED_FIELDS, ids=lambda row: f"{row[0]}@{row[4]}-{row[6]}")
def test_encoded_fields_stand_where_the_table_says(row):
    unit_type, offset, size, field = int(row[0], 16), int(row[4]), int(row[5]), row[6]
    found = [unit for data in ENCODED for kind, unit in units(data) if kind == unit_type]

    assert found
    for unit in found:
        value = unit[offset : offset + size]
        assert len(value) == size
        if field in {"PDU-type", "Item-type"}:
            assert value[0] == unit_type
        elif field in {"PDU-length", "Item-length"}:
            assert int.from_bytes(value, "big") == len(unit) - offset - size
        elif field == "reserved" and size < 16:  # the AE titles of -AC are called reserved too
            assert value == bytes(size)
        elif field == "Protocol-version":
            assert value == b"\0\1"
        elif field == "Presentation-context-ID":
            assert value[0] % 2 == 1
