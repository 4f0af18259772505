"""Whatever is done to a list of values: the data set equals what it is read as again.

A list that a data set handed out is a list in every respect, so that anything can be put in. What
can be written comes back equal; what cannot is an `EncodeError` wherever it is written.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.data import VR, DataElement, DataSet, Tag
from dicom_actors.errors import DicomError, EncodeError

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN]
TAG = 0x00091001  # private: its VR is what is written
GOOD = {
    "AS": ["010Y", "011M"],
    "AT": [0x00100010, 0x00100020],
    "DA": ["20200101", "20200102"],
    "DS": ["1.50", "2"],
    "DT": ["20200101", "20200102"],
    "IS": ["007", "8"],
    "TM": ["1010", "101112"],
    "UI": ["1.2", "1.3"],
}
NUMBERS = ["SS", "US", "SL", "UL", "SV", "UV", "FL", "FD"]
TEXTS = ["AE", "CS", "LO", "PN", "SH", "UC"]
GOOD.update({vr: [1, 2] for vr in NUMBERS} | {vr: ["A", "B"] for vr in TEXTS})
JUNK = ["x", "", " a ", "a\\b", "\\", "a\0", "é", 5, -1, 0.1, 1 / 3, 1e99, float("nan"), None]
JUNK += [b"a", (), Tag(1), 1 << 70, "1.5 ", object(), {}, [], "20200103", "1_0", "A^B=C"]

ANOTHER = object()
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["append", "insert", "set"]), st.sampled_from(JUNK)),
        st.tuples(st.sampled_from(["append", "insert", "set"]), st.just(ANOTHER)),
        st.sampled_from([("clear", None), ("pop", None), ("reverse", None), ("twice", None)]),
    ),
    min_size=1,
    max_size=5,
)


def change(values, how, value, good):
    if value is ANOTHER:
        value = good[1]
    if how == "append":
        values.append(value)
    elif how == "insert":
        values.insert(0, value)
    elif how == "set":
        values[:1] = [value]
    elif how == "clear":
        values.clear()
    elif how == "pop":
        if values:
            values.pop()
    elif how == "reverse":
        values.reverse()
    else:
        values *= 2


def data_set(vr, count):
    return DataSet([DataElement(TAG, vr, GOOD[vr] * count)])


def check(ds):
    """Check that it equals itself read again, in every form, or cannot be written in any."""
    ds.check()
    str(ds)
    assert ds.copy() == ds
    try:
        data = ds.to_bytes(EXPLICIT)
    except EncodeError:
        for syntax in SYNTAXES:
            with pytest.raises(EncodeError):
                ds.to_bytes(syntax)
        with contextlib.suppress(DicomError):
            ds.to_json()
        return
    again = DataSet.from_bytes(data, EXPLICIT)
    assert again == ds
    assert ds == again
    assert again.fetch(TAG) == ds.fetch(TAG)
    assert again.to_bytes() == data
    swapped = DataSet.from_bytes(ds.to_bytes(BIG_ENDIAN), BIG_ENDIAN)
    assert swapped == ds
    try:
        text = ds.to_json(keep_number_text=True)
    except DicomError:
        return  # not all that can be written is JSON
    if "InlineBinary" not in text:  # which is not padded
        assert DataSet.from_json(text) == again


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("vr", GOOD)
@given(changes=CHANGES, is_read=st.booleans())
def test_the_data_set_equals_what_it_is_read_as(vr, count, changes, is_read):
    ds = data_set(vr, count)
    if is_read:
        ds = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
    values = ds[TAG]
    for how, value in changes:
        change(values, how, value, GOOD[vr])
    assert ds[TAG] is values
    check(ds)


@pytest.mark.parametrize("junk", JUNK, ids=lambda value: repr(value).partition(" at 0x")[0])
@pytest.mark.parametrize("vr", GOOD)
def test_each_kind_of_junk(vr, junk):
    for many in (GOOD[vr], GOOD[vr] * 10):
        ds = DataSet.from_bytes(DataSet([DataElement(TAG, vr, many)]).to_bytes(), EXPLICIT)
        ds[TAG].append(junk)
        check(ds)


def test_a_list_that_was_cleared_is_as_none():
    made = DataSet({"ImageType": ["ORIGINAL", "PRIMARY"]})
    for ds in (DataSet.from_bytes(made.to_bytes(), EXPLICIT), made):
        ds.ImageType.clear()
        assert ds.ImageType == []
        assert ds == DataSet({"ImageType": None})
        assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT) == ds
        ds.ImageType.append("A")
        assert ds == DataSet({"ImageType": "A"})
        assert ds != DataSet({"ImageType": "B"})


@pytest.mark.parametrize("vr", [vr.value for vr in VR if vr.value in GOOD])
def test_other_values_are_other_values(vr):
    one, other = data_set(vr, 1), data_set(vr, 1)
    other[TAG].pop()
    assert one != other
    other[TAG].append(GOOD[vr][0])
    assert one != other


@pytest.mark.parametrize("vr", ["DS", "FL"])
def test_a_number_that_is_rounded_when_written(vr):
    ds = DataSet([DataElement(TAG, vr, 1 / 3)])
    assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT) == ds
    assert DataSet([DataElement(TAG, vr, 0.3333)]) != ds
