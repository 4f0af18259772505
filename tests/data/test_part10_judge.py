"""Every element of every file of the wheels pydicom and pydicom-data, read by both.

The rule: the same tags at every level; the same VR; the same values, where

- text is compared without padding, an empty value is an empty value (None, "", b"", []);
- sequences are compared item by item, recursively;
- encapsulated pixel data is compared as its fragments' bytes;
- other words (OW, OF...) of big endian data sets are little endian with us and as in the file
  with pydicom.

What differs is listed with the reason, and must differ: the list cannot grow stale.
"""

from __future__ import annotations

import gzip
import math
import warnings
from io import BytesIO

import pydicom
import pytest
from pydicom.multival import MultiValue

from dicom_actors.data import EncapsulatedPixelData, read_file
from dicom_actors.errors import NotPart10Error

# File, tag at the top: why ours is as it is.
BECAUSE = {
    # pydicom drops an empty phonetic group, we keep the text as it is (PS3.5 6.2.1.1 allows both).
    ("chrX1.dcm", 0x00100010),
    ("chrX2.dcm", 0x00100010),
    # The file ends within Isocenter Position: pydicom gives the digits that are there, of which
    # nobody knows what number they begin; we leave the element out, and give all before it.
    ("rtplan_truncated.dcm", 0x300A00B0),
    # See NO_DELIMITER.
    ("emri_small_jpeg_2k_lossless_too_short.dcm", 0x7FE00010),
}

# All fragments are there, the delimiter behind them is not: we give all elements and a warning,
# pydicom gives no element at all unless it is told to stop before the pixel data.
NO_DELIMITER = {"emri_small_jpeg_2k_lossless_too_short.dcm"}


def plain(value):
    if isinstance(value, MultiValue | list):
        return [plain(part) for part in value]
    if isinstance(value, str | pydicom.valuerep.PersonName):
        return str(value).strip(" \0")
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, memoryview):
        return bytes(value)
    return None if value in (None, b"") else value


def is_empty(value):
    return value in (None, "", b"", [])


def difference(element, judge, swaps):
    """What differs between an element and what the judge has read, sequences apart; or None."""
    if element.vr != judge.VR:
        return f"VR {judge.VR}"
    if isinstance(element.value, EncapsulatedPixelData):
        if b"".join(element.value.encoded()) not in judge.value:
            return "other fragments"
    elif swaps and element.vr in {"OW", "OF", "OD", "OL", "OV"}:
        if bytes(element.raw) != judge.value:
            return "other bytes"
    else:
        mine, his = plain(element.value), plain(judge.value)
        if mine != his and not (is_empty(mine) and is_empty(his)):
            return f"{mine!r:.60} and {his!r:.60}"
    return None


def differences(ds, judged, *, swaps, path=""):
    """Give the tag at the top and the description of each difference, at every level."""
    own, other = set(map(int, ds)), {int(element.tag) for element in judged}
    for tag in sorted(own ^ other):
        yield tag, f"{path}/{tag:08X} only {'ours' if tag in own else 'of the judge'}"
    for tag in sorted(own & other):
        element, judge = ds.fetch(tag), judged[tag]
        here = f"{path}/{tag:08X} {element.vr}"
        if element.vr == judge.VR == "SQ":
            if len(element.value) != len(judge.value):
                yield tag, f"{here}: {len(element.value)} and {len(judge.value)} items"
            for number, (one, another) in enumerate(zip(element.value, judge.value, strict=False)):
                inside = differences(one, another, swaps=swaps, path=f"{here}[{number}]")
                yield from ((tag, text) for _, text in inside)
        elif text := difference(element, judge, swaps):
            yield tag, f"{here}: {text}"


@pytest.mark.filterwarnings("ignore")
def test_what_is_there_of_a_truncated_sequence(judge_folder):
    path = judge_folder / "rtplan_truncated.dcm"
    ds, judged = read_file(path, keep_truncated=True), pydicom.dcmread(path)
    point = ds.BeamSequence[0].ControlPointSequence[0]
    judged_point = judged.BeamSequence[0].ControlPointSequence[0]
    assert [*map(int, point), 0x300A012C] == [int(element.tag) for element in judged_point]
    assert len(ds.warnings) == 3
    assert "expected an item of 468 bytes, 343 left" in str(ds.warnings[2])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "whole"),
    [("zipMR.gz", gzip.decompress), ("no_meta.dcm", lambda data: data[1:])],
)
def test_files_that_are_no_dicom_files_as_they_are(judge_folder, name, whole):
    data = (judge_folder / name).read_bytes()
    with pytest.raises(NotPart10Error):
        read_file(data)
    ds, judged = read_file(whole(data)), pydicom.dcmread(BytesIO(whole(data)), force=True)
    assert [text for _, text in differences(ds, judged, swaps=False)] == []
    assert len(ds) > 50


@pytest.mark.filterwarnings("ignore")
def test_both_read_the_same(judge_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged = pydicom.dcmread(
            judge_file, force=True, stop_before_pixels=judge_file.name in NO_DELIMITER
        )
        ds = read_file(judge_file, keep_truncated=True)
        swaps = ds.transfer_syntax.keyword == "ExplicitVRBigEndian"
        found = [
            *differences(ds, judged, swaps=swaps),
            *differences(ds.file_meta, judged.file_meta, swaps=False),
        ]
    explained = {tag for name, tag in BECAUSE if name == judge_file.name}
    assert [text for tag, text in found if tag not in explained] == []
    assert {tag for tag, _ in found} == explained


@pytest.mark.corpus
def test_the_corpus_is_there(corpus):
    assert len(corpus) == 68
