"""Tags and keys (PS3.5 7.1.1)."""

import pickle

import pytest

from dicom_actors.data.dictionary.tag import Tag, UnknownKeywordError, to_tag
from dicom_actors.errors import ElementNotFoundError


@pytest.mark.parametrize(
    "key",
    [
        0x00100020,
        Tag(0x00100020),
        (0x0010, 0x0020),
        "PatientID",
        "(0010,0020)",
        "0010,0020",
        "00100020",
        "0x00100020",
    ],
)
def test_every_form_of_a_key_is_the_same_tag(key):
    assert to_tag(key) == 0x00100020
    assert type(to_tag(key)) is int
    assert Tag(key) == 0x00100020


def test_parts_of_a_tag():
    tag = Tag(0x0010, 0x0020)
    assert (tag.group, tag.element) == (0x0010, 0x0020)
    assert str(tag) == f"{tag}" == "(0010,0020)"
    assert repr(tag) == "Tag(0x00100020)"
    assert (tag.keyword, tag.name) == ("PatientID", "Patient ID")
    assert hash(tag) == hash(0x00100020)
    assert pickle.loads(pickle.dumps(tag)) == tag


@pytest.mark.parametrize(
    ("tag", "private", "creator"),
    [
        (0x00100020, False, False),
        (0x00090010, True, True),
        (0x000900FF, True, True),
        (0x00091010, True, False),
        (0x00090000, True, False),
        (0x0009000F, True, False),
        (0x00100010, False, False),
    ],
)
def test_private_tags(tag, private, creator):
    assert Tag(tag).is_private is private
    assert Tag(tag).is_private_creator is creator


def test_unknown_keyword_names_close_ones():
    with pytest.raises(ElementNotFoundError) as caught:
        to_tag("PatientsName")
    assert isinstance(caught.value, KeyError)
    assert caught.value.keyword == "PatientsName"
    assert caught.value.tag is None
    assert "PatientName" in str(caught.value)


def test_unknown_keyword_that_resembles_nothing():
    error = UnknownKeywordError("", keyword="Qqqqqqqq")
    assert str(error) == "'Qqqqqqqq' is not a keyword of the data dictionary"


def test_unknown_keyword_error_survives_a_process_border():
    with pytest.raises(UnknownKeywordError) as caught:
        to_tag("Patientid")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)


@pytest.mark.parametrize("key", [-1, 1 << 32, (0x10000, 0), (0, 0x10000), (-1, 0)])
def test_numbers_out_of_range(key):
    with pytest.raises(ValueError, match="0x"):
        to_tag(key)


@pytest.mark.parametrize("key", [None, 1.5, (1,), (1, 2, 3), ("0010", "0020"), [0x10, 0x20], b"x"])
def test_what_is_no_key(key):
    with pytest.raises(TypeError, match="keyword"):
        to_tag(key)


@pytest.mark.parametrize("text", ["", "0010", "0010002", "001000201", "0010,00 0", "+0100020"])
def test_texts_that_are_neither_keyword_nor_tag(text):
    with pytest.raises(ElementNotFoundError):
        to_tag(text)


def test_group_and_element_are_checked():
    with pytest.raises(ValueError, match="group and element"):
        Tag(0x12345, 0x0010)
    with pytest.raises(TypeError):
        Tag("PatientID", 0x0010)


def test_tag_without_a_name():
    assert Tag(0x00091010).name == ""
    assert Tag(0x00091010).keyword == ""
