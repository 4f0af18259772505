"""Every element of every file of pydicom's wheel, read by both.

The rule: the same tags at every level; the same VR; the same values, where

- text is compared without padding, an empty value is an empty value (None, "", b"", []);
- sequences are compared item by item, recursively;
- encapsulated pixel data is compared as its fragments' bytes;
- other words (OW, OF...) of big endian data sets are little endian with us and as in the file
  with pydicom.

What differs is listed with the reason.
"""

from __future__ import annotations

import math
import warnings

import pydicom
import pytest
from pydicom.multival import MultiValue

from dicom_actors.data import EncapsulatedPixelData, read_file

BECAUSE = {
    # pydicom drops an empty phonetic group, we keep the text as it is (PS3.5 6.2.1.1 allows both).
    ("chrX1.dcm", 0x00100010),
    ("chrX2.dcm", 0x00100010),
    # IS of "1A": pydicom gives text or an error by its settings, we give the text and a warning.
    ("badVR.dcm", 0x00280008),
}


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


def compare(ds, judged, name, *, swaps, differences, path=""):
    tags = [int(tag) for tag in ds]
    if tags != sorted(int(element.tag) for element in judged):
        differences.append(f"{path}: other tags")
        return
    for tag in tags:
        element, judge = ds.fetch(tag), judged[tag]
        here = f"{path}/{tag:08X} {element.vr}"
        if (name, tag) in BECAUSE:
            continue
        if element.vr != judge.VR:
            differences.append(f"{here}: VR {judge.VR}")
        elif element.vr == "SQ":
            if len(element.value) != len(judge.value):
                differences.append(f"{here}: {len(judge.value)} items")
            for number, (one, other) in enumerate(zip(element.value, judge.value, strict=False)):
                inside = f"{here}[{number}]"
                compare(one, other, name, swaps=swaps, differences=differences, path=inside)
        elif isinstance(element.value, EncapsulatedPixelData):
            if b"".join(element.value.encoded()) not in judge.value:
                differences.append(f"{here}: other fragments")
        elif swaps and element.vr in {"OW", "OF", "OD", "OL", "OV"}:
            if bytes(element.raw) != judge.value:
                differences.append(f"{here}: other bytes")
        else:
            mine, his = plain(element.value), plain(judge.value)
            if mine != his and not (is_empty(mine) and is_empty(his)):
                differences.append(f"{here}: {mine!r:.60} and {his!r:.60}")


@pytest.mark.filterwarnings("ignore")
def test_both_read_the_same(judge_file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        judged = pydicom.dcmread(judge_file, force=True)
        if "NoMeta" in judge_file.name:
            return  # pydicom takes these for Implicit VR Little Endian, whatever they are
        ds = read_file(judge_file, keep_truncated=True)
        differences = []
        syntax = judged.file_meta.get("TransferSyntaxUID")
        swaps = syntax == "1.2.840.10008.1.2.2"
        if judge_file.name == "rtplan_truncated.dcm":
            # The last sequence is cut short: pydicom gives its whole items, we none of it.
            assert set(ds) == set(judged.keys()) - {0x300A00B0}
            return
        compare(ds, judged, judge_file.name, swaps=swaps, differences=differences)
        compare(
            ds.file_meta, judged.file_meta, judge_file.name, swaps=False, differences=differences
        )
    assert differences == []
