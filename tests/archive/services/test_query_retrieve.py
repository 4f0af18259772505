"""C-FIND, C-GET and C-MOVE of an archive, by our own user side; others are in `tests/interop`."""

from __future__ import annotations

import itertools

import pytest
from kit.endpoints import running
from kit.scp import storescp
from kit.small_archive import SmallArchive
from kit.stored_instances import CT, data_set

from dicom_actors import DataSet, connect
from dicom_actors.archive.index import Deleted
from dicom_actors.archive.query import Settings
from dicom_actors.archive.services import EXTENDED_NEGOTIATION, Peer, QueryRetrieve, combined
from dicom_actors.errors import ArchiveError, DimseFailure, RetrievalIncomplete
from dicom_actors.pdu import SopClassExtended

pytestmark = pytest.mark.usefixtures("nothing_left")

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
EVERY = [
    data_set(p, s, r, i, Modality=modality, StudyDate=f"2020010{s}", StudyTime=f"{8 + s:02}00")
    for p, s, (r, modality), i in itertools.product((1, 2), (1, 2), ((1, "CT"), (2, "MR")), (1, 2))
]


@pytest.fixture
def archive(tmp_path, index_place):
    archive = SmallArchive(tmp_path / "archive", index_place.address(tmp_path))
    archive.add(*EVERY)
    yield archive
    archive.close()


@pytest.fixture
def peers():
    return {}


@pytest.fixture
def settings():
    return Settings()


@pytest.fixture
def endpoint(archive, peers, settings):
    service = QueryRetrieve(archive, peers, settings)
    with running(
        combined([service]), extended_negotiation=EXTENDED_NEGOTIATION, ae_title="ARCHIVE"
    ) as endpoint:
        yield endpoint


@pytest.fixture
def association(endpoint):
    with connect("127.0.0.1", endpoint.port, called="ARCHIVE") as association:
        yield association


def keys(level, **values):
    return DataSet.from_keywords(QueryRetrieveLevel=level, **values)


# --- C-FIND ------------------------------------------------------------------------------------


def test_study_root_level_by_level(association):
    studies = list(association.find(keys("STUDY", StudyInstanceUID=None, PatientName="doe*")))
    assert len(studies) == 4
    study = studies[0].StudyInstanceUID
    series = list(association.find(keys("SERIES", StudyInstanceUID=study, SeriesInstanceUID=None)))
    assert len(series) == 2
    images = list(
        association.find(
            keys(
                "IMAGE",
                StudyInstanceUID=study,
                SeriesInstanceUID=series[1].SeriesInstanceUID,
                SOPInstanceUID=None,
            )
        )
    )
    assert sorted(one.SOPInstanceUID for one in images) == ["1.2.1.1.2.1", "1.2.1.1.2.2"]


def test_patient_root_level_by_level(association):
    def find(identifier):
        return list(association.find(identifier, model="patient"))

    patients = find(keys("PATIENT", PatientID=None, PatientName=None))
    assert sorted(one.PatientID for one in patients) == ["P1", "P2"]
    studies = find(keys("STUDY", PatientID="P2", StudyInstanceUID=None))
    assert sorted(one.StudyInstanceUID for one in studies) == ["1.2.2.1", "1.2.2.2"]
    series = find(
        keys("SERIES", PatientID="P2", StudyInstanceUID="1.2.2.2", SeriesInstanceUID=None)
    )
    assert len(series) == 2
    images = find(
        keys(
            "IMAGE",
            PatientID="P2",
            StudyInstanceUID="1.2.2.2",
            SeriesInstanceUID="1.2.2.2.1",
            SOPInstanceUID=None,
            InstanceNumber="2",
        )
    )
    assert [one.SOPInstanceUID for one in images] == ["1.2.2.2.1.2"]


@pytest.mark.parametrize(
    ("model", "identifier"),
    [
        ("study", keys("PATIENT", PatientID="P1")),
        ("study", keys("STUDIES", StudyInstanceUID=None)),
        ("study", DataSet.from_keywords(StudyInstanceUID=None)),
        ("study", keys("SERIES", SeriesInstanceUID=None)),
        ("study", keys("SERIES", StudyInstanceUID="1.2.*", SeriesInstanceUID=None)),
        ("study", keys("SERIES", StudyInstanceUID=["1.2.1.1", "1.2.1.2"], SeriesInstanceUID=None)),
        ("patient", keys("STUDY", StudyInstanceUID="1.2.1.1")),
    ],
)
def test_what_is_no_identifier_of_the_model_is_refused(association, model, identifier):
    with pytest.raises(DimseFailure) as caught:
        list(association.find(identifier, model=model, check=False))
    assert caught.value.status == 0xA900


def test_a_key_that_means_nothing_is_refused(association):
    identifier = keys("STUDY", StudyInstanceUID=None, StudyDate="yesterday")
    with pytest.raises(DimseFailure) as caught:
        list(association.find(identifier, check=False))
    assert caught.value.status == 0xC000


def test_relational_queries_and_combined_times_where_negotiated(endpoint):
    relational = keys("SERIES", SeriesInstanceUID=None, Modality="MR")
    combined_keys = keys(
        "STUDY", StudyInstanceUID=None, StudyDate="20200101-20200102", StudyTime="0930-0959"
    )
    extended = [SopClassExtended(STUDY_FIND, b"\1\1\1\1")]
    with connect("127.0.0.1", endpoint.port, called="ARCHIVE", extended=extended) as association:
        assert len(list(association.find(relational))) == 4
        found = list(association.find(combined_keys))
        assert sorted(one.StudyInstanceUID for one in found) == []
        combined_keys.StudyTime = "0930-1000"
        found = list(association.find(combined_keys))
        assert sorted(one.StudyInstanceUID for one in found) == ["1.2.1.2", "1.2.2.2"]
        (info,) = endpoint.associations()
        assert info.extended_negotiation == {STUDY_FIND: b"\1\1"}


@pytest.mark.parametrize("settings", [Settings(max_matches=3)])
def test_there_are_no_more_answers_than_there_may_be(association):
    answers = association.find(keys("STUDY", StudyInstanceUID=None))
    found = []
    with pytest.raises(DimseFailure) as caught:
        for answer in answers:
            found.append(answer)
    assert caught.value.status == 0xA700
    assert len(found) == 3


def test_an_index_that_cannot_be_read_is_no_silence(association, archive, monkeypatch, caplog):
    def fail():
        raise ArchiveError("/a/path: it is damaged", "damaged")

    monkeypatch.setattr(archive, "reader", fail)
    with pytest.raises(DimseFailure) as caught:
        list(association.find(keys("STUDY", StudyInstanceUID=None)))
    assert caught.value.status == 0xC000
    assert "path" not in caught.value.comment
    assert "is refused: /a/path: it is damaged" in caplog.text  # for whoever runs it


def test_a_cancel_ends_the_answers(association):
    answers = association.find(keys("STUDY", StudyInstanceUID=None))
    next(answers)
    answers.close()
    assert len(list(association.find(keys("STUDY", StudyInstanceUID=None)))) == 4


# --- retrieval ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "identifier", "count"),
    [
        ("patient", keys("PATIENT", PatientID="P1"), 8),
        ("patient", keys("STUDY", PatientID="P1", StudyInstanceUID="1.2.1.1"), 4),
        ("study", keys("STUDY", StudyInstanceUID=["1.2.1.1", "1.2.2.2", "1.9"]), 8),
        ("study", keys("SERIES", StudyInstanceUID="1.2.1.1", SeriesInstanceUID="1.2.1.1.2"), 2),
        (
            "study",
            keys(
                "IMAGE",
                StudyInstanceUID="1.2.1.1",
                SeriesInstanceUID="1.2.1.1.2",
                SOPInstanceUID="1.2.1.1.2.2",
            ),
            1,
        ),
        ("study", keys("STUDY", StudyInstanceUID="1.9"), 0),
        ("patient", keys("SERIES", SeriesInstanceUID="1.2.1.1.1"), 2),
        (
            "1.2.840.10008.5.1.4.1.2.4.3",  # Composite Instance Root
            keys("IMAGE", SOPInstanceUID=["1.2.1.1.1.1", "1.2.2.2.2.2"]),
            2,
        ),
    ],
)
def test_instances_are_got(association, model, identifier, count):
    found = list(association.get(identifier, model=model))

    originals = {one.SOPInstanceUID: one for one in EVERY}
    assert len(found) == count
    for one in found:
        assert one == originals[one.SOPInstanceUID]


@pytest.mark.parametrize(
    "identifier",
    [
        keys("STUDY"),
        keys("STUDY", StudyInstanceUID="*"),
        keys("SERIES", StudyInstanceUID="1.2.1.1"),
        keys("IMAGE", StudyInstanceUID="1.2.1.1", SOPInstanceUID="1.2.1.1.1.?"),
    ],
)
def test_all_is_not_what_nobody_named(association, identifier):
    with pytest.raises(DimseFailure) as caught:
        list(association.get(identifier, model="study", sop_classes=[CT]))
    assert caught.value.status == 0xA900


def test_what_is_not_there_any_more_is_counted(association, archive):
    (archive.folder / "1.2.1.1.1.2.dcm").unlink()

    found = []
    with pytest.raises(RetrievalIncomplete) as caught:
        for one in association.get(keys("STUDY", StudyInstanceUID="1.2.1.1")):
            found.append(one)
    assert len(found) == 3
    assert caught.value.progress.failed == 1


@pytest.fixture
def destination(tmp_path, peers):
    folder = tmp_path / "moved"
    folder.mkdir()
    with storescp(folder) as port:
        peers["THERE"] = Peer("127.0.0.1", port)
        yield folder


def test_instances_are_moved(endpoint, destination):
    with connect("127.0.0.1", endpoint.port, called="ARCHIVE") as association:
        *_, progress = association.move(
            keys("SERIES", StudyInstanceUID="1.2.1.1", SeriesInstanceUID="1.2.1.1.2"), "THERE"
        )
    assert progress.completed == 2
    assert len(list(destination.iterdir())) == 2


def test_nobody_unknown_is_sent_anything(association):
    with pytest.raises(DimseFailure) as caught:
        list(association.move(keys("STUDY", StudyInstanceUID="1.2.1.1"), "NOWHERE"))
    assert caught.value.status == 0xA801


def test_what_was_deleted_is_neither_found_nor_sent(association, archive):
    archive.index.write([Deleted(one.SOPInstanceUID) for one in EVERY[:8]])

    found = list(association.find(keys("STUDY", StudyInstanceUID=None)))
    assert sorted(one.StudyInstanceUID for one in found) == ["1.2.2.1", "1.2.2.2"]
    assert list(association.get(keys("STUDY", StudyInstanceUID="1.2.1.1"))) == []
