"""Studies that are complete earlier, on evidence: a request of STOW-RS, commitment, a step."""

from __future__ import annotations

import queue

import pykka
import pytest
from kit.archive_objects import make_file, uid_of

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.actors.study_watcher import StudiesChanged
from dicom_actors.archive.events import StudyComplete, StudyUpdated
from dicom_actors.archive.upkeep.acquisitions import Acquisition, Acquisitions

LIMIT = 60.0


class Listener(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, told):
        super().__init__()
        self._told = told

    def on_receive(self, message):
        self._told.put(message)


@pytest.fixture
def archive(tmp_path):
    with Archive.open(tmp_path, durability="os", study_quiet_seconds=3600.0) as opened:
        yield opened


@pytest.fixture
def told(archive):
    events = queue.Queue()
    listener = Listener.start(events)
    archive.subscribe(listener, (StudyComplete, StudyUpdated))
    yield events
    listener.stop()


class Event:
    sop_class_uid = "1.2.840.10008.1.20.1"
    sop_instance_uid = "1.2.840.10008.1.20.1.1"
    action_type_id = 1
    calling_ae_title = "MODALITY"

    def __init__(self, uids):
        items = [
            DataSet.from_keywords(
                ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.7", ReferencedSOPInstanceUID=uid
            )
            for uid in uids
        ]
        self.dataset = DataSet.from_keywords(
            TransactionUID=f"1.9.{len(uids)}", ReferencedSOPSequence=items
        )

    def event_reporter(self):
        return None


def test_commitment_for_all_of_a_study(archive, told):
    for number in range(3):
        archive.add(make_file(number))
    act = archive.event_handlers()["naction"]
    act(Event([uid_of(0), uid_of(1)]))  # not all of it
    assert told.empty()
    act(Event([uid_of(0), uid_of(1), uid_of(2)]))

    event = told.get(timeout=LIMIT)
    assert event.study_instance_uid == "1.2.1"
    assert "commitment" in event.reason


def step(status, *uids):
    images = [DataSet.from_keywords(ReferencedSOPInstanceUID=uid) for uid in uids]
    return DataSet.from_keywords(
        PerformedProcedureStepStatus=status,
        PerformedSeriesSequence=[DataSet.from_keywords(ReferencedImageSequence=images)],
        ScheduledStepAttributesSequence=[DataSet.from_keywords(StudyInstanceUID="1.2.1")],
    )


def test_a_step_that_is_completed_before_its_last_instance_comes(archive, told):
    archive.add(make_file(0))
    archive._note_step("1.5", step("IN PROGRESS", uid_of(0)))
    archive._note_step("1.5", step("COMPLETED", uid_of(0), uid_of(1)))
    archive.add(make_file(1))

    event = told.get(timeout=LIMIT)
    assert "procedure step" in event.reason
    assert told.empty()


def test_a_step_that_is_completed_after_all_has_come(archive, told):
    for number in range(2):
        archive.add(make_file(number))
    archive._note_step("1.5", step("COMPLETED", uid_of(0), uid_of(1)))

    assert told.get(timeout=LIMIT).study_instance_uid == "1.2.1"


def test_the_last_change_may_come_after_the_index_has_shown_it(archive, told):
    archive.add(make_file(0))
    archive._note_step("1.5", step("COMPLETED", uid_of(0)))
    archive._kernel.tell("studies", StudiesChanged(frozenset({"1.2.1"})))

    assert told.get(timeout=LIMIT).study_instance_uid == "1.2.1"


def test_a_request_of_stow_that_ends(archive, told):
    from dicom_actors.web import WebServer
    from dicom_actors.web_user import WebClient

    with (
        WebServer.start(archive, port=0) as server,
        WebClient(f"{server.url}dicom-web") as client,
    ):
        results = list(client.store([read_file(make_file(number)) for number in range(3)]))

    assert all(results)
    event = told.get(timeout=LIMIT)
    assert (type(event), event.reason) == (StudyComplete, "a STOW-RS request ended")


def acquired(number, images, acquisition=1, *, study=1, series=1):
    ds = DataSet(read_file(make_file(number, study=study, series=series)))
    ds.put("AcquisitionNumber", "IS", [acquisition])
    if images is not None:
        ds.put("ImagesInAcquisition", "IS", [images])
    return ds


def test_all_instances_of_images_in_acquisition(archive, told):
    archive.add(acquired(1, 2, 1, study=2))  # one that stays alone
    archive.add(acquired(1, 2, 1))
    archive.add(acquired(1, 2, 1))  # the same again is no other one
    archive.add(acquired(2, 1, 2))
    archive.add(acquired(1, 2, 1, series=2))
    archive.add(acquired(3, 2, 1))
    assert told.empty()
    archive.add(acquired(2, 2, 1, series=2))

    event = told.get(timeout=LIMIT)
    assert event == StudyComplete("1.2.1", "all instances of Images in Acquisition are there")
    archive.add(acquired(4, 1, 3))
    assert told.get(timeout=LIMIT) == StudyUpdated("1.2.1", event.reason)
    assert told.empty()


@pytest.mark.parametrize("images", [None, 0, -1, 10_000_000, 2])
def test_what_does_not_say_how_many_there_are_is_awaited(archive, told, images):
    archive.add(acquired(1, images))
    archive.add(acquired(2, 1, 2))
    archive.add(acquired(1, 1, study=2))

    assert told.get(timeout=LIMIT).study_instance_uid == "1.2.2"
    assert told.empty()


def test_of_many_acquisitions_so_many_are_counted():
    counted = Acquisitions(most_studies=2, most_of_study=3)
    for number in range(4):
        counted.came("1", "1.1", Acquisition(str(number), 1))
    assert counted.whole("1") == 3  # of four that the index has
    for study in ("2", "3"):
        counted.came(study, "1.1", Acquisition("", 2))
        assert counted.whole(study) is None
    assert counted.whole("1") is None
