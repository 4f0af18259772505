"""The DICOM JSON Model (PS3.18 Annex F)."""

import json
import math
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset as PydicomDataset

from dicom_actors.data.dataset.data_set import DataElement, DataSet
from dicom_actors.data.dictionary.tag import Tag
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.data.forms.json import from_json, from_json_dict, to_json, to_json_dict
from dicom_actors.data.values.encapsulated import EncapsulatedPixelData
from dicom_actors.errors import DecodeError, DicomError, EncodeError

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"

law = settings(derandomize=True, deadline=None, max_examples=150)

# Tag, VR, value, and what PS3.18 Annex F makes of it.
ATTRIBUTES = [
    ("00080054", "AE", "STORE", {"Value": ["STORE"]}),
    ("00101010", "AS", "018M", {"Value": ["018M"]}),
    ("00280009", "AT", Tag(0x00181063), {"Value": ["00181063"]}),
    ("00080008", "CS", ["ORIGINAL", "PRIMARY"], {"Value": ["ORIGINAL", "PRIMARY"]}),
    ("00080020", "DA", "20240131", {"Value": ["20240131"]}),
    ("00180050", "DS", "1.5", {"Value": [1.5]}),
    ("00280030", "DS", ["2", "0.50"], {"Value": [2, 0.5]}),
    ("0008002A", "DT", "20240131120000+0100", {"Value": ["20240131120000+0100"]}),
    ("00189073", "FD", 0.1, {"Value": [0.1]}),
    ("00189322", "FD", [0.5, -1.0], {"Value": [0.5, -1.0]}),
    ("0018605A", "FL", 0.25, {"Value": [0.25]}),
    ("00200013", "IS", "7", {"Value": [7]}),
    ("00081030", "LO", "Größe", {"Value": ["Größe"]}),
    ("00204000", "LT", " two\r\nlines", {"Value": [" two\r\nlines"]}),
    ("00420011", "OB", b"\0\1", {"InlineBinary": "AAE="}),
    ("7FE00009", "OD", b"\0" * 8, {"InlineBinary": "AAAAAAAAAAA="}),
    ("7FE00008", "OF", b"\0" * 4, {"InlineBinary": "AAAAAA=="}),
    ("00660040", "OL", b"\1\0\0\0", {"InlineBinary": "AQAAAA=="}),
    ("7FE00001", "OV", b"\0" * 8, {"InlineBinary": "AAAAAAAAAAA="}),
    ("00281201", "OW", b"\1\0\2\0", {"InlineBinary": "AQACAA=="}),
    ("00100010", "PN", "Doe^John", {"Value": [{"Alphabetic": "Doe^John"}]}),
    (
        "00081050",
        "PN",
        ["A^B=山^田", "==や^ま"],
        {"Value": [{"Alphabetic": "A^B", "Ideographic": "山^田"}, {"Phonetic": "や^ま"}]},
    ),
    ("00080050", "SH", "A1", {"Value": ["A1"]}),
    ("00186020", "SL", -5, {"Value": [-5]}),
    ("00400555", "SQ", [], {}),
    ("00280120", "SS", -1, {"Value": [-1]}),
    ("00080081", "ST", "street", {"Value": ["street"]}),
    ("00720082", "SV", [-(2**53), -(2**63)], {"Value": [-(2**53), str(-(2**63))]}),
    ("00080030", "TM", "120000.5", {"Value": ["120000.5"]}),
    ("00080119", "UC", ["x", "y"], {"Value": ["x", "y"]}),
    ("00080016", "UI", "1.2.840.10008.1.1", {"Value": ["1.2.840.10008.1.1"]}),
    ("00720078", "UL", 2**32 - 1, {"Value": [4294967295]}),
    ("00091001", "UN", b"\xff", {"InlineBinary": "/w=="}),
    ("00080120", "UR", "http://a/b", {"Value": ["http://a/b"]}),
    ("00280010", "US", 512, {"Value": [512]}),
    ("00080108", "LO", None, {}),
    ("0040A160", "UT", "text", {"Value": ["text"]}),
    ("00720083", "UV", 2**64 - 1, {"Value": ["18446744073709551615"]}),
]


def whole():
    """A data set with every VR, a sequence among them."""
    ds = DataSet()
    for tag, vr, value, _ in ATTRIBUTES:
        ds.put(tag, vr, value)
    item = DataSet.from_keywords(CodeValue="1", CodeMeaning="Größe")
    ds.put("ProcedureCodeSequence", "SQ", [item, DataSet()])
    ds.put("SpecificCharacterSet", "CS", "ISO_IR 192")
    return ds


@pytest.mark.parametrize(("tag", "vr", "value", "model"), ATTRIBUTES)
def test_each_vr(tag, vr, value, model):
    ds = DataSet()
    ds.put(tag, vr, value)
    assert to_json_dict(ds) == {tag: {"vr": vr, **model}}
    again = from_json_dict({tag: {"vr": vr, **model}})
    assert again[tag] == ds[tag]
    assert isinstance(again[tag], type(ds[tag]) if vr not in {"DS", "IS"} else float | int | list)
    assert again.fetch(tag).vr == vr


def test_all_at_once_and_in_order():
    ds = whole()
    text = to_json(ds)
    assert from_json(text) == ds
    assert from_json(text.encode()) == ds
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert from_json(to_json(ds, indent=2)) == ds
    assert from_json(f"[{text}]") == ds


def test_pydicom_reads_what_is_written():
    ds = whole()
    del ds[0x00091001]  # pydicom's UN
    theirs = PydicomDataset.from_json(to_json(ds))
    assert len(theirs) == len(ds)
    for element in ds.elements():
        their = theirs[element.tag]
        assert element.vr == their.VR
        if element.vr == "SQ":
            assert len(their.value) == len(element.value or [])
        elif element.value is None:
            assert not their.value
        elif element.vm > 1:
            assert [str(value) for value in their.value] == [str(value) for value in element.value]
        else:
            assert str(their.value).replace("\n", "\r\n") == str(element.value) or (
                their.value == element.value
            )


def test_pydicom_writes_what_is_read():
    ds = whole()
    theirs = PydicomDataset.from_json(to_json(ds))
    again = from_json(theirs.to_json())
    assert again.keys() == ds.keys()
    for tag in ds:
        assert again[tag] == ds[tag], tag


# --- values --------------------------------------------------------------------------------


def empty(tag: int, vr: str, syntax: str) -> bytes:
    order = ">" if syntax == BIG_ENDIAN else "<"
    if syntax == IMPLICIT:
        return pack("<HHI", tag >> 16, tag & 0xFFFF, 0)
    head = pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr.encode("ascii"), 0)
    return head + bytes(4) if VR(vr).has_long_length else head


@pytest.mark.parametrize("is_touched", [False, True])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
def test_elements_without_a_value_have_the_vr_that_they_have_as_elements(syntax, is_touched):
    creators = b"".join(
        DataSet([DataElement(tag, "LO", name)]).to_bytes(syntax)
        for tag, name in ((0x00190010, "GEMS_ACQU_01"), (0x00210010, "NOBODY KNOWS IT"))
    )
    empties = [(int(tag, 16), vr) for tag, vr, _, _ in ATTRIBUTES]
    empties += [(0x00280106, "US"), (0x7FE00010, "OW"), (0x00282000, "UN"), (0x00400275, "UN")]
    empties += [(0x00190011, "LO"), (0x00191002, "SL"), (0x00191003, "UN"), (0x00211001, "UN")]
    empties += [(0x00231001, "UN"), (0x00231002, "LO")]
    data = creators + b"".join(empty(tag, vr, syntax) for tag, vr in sorted(set(empties)))
    ds = DataSet.from_bytes(data, syntax, character_set="ISO_IR 192")
    if is_touched:
        assert len([element.value for element in ds.elements()]) == len(ds)
    model = to_json_dict(ds)
    expected = {f"{element.tag:08X}": {"vr": element.vr} for element in ds.elements()}
    del expected["00190010"], expected["00210010"]
    assert {key: value for key, value in model.items() if "Value" not in value} == expected


def test_items_that_were_put_into_a_sequence_that_was_read_empty_are_written():
    for syntax in (IMPLICIT, EXPLICIT):
        ds = DataSet.from_bytes(empty(0x00400275, "SQ", syntax), syntax)
        ds[0x00400275].append({"PatientID": "1"})
        assert to_json_dict(ds)["00400275"]["Value"] == [{"00100020": {"vr": "LO", "Value": ["1"]}}]


def test_empty_values_among_others_are_null():
    ds = DataSet()
    ds.put("ImageType", "CS", ["A", "", "C"])
    ds.put("OperatorsName", "PN", ["A", "", "C"])
    ds.put("PixelSpacing", "DS", ["1", "", "3"])
    model = to_json_dict(ds)
    assert model["00080008"]["Value"] == ["A", None, "C"]
    assert model["00081070"]["Value"] == [{"Alphabetic": "A"}, None, {"Alphabetic": "C"}]
    assert model["00280030"]["Value"] == [1, None, 3]
    assert from_json_dict(model) == ds


def test_text_of_numbers_survives_on_request():
    ds = DataSet()
    ds.put("PixelSpacing", "DS", ["1.50", "1.5", "+3", "1e2"])
    ds.put("InstanceNumber", "IS", ["007", "7"])
    model = to_json_dict(ds, keep_number_text=True)
    assert model["00280030"]["Value"] == ["1.50", 1.5, "+3", "1e2"]
    assert model["00200013"]["Value"] == ["007", 7]
    again = from_json_dict(model)
    assert [number.text for number in again.PixelSpacing] == ["1.50", "1.5", "+3", "1e2"]
    assert [number.text for number in again.InstanceNumber] == ["007", "7"]
    assert to_json_dict(ds)["00280030"]["Value"] == [1.5, 1.5, 3, 100.0]


def test_numbers_that_are_not_finite():
    ds = DataSet()
    ds.put("TableOfParameterValues", "FL", [math.nan, math.inf, -math.inf, 1.0])
    values = to_json_dict(ds)["0018605A"]["Value"]
    assert values == ["NaN", "Infinity", "-Infinity", 1.0]
    again = from_json(to_json(ds)).TableOfParameterValues
    assert math.isnan(again[0])
    assert again[1:] == [math.inf, -math.inf, 1.0]
    other = from_json_dict({"0018605A": {"vr": "FL", "Value": ["inf", "-inf"]}})
    assert other.TableOfParameterValues == [math.inf, -math.inf]


def test_group_lengths_and_file_meta_are_left_out():
    ds = DataSet()
    ds.put(0x00080000, "UL", 8)
    ds.put("PatientID", "LO", "X")
    ds.file_meta.put("TransferSyntaxUID", "UI", "1.2.840.10008.1.2")
    assert list(to_json_dict(ds)) == ["00100020"]


def test_file_meta_that_comes_is_kept_apart():
    ds = from_json('{"00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2"]}}')
    assert len(ds) == 0
    assert ds.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"


def test_missing_vr_is_that_of_the_dictionary():
    assert from_json('{"00100010": {"Value": [{"Alphabetic": "A"}]}}').PatientName == "A"


def test_forms_that_other_writers_use():
    assert from_json('{"00100010": {"vr": "PN", "Value": ["A=B"]}}').PatientName == "A=B"
    assert from_json('{"00280010": {"vr": "US", "Value": ["512"]}}').Rows == 512
    assert from_json('{"00200013": {"vr": "IS", "Value": [7.0]}}').InstanceNumber == 7
    assert from_json('{"00081140": {"vr": "SQ", "Value": [null, {}]}}').ReferencedImageSequence == [
        DataSet(),
        DataSet(),
    ]
    assert from_json('{"00100010": {"vr": "PN", "Value": [null]}}').PatientName is None


def test_character_set_is_added_where_text_needs_it():
    text = '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]}}'
    assert from_json(text).SpecificCharacterSet == "ISO_IR 192"
    nested = '{"00081032": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["ö"]}}]}}'
    assert from_json(nested).SpecificCharacterSet == "ISO_IR 192"
    assert "SpecificCharacterSet" not in from_json(text.replace("ü", "u"))


# --- bulk data -----------------------------------------------------------------------------


def test_bulk_data_by_uri():
    ds = DataSet()
    ds.put("EncapsulatedDocument", "OB", b"%PDF")
    ds.put("PatientID", "LO", "X")
    ds.put("LUTExplanation", "LO", "short")
    ds.put("ModalityLUTSequence", "SQ", [{"LUTData": b"\1\0\2\0"}])
    ds["ModalityLUTSequence", 0].put("LUTData", "OW", b"\1\0\2\0")
    asked = []

    def uri(path, element):
        asked.append((str(path), element.vr))
        return f"bulk/{path}" if element.vr == "OW" else None

    model = to_json_dict(ds, bulk_data_uri=uri)
    assert asked == [("ModalityLUTSequence[0].LUTData", "OW"), ("EncapsulatedDocument", "OB")]
    lut = model["00283000"]["Value"][0]["00283006"]
    assert lut == {"vr": "OW", "BulkDataURI": "bulk/ModalityLUTSequence[0].LUTData"}
    assert model["00420011"] == {"vr": "OB", "InlineBinary": "JVBERg=="}
    read = []
    again = from_json_dict(model, bulk_data=lambda uri: read.append(uri) or b"\1\0\2\0")
    assert read == ["bulk/ModalityLUTSequence[0].LUTData"]
    assert again == ds
    with pytest.raises(DecodeError, match="bulk_data"):
        from_json_dict(model)


def test_encapsulated_pixel_data_comes_back():
    ds = DataSet()
    pixel_data = EncapsulatedPixelData([b"\xff\xd8ab", b"\xff\xd8cdef"], [0, 12])
    ds.put("PixelData", "OB", pixel_data)
    again = from_json(to_json(ds)).PixelData
    assert isinstance(again, EncapsulatedPixelData)
    assert [bytes(part) for part in again.fragments] == [b"\xff\xd8ab", b"\xff\xd8cdef"]
    assert again.offset_table == (0, 12)


def test_native_pixel_data_comes_back():
    for raw in (b"\0\1\2\3", b"\xfe\xff\x00\xe0ab"):
        ds = DataSet()
        ds.put("PixelData", "OB", raw)
        assert from_json(to_json(ds)).PixelData == raw


# --- what is no data set -------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        "[]",
        "[{}, {}]",
        "[1]",
        "null",
        "7",
        '{"PatientID": {"vr": "LO"}}',
        '{"0010002": {"vr": "LO"}}',
        '{"0x100020": {"vr": "LO"}}',
        '{"FFFEE000": {"vr": "UN"}}',
        '{"00081140": {"vr": "SQ", "Value": [{"FFFEE00D": {"vr": "UN", "InlineBinary": ""}}]}}',
        '{"00100020": []}',
        '{"00100020": {"vr": "XX"}}',
        '{"00100020": {"vr": 7}}',
        '{"00100020": {"vr": "LO", "Value": "X"}}',
        '{"00100020": {"vr": "LO", "Value": [{}]}}',
        '{"00100020": {"vr": "LO", "Value": [true]}}',
        '{"00280010": {"vr": "US", "Value": [70000]}}',
        '{"00280010": {"vr": "US", "Value": ["x"]}}',
        '{"00280010": {"vr": "US", "Value": [1.5]}}',
        '{"00280009": {"vr": "AT", "Value": ["no tag"]}}',
        '{"00189073": {"vr": "FD", "Value": ["x"]}}',
        '{"00100010": {"vr": "PN", "Value": [7]}}',
        '{"00100010": {"vr": "PN", "Value": [{"Alphabetic": 7}]}}',
        '{"00081140": {"vr": "SQ", "Value": [7]}}',
        '{"00420011": {"vr": "OB", "InlineBinary": "A"}}',
        '{"00420011": {"vr": "OB", "InlineBinary": 7}}',
        '{"00420011": {"vr": "OB", "InlineBinary": "", "Value": []}}',
        '{"00420011": {"vr": "OB", "BulkDataURI": "u"}}',
        "[" * 5000,
        '{"00200013": {"vr": "IS", "Value": [' + "9" * 5000 + "]}}",
    ],
)
def test_what_is_no_data_set(text):
    with pytest.raises(DecodeError):
        from_json(text)


def test_errors_have_the_path():
    text = '{"00081140": {"vr": "SQ", "Value": [{}, {"00280010": {"vr": "US", "Value": [-1]}}]}}'
    with pytest.raises(DecodeError) as caught:
        from_json(text)
    assert caught.value.path == ("ReferencedImageSequence[1]",)
    assert caught.value.tag == 0x00280010


def test_depth_has_a_limit():
    deep = "{}"
    for _ in range(70):
        deep = f'{{"00081140": {{"vr": "SQ", "Value": [{deep}]}}}}'
    with pytest.raises(DecodeError, match="nested"):
        from_json(deep)
    ds = DataSet()
    for _ in range(70):
        ds = DataSet.from_keywords(ReferencedImageSequence=[ds])
    with pytest.raises(EncodeError, match="nested"):
        to_json(ds)


# --- laws ----------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["vr", "Value", "InlineBinary", "Alphabetic", "00100010", "00081140"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "vr": st.sampled_from(["LO", "US", "SQ", "PN", "DS", "AT", "OB", "FD", "XX"]),
        "Value": st.lists(json_values, max_size=3) | json_values,
        "InlineBinary": json_values,
    },
)


@law
@given(st.dictionaries(st.sampled_from(["00100010", "00081140", "x"]), attributes, max_size=3))
def test_any_json_is_a_data_set_or_an_error(model):
    try:
        ds = from_json_dict(model)
    except DicomError:
        return
    assert from_json(to_json(ds)).keys() == ds.keys()


texts = st.text(st.characters(exclude_characters="\\^=\0", exclude_categories=["Cs", "Cc"]))


@law
@given(
    st.lists(texts.map(str.strip).filter(bool), max_size=3),
    st.lists(st.floats(width=32), max_size=3),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3),
)
def test_what_is_written_is_read(strings, reals, integers):
    ds = DataSet()
    ds.put("SpecificCharacterSet", "CS", "ISO_IR 192")
    ds.put("OtherPatientIDs", "LO", strings)
    ds.put("OtherPatientNames", "PN", strings)
    ds.put("TableOfParameterValues", "FL", reals)
    ds.put("SelectorSVValue", "SV", integers)
    ds.put("ReferencedImageSequence", "SQ", [ds.copy()])
    assert repr(from_json(to_json(ds)).fetch("SelectorSVValue")) == repr(
        ds.fetch("SelectorSVValue")
    )
    assert from_json(to_json(ds)).OtherPatientIDs == ds.OtherPatientIDs
    assert to_json(from_json(to_json(ds))) == to_json(ds)


def test_a_subclass_is_read_as_what_it_is() -> None:
    class Report(DataSet):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            self._origin = "json"

    made = Report.from_json(DataSet.from_keywords(PatientID="1").to_json())
    assert (type(made), made._origin, made.PatientID) == (Report, "json", "1")
    assert made == DataSet.from_keywords(PatientID="1")


def test_pixel_data_without_any_fragment_is_written_as_none() -> None:
    data = b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    model = to_json_dict(DataSet.from_bytes(data, "1.2.840.10008.1.2.1"))
    assert model == {"7FE00010": {"vr": "OB"}}
    assert to_json_dict(from_json_dict(model)) == model


def test_text_and_object_are_one_model() -> None:
    ds = DataSet.from_keywords(PatientName="Doe^Jane", Rows=3, PixelSpacing=["1.50", "2"])
    ds.put("ReferencedSeriesSequence", "SQ", [DataSet.from_keywords(SeriesInstanceUID="1.2")])
    assert ds.to_json_dict() == json.loads(ds.to_json())
    kept = ds.to_json_dict(keep_number_text=True)
    assert kept == json.loads(ds.to_json(keep_number_text=True)) != ds.to_json_dict()


def test_a_name_with_groups_too_many_comes_back() -> None:
    ds = DataSet.from_keywords(PatientName="a=b=c=d=e")
    assert from_json(to_json(ds)).PatientName == "a=b=c=d=e"


@pytest.mark.parametrize(
    "attribute",
    [
        {"vr": "US", "value": [3]},
        {"vr": "US", "Valeu": [3]},
        {"vr": "OB", "inlineBinary": "AAE="},
        {"vr": "PN", "Value": [{"alphabetic": "A"}]},
        {"vr": "US", "Value": ["1_0"]},
        {"vr": "US", "Value": ["\u0663"]},
        {"vr": "FD", "Value": ["1_0"]},
        {"vr": "FD", "Value": ["\u0663"]},
    ],
    ids=str,
)
def test_no_value_is_lost_or_guessed(attribute) -> None:
    with pytest.raises(DecodeError):
        from_json_dict({"00091001": attribute})


def test_what_others_add_is_no_value() -> None:
    attribute = {"vr": "LO", "keyword": "PatientID", "name": "Patient ID"}
    assert from_json_dict({"00100020": attribute}).PatientID is None
