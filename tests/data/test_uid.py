"""UIDs (PS3.5 chapter 9, Annex B)."""

import re
import uuid

import pytest

from dicom_actors.data.dictionary.uids import generate_uid, is_valid_uid, uid_name


def test_names():
    assert uid_name("1.2.840.10008.1.1") == "Verification SOP Class"
    assert uid_name("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uid_name("1.2.3") == ""


@pytest.mark.parametrize("text", ["1.2.3", "0.0", "1.2.840.10008.1.1", "2", "1." * 31 + "10"])
def test_valid_uids(text):
    assert is_valid_uid(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.",
        ".1",
        "1..2",
        "1.02",
        "00.1",
        "1.2.a",
        "1.2.3\n",
        "1.2.3 ",
        "1.2.3\0",
        "1." * 32 + "1",
        "-1.2",
        "1.2.\u0663",
        "../../etc",
    ],
)
def test_invalid_uids(text):
    assert not is_valid_uid(text)


def test_generated_without_a_root_is_a_random_uuid():
    uids = {generate_uid() for _ in range(200)}
    assert len(uids) == 200
    for uid in uids:
        assert is_valid_uid(uid)
        number = uuid.UUID(int=int(uid.removeprefix("2.25.")))
        assert number.version == 4
        assert number.variant == uuid.RFC_4122


@pytest.mark.parametrize("root", ["1.2.840.99999", "2.25", "1", "1." * 21 + "1"])
def test_generated_under_a_root(root):
    uids = {generate_uid(root) for _ in range(200)}
    assert len(uids) == 200
    for uid in uids:
        assert is_valid_uid(uid)
        assert re.fullmatch(re.escape(root) + r"\.\d+", uid)


@pytest.mark.parametrize("root", ["", "1.2.", "1.02", "a", "1." * 22 + "1"])
def test_bad_roots(root):
    with pytest.raises(ValueError, match="root"):
        generate_uid(root)
