"""The DICOM JSON Model of every file in pydicom's wheel, against pydicom's own.

Where the two differ, PS3.18 Annex F is on our side:

- group lengths have no place in the model (F.2.2);
- an empty value among others is null, an empty sequence has no Value (F.2.5);
- bytes are little endian, whatever the file is (F.2.7);
- compressed pixel data is OB, even where a file says OW (PS3.5 A.4).

Numbers are compared as numbers: 1 and 1.0 are the same in JSON. Spaces after a value that is not
the last one, which pydicom keeps and PS3.5 6.2 calls insignificant, are not compared.
"""

import json
import logging
import warnings
from base64 import b64decode
from pathlib import Path

import pydicom
import pytest

from dicom_actors.data import read_file
from dicom_actors.data.forms.json import from_json, to_json, to_json_dict
from dicom_actors.errors import DicomError

DATA = Path(pydicom.__file__).parent / "data"
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
FRAGMENT = b"\xfe\xff\0\xe0"
LEFT_OUT = {"badVR.dcm"}  # has an IS that is no number, of which pydicom makes no JSON


def dicom_files():
    for path in sorted(DATA.rglob("*")):
        if path.is_file() and path.suffix in {"", ".dcm"} and path.name not in LEFT_OUT:
            yield pytest.param(path, id=str(path.relative_to(DATA)))


def read_by_both(path):
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read_file(path), json.loads(pydicom.dcmread(path).to_json())
        except (DicomError, pydicom.errors.InvalidDicomError):
            return None, None


def as_we_write(model):
    """Apply the rules above to what pydicom wrote."""
    written = {}
    for tag, attribute in model.items():
        if tag.endswith("0000"):
            continue
        values = attribute.get("Value", ())
        if attribute["vr"] == "SQ":
            values = [as_we_write(item) for item in values]
        elif len(values) > 1 and isinstance(values[0], str):
            values = [value.rstrip(" ") or None for value in values]
        rest = {name: value for name, value in attribute.items() if name != "Value"}
        if tag == "7FE00010" and b64decode(rest.get("InlineBinary", "")[:8])[:4] == FRAGMENT:
            rest["vr"] = "OB"
        written[tag] = {**rest, "Value": values} if values else rest
    return written


def is_big_endian(ds):
    return ds.transfer_syntax is not None and not ds.transfer_syntax.is_little_endian


@pytest.mark.parametrize("path", list(dicom_files()))
def test_agrees_with_pydicom(path):
    ds, theirs = read_by_both(path)
    if ds is None:
        return
    ours = json.loads(to_json(ds))
    expected = as_we_write(theirs)
    if is_big_endian(ds):
        for element in ds.elements():
            if element.vr in WORDS:
                del ours[f"{element.tag:08X}"], expected[f"{element.tag:08X}"]
    assert ours == expected


@pytest.mark.parametrize("path", list(dicom_files()))
def test_comes_back(path):
    ds, _ = read_by_both(path)
    if ds is None:
        return
    model = to_json_dict(ds, keep_number_text=True)
    again = from_json(json.dumps(model, allow_nan=False))
    assert to_json_dict(again, keep_number_text=True) == model
