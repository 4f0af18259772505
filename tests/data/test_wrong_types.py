"""Whatever is handed in, what leaves the public names is an error that they document."""

from __future__ import annotations

import collections
import datetime as dt
import io
import math
from decimal import Decimal

import pytest

from dicom_actors.data import (
    DA,
    DS,
    DT,
    IS,
    TM,
    CharacterSet,
    DataElement,
    DataSet,
    EncapsulatedPixelData,
    Limits,
    PersonName,
    Query,
    Tag,
    TransferSyntax,
    file_meta_header,
    file_pieces,
    read_file,
    write_file,
)
from dicom_actors.errors import DicomError, shown

EXPLICIT = "1.2.840.10008.1.2.1"
DOCUMENTED = (DicomError, ValueError, TypeError, KeyError, OSError)


def nested(depth):
    made = []
    for _ in range(depth):
        made = [made]
    return made


class NoRepr:
    def __repr__(self):
        raise RuntimeError("none")


def new():
    return DataSet.from_keywords(
        SOPClassUID="1.2",
        SOPInstanceUID="1.3",
        PatientID="X",
        Rows=1,
        Columns=1,
        BitsAllocated=8,
        PixelData=b"ab",
        ReferencedImageSequence=[{"PatientID": "Y"}],
    )


JUNK = {
    "None": None,
    "...": ...,
    "True": True,
    "-1": -1,
    "2**70": 2**70,
    "nan": math.nan,
    "inf": math.inf,
    "1j": 1j,
    "Decimal": Decimal("NaN"),
    "no text": "",
    "a text": "x",
    "NUL": "\0",
    "a surrogate": "\ud800",
    "a long text": "x" * 70_000,
    "bytes": b"xyz",
    "a bytearray": bytearray(b"abc"),
    "every second byte": memoryview(b"abcdef")[::2],
    "[]": [],
    "[None]": [None],
    "[1, 'a', None]": [1, "a", None],
    "()": (),
    "(-1, 5)": (-1, 5),
    "(1, 2, 3)": (1, 2, 3),
    "{}": {},
    "a set": {1, 2},
    "a date": dt.date(2020, 1, 1),
    "a time": dt.time(1),
    "a function": len,
    "a class": int,
    "an object": object(),
    "an object without repr": NoRepr(),
    "a list in lists": nested(3_000),
    "a data set": new(),
    "an element": new().fetch("PatientID"),
    "a sequence": new().ReferencedImageSequence,
    "a name": PersonName("A"),
    "compressed pixel data": EncapsulatedPixelData([b"ab"]),
    "a transfer syntax": TransferSyntax.of(EXPLICIT),
    "a user's mapping": collections.UserDict(a=1),
    "a text stream": io.StringIO("abc"),
}
FILE = b"".join(file_pieces(new()))
DOORS = {
    "read_file": read_file,
    "read_file, until": lambda junk: read_file(FILE, until=junk),
    "read_file, keywords": lambda junk: read_file(FILE, keywords=junk),
    "read_file, limits": lambda junk: read_file(FILE, limits=junk),
    "read_file, character_set": lambda junk: read_file(FILE, character_set=junk),
    "write_file": lambda junk: write_file(junk, junk),
    "write_file, what": lambda junk: write_file(io.BytesIO(), junk),
    "write_file, syntax": lambda junk: write_file(io.BytesIO(), new(), transfer_syntax=junk),
    "write_file, preamble": lambda junk: write_file(io.BytesIO(), new(), preamble=junk),
    "file_pieces": file_pieces,
    "file_meta_header": lambda junk: file_meta_header(junk, "1.2", EXPLICIT),
    "file_meta_header, title": lambda junk: file_meta_header("1", "2", EXPLICIT, junk),
    "DataSet": DataSet,
    "from_elements": DataSet.from_elements,
    "from_elements, one": lambda junk: DataSet.from_elements([junk]),
    "from_bytes": lambda junk: DataSet.from_bytes(junk, EXPLICIT),
    "from_bytes, syntax": lambda junk: DataSet.from_bytes(b"", junk),
    "from_bytes, limits": lambda junk: DataSet.from_bytes(b"", EXPLICIT, limits=junk),
    "from_json": DataSet.from_json,
    "to_bytes": lambda junk: new().to_bytes(junk),
    "with_transfer_syntax": lambda junk: new().with_transfer_syntax(junk),
    "a key": lambda junk: new()[junk],
    "a key, deleted": lambda junk: new().__delitem__(junk),
    "a key, put": lambda junk: new().put(junk, "LO", "x"),
    "get": lambda junk: new().get(junk),
    "pop": lambda junk: new().pop(junk, None),
    "fetch": lambda junk: new().fetch(junk),
    "in": lambda junk: junk in new(),
    "put_element": lambda junk: new().put_element(junk),
    "merge": lambda junk: new().merge(junk),
    "update": lambda junk: new().update(junk),
    "put text": lambda junk: new().put("PatientID", None, junk),
    "put a name": lambda junk: new().put("PatientName", None, junk),
    "put a number": lambda junk: new().put("Rows", None, junk),
    "put a decimal": lambda junk: new().put("SliceThickness", None, junk),
    "put bytes": lambda junk: new().put("PixelData", None, junk),
    "put a tag": lambda junk: new().put("FrameIncrementPointer", None, junk),
    "put items": lambda junk: new().put("ReferencedImageSequence", None, junk),
    "a VR": lambda junk: DataElement("PatientID", junk, "x"),
    "a tag": Tag,
    "a transfer syntax": TransferSyntax.of,
    "a character set": lambda junk: CharacterSet.of((junk,)),
    "a date": DA.of,
    "a time": TM.of,
    "a date and time": DT.of,
    "a DS": DS.of,
    "an IS": IS.of,
    "a query": Query,
    "matches": lambda junk: Query(new()).matches(junk),
    "answer": lambda junk: Query(new()).answer(junk),
    "select": lambda junk: [*Query(new()).select(junk)],
    "group": lambda junk: [
        *Query(DataSet.from_keywords(QueryRetrieveLevel="STUDY")).group([junk, junk])
    ],
    "frames": lambda junk: EncapsulatedPixelData([b"ab", b"cd"]).frames(junk),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_an_error_is_a_documented_one(door, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some junk is a good name of a file
    refused = 0
    for name, junk in JUNK.items():
        try:
            door(junk)
        except DOCUMENTED as error:
            refused += len(str(error)) > 0
        except Exception as error:
            pytest.fail(f"{name}: {error!r}")
    assert refused or door is DOORS["in"]


def test_no_frame_at_all_is_no_answer():
    with pytest.raises(DicomError, match="offsets of 0 frames"):
        EncapsulatedPixelData([b"ab"]).frames(0)


def test_limits_are_taken():
    assert read_file(FILE, limits=Limits(max_depth=3)).PatientID == "X"


def test_what_is_shown_is_short_whatever_it_is():
    for junk in JUNK.values():
        assert len(shown(junk)) <= 300
    assert shown("x" * 1_000).startswith("'xxx")


def test_a_view_of_every_second_byte_is_read_as_these_bytes():
    data = new().to_bytes(EXPLICIT)
    view = memoryview(bytes(byte for one in data for byte in (one, 0)))[::2]
    assert DataSet.from_bytes(view, EXPLICIT) == DataSet.from_bytes(data, EXPLICIT)
    buffer = io.BytesIO()
    write_file(buffer, new())
    view = memoryview(bytes(byte for one in buffer.getvalue() for byte in (one, 0)))[::2]
    assert read_file(view) == read_file(buffer.getvalue())
