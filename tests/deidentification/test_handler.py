"""A step in front of an endpoint's handler: what is stored has no patient any more."""

from __future__ import annotations

import pytest
from kit.patients import KEY, patient

from dicom_actors import DataSet, Endpoint, MoveTo, connect, messages, read_file, write_file
from dicom_actors.deidentification import Deidentifier, deidentifying, deidentifying_results


@pytest.fixture
def cleaner() -> Deidentifier:
    return Deidentifier(salt=KEY)


def send(handler, *instances):
    endpoint = Endpoint.start(port=0, event_handlers={"cstore": handler})
    try:
        port = endpoint.ask(messages.GetStatus()).port
        with connect("127.0.0.1", port) as association:
            return [association.store(each) for each in instances]
    finally:
        endpoint.stop()


@pytest.mark.usefixtures("nothing_left")
def test_an_endpoint_stores_what_is_clean(tmp_path, cleaner) -> None:
    seen = []

    def store(event):
        seen.append(event)
        event.save(tmp_path / "in" / "there")

    before = patient()
    (result,) = send(deidentifying(store, cleaner), before)
    assert result.status == 0
    (event,) = seen
    assert event.dataset == cleaner.deidentify(before)
    assert event.sop_instance_uid == cleaner.new_uid("1.2.3.4.5.1")
    assert event.study_instance_uid == event.dataset.StudyInstanceUID
    assert event.command.AffectedSOPInstanceUID == event.sop_instance_uid
    assert b"Quxworth" not in bytes(event.data)
    assert event.length == len(event.data)
    assert event.association.calling_ae_title
    (path,) = (tmp_path / "in" / "there").iterdir()
    assert path.name == f"{event.sop_instance_uid}.dcm"
    assert read_file(path) == event.dataset
    assert b"Quxworth" not in path.read_bytes()
    assert b"1.2.3.4.5.1" not in path.read_bytes()


@pytest.mark.usefixtures("nothing_left")
def test_a_coroutine_function_is_a_handler_too(tmp_path) -> None:
    async def store(event):
        event.save(tmp_path)

    (result,) = send(deidentifying(store), patient())
    assert result.status == 0
    (path,) = tmp_path.iterdir()
    assert read_file(path).PatientIdentityRemoved == "YES"


@pytest.mark.usefixtures("nothing_left")
def test_what_cannot_be_cleaned_is_refused_and_not_stored(tmp_path, cleaner, caplog) -> None:
    burned = patient(BurnedInAnnotation="YES", PixelData=b"\0\0")
    results = send(deidentifying(lambda event: event.save(tmp_path), cleaner), burned, patient())
    assert [result.status for result in results] == [0x0110, 0]
    assert len([*tmp_path.iterdir()]) == 1
    assert "Quxworth" not in caplog.text


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("with_number", [False, True])
def test_what_a_client_fetches_is_clean(tmp_path, cleaner, with_number) -> None:
    before = patient()
    write_file(tmp_path / "one.dcm", before)

    def get(event):
        assert event.dataset.StudyInstanceUID == "1.2.3.4.5.2"
        return (1, [tmp_path / "one.dcm"]) if with_number else [tmp_path / "one.dcm"]

    endpoint = Endpoint.start(port=0, event_handlers={"cget": deidentifying_results(get, cleaner)})
    try:
        port = endpoint.ask(messages.GetStatus()).port
        with connect("127.0.0.1", port) as association:
            wanted = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3.4.5.2"}
            found = list(association.get(DataSet.from_keywords(**wanted)))
    finally:
        endpoint.stop()
    assert found == [cleaner.deidentify(before)]


def test_what_is_moved_is_clean_and_a_status_stays(cleaner) -> None:
    def move(event):
        return MoveTo("127.0.0.1", 104, "THERE", [patient()]) if event else 0xA801

    handler = deidentifying_results(move, cleaner)
    made = handler(True)
    assert (made.host, made.ae_title) == ("127.0.0.1", "THERE")
    assert list(made.instances) == [cleaner.deidentify(patient())]
    assert handler(False) == 0xA801
    several = deidentifying_results(lambda event: [move(event), move(event)], cleaner)(True)
    assert [list(one.instances) for one in several] == [[cleaner.deidentify(patient())]] * 2
    with pytest.raises(TypeError, match="returns instances"):
        deidentifying_results(None, cleaner)


def test_a_name_does_not_lead_out_of_the_folder(tmp_path, cleaner) -> None:
    class Event:
        dataset = patient()
        sop_class_uid, message_id, association = "1.2", 1, None
        is_cancelled = False

    failed = []

    def store(event):
        with pytest.raises(ValueError, match="below the directory"):
            event.save(tmp_path / "in", "../out.dcm")
        failed.append(event.save(tmp_path / "in", "sub/x.dcm"))

    deidentifying(store, cleaner)(Event())
    assert failed == [tmp_path / "in/sub/x.dcm"]
    with pytest.raises(TypeError, match="callable"):
        deidentifying(None)
