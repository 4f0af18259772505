"""Value representations against PS3.5 6.2 and pydicom's tables."""

import pytest
from pydicom import valuerep
from pydicom.valuerep import VR as PydicomVR

from dicom_actors.data.dictionary.vr import LONG_LENGTH, VR

UNAMBIGUOUS = [vr for vr in PydicomVR if len(vr) == 2]


def test_there_are_34():
    assert len(VR) == 34
    assert {str(vr) for vr in VR} == {str(vr) for vr in UNAMBIGUOUS}


def test_members_are_their_letters():
    assert VR.CS == "CS"
    assert f"{VR.CS}" == "CS"
    assert VR("CS") is VR.CS
    assert {"CS": 1}[VR.CS] == 1
    assert VR.CS.description == "Code String"


def test_long_length_agrees_with_pydicom():
    assert {code.decode() for code in LONG_LENGTH} == {
        str(vr) for vr in valuerep.EXPLICIT_VR_LENGTH_32
    }
    assert {vr for vr in VR if vr.has_long_length} == {VR(code.decode()) for code in LONG_LENGTH}


def test_text_agrees_with_pydicom():
    assert {str(vr) for vr in VR if vr.is_text} == {str(vr) for vr in valuerep.STR_VR}


def test_character_sets_agree_with_pydicom():
    ours = {str(vr) for vr in VR if vr.uses_character_set}
    assert ours == {str(vr) for vr in valuerep.CUSTOMIZABLE_CHARSET_VR}


def test_multi_valued_agrees_with_pydicom():
    # pydicom counts sequences as lists and leaves AT out of its numbers.
    ours = {str(vr) for vr in VR if vr.is_multi_valued}
    theirs = {str(vr) for vr in valuerep.STR_VR - valuerep.ALLOW_BACKSLASH}
    theirs |= {str(vr) for vr in valuerep.INT_VR | valuerep.FLOAT_VR} | {"AT"}
    assert ours == theirs - {"UR"}


@pytest.mark.parametrize(("vr", "length"), list(valuerep.MAX_VALUE_LEN.items()))
def test_largest_lengths_agree_with_pydicom(vr, length):
    assert VR(vr).max_length == length


@pytest.mark.parametrize(
    ("vr", "size"),
    [
        ("OB", 1),
        ("OW", 2),
        ("OF", 4),
        ("OD", 8),
        ("OL", 4),
        ("OV", 8),
        ("AT", 2),
        ("US", 2),
        ("SS", 2),
        ("UL", 4),
        ("SL", 4),
        ("FL", 4),
        ("FD", 8),
        ("SV", 8),
        ("UV", 8),
        ("UN", 0),
        ("SQ", 0),
        ("LO", 0),
    ],
)
def test_word_sizes(vr, size):
    assert VR(vr).word_size == size


def test_padding():
    assert {vr for vr in VR if vr.padding == b" "} == {vr for vr in VR if vr.is_text} - {VR.UI}
    assert {vr.padding for vr in VR} == {b" ", b"\0"}


def test_undefined_lengths():
    assert {vr for vr in VR if vr.allows_undefined_length} == {VR.OB, VR.OW, VR.SQ, VR.UN}


def test_leading_spaces_count_in_texts():
    assert {vr for vr in VR if vr.keeps_leading_spaces} == {VR.LT, VR.ST, VR.UT, VR.UC}


def test_units_of_length():
    assert {vr for vr in VR if vr.length_unit == "chars"} == {
        VR.LO, VR.LT, VR.PN, VR.SH, VR.ST
    }  # fmt: skip
    assert {vr for vr in VR if vr.is_fixed_length} == {
        VR.AS, VR.AT, VR.DA, VR.FD, VR.FL, VR.SL, VR.SS, VR.SV, VR.UL, VR.US, VR.UV
    }  # fmt: skip
