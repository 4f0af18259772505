from __future__ import annotations

import itertools

import pytest
from kit.stored_instances import CT, data_set, new_instance

from dicom_actors import DataSet, DimseFailure, generate_uid
from dicom_actors.archive.index import Index, describe
from dicom_actors.archive.index.attributes import Level
from dicom_actors.archive.query import Model, Settings, find, select
from dicom_actors.archive.query.plan import make_plan

EXPLICIT = "1.2.840.10008.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
LOOSE = Settings(is_relational=True)


@pytest.fixture
def index(new_index):
    index = Index.open(new_index(), durability="os")
    yield index
    index.close()


def store(index, *data_sets, **settings):
    index.write([new_instance(one, **settings) for one in data_sets])


def ask(index, level="STUDY", *, model=Model.STUDY_ROOT, settings=LOOSE, **keys):
    return [answer for _, answer in find(index, identifier(level, **keys), model, settings)]


def identifier(level="STUDY", **keys):
    return DataSet.from_keywords(QueryRetrieveLevel=level, **keys)


# --- what is counted and put together ----------------------------------------------------------


def test_computed_attributes(index):
    region = {"CodeValue": "T-D1100", "CodingSchemeDesignator": "SRT", "CodeMeaning": "Head"}
    store(
        index,
        *(data_set(1, s, r, i) for s, r, i in itertools.product((1, 2), (1, 2), (1, 2, 3))),
        data_set(1, 1, 3, 1, Modality="MR", SOPClassUID=MR, AnatomicRegionSequence=[region]),
        data_set(1, 1, 4, 1, Modality="MR", SOPClassUID=MR, AnatomicRegionSequence=[region]),
    )

    (patient,) = ask(
        index,
        "PATIENT",
        model=Model.PATIENT_ROOT,
        PatientID="P1",
        NumberOfPatientRelatedStudies=None,
        NumberOfPatientRelatedSeries=None,
        NumberOfPatientRelatedInstances=None,
    )
    assert patient.NumberOfPatientRelatedStudies == 2
    assert patient.NumberOfPatientRelatedSeries == 6
    assert patient.NumberOfPatientRelatedInstances == 14
    (study,) = ask(
        index,
        StudyInstanceUID="1.2.1.1",
        ModalitiesInStudy=None,
        SOPClassesInStudy=None,
        AnatomicRegionsInStudyCodeSequence=None,
        NumberOfStudyRelatedSeries=None,
        NumberOfStudyRelatedInstances=None,
    )
    assert study.ModalitiesInStudy == ["CT", "MR"]
    assert study.SOPClassesInStudy == [CT, MR]
    assert [item.CodeValue for item in study.AnatomicRegionsInStudyCodeSequence] == ["T-D1100"]
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (4, 8)
    series = ask(index, "SERIES", StudyInstanceUID="1.2.1.1", NumberOfSeriesRelatedInstances=None)
    assert [one.NumberOfSeriesRelatedInstances for one in series] == [3, 3, 1, 1]
    (image,) = ask(index, "IMAGE", SOPInstanceUID="1.2.1.1.1.2", AvailableTransferSyntaxUID=None)
    assert image.AvailableTransferSyntaxUID == EXPLICIT


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"NumberOfStudyRelatedInstances": "2"}, 1),
        ({"ModalitiesInStudy": "MR"}, 1),
        ({"ModalitiesInStudy": ["US", "M*"]}, 1),
        ({"SOPClassesInStudy": [MR, "1.2.3"]}, 1),
        ({"SOPClassesInStudy": "1.2.3"}, 0),
        ({"AnatomicRegionsInStudyCodeSequence": [{"CodeValue": "T-D1100"}]}, 1),
        ({"AnatomicRegionsInStudyCodeSequence": [{"CodeValue": "T-D1200"}]}, 0),
    ],
)
def test_computed_attributes_are_keys_too(index, keys, count):
    region = {"CodeValue": "T-D1100"}
    store(
        index,
        data_set(1),
        data_set(2, instance=1, Modality="MR", SOPClassUID=MR, AnatomicRegionSequence=[region]),
        data_set(2, instance=2, Modality="MR", SOPClassUID=MR),
    )

    assert len(ask(index, StudyInstanceUID=None, **keys)) == count


def test_transfer_syntax_is_a_key(index):
    store(index, data_set(), transfer_syntax_uid="1.2.840.10008.1.2.4.70")

    for uid, count in (("1.2.840.10008.1.2.4.70", 1), (EXPLICIT, 0)):
        found = ask(index, "IMAGE", SOPInstanceUID=None, AvailableTransferSyntaxUID=uid)
        assert len(found) == count


def test_where_from_and_whether_online(index):
    store(index, data_set())
    settings = LOOSE._replace(retrieve_ae_title="US")

    (answer,) = ask(
        index, settings=settings, StudyInstanceUID=None, InstanceAvailability="NEARLINE"
    )
    assert (answer.RetrieveAETitle, answer.InstanceAvailability) == ("US", "ONLINE")
    (answer,) = ask(index, settings=settings, StudyInstanceUID=None, RetrieveAETitle="OTHER")
    assert answer.RetrieveAETitle == "US"
    assert "InstanceAvailability" not in answer
    (answer,) = ask(index, StudyInstanceUID=None)
    assert "RetrieveAETitle" not in answer


# --- levels ------------------------------------------------------------------------------------


def test_a_level_says_what_was_said_of_it_first(index):
    store(
        index,
        data_set(1, 1, 1, 1, PatientName="First", StudyDescription="one", SeriesDescription="a"),
        data_set(1, 1, 1, 2, PatientName="Other", StudyDescription="two", SeriesDescription="b"),
        data_set(1, 1, 2, 1, PatientName="Other", StudyDescription="two", SeriesDescription="c"),
    )

    keys = {"PatientName": None, "StudyDescription": None, "SeriesDescription": None}
    found = ask(index, "SERIES", SeriesInstanceUID=None, **keys)
    assert [
        (str(one.PatientName), one.StudyDescription, one.SeriesDescription) for one in found
    ] == [
        ("First", "one", "a"),
        ("First", "one", "c"),
    ]
    images = ask(index, "IMAGE", SOPInstanceUID=None, PatientName="first")
    assert len(images) == 3
    assert ask(index, "IMAGE", SOPInstanceUID=None, PatientName="other") == []


def test_keys_of_a_lower_level_are_not_looked_at_and_said_to_be(index):
    store(index, data_set())

    ((status, answer),) = find(
        index, identifier(StudyInstanceUID=None, SeriesDescription="no such"), Model.STUDY_ROOT
    )
    assert status == 0xFF01
    assert answer.SeriesDescription is None
    ((status, _),) = find(index, identifier(StudyInstanceUID=None), Model.STUDY_ROOT)
    assert status == 0xFF00


def test_attributes_that_have_no_column_are_keys_too(index):
    store(
        index,
        data_set(instance=1, ImageComments="first", Rows=512, PixelSpacing=[0.5, 0.5]),
        data_set(instance=2, ImageComments="second", Rows=256),
    )

    (found,) = ask(index, "IMAGE", SOPInstanceUID=None, ImageComments="sec*", Rows=None)
    assert (found.SOPInstanceUID, found.Rows) == ("1.2.1.1.1.2", 256)
    (found,) = ask(index, "IMAGE", SOPInstanceUID=None, Rows=512, PixelSpacing=None)
    assert found.PixelSpacing == [0.5, 0.5]


@pytest.mark.parametrize(
    ("key", "count"),
    [
        ("202001011200-202001011300", 0),
        ("202001011100+0000-202001011130+0000", 1),
        ("202001011200+0100-202001011230+0100", 1),
        ("202001011200+0000-202001011230+0000", 0),
    ],
)
def test_moments_have_the_offset_of_their_data_set(index, key, count):
    made = data_set(AcquisitionDateTime="20200101131500", TimezoneOffsetFromUTC="+0200")
    store(index, made)

    assert len(ask(index, "IMAGE", SOPInstanceUID=None, AcquisitionDateTime=key)) == count


def test_no_file_is_needed(index):
    store(index, data_set(), location="nowhere at all")

    (found,) = ask(index, "IMAGE", SOPInstanceUID=None, ImageComments=None, Rows=None)
    assert found.Rows is None


# --- character sets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "asked", "answered"),
    [
        ("ISO_IR 100", "ISO_IR 100", "ISO_IR 100"),
        ("ISO_IR 192", "ISO_IR 100", "ISO_IR 100"),
        ("ISO_IR 100", "ISO_IR 192", "ISO_IR 192"),
        ("ISO_IR 192", "ISO_IR 101", "ISO_IR 101"),
        ("ISO_IR 192", "ISO_IR 144", "ISO_IR 192"),
        ("ISO_IR 100", None, "ISO_IR 192"),
    ],
)
def test_text_is_in_the_character_set_of_the_query_if_that_has_it(index, stored, asked, answered):
    made = data_set(SpecificCharacterSet=stored, PatientName="Müller^Jörg")
    store(index, DataSet.from_bytes(made.to_bytes(EXPLICIT), EXPLICIT))
    keys = {} if asked is None else {"SpecificCharacterSet": asked}

    (answer,) = ask(index, PatientName="M*", StudyInstanceUID=None, **keys)
    again = DataSet.from_bytes(answer.to_bytes(EXPLICIT), EXPLICIT)
    assert again.SpecificCharacterSet == answered
    assert str(again.PatientName) == "Müller^Jörg"


def test_a_key_is_in_the_character_set_of_the_query(index):
    store(index, data_set(SpecificCharacterSet="ISO_IR 192", PatientName="Müller"))
    asked = identifier(
        SpecificCharacterSet="ISO_IR 100", PatientName="Müller", StudyInstanceUID=None
    )
    asked = DataSet.from_bytes(asked.to_bytes("1.2.840.10008.1.2"), "1.2.840.10008.1.2")
    strict = LOOSE._replace(ignore_accents=False)

    assert len(list(find(index, asked, Model.STUDY_ROOT, strict))) == 1
    asked.PatientName = "Muller"
    assert list(find(index, asked, Model.STUDY_ROOT, strict)) == []
    assert len(list(find(index, asked, Model.STUDY_ROOT, LOOSE))) == 1


def test_text_that_no_answer_can_have_is_left_out_of_it(index):
    made = data_set(
        SpecificCharacterSet="ISO_IR 192",
        PatientSex="x",
        PatientName="Müller",
        ProcedureCodeSequence=[{"CodeValue": "1", "MappingResource": "x"}],
    )
    broken = made.to_bytes(EXPLICIT).replace(b"CS\x02\0x ", b"CS\x02\0\xc3\x9c")
    assert broken.count(b"\xc3\x9c") == 2
    store(index, DataSet.from_bytes(broken, EXPLICIT))

    (answer,) = ask(
        index,
        StudyInstanceUID=None,
        PatientSex=None,
        PatientName=None,
        ProcedureCodeSequence=None,
        SpecificCharacterSet="ISO_IR 144",
    )
    again = DataSet.from_bytes(answer.to_bytes(EXPLICIT), EXPLICIT)
    assert again.PatientSex is None
    assert str(again.PatientName) == "Müller"


def test_plain_text_needs_no_character_set(index):
    store(index, data_set(SpecificCharacterSet="ISO_IR 192"))

    (answer,) = ask(index, PatientName=None, StudyInstanceUID=None)
    assert "SpecificCharacterSet" not in answer


# --- private attributes ------------------------------------------------------------------------


def private(block, value, creator="ACME"):
    made = data_set()
    made.put((0x0029, block), "LO", creator)
    made.put((0x0029, block << 8 | 0x20), "LO", value)
    return made


@pytest.mark.parametrize(
    ("asked", "block", "creator", "count"),
    [
        ("x1", 0x10, "ACME", 1),
        ("x*", 0x11, "ACME", 1),  # the block is another one than in the instance
        ("y", 0x10, "ACME", 0),
        (None, 0x10, "ACME", 1),
        ("x1", 0x10, "OTHER", 0),  # nobody else's attribute of that number
        (None, 0x10, "OTHER", 1),  # and a creator alone matches nothing, so excludes nothing
    ],
)
def test_a_private_creator_identifies_a_block_and_matches_nothing(
    index, asked, block, creator, count
):
    store(index, private(0x10, "x1"))
    keys = identifier("IMAGE", SOPInstanceUID=None)
    keys.put((0x0029, block), "LO", creator)
    keys.put((0x0029, block << 8 | 0x20), "LO", asked)

    found = [answer for _, answer in find(index, keys, Model.STUDY_ROOT, LOOSE)]

    assert len(found) == count
    for answer in found:
        assert answer[0x0029, block] == creator
        expected = "x1" if creator == "ACME" else None
        assert answer[0x0029, block << 8 | 0x20] == expected


# --- limits ------------------------------------------------------------------------------------


def test_too_much_to_look_at_is_no_answer(index):
    store(index, *(data_set(n) for n in range(5)))
    answers = find(
        index, identifier(StudyInstanceUID=None), Model.STUDY_ROOT, Settings(max_candidates=4)
    )
    with pytest.raises(DimseFailure) as caught:
        next(answers)
    assert caught.value.status == 0xA700


def test_too_much_to_send_is_not_begun(index):
    store(index, *(data_set(instance=n) for n in range(5)))
    wanted = identifier(StudyInstanceUID="1.2.1.1")
    assert len(select(index, wanted, Model.STUDY_ROOT, Settings(max_instances=5))) == 5
    with pytest.raises(DimseFailure) as caught:
        select(index, wanted, Model.STUDY_ROOT, Settings(max_instances=4))
    assert caught.value.status == 0xA701


def test_instances_come_series_by_series_in_order(index):
    store(
        index,
        *(data_set(1, 1, series, instance) for instance in (3, 1, 2) for series in (2, 1)),
    )
    found = select(index, identifier(StudyInstanceUID="1.2.1.1"), Model.STUDY_ROOT)
    assert [one.sop_instance_uid[8:] for one in found] == ["2.1", "2.2", "2.3", "1.1", "1.2", "1.3"]


def test_many_answers_hold_no_reader_while_they_wait(index):
    store(index, *(data_set(n) for n in range(200)))
    waiting = [find(index, identifier(StudyInstanceUID=None), Model.STUDY_ROOT) for _ in range(20)]
    for answers in waiting:
        next(answers)
    store(index, data_set(999))
    assert [len(list(answers)) for answers in waiting] == [199] * 20


def test_what_a_peer_says_is_never_a_part_of_a_statement():
    statements = set()
    for value in ("x", "'; DROP TABLE study; --", '"', "%", "]"):
        plan = make_plan(identifier(AccessionNumber="y", StudyID=value), Level.STUDY)
        assert value in plan.parameters
        statements.add(plan.statement)
    assert len(statements) == 1


def test_a_uid_for_each_is_as_good_as_one(index):
    store(index, *(data_set(n) for n in range(3)))
    uids = [str(generate_uid()) for _ in range(3_000)] + ["1.2.2.1"]
    (found,) = ask(index, StudyInstanceUID=uids)
    assert found.StudyInstanceUID == "1.2.2.1"
    assert describe(data_set()).study_instance_uid == "1.2.1.1"
