"""The other forms and views of a data set."""

import json

import pytest

from dicom_actors.data import DataSet
from dicom_actors.errors import DecodeError, ElementNotFoundError


def test_json_both_ways():
    ds = DataSet.from_keywords(PatientID="X", PixelSpacing=["0.50", "0.50"], Rows=2)
    assert json.loads(ds.to_json())["00280030"] == {"vr": "DS", "Value": [0.5, 0.5]}
    assert '"0.50"' in ds.to_json(keep_number_text=True)
    assert ds.to_json(indent=2).startswith('{\n  "00100020"')
    assert DataSet.from_json(ds.to_json()) == ds
    assert DataSet.from_json(ds.to_json().encode()) == ds
    assert DataSet.from_json(json.loads(ds.to_json())) == ds
    with pytest.raises(DecodeError):
        DataSet.from_json("{")


def test_bulk_data_by_uri():
    ds = DataSet.from_keywords(PixelData=b"\1\2", Rows=2)
    text = ds.to_json(bulk_data_uri=lambda path, element: "u" if element.vr == "OW" else None)
    assert json.loads(text)["7FE00010"] == {"vr": "OW", "BulkDataURI": "u"}
    assert DataSet.from_json(text, bulk_data=lambda uri: b"\1\2" * (uri == "u")) == ds


def test_private_blocks():
    ds = DataSet()
    block = ds.private_block(0x0029, "ACME", create=True)
    block.put(0x01, "LO", "hello")
    assert ds[0x00291001] == "hello"
    assert ds.private_block(0x0029, "ACME")[0x01] == "hello"
    assert ds.private_creators(0x0029) == {0x10: "ACME"}
    with pytest.raises(ElementNotFoundError):
        ds.private_block(0x0029, "NOBODY")
