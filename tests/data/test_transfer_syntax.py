"""Transfer syntaxes against PS3.5 Annex A and pydicom's properties."""

import pickle

import pytest
from pydicom.uid import UID, AllTransferSyntaxes

from dicom_actors.data import dictionary
from dicom_actors.data.dictionary import transfer_syntax as ts
from dicom_actors.data.dictionary.transfer_syntax import TransferSyntax


@pytest.mark.parametrize("uid", [str(uid) for uid in AllTransferSyntaxes])
def test_encoding_agrees_with_pydicom(uid):
    ours, theirs = TransferSyntax.of(uid), UID(uid)
    assert ours.is_known
    assert ours.is_data_set_encoding
    assert ours.is_implicit_vr == theirs.is_implicit_VR
    assert ours.is_little_endian == theirs.is_little_endian
    # pydicom knows one deflated syntax and takes all others beyond the plain ones for
    # encapsulated; the JPIP and SMPTE ones have no pixel data in the data set.
    if ours.codec != "JPIP reference" and ".1.2.7." not in uid:
        assert ours.is_deflated == theirs.is_deflated
        assert ours.is_encapsulated == theirs.is_encapsulated


def test_table_agrees_with_the_registry():
    registered = {
        uid
        for uid in (syntax.uid for syntax in TransferSyntax.all_known())
        if (found := dictionary.uid_entry(uid)) and found.type == "Transfer Syntax"
    }
    assert len(registered) == len(TransferSyntax.all_known()) == 63
    for syntax in TransferSyntax.all_known():
        entry = dictionary.uid_entry(syntax.uid)
        assert (syntax.name, syntax.keyword) == (entry.name, entry.keyword)
        assert syntax.is_retired == entry.is_retired


def test_constants():
    assert ts.IMPLICIT_VR_LITTLE_ENDIAN.uid == "1.2.840.10008.1.2"
    assert ts.IMPLICIT_VR_LITTLE_ENDIAN.is_implicit_vr
    assert ts.EXPLICIT_VR_LITTLE_ENDIAN.name == "Explicit VR Little Endian"
    assert ts.EXPLICIT_VR_LITTLE_ENDIAN.keyword == "ExplicitVRLittleEndian"
    assert ts.EXPLICIT_VR_BIG_ENDIAN.is_retired
    assert not ts.EXPLICIT_VR_BIG_ENDIAN.is_little_endian
    assert ts.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN.is_deflated
    for constant in (
        ts.IMPLICIT_VR_LITTLE_ENDIAN,
        ts.EXPLICIT_VR_LITTLE_ENDIAN,
        ts.EXPLICIT_VR_BIG_ENDIAN,
        ts.DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ):
        assert TransferSyntax.of(constant.uid) is constant
        assert constant in TransferSyntax.all_known()


def test_forms_of_asking():
    rle = TransferSyntax.of("1.2.840.10008.1.2.5")
    assert TransferSyntax.of("RLELossless") is rle
    assert TransferSyntax.of("1.2.840.10008.1.2.5\0") is rle
    assert TransferSyntax.of(rle) is rle
    assert str(rle) == "RLE Lossless"
    assert (rle.is_encapsulated, rle.lossy, rle.codec) == (True, False, "RLE (PackBits)")


def test_making_one_is_asking_for_it():
    assert TransferSyntax("1.2.840.10008.1.2") is ts.IMPLICIT_VR_LITTLE_ENDIAN
    assert TransferSyntax("RLELossless").is_encapsulated
    assert not TransferSyntax("2.25.4711").is_known
    with pytest.raises(ValueError, match="ImplicitVRLittleEndian"):
        TransferSyntax("ImplicitVRLittleEndien")


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.5", "no UID at all"])
def test_a_pickled_one_is_the_same(uid):
    syntax = TransferSyntax.as_read(uid)
    again = pickle.loads(pickle.dumps(syntax))
    assert tuple(again) == tuple(syntax)


def test_lossy():
    assert TransferSyntax.of("JPEGBaseline8Bit").lossy is True
    assert TransferSyntax.of("JPEGLosslessSV1").lossy is False
    assert TransferSyntax.of("JPEG2000").lossy is None


def test_unknown_one_goes_by_its_class():
    unknown = TransferSyntax.of("1.2.840.10008.1.2.4.999")
    assert not unknown.is_known
    assert not unknown.is_implicit_vr
    assert unknown.is_little_endian
    assert unknown.is_encapsulated
    assert unknown.lossy is None
    assert str(unknown) == unknown.uid == "1.2.840.10008.1.2.4.999"
    assert unknown == TransferSyntax.of("1.2.840.10008.1.2.4.999")


def test_what_encodes_no_data_set():
    assert [s.keyword for s in TransferSyntax.all_known() if not s.is_data_set_encoding] == [
        "RFC2557MIMEEncapsulation",
        "XMLEncoding",
    ]


def test_one_cannot_be_changed():
    with pytest.raises(AttributeError):
        ts.IMPLICIT_VR_LITTLE_ENDIAN.uid = "1.2.3"
