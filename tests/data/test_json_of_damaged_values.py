"""Whatever is written as JSON can be read again, and gives the same JSON."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.data import VR, DataSet
from dicom_actors.data.dictionary.vr import LONG_LENGTH
from dicom_actors.errors import DecodeError, DicomError, EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"
TAG = 0x00091001
VALUES = [
    *(b"", b"\0", b" ", b"abc", b"1", b"1\\", b"\\", b"\\\\", b"1\\abc", b"1_0", b" 1 ", b"1\0"),
    *(b"nan", b"inf", b"-inf", b"1\\nan", b"1e400", b"99999999999", b"1.5", b"0x10", b"1..2"),
    *(b"2024013", b"\xff\xfe", b"\x1b$B", b"a=b=c=d", b"^^^^^^^", b"x" * 100, b"1" * 100),
    *(pack("<d", math.nan), pack("<d", math.inf), pack("<f", math.nan), pack("<f", -math.inf)),
    *(b"\1\2\3", b"\1\2\3\4\5", b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\0\xe0\0\1\0\0"),
    *(b"50.000", b"1\\50.000", b"+5", b"05"),
    *(b"line\r\nb", b"\x07bell", b"\xd9\xa1"),
]


def read(vr, value):
    head = pack("<HH2s", TAG >> 16, TAG & 0xFFFF, vr.encode())
    head += pack("<2xI" if vr.encode() in LONG_LENGTH else "<H", len(value))
    return DataSet.from_bytes(head + value, EXPLICIT)


def model_of(ds, **options):
    model = json.loads(ds.to_json(**options))
    model.pop("00080005", None)  # put in where there is more than ASCII
    return model


@pytest.mark.parametrize("keep_number_text", [False, True])
@pytest.mark.parametrize("vr", [vr.value for vr in VR])
def test_what_is_written_can_be_read(vr, keep_number_text):
    for value in VALUES:
        model = model_of(read(vr, value), keep_number_text=keep_number_text)
        again = DataSet.from_json(json.dumps(model))
        assert model_of(again, keep_number_text=keep_number_text) == model


@given(vr=st.sampled_from([vr.value for vr in VR]), value=st.binary(max_size=24))
def test_whatever_the_bytes_are(vr, value):
    model = model_of(read(vr, value))
    assert model_of(DataSet.from_json(json.dumps(model))) == model


@pytest.mark.parametrize("vr", ["AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"])
def test_a_wrong_length_is_that_of_a_un(vr):
    attribute = model_of(read(vr, b"\1\2\3"))["00091001"]
    assert attribute["vr"] == "UN"
    assert b64decode(attribute["InlineBinary"]) == b"\1\2\3"


@pytest.mark.parametrize("vr", ["DS", "IS"])
@pytest.mark.parametrize("value", [b"abc ", b"1\\abc ", b"nan "])
def test_text_that_is_no_number_is_that_of_a_un(vr, value):
    attribute = model_of(read(vr, value))["00091001"]
    assert attribute["vr"] == "UN"
    assert b64decode(attribute["InlineBinary"]) == value


@pytest.mark.parametrize("vr", ["DS", "IS"])
@pytest.mark.parametrize("value", [value for value in VALUES if value.isascii()])
def test_what_is_taken_over_is_written_as_what_was_read(vr, value):
    source, taker = read(vr, value + b" " * (len(value) % 2)), DataSet()
    taker.put_element(source.fetch(TAG))
    assert model_of(taker) == model_of(source)


@pytest.mark.parametrize("name", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("vr", ["DS", "FD", "IS", "LO", "US"])
def test_what_is_no_json_is_refused(vr, name):
    with pytest.raises(DecodeError, match=f"no JSON: {name}"):
        DataSet.from_json(f'{{"00091001": {{"vr": "{vr}", "Value": [{name}]}}}}')


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none(value):
    for vr in ("FD", "FL"):
        ds = DataSet()
        ds.put(TAG, vr, value)
        (text,) = json.loads(ds.to_json())["00091001"]["Value"]
        assert repr(float(text)) == repr(value)
        assert DataSet.from_json(ds.to_json()) == ds
    for vr in ("DS", "IS"):
        for given_value in (value, [1, value], str(value)):
            with pytest.raises((EncodeError, DecodeError)):
                ds = DataSet()
                ds.put(TAG, vr, given_value)
                ds.to_json()


@pytest.mark.parametrize("vr", [vr.value for vr in VR if vr != "SQ"])
@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", 1e400, -1, "x", 1.5, True, [], {}, "1" * 5000]
)
def test_nothing_but_a_dicom_error_leaves(vr, value):
    text = json.dumps({"00091001": {"vr": vr, "Value": [value]}}).replace("[Infinity]", "[1e400]")
    try:
        DataSet.from_json(text).to_json()
    except DicomError:
        return
