"""Identifiers planted in odd places: the verifier finds each, the cleaner leaves none.

Each place is a file that is made with a secret in it. Where the cleaner is told to keep it (a rule,
or a file that it never saw), the verifier says so; where it is not, the secret is gone.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from struct import pack
from typing import Any

import pytest
from kit.patients import KEY, file_of, patient

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.deidentification import Deidentifier, Verifier

NAME, ID = "Quxworth", "MRN-774411"


def with_values(**values: Any) -> bytes:
    return file_of(patient(**values))


def with_element(tag: int, vr: str, value: Any, **options: Any) -> bytes:
    made = patient()
    made.put(tag, vr, value)
    return file_of(made, **options)


def private(vr: str, value: Any, creator: str = "ACME 1.1", **options: Any) -> bytes:
    made = patient()
    made.put(0x00110010, "LO", creator)
    made.put(0x00111001, vr, value)
    return file_of(made, **options)


def raw_element(tag: int, vr: bytes, value: bytes) -> bytes:
    """A file with an element as it stands, in place of what tag and VR would allow."""
    value += b" " if len(value) & 1 else b""
    long = vr in {b"OB", b"UN", b"UT", b"SQ", b"OW"}
    head = pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    head += pack("<2xI", len(value)) if long else pack("<H", len(value))
    whole = file_of(patient())
    data = DataSet.from_bytes(read_file(whole).to_bytes(), "ExplicitVRLittleEndian")
    body = b""
    done = False
    for element in data.elements():
        if not done and element.tag > tag:
            body += head + value
            done = True
        if element.tag != tag:
            body += DataSet([element]).to_bytes("ExplicitVRLittleEndian")
    body += b"" if done else head + value
    start = whole.index(b"\x08\x00", 132 + 12)
    while read_file(whole[:start] + body).get("SOPClassUID") is None:
        start = whole.index(b"\x08\x00", start + 1)
    return whole[:start] + body


def nested(depth: int) -> bytes:
    item = DataSet.from_keywords(PatientName=f"{NAME}^Zelda", PatientID=ID)
    for _ in range(depth):
        item = DataSet.from_keywords(ReferencedSeriesSequence=[item])
    return file_of(patient(ReferencedSeriesSequence=[item]))


def preamble() -> bytes:
    buffer = BytesIO()
    write_file(buffer, patient(), preamble=f"{NAME} {ID}".encode().ljust(128, b"\0"))
    return buffer.getvalue()


def file_meta(tag: int, vr: str, value: Any) -> bytes:
    made = patient()
    made.file_meta.put(tag, vr, value)
    return file_of(made)


SECRET = f"{NAME} {ID}".encode()
PLACES: dict[str, Any] = {
    "private OB": lambda: private("OB", SECRET),
    "private UN": lambda: private("UN", SECRET),
    "private LO": lambda: private("LO", NAME),
    "private in utf-16": lambda: private("OB", NAME.encode("utf-16-le")),
    "private in big-endian utf-16": lambda: private("OB", NAME.encode("utf-16-be")),
    "private behind binary": lambda: private("OB", bytes(range(256)) + NAME.upper().encode()),
    "private sequence": lambda: private("SQ", [{"PatientName": f"{NAME}^Z"}]),
    "private without creator": lambda: with_element(0x00131001, "LO", NAME),
    "private creator": lambda: private("OB", b"\0\0", creator=NAME),
    "private implicit": lambda: private("OB", SECRET, transfer_syntax="1.2.840.10008.1.2"),
    "private big-endian": lambda: private("OB", SECRET, transfer_syntax="1.2.840.10008.1.2.2"),
    "private deflated": lambda: private("OB", SECRET, transfer_syntax="1.2.840.10008.1.2.1.99"),
    "a name": with_values,
    "a name in small letters": lambda: with_values(StudyDescription=NAME.lower()),
    "a referring physician": lambda: with_values(ReferringPhysicianName="Grabowsky^Otto"),
    "one level down": lambda: nested(0),
    "five levels down": lambda: nested(5),
    "thirty levels down": lambda: nested(30),
    "overlay comment": lambda: with_element(0x60004000, "LT", SECRET.decode()),
    "overlay label": lambda: with_element(0x60001500, "LO", NAME),
    "overlay data": lambda: with_element(0x60003000, "OB", SECRET),
    "an overlay of another group": lambda: with_element(0x60163000, "OB", SECRET),
    "curve data": lambda: with_element(0x50003000, "OB", SECRET),
    "curve label": lambda: with_element(0x50002500, "LO", NAME),
    "preamble": preamble,
    "trailing bytes": lambda: file_of(patient(PixelData=b"\0\0")) + b"\0\0" + SECRET,
    "trailing padding": lambda: with_element(0xFFFCFFFC, "OB", SECRET),
    "file meta sender": lambda: file_meta(0x00020016, "AE", NAME),
    "file meta private": lambda: file_meta(0x00020102, "OB", SECRET),
    "a number that is text": lambda: raw_element(0x00280010, b"LO", NAME.encode()),
    "a date that is text": lambda: raw_element(0x00080022, b"LT", NAME.encode()),
    "a name as UN": lambda: raw_element(0x00100010, b"UN", NAME.encode()),
    "a comment as OB": lambda: raw_element(0x00104000, b"OB", SECRET),
    "numbers that spell": lambda: raw_element(0x00280010, b"US", NAME.encode()),
    "a number string that is text": lambda: raw_element(0x00180050, b"DS", NAME.encode()),
    "hidden behind a NUL": lambda: raw_element(0x00080060, b"CS", b"CT\0" + NAME.encode()),
    "the manufacturer": lambda: with_values(Manufacturer=f"for {NAME}"),
    "the software": lambda: with_values(SoftwareVersions=ID),
    "a protocol": lambda: with_values(ProtocolName=f"{NAME} head"),
    "a code": lambda: with_values(
        AnatomicRegionSequence=[
            {"CodeValue": "1", "CodingSchemeDesignator": "99X", "CodeMeaning": NAME}
        ]
    ),
    "a birth date in a comment": lambda: with_values(ImageComments="born 14.03.1957"),
    "a birth date elsewhere": lambda: with_values(AdditionalPatientHistory="*19570314 f"),
    "an address": lambda: with_values(PatientAddress="Malvern Road 17"),
    "a UID elsewhere": lambda: private("LO", "1.2.3.4.5.2"),
    "latin letters": lambda: with_values(
        SpecificCharacterSet="ISO_IR 100",
        PatientName="Müllerová^Zoë",
        ImageComments="Zoë Müllerová",
    ),
    "cyrillic": lambda: with_values(
        SpecificCharacterSet="ISO_IR 144", PatientName="Дарья^A", PatientComments="Дарья"
    ),
    "greek in utf-8": lambda: with_values(
        SpecificCharacterSet="ISO_IR 192", PatientName="Διονυσιος^A", ImageComments="Διονυσιος"
    ),
    "japanese": lambda: with_values(
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=山田^太郎",
        PatientComments="山田太郎",
    ),
    "korean": lambda: with_values(
        SpecificCharacterSet=["", "ISO 2022 IR 149"],
        PatientName="Hong^Gildong=洪^吉洞=홍^길동",
        PatientComments="길동",
    ),
    "chinese": lambda: with_values(
        SpecificCharacterSet="GB18030", PatientName="王^小东", PatientComments="小东"
    ),
    "utf-8 under another character set": lambda: with_values(
        SpecificCharacterSet="ISO_IR 192", PatientName="Łukaszewicz^Żaneta", ImageComments="Żaneta"
    ),
}


def test_there_are_at_least_forty() -> None:
    assert len(PLACES) >= 40


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_where_it_stays_and_gone_where_it_is_cleaned(place: str) -> None:
    original = PLACES[place]()
    verifier = Verifier()
    verifier.learn(file_of(patient()))
    verifier.learn(original)
    kept = verifier.search(original)
    assert kept
    clean = file_of(Deidentifier(salt=KEY).deidentify(read_file(original)))
    assert list(map(str, verifier.search(clean))) == []


@pytest.mark.parametrize("place", ["private OB", "private UN", "private LO", "private in utf-16"])
def test_the_verifier_sees_what_a_rule_keeps(place: str, rules: Any) -> None:
    original = PLACES[place]()
    kept = rules(
        """
        [[rule]]
        creator = "ACME 1.1"
        tag = "0011xx01"
        action = "keep"
        """
    )
    clean = file_of(Deidentifier(salt=KEY, rules=kept).deidentify(read_file(original)))
    verifier = Verifier()
    verifier.learn(original)
    found = verifier.search(clean)
    assert found
    assert {finding.where for finding in found} == {"(0011,1001)"}
    assert all(NAME not in str(finding) and ID not in str(finding) for finding in found)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("StudyDescription", NAME),
        ("PatientComments", f"call {ID}"),
        ("PatientBirthDate", "19570314"),
        ("Manufacturer", NAME),
        ("OverlayComments", NAME),
        ("PatientAddress", "Malvern Road 17"),
        ("FrameOfReferenceUID", "1.2.3.4.5.77"),
        ("SeriesDate", "20040119"),
        ("AccessionNumber", "ACC99812"),
    ],
)
def test_the_verifier_sees_standard_elements_that_a_rule_keeps(
    keyword: str, value: str, rules: Any
) -> None:
    original = with_values(**{keyword: value})
    kept = rules(f'[[rule]]\nkeyword = "{keyword}"\naction = "keep"')
    clean = file_of(Deidentifier(salt=KEY, rules=kept).deidentify(read_file(original)))
    verifier = Verifier()
    verifier.learn(original)
    assert verifier.search(clean)


def test_the_places_are_named() -> None:
    original = nested(1)
    verifier = Verifier()
    verifier.learn(original)
    found = verifier.search(original)
    wheres = {finding.where for finding in found}
    assert "(0008,1115)/(0008,1115)/Patient's Name" in wheres
    assert "Patient ID" in wheres
    at = next(finding.offset for finding in found if finding.where == "Patient ID")
    assert original[at : at + len(ID)] == ID.encode()
    verifier = Verifier()
    verifier.learn(preamble())
    assert "preamble" in {finding.where for finding in verifier.search(preamble())}


def test_what_is_kept_on_purpose_is_not_searched() -> None:
    original = file_of(patient(PatientName="", PatientID=""))
    for retained, left in (
        ((), {"Date", "UID"}),
        (("dates",), {"UID"}),
        (("uids",), {"Date"}),
        (("dates", "uids"), set()),
    ):
        verifier = Verifier(retained)
        verifier.learn(original)
        found = {finding.what for finding in verifier.search(original)}
        kinds = {
            "UID" if "(0020" in what or "(0008,0018" in what or "(0002" in what else "Date"
            for what in found
        }
        assert kinds == left, found
    with pytest.raises(ValueError, match="expected some of"):
        Verifier(["names"])


def test_the_verifier_survives_any_bytes() -> None:
    original = file_of(patient())
    verifier = Verifier()
    verifier.learn(original)
    for data in (b"", b"DICM", original[:150], bytes(5000), b"\xff" * 5000, original[::-1]):
        verifier.learn(data)
        verifier.search(data)
    for end in range(130, len(original), 7):
        verifier.search(original[:end])
    for depth in (100, 5000):
        bomb = (
            original
            + b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff"
            + b"\xfe\xff\0\xe0\xff\xff\xff\xff" * depth
        )
        verifier.search(bomb)


def test_a_deflated_result_is_inflated() -> None:
    secret = private("OB", SECRET, transfer_syntax="1.2.840.10008.1.2.1.99")
    assert NAME.encode() not in secret
    assert zlib.decompress(read_file(secret).to_bytes(), -15)
    verifier = Verifier()
    verifier.learn(file_of(patient()))
    assert any(finding.where == "(0011,1001)" for finding in verifier.search(secret))
