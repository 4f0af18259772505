"""What is put into data sets: taken, refused, copied; and what else is done with them."""

from __future__ import annotations

import copy
import pickle
import weakref
from decimal import Decimal
from fractions import Fraction
from struct import pack

import pytest

from dicom_actors.data import (
    DS,
    IS,
    DataElement,
    DataSet,
    Query,
    Tag,
    TransferSyntax,
    read_file,
    write_directory,
    write_file,
)
from dicom_actors.data.forms.pydicom_bridge import from_pydicom, to_pydicom
from dicom_actors.errors import DicomError, EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"


class OtherText(str):
    """A text as numpy has it, or an enumeration."""

    __slots__ = ()


@pytest.mark.parametrize("vr", ["LO", "PN", "CS", "UI", "DS", "IS", "UC"])
@pytest.mark.parametrize("kind", [str, OtherText])
def test_a_delimiter_divides_any_text(vr, kind):
    for given in (kind("1\\2"), [kind("1\\2")]):
        ds = DataSet([DataElement(0x00300010, vr, given)])
        assert ds.fetch(0x00300010).vm == 2
        assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT) == ds


@pytest.mark.parametrize("tag", [0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0xFFFEFFFF, 0xFFFF0010])
def test_what_delimits_items_is_no_element(tag):
    made = DataElement(tag, "UN", b"12")
    for put in (
        lambda ds: ds.put(tag, "UN", b"12"),
        lambda ds: ds.put_element(made),
        lambda ds: ds.update({tag: made}),
        lambda _: DataSet([made]),
    ):
        ds = DataSet.from_keywords(PatientID="X")
        with pytest.raises(EncodeError, match="expected the tag of an element") as caught:
            put(ds)
        assert (caught.value.tag, list(ds)) == (tag, [0x00100020])


@pytest.mark.parametrize("keyword", ["Item", "ItemDelimitationItem", "SequenceDelimitationItem"])
def test_a_keyword_of_what_delimits_items(keyword):
    for make in (lambda: DataSet.from_keywords(**{keyword: b""}), lambda: DataSet({keyword: None})):
        with pytest.raises(EncodeError, match="expected the tag of an element"):
            make()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2"])
def test_the_last_tag_of_all_elements(syntax):
    ds = DataSet([DataElement(0xFFFEDFFF, "UN", b"12")])
    for made in (ds, DataSet.from_keywords(BeamSequence=[ds])):
        assert DataSet.from_bytes(made.to_bytes(syntax), syntax) == made
        assert DataSet.from_json(made.to_json()) == made


class TestNumbersAsText:
    @pytest.mark.parametrize(
        "value",
        [
            *("inf", "-Infinity", "nan", float("inf"), float("nan"), DS("inf"), DS.of("NaN")),
            *("1_0", "٣", "1.2345678901234567", "x", [1, "nan"], "1_0\\2"),
            *(b"1_0", b"nan", b"1.2345678901234567", OtherText("1_0"), OtherText("x")),
        ],
    )
    def test_no_ds(self, value):
        ds = DataSet.from_keywords(PatientWeight=70)
        with pytest.raises(EncodeError) as caught:
            ds.PatientWeight = value
        assert (caught.value.tag, ds.PatientWeight) == (0x00101030, 70)

    @pytest.mark.parametrize(
        "value",
        [
            *(
                "1_0",
                "٣",
                10**12,
                "0000000000007",
                1.5,
                "1.5",
                ["1", "x"],
                b"1_0",
                OtherText("1_0"),
            ),
            *(Decimal("1.5"), Fraction(1, 3), Decimal("NaN"), float("inf"), [1, Decimal("1.5")]),
        ],
    )
    def test_no_is(self, value):
        with pytest.raises(EncodeError) as caught:
            DataSet.from_keywords(InstanceNumber=value)
        assert caught.value.tag == 0x00200013

    @pytest.mark.parametrize("value", [2.0, Decimal(2), Fraction(2), b"2", OtherText("2"), "2 "])
    def test_a_whole_number_of_any_type(self, value):
        assert DataSet.from_keywords(InstanceNumber=value).InstanceNumber == 2

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("1.50", "1.50"),
            (b"1.50", "1.50"),
            (OtherText("1.50"), "1.50"),
            (1 / 3, "0.33333333333333"),
            (DS.of("1.23456789012345678"), None),
        ],
    )
    def test_what_is_sent_fits(self, value, text):
        ds = DataSet.from_keywords(PatientWeight=value)
        assert len(ds.PatientWeight.text) <= 16
        assert ds.PatientWeight.text.startswith((text or "1.2345")[:8])
        assert not ds.check()

    def test_an_is_that_is_too_long_as_it_came(self):
        ds = DataSet.from_keywords(InstanceNumber=IS.of("000000000000007"))
        assert ds.InstanceNumber.text == "7"

    @pytest.mark.parametrize(
        ("vr", "text"),
        [("DS", "nan"), ("DS", "1_0"), ("IS", "1_0"), ("DS", "\u0661"), ("IS", "\u0661")],
    )
    @pytest.mark.parametrize("count", [1, 2, 20])
    def test_what_is_read_is_warned_of(self, vr, text, count):
        value = "\\".join([text] * count).encode()
        value += b" " * (len(value) & 1)
        ds = DataSet.from_bytes(
            pack("<HH2sH", 0x30, 0x10, vr.encode(), len(value)) + value, EXPLICIT
        )
        list(ds.fetch(0x00300010).values)
        assert any("expected a number" in warning.message for warning in ds.warnings)
        assert ds.to_bytes()[8:] == value


@pytest.mark.parametrize(
    ("vr", "given", "made"),
    [
        ("LO", ["a", None], ["a", ""]),
        ("PN", [None, "a"], ["", "a"]),
        ("DA", ["20240101", None], ["20240101", ""]),
        ("DS", [1, None], [1, None]),
        ("IS", [None, 1], [None, 1]),
    ],
)
def test_none_between_values(vr, given, made):
    ds = DataSet([DataElement(0x00300010, vr, given)])
    assert ds[0x00300010] == made
    assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT)[0x00300010] == made


@pytest.mark.parametrize("vr", ["US", "FD", "AT", "SS"])
def test_none_between_numbers_is_refused_at_once(vr):
    with pytest.raises(EncodeError):
        DataElement(0x00300010, vr, [1, None])
    assert DataElement(0x00300010, vr, [None]).value is None


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ((0x18, 0x1063), Tag(0x00181063)),
        ([(0x18, 0x1063)], Tag(0x00181063)),
        ([(0x18, 0x1063), 0x00180050], [Tag(0x00181063), Tag(0x00180050)]),
        ([0x00181063, 0x00180050], [Tag(0x00181063), Tag(0x00180050)]),
        ((Tag(0x00181063), Tag(0x00180050)), [Tag(0x00181063), Tag(0x00180050)]),
    ],
)
def test_a_pair_is_a_tag(given, made):
    assert DataSet.from_keywords(FrameIncrementPointer=given).FrameIncrementPointer == made


class Report(DataSet):
    def __init__(self, title, *, author="nobody"):
        super().__init__({"DocumentTitle": title})
        self._author = author

    @property
    def author(self):
        return self._author

    @author.setter
    def author(self, name):
        self._author = name


class TestSubclasses:
    def test_it_has_attributes_of_its_own(self):
        report = Report("X", author="me")
        report.author = "you"
        assert (report.author, report.DocumentTitle) == ("you", "X")
        with pytest.raises(AttributeError, match="nor is it a keyword"):
            report.PatientNmae = "X"

    def test_its_attributes_need_not_be_declared(self):
        report = Report("X")
        report.source_path = "x.dcm"
        for made in (report, copy.copy(report), pickle.loads(pickle.dumps(report))):
            assert (made.source_path, list(made)) == ("x.dcm", [0x00420010])
        with pytest.raises(AttributeError, match="nor is it a keyword"):
            DataSet().source_path = "x.dcm"

    def test_copies_are_of_the_class(self):
        report = Report("X", author="me")
        again = pickle.loads(pickle.dumps(report))
        assert (type(again), again, again.author) == (Report, report, "me")
        for made in (copy.copy(report), copy.deepcopy(report)):
            assert (type(made), made, made.author) == (Report, report, "me")


class TestPickling:
    def test_text_without_a_character_set(self):
        ds = DataSet.from_keywords(PatientName="Ä", BeamSequence=[{"BeamName": "Ö"}], Rows=1)
        ds.PixelData = memoryview(b"12")
        ds.file_meta.TransferSyntaxUID = EXPLICIT
        again = pickle.loads(pickle.dumps(ds))
        assert (again, again.file_meta) == (ds, ds.file_meta)

    def test_weak_references(self):
        ds = DataSet()
        assert weakref.ref(ds)() is ds


class TestNothingIsShared:
    @pytest.mark.parametrize("is_read", [False, True])
    @pytest.mark.parametrize(
        "take",
        [
            lambda made, ds: made.merge(ds),
            lambda made, ds: made.merge(dict(ds.items())),
            lambda made, ds: made.update(ds),
            lambda made, ds: made.update(ImageType=ds.ImageType, BeamSequence=ds.BeamSequence),
            lambda made, ds: [made.put_element(part) for part in ds.elements()],
            lambda made, ds: [made.__setitem__(part.tag, part) for part in ds.elements()],
        ],
    )
    def test_with_the_other(self, take, is_read):
        ds = DataSet.from_keywords(ImageType=["A", "B"], BeamSequence=[{"BeamName": "one"}])
        if is_read:
            ds = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
        made = DataSet()
        take(made, ds)
        made.ImageType[0] = "C"
        made["BeamSequence", 0, "BeamName"] = "two"
        made.BeamSequence.append({})
        assert ds.ImageType == ["A", "B"]
        assert [item.BeamName for item in ds.BeamSequence] == ["one"]


def test_keys_of_type_2_are_empty_in_a_directory(tmp_path):
    ds = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5",
        SOPInstanceUID="1.2.3",
        PatientID="X",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.3",
    )
    write_file(tmp_path / "PLAN", ds)
    records = read_file(write_directory(tmp_path).path).DirectoryRecordSequence
    found = {key: record[key] for record in records for key in record}
    for keyword in ("PatientName", "StudyDescription", "AccessionNumber", "RTPlanDate"):
        assert found[Tag(keyword)] is None
    assert Tag("RTPlanLabel") not in found


class TestQueries:
    @pytest.mark.parametrize(
        ("key", "zone", "value", "other", "matches"),
        [
            ("20240101120000+0000", None, "20240101140000", "+0200", True),
            ("20240101120000+0000", None, "20240101120000", "+0200", False),
            ("20240101120000", "+0000", "20240101140000+0200", None, True),
            ("20240101120000", "+0100", "20240101140000", "+0300", True),
            ("20240101110000-20240101130000", "+0000", "20240101140000", "+0200", True),
            ("20240101110000-", "+0000", "20240101120000", "+0200", False),
            ("-20240101110000", "+0000", "20240101120000", "+0200", True),
            ("20240101120000", None, "20240101120000", "+0200", True),
            ("20240101120000+0000", "+0500", "20240101140000+0200", "-0900", True),
            ("20240101120000", "x", "20240101120000", "y", True),
        ],
    )
    def test_the_timezone_beside_a_date_time_counts(self, key, zone, value, other, matches):
        identifier = DataSet.from_keywords(AcquisitionDateTime=key)
        ds = DataSet.from_keywords(AcquisitionDateTime=value)
        if zone:
            identifier.TimezoneOffsetFromUTC = zone
        if other:
            ds.TimezoneOffsetFromUTC = other
        assert Query(identifier).matches(ds) is matches

    def test_a_private_creator_matches_nothing(self):
        identifier, ds = DataSet(), DataSet.from_keywords(PatientID="X")
        identifier.put(0x00110010, "LO", "ACME")
        query = Query(identifier)
        assert query.matches(ds)
        assert query.answer(ds)[0x00110010] is None


class TestPydicom:
    def test_what_it_cannot_read(self, monkeypatch):
        def fail(*arguments, **options):
            raise NotImplementedError("not today")

        monkeypatch.setattr("pydicom.filereader.read_dataset", fail)
        with pytest.raises(DicomError, match="not today"):
            to_pydicom(DataSet())

    def test_what_it_cannot_write(self, monkeypatch):
        def fail(*arguments, **options):
            raise RuntimeError("not today")

        made = to_pydicom(DataSet.from_keywords(PatientID="X"))
        monkeypatch.setattr("pydicom.filewriter.write_dataset", fail)
        with pytest.raises(DicomError, match="not today"):
            from_pydicom(made)


class TestKeys:
    def test_get_of_what_is_no_keyword(self):
        with pytest.raises(KeyError, match="PatientName"):
            DataSet().get("PatientNmae")
        assert DataSet().get("PatientName", 1) == 1
        assert DataSet().get(("BeamSequence", 0, "BeamName"), 2) == 2

    def test_an_item_by_tag(self):
        ds = DataSet.from_keywords(BeamSequence=[{"BeamName": "one"}])
        assert ds[0x300A00B0, 0] is ds["BeamSequence", 0] is ds[Tag("BeamSequence"), 0]
        assert (0x300A00B0, 0) in ds
        assert (0x300A00B0, 1) not in ds

    def test_a_transfer_syntax_is_its_uid(self):
        syntax = TransferSyntax.of(EXPLICIT)
        assert syntax == EXPLICIT
        assert syntax == EXPLICIT
        assert not syntax != EXPLICIT  # noqa: SIM202 - what is tried
        assert syntax != "1.2.840.10008.1.2"
        assert {syntax: 1}[EXPLICIT] == 1

    def test_nothing_is_what_is_read_as_blank(self):
        made = DataSet.from_keywords(PatientID="")
        read = DataSet.from_bytes(b"\x10\0\x20\0LO\x02\0  ", EXPLICIT)
        assert made == read
        assert read == made
        assert read != DataSet.from_keywords(PatientID="X")


@pytest.mark.parametrize("vr", ["FL", "FD"])
@pytest.mark.parametrize("text", ["1_0", "\u0661", "", "one"])
def test_a_text_that_is_no_number_in_dicom_is_none_in_binary_either(vr, text):
    with pytest.raises(EncodeError):
        DataElement(0x00189073, vr, text)
    assert DataElement(0x00189073, vr, "1.5 ").value == 1.5
