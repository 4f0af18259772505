from __future__ import annotations

import contextlib
import random
from functools import cache
from struct import pack

import pytest
from kit.mutations import EXPLICIT, IMPLICIT, mutated, seeds
from kit.native import IS_BUILT, switched
from pydicom.data import get_testdata_file

from dicom_actors import DataSet, read_file
from dicom_actors.errors import DicomError

SYNTAXES = {
    "1.2.840.10008.1.2": "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1": "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2": "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99": "1.2.840.10008.1.2.1",
}


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_elements_together_are_the_data_set(syntax):
    made = read_file(get_testdata_file("CT_small.dcm"))
    data_set = DataSet.from_bytes(made.to_bytes(syntax), syntax)

    found = data_set.elements_as_read()

    assert found is not None
    assert found.transfer_syntax.uid == SYNTAXES[syntax]
    assert [tag for tag, _ in found.elements] == list(data_set)
    again = DataSet.from_bytes(b"".join(part for _, part in found.elements), SYNTAXES[syntax])
    assert again == data_set
    if syntax == SYNTAXES[syntax]:
        assert b"".join(part for _, part in found.elements) == data_set.to_bytes()


def test_sequences_of_undefined_length_are_whole():
    data_set = read_file("test_files/undefined_lengths.dcm")

    found = data_set.elements_as_read()

    assert found is not None
    for tag, part in found.elements:
        one = DataSet.from_bytes(bytes(part), found.transfer_syntax)
        assert list(one) == [tag]


def test_some_together_are_what_each_of_them_is():
    found = read_file(get_testdata_file("CT_small.dcm")).elements_as_read()

    assert found is not None
    parts = [bytes(part) for _, part in found.elements]
    assert bytes(found.part(3, 9)) == b"".join(parts[3:9])
    assert bytes(found.part(0, len(parts))) == b"".join(parts)
    assert DataSet.from_bytes(b"", "1.2.840.10008.1.2.1").elements_as_read().elements == []


def test_elements_in_disorder_stand_where_they_stood():
    one, two = (
        DataSet.from_keywords(**{keyword: "1"}).to_bytes() for keyword in ("PatientID", "Modality")
    )
    found = DataSet.from_bytes(one + two, "1.2.840.10008.1.2.1").elements_as_read()

    assert found is not None
    assert [bytes(part) for _, part in found.elements] == [one, two]


def test_what_was_made_or_changed_was_not_read():
    assert DataSet.from_keywords(PatientID="1").elements_as_read() is None
    data_set = read_file(get_testdata_file("CT_small.dcm"))
    data_set.PatientID = "2"
    assert data_set.elements_as_read() is None
    data_set = read_file(get_testdata_file("CT_small.dcm"))
    data_set.OtherPatientIDsSequence[0].PatientID = "2"
    assert data_set.elements_as_read() is None


def test_nothing_is_copied():
    body = read_file(get_testdata_file("CT_small.dcm")).to_bytes()
    found = DataSet.from_bytes(body, "1.2.840.10008.1.2.1").elements_as_read()
    assert found is not None
    assert all(part.obj is body for _, part in found.elements)
    with pytest.raises(TypeError):
        found.elements[0][1][0] = 0


# --- of bytes, without a data set -----------------------------------------------------------

built = pytest.mark.skipif(not IS_BUILT, reason="the package was installed without a compiler")


def judged(data, syntax):
    """The elements of a data set without reading it, if they are what reading gives; or None."""
    found = DataSet.elements_of(data, syntax)
    if found is not None:
        read = DataSet.from_bytes(data, syntax)
        assert not read.warnings
        assert found == read.elements_as_read()
    return found


@cache
def bodies():
    """Real data sets that can be encoded anew."""
    found = []
    for data in seeds():
        for syntax in (EXPLICIT, IMPLICIT):
            with contextlib.suppress(DicomError):
                found.append((syntax, read_file(data).to_bytes(syntax)))
    return found


@built
def test_they_are_found_without_reading():
    with switched(to=True):
        found = [judged(body, syntax) is not None for syntax, body in bodies()]
    assert len(found) > 100
    assert found.count(True) > 0.9 * len(found)


@built
@pytest.mark.parametrize("seed", range(20))
def test_they_are_those_of_reading_or_there_are_none(seed):
    draw = random.Random(seed)
    all_bodies = [body for _, body in bodies()]
    with switched(to=True):
        for _ in range(60):
            body = mutated(draw, draw.choice(all_bodies), all_bodies)
            for syntax in (EXPLICIT, IMPLICIT):
                judged(body, syntax)


ITEM, ITEM_END, END = (
    pack("<HHI", 0xFFFE, *of) for of in ((0xE000, 0xFFFFFFFF), (0xE00D, 0), (0xE0DD, 0))
)
INNER = pack("<HH2sH", 8, 8, b"LO", 2) + b"AB"


def nested(depth):
    """A sequence in a sequence in a sequence, all of undefined length."""
    head = pack("<HH2s2xI", 8, 0x1115, b"SQ", 0xFFFFFFFF)
    inner = nested(depth - 1) if depth > 1 else INNER
    return head + ITEM + inner + ITEM_END + END


@built
@pytest.mark.parametrize("depth", range(1, 9))
def test_nested_sequences_of_undefined_length(depth):
    with switched(to=True):
        found = judged(nested(depth), EXPLICIT)
    assert found is not None
    assert len(found.tags) == 1


@built
@pytest.mark.parametrize(
    "data",
    [
        b"",
        INNER[:-1],
        INNER + bytes(7),
        INNER + bytes(8),
        INNER + INNER,
        nested(1)[:-8],
        nested(1)[:-1],
        nested(100),
        nested(2)[:-8] + ITEM_END,
        pack("<HH2s2xI", 8, 0x1115, b"UN", 0xFFFFFFFF) + END,
        pack("<HH2s2xI", 8, 0x1115, b"OB", 0xFFFFFFFF) + END,
        pack("<HH2s2xI", 0x7FE0, 0x10, b"SQ", 0xFFFFFFFF) + END,
        pack("<HH2s2xI", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF) + ITEM + ITEM_END + END,
        ITEM + ITEM_END,
    ],
)
def test_what_is_unusual_is_read(data):
    with switched(to=True):
        assert DataSet.elements_of(data, EXPLICIT) is None


@built
def test_fragments_are_passed_over():
    fragment = pack("<HHI", 0xFFFE, 0xE000, 4) + b"abcd"
    data = INNER + pack("<HH2s2xI", 0x7FE0, 0x10, b"OB", 0xFFFFFFFF) + fragment * 3 + END
    with switched(to=True):
        found = judged(data, "1.2.840.10008.1.2.4.50")
    assert found is not None
    assert found.offsets == [0, len(INNER), len(data)]


@built
@pytest.mark.parametrize(("count", "are_same"), [(2_048, True), (2_049, False)])
def test_only_tags_of_a_usual_number_are_remembered(count, are_same):
    data = b"".join(pack("<HH2s2x", 0x29, 0x1000 + number, b"LO") for number in range(count))
    with switched(to=True):
        first, second = (judged(data, EXPLICIT).tags for _ in range(2))
    assert first == second
    assert (first is second) is are_same


def test_without_the_compiled_part_they_are_read():
    with switched(to=False):
        assert DataSet.elements_of(INNER, EXPLICIT) is None
    assert DataSet.elements_of(INNER, "1.2.840.10008.1.2.2") is None
    with pytest.raises(ValueError, match="ExplicitVRLittleEndian"):
        DataSet.elements_of(INNER, "ExplicitVRLittleEndien")
