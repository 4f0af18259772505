"""Studies that are complete earlier, on evidence: a request of STOW-RS, commitment, a step."""

from __future__ import annotations

import queue

import pykka
import pytest
from kit.archive_objects import make_file, uid_of

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.events import StudyComplete, StudyUpdated

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
