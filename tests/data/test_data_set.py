from __future__ import annotations

import copy
import datetime as dt
import pickle

import pytest

from dicom_actors.data import DataElement, DataSet, EncapsulatedPixelData, PersonName, Tag
from dicom_actors.errors import ElementNotFoundError, EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


@pytest.fixture
def plan() -> DataSet:
    beams = [{"BeamName": "A", "BeamNumber": 1}, {"BeamName": "B", "BeamNumber": 2}]
    return DataSet.from_keywords(PatientID="X", Modality="RTPLAN", BeamSequence=beams)


@pytest.fixture
def read_plan(plan) -> DataSet:
    return DataSet.from_bytes(plan.to_bytes(EXPLICIT), EXPLICIT)


class TestTheOriginalsExample:
    @pytest.fixture
    def ds(self):
        return DataSet.from_keywords(
            SOPInstanceUID="1.2.3", PatientID="ABC123", ImageType=["Test1", "Test2", "Test3"]
        )

    def test_value_for(self, ds):
        assert ds.value_for("PatientID") == "ABC123"
        assert ds.value_for("ImageType") == "Test1"
        assert ds.value_for("ImageType", 2) == "Test3"

    def test_value_for_a_value_that_is_not_there(self, ds):
        assert ds.value_for("ImageType", 3) is None
        assert ds.value_for("PatientID", 1) is None

    def test_fetch(self, ds):
        element = ds.fetch("PatientID")
        assert (element.tag, element.vr, element.values) == (0x00100020, "LO", ["ABC123"])
        assert (element.keyword, element.name, element.vm) == ("PatientID", "Patient ID", 1)

    def test_an_absent_element_is_a_key_error_that_names_it(self, ds):
        with pytest.raises(KeyError, match=r"PatientName \(0010,0010\)") as caught:
            ds.fetch("PatientName")
        assert isinstance(caught.value, ElementNotFoundError)
        assert (caught.value.tag, caught.value.keyword) == (0x00100010, "PatientName")
        with pytest.raises(KeyError, match="PatientName"):
            ds.value_for("PatientName")


class TestKeys:
    @pytest.mark.parametrize(
        "key", ["PatientID", 0x00100020, (0x0010, 0x0020), Tag("PatientID"), Tag(0x10, 0x20)]
    )
    def test_every_form_names_the_same_element(self, plan, key):
        assert plan[key] == "X"
        assert key in plan
        plan[key] = "Y"
        assert plan.PatientID == "Y"
        del plan[key]
        assert key not in plan

    def test_attributes(self, plan):
        plan.PatientName = "Doe^John"
        assert plan.PatientName == PersonName("Doe^John")
        assert plan.PatientName.family_name == "Doe"
        del plan.PatientName
        assert not hasattr(plan, "PatientName")

    def test_an_absent_attribute_is_both_errors(self, plan):
        with pytest.raises(AttributeError):
            plan.PatientName  # noqa: B018
        with pytest.raises(ElementNotFoundError):
            plan.PatientName  # noqa: B018
        with pytest.raises(AttributeError):
            del plan.PatientName

    def test_a_misspelled_attribute_is_refused_both_ways(self, plan):
        with pytest.raises(AttributeError, match="PatientNam"):
            plan.PatientNam  # noqa: B018
        with pytest.raises(AttributeError, match="PatientNam"):
            plan.PatientNam = "X"

    def test_get(self, plan):
        assert plan.get("PatientName") is None
        assert plan.get("PatientName", "nobody") == "nobody"
        assert plan.get("Modality") == "RTPLAN"

    def test_what_is_no_key_is_not_in_it(self, plan):
        assert "NoKeyword" not in plan
        assert None not in plan
        assert -1 not in plan


class TestPaths:
    def test_reading(self, read_plan):
        assert read_plan["BeamSequence", 1, "BeamName"] == "B"
        assert read_plan["BeamSequence", 0] is read_plan.BeamSequence[0]
        assert read_plan.fetch(("BeamSequence", 1, "BeamName")).vr == "LO"
        assert ("BeamSequence", 1, "BeamName") in read_plan
        assert ("BeamSequence", 2, "BeamName") not in read_plan

    def test_writing(self, read_plan):
        read_plan["BeamSequence", 1, "BeamName"] = "C"
        del read_plan["BeamSequence", 0, "BeamName"]
        again = DataSet.from_bytes(read_plan.to_bytes(), EXPLICIT)
        assert again.BeamSequence[1].BeamName == "C"
        assert "BeamName" not in again.BeamSequence[0]

    def test_an_absent_item_is_named(self, read_plan):
        with pytest.raises(ElementNotFoundError, match="no item 7 in BeamSequence, which has 2"):
            read_plan["BeamSequence", 7, "BeamName"]

    @pytest.mark.parametrize("key", ["BeamSequence", 0x300A00B0, Tag(0x300A00B0)])
    @pytest.mark.parametrize("number", [2, -3])
    def test_an_item_that_is_not_there_is_absent(self, read_plan, key, number):
        for path in ((key, number), (key, number, "BeamName")):
            assert read_plan.get(path, "none") == "none"
            assert read_plan.pop(path, "none") == "none"
            assert path not in read_plan
            for ask in (
                lambda: read_plan[path],  # noqa: B023
                lambda: read_plan.fetch(path),  # noqa: B023
                lambda: read_plan.__setitem__(path, {}),  # noqa: B023
                lambda: read_plan.__delitem__(path),  # noqa: B023
            ):
                with pytest.raises(ElementNotFoundError, match="which has 2"):
                    ask()

    def test_an_item_is_no_element(self, read_plan):
        with pytest.raises(TypeError, match="ends with its key"):
            read_plan.fetch(("BeamSequence", 0))

    @pytest.mark.parametrize("key", ["PatientID", 0x00100020, Tag(0x00100020)])
    def test_one_value_is_the_first_of_one(self, read_plan, key):
        ds = read_plan
        assert ds[key, 0] == ds[key, -1] == ds.PatientID
        assert (key, 0) in ds
        assert (key, 1) not in ds
        assert ds.get((key, 1), "none") == "none"
        with pytest.raises(ElementNotFoundError, match="no item 1 in PatientID, which has 1"):
            ds[key, 1]
        with pytest.raises(TypeError, match="ends with its key"):
            ds.fetch((key, 0))
        ds[key, 0] = "other"
        assert DataSet.from_bytes(ds.to_bytes(), EXPLICIT).PatientID == "other"
        del ds[key, 0]
        assert key not in ds

    def test_of_an_empty_element_there_is_no_value(self):
        ds = DataSet.from_keywords(PatientID=None, PixelData=b"12")
        for keyword in ds:
            assert ds.get((keyword, 0), "none") == "none"

    def test_a_path_through_what_is_no_sequence(self, read_plan):
        with pytest.raises(TypeError, match="path"):
            read_plan["PatientID", 0, "BeamName"]

    def test_walk_gives_keys(self, read_plan):
        paths = [path for path, _ in read_plan.walk()]
        assert [str(path) for path in paths] == [
            "Modality",
            "PatientID",
            "BeamSequence",
            "BeamSequence[0].BeamNumber",
            "BeamSequence[0].BeamName",
            "BeamSequence[1].BeamNumber",
            "BeamSequence[1].BeamName",
        ]
        for path, element in read_plan.walk():
            assert read_plan[path] == element.value

    def test_elements_can_go_while_they_are_walked_over(self, read_plan):
        for path, element in read_plan.walk():
            if element.keyword in {"BeamName", "PatientID"}:
                del read_plan[path]
        assert [str(path) for path, _ in read_plan.walk()] == [
            "Modality",
            "BeamSequence",
            "BeamSequence[0].BeamNumber",
            "BeamSequence[1].BeamNumber",
        ]
        for tag in read_plan:
            del read_plan[tag]
        assert not read_plan


class TestMapping:
    def test_iteration_is_in_tag_order_whatever_the_order_of_insertion(self):
        ds = DataSet()
        for keyword in ("PixelData", "PatientID", "SOPClassUID", "Rows"):
            ds[keyword] = None
        tags = list(ds)
        assert tags == sorted(tags)
        assert all(isinstance(tag, Tag) for tag in tags)
        assert [element.tag for element in ds.elements()] == tags
        assert list(ds.keys()) == tags

    def test_items_and_values(self, read_plan):
        assert dict(read_plan.items()) == {tag: read_plan[tag] for tag in read_plan}
        assert list(read_plan.values()) == [read_plan[tag] for tag in read_plan]
        assert len(read_plan) == len(list(read_plan)) == 3

    def test_pop_setdefault_update_clear(self, plan):
        assert plan.pop("PatientID") == "X"
        assert plan.pop("PatientID", "none") == "none"
        assert plan.setdefault("PatientID", "Z") == "Z"
        plan.update({"Modality": "CT"}, Rows=7)
        assert (plan.Modality, plan.Rows) == ("CT", 7)
        plan.clear()
        assert len(plan) == 0

    def test_put_default(self, plan):
        assert plan.put_default("PatientID", "Y") == "X"
        assert plan.put_default("StudyID", "7") == "7"

    def test_merge(self, plan, read_plan):
        other = DataSet.from_keywords(PatientID="OTHER", StudyID="9")
        plan.merge(other, overwrite=False)
        assert (plan.PatientID, plan.StudyID) == ("X", "9")
        read_plan.merge(other)
        assert (read_plan.PatientID, read_plan.StudyID) == ("OTHER", "9")

    def test_equality_is_that_of_values(self, plan, read_plan):
        assert plan == read_plan
        implicit = DataSet.from_bytes(plan.to_bytes(IMPLICIT), IMPLICIT)
        assert implicit == plan
        read_plan.BeamSequence[1].BeamName = "other"
        assert plan != read_plan
        assert plan != {"PatientID": "X"}


class TestValues:
    def test_shapes(self):
        ds = DataSet.from_keywords(PatientID=None, ImageType=["A", "B"], Rows=3, BeamSequence=None)
        assert ds.PatientID is None
        assert ds.ImageType == ["A", "B"]
        assert ds.Rows == 3
        assert ds.BeamSequence == []
        assert ds.fetch("PatientID").values == []

    def test_backslashes_separate_values(self):
        assert DataSet.from_keywords(ImageType="A\\B").ImageType == ["A", "B"]
        assert DataSet.from_keywords(StudyDescription="A\\B").StudyDescription == ["A", "B"]
        assert DataSet.from_keywords(TextComments="A\\B").TextComments == "A\\B"

    def test_dates_and_times(self):
        moment = dt.datetime(2024, 2, 29, 12, 30, 15)  # noqa: DTZ001 - DICOM times have none
        ds = DataSet.from_keywords(
            StudyDate=moment.date(), StudyTime=moment.time(), AcquisitionDateTime=moment
        )
        assert (ds.StudyDate, ds.StudyTime) == ("20240229", "123015")
        assert ds.StudyDate.as_date() == moment.date()
        assert ds.AcquisitionDateTime.as_datetime() == moment

    def test_numbers_of_text_keep_their_text(self):
        ds = DataSet.from_keywords(SliceThickness="1.500", InstanceNumber="007")
        assert (ds.SliceThickness, ds.InstanceNumber) == (1.5, 7)
        assert (ds.SliceThickness.text, ds.InstanceNumber.text) == ("1.500", "007")
        other = DataSet()
        other.SliceThickness = ds.SliceThickness
        assert b"1.500 " in other.to_bytes(EXPLICIT)

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("Rows", 70000),
            ("Rows", -1),
            ("Rows", "seven"),
            ("Rows", 1.5),
            ("InstanceNumber", 1.5),
            ("InstanceNumber", "x"),
            ("SliceThickness", "x"),
            ("PatientID", 7),
            ("PixelData", "text"),
            ("BeamSequence", "text"),
            ("FrameIncrementPointer", "NoKeyword"),
            ("TextComments", ["a", "b"]),
        ],
    )
    def test_what_the_vr_cannot_carry_is_refused_at_once(self, keyword, value):
        ds = DataSet()
        with pytest.raises(EncodeError):
            ds[keyword] = value
        assert len(ds) == 0

    def test_vrs_that_depend(self):
        signed = DataSet.from_keywords(PixelRepresentation=1, SmallestImagePixelValue=-5)
        assert signed.fetch("SmallestImagePixelValue").vr == "SS"
        unsigned = DataSet.from_keywords(SmallestImagePixelValue=5)
        assert unsigned.fetch("SmallestImagePixelValue").vr == "US"
        assert DataSet.from_keywords(PixelData=b"").fetch("PixelData").vr == "OW"

    def test_the_vr_in_place_is_kept(self):
        ds = DataSet()
        ds.put(0x00091001, "LO", "text")
        ds[0x00091001] = "other"
        assert ds.fetch(0x00091001).vr == "LO"

    def test_no_such_vr(self):
        with pytest.raises(EncodeError, match="ZZ"):
            DataElement("PatientID", "ZZ", "x")


class TestChangesInPlace:
    def test_a_list_of_values(self, read_plan):
        read_plan.ImageType = ["A", "B"]
        again = DataSet.from_bytes(read_plan.to_bytes(EXPLICIT), EXPLICIT)
        again.ImageType.append("C")
        assert DataSet.from_bytes(again.to_bytes(), EXPLICIT).ImageType == ["A", "B", "C"]

    def test_a_list_of_items(self, read_plan):
        read_plan.BeamSequence.append(DataSet.from_keywords(BeamName="C"))
        del read_plan.BeamSequence[0]
        again = DataSet.from_bytes(read_plan.to_bytes(), EXPLICIT)
        assert [item.BeamName for item in again.BeamSequence] == ["B", "C"]

    def test_swapped_items(self, read_plan):
        read_plan.BeamSequence.reverse()
        again = DataSet.from_bytes(read_plan.to_bytes(), EXPLICIT)
        assert [item.BeamName for item in again.BeamSequence] == ["B", "A"]

    def test_group_lengths_follow(self):
        ds = DataSet()
        ds.put(0x00100000, "UL", 0)
        ds.PatientID = "ABCD"
        read = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
        assert read[0x00100000] == 12
        read.PatientName = "Doe"
        assert DataSet.from_bytes(read.to_bytes(), EXPLICIT)[0x00100000] == 24
        del read.PatientID
        assert DataSet.from_bytes(read.to_bytes(), EXPLICIT)[0x00100000] == 12


class TestCopies:
    @pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, DataSet.copy])
    def test_nothing_is_shared(self, read_plan, make):
        read_plan.BeamSequence[0].BeamName = "changed"
        other = make(read_plan)
        assert other == read_plan
        other.BeamSequence[0].BeamName = "other"
        other.PatientID = "other"
        assert read_plan.BeamSequence[0].BeamName == "changed"
        assert read_plan.PatientID == "X"
        assert other.to_bytes() != read_plan.to_bytes()

    def test_pickle(self, read_plan):
        read_plan.PatientID = "other"
        assert pickle.loads(pickle.dumps(read_plan)) == read_plan

    def test_an_element_put_into_another_data_set(self, read_plan):
        other = DataSet()
        other.put_element(read_plan.fetch("PatientID"))
        assert other.PatientID == "X"


def test_the_printed_form(read_plan):
    assert str(read_plan).splitlines() == [
        "(0008,0060) CS       6 Modality                           RTPLAN",
        "(0010,0020) LO       2 Patient ID                         X",
        "(300A,00B0) SQ      56 Beam Sequence                      2 items",
        "   item 0",
        "   (300A,00C0) IS       2 Beam Number                        1",
        "   (300A,00C2) LO       2 Beam Name                          A",
        "   item 1",
        "   (300A,00C0) IS       2 Beam Number                        2",
        "   (300A,00C2) LO       2 Beam Name                          B",
    ]


def test_made_elements_are_printed_without_lengths(plan):
    assert str(plan).splitlines()[0] == "(0008,0060) CS Modality                           RTPLAN"


def test_pixel_representation_counts_wherever_it_stands():
    ds = DataSet.from_keywords(SmallestImagePixelValue=-1, PixelRepresentation=1)
    again = DataSet.from_bytes(ds.to_bytes(EXPLICIT), EXPLICIT)
    assert again.SmallestImagePixelValue == -1
    assert again.fetch("SmallestImagePixelValue").vr == "SS"


class Kind(DataSet):
    pass


@pytest.mark.parametrize("kind", [DataSet, Kind])
def test_compressed_pixel_data_that_was_put_in_is_pickled(kind):
    ds = kind(PATIENT)
    ds.PixelData = EncapsulatedPixelData([b"ab", b"cdef"])
    ds.ReferencedImageSequence = [{"PixelData": ds.PixelData, "PatientName": "Ä"}]
    again = pickle.loads(pickle.dumps(ds))
    assert again == ds
    assert type(again) is kind
    assert again.fetch("PixelData").vr == "OB"


PATIENT = {"PatientID": "X"}


def test_a_data_set_of_another_shares_nothing_and_keeps_its_vrs(read_plan):
    read_plan.put(0x00090010, "LO", "ACME")
    read_plan.put(0x00091001, "LO", "x")  # whose VR no dictionary has
    made = DataSet(read_plan)
    assert made == read_plan
    made.BeamSequence[0].BeamName = "other"
    assert read_plan.BeamSequence[0].BeamName == "A"


@pytest.mark.parametrize("take", ["put_element", "merge", "item"])
def test_compressed_pixel_data_that_came_as_ow_is_taken_over_as_ob(take):
    data = DataSet.from_keywords(PixelData=EncapsulatedPixelData([b"ab"])).to_bytes(RLE)
    came = DataSet.from_bytes(data.replace(b"OB", b"OW", 1), RLE)
    assert came.fetch("PixelData").vr == "OW"
    made = DataSet()
    if take == "put_element":
        made.put_element(came.fetch("PixelData"))
    elif take == "merge":
        made.merge(came)
    else:
        made["PixelData"] = came.fetch("PixelData")
    assert made.to_bytes(RLE) == data


RLE = "1.2.840.10008.1.2.5"


def test_a_typing_error_is_told_by_pop_too(read_plan):
    with pytest.raises(KeyError, match="PatientID"):
        read_plan.pop("PatientDI", None)
    assert read_plan.pop("PatientName", None) is None
    assert read_plan.pop("PatientID") == "X"
    with pytest.raises(ElementNotFoundError):
        read_plan.pop("PatientID")


def test_a_path_through_what_is_no_sequence():
    ds = DataSet.from_keywords(ImageType=["ORIGINAL", "PRIMARY"])
    assert ds["ImageType", 1] == "PRIMARY"
    for path in (("ImageType", 1, "PatientID"), ("ImageType", 1, "PatientID", 0, "PatientID")):
        with pytest.raises(TypeError, match=r"through sequences, which \(0008,0008\) is not"):
            ds[path]
