"""Our user side against DCMTK's providers: `storescp`, `dcmqrscp`, `wlmscpfs`."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from kit.certificates import Certificates
from kit.dcmtk import wheel_files
from kit.scp import dcmqrscp, dcmtk_scp, free_port, storescp
from pydicom.data import get_testdata_file

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.errors import (
    AssociationError,
    AssociationRejected,
    DimseFailure,
    RetrievalIncomplete,
)
from dicom_actors.scu import MoveProgress, connect
from dicom_actors.tls import TlsConfig

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))
MR = Path(str(get_testdata_file("MR_small.dcm")))
STUDY = "1.2.3.77"


def data_of(path: Path) -> bytes:
    """The data set of a file, as pydicom finds it."""
    with path.open("rb") as file:
        pydicom.filereader.read_preamble(file, force=False)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


@pytest.fixture
def study(tmp_path):
    """A study of twelve CT images and its folder."""
    folder = tmp_path / "study"
    folder.mkdir()
    data_set = read_file(CT)
    data_set.StudyInstanceUID = STUDY
    data_set.PatientName = "Müller^Jörg"
    del data_set["DataSetTrailingPadding"]
    for number in range(1, 13):
        data_set.SOPInstanceUID = f"{STUDY}.{number}"
        data_set.InstanceNumber = number
        write_file(folder / f"{number:02}.dcm", data_set)
    return folder


def key(**values: object) -> DataSet:
    return DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY, **values)


# --- storescp --------------------------------------------------------------------------------


def test_echo_and_rejection(tmp_path) -> None:
    with storescp(tmp_path, "-aet", "STORE") as port:
        with connect("127.0.0.1", port, called="STORE") as assoc:
            assoc.echo()
            assert assoc.terms.peer_implementation_version_name.startswith("OFFIS_DCMTK")
    with storescp(tmp_path, "--refuse") as port:
        with pytest.raises(AssociationRejected, match="no reason"):
            connect("127.0.0.1", port)


def test_every_file_of_pydicoms_wheel_arrives_as_it_is(tmp_path) -> None:
    """Bit by bit, in its own transfer syntax; what DCMTK does not know it does not accept."""
    sent = {}
    with storescp(tmp_path, "+B", "+xa", "+uf") as port:
        with connect("127.0.0.1", port) as assoc:
            for path, _ in wheel_files():
                result = assoc.store(path)
                if result.status is None:
                    assert "not sent" in result.comment
                    continue
                assert result.status == 0, result
                sent[path] = result.sop_instance_uid
    received = {data_of(path) for path in tmp_path.iterdir()}
    assert len(sent) >= 60
    for path in sent:
        data = data_of(path)
        # The one that is deflated lacks its pad byte (PS3.5 A.5).
        assert data + bytes(len(data) % 2) in received, path


@pytest.mark.parametrize("option", ["+xi", "+xb", "+x="])
def test_uncompressed_files_are_converted_to_what_dcmtk_prefers(tmp_path, study, option) -> None:
    with storescp(tmp_path, option) as port:
        with connect("127.0.0.1", port) as assoc:
            results = list(assoc.store_many(study))
    assert {result.status for result in results} == {0}
    for path in tmp_path.glob("CT.*"):
        received, own = pydicom.dcmread(path), pydicom.dcmread(study / "01.dcm")
        assert received.PixelData == own.PixelData
        assert received.PatientName == own.PatientName


def test_several_associations_and_a_long_object(tmp_path, study) -> None:
    long = read_file(CT)
    long.SOPInstanceUID = "1.2.3.99"
    long.PixelData = bytes(40_000_000)
    write_file(study / "long.dcm", long)
    with storescp(tmp_path, "--fork", "+B") as port:
        with connect("127.0.0.1", port) as assoc:
            results = list(assoc.store_many(study, parallel=3))
    assert [result.status for result in results] == [0] * 13
    (stored,) = tmp_path.glob("*1.2.3.99")
    assert data_of(stored) == data_of(study / "long.dcm")


def test_a_mixed_study_is_got_from_one_that_takes_the_first_context_of_a_class(tmp_path) -> None:
    """`dcmqrscp` does, and cannot convert: it takes more than one association."""
    jpeg = Path(str(get_testdata_file("JPEG-lossy.dcm")))
    compressed, plain = read_file(jpeg), read_file(CT)
    for keyword in ("SOPClassUID", "PatientID", "PatientName", "StudyInstanceUID"):
        plain[keyword] = compressed[keyword]
    wanted = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": compressed.StudyInstanceUID}
    with dcmqrscp(tmp_path, "+xx") as port:
        with connect("127.0.0.1", port, called="QRSCP") as assoc:
            assert all(assoc.store_many([compressed, plain]))
            instances = assoc.get(wanted)
            found = {str(each.SOPInstanceUID): each for each in instances}
            assert instances.status == 0
            assert instances.progress == MoveProgress(None, 2, 0, 0, 0)
            with pytest.raises(RetrievalIncomplete, match="1 failed"):
                list(assoc.get(wanted, transfer_syntaxes=["JPEGExtended12Bit"]))
            assoc.echo()
    assert found.keys() == {compressed.SOPInstanceUID, plain.SOPInstanceUID}
    got = found[compressed.SOPInstanceUID]
    assert got.file_meta.TransferSyntaxUID == compressed.file_meta.TransferSyntaxUID
    assert got.PixelData.fragments == compressed.PixelData.fragments


def test_a_peer_that_aborts_in_the_middle(tmp_path, study) -> None:
    for option in ("--abort-after", "--abort-during"):
        with storescp(tmp_path, option) as port:
            with connect("127.0.0.1", port, pause=lambda _: None) as assoc:
                results = []
                with pytest.raises(AssociationError):
                    for result in assoc.store_many(study):
                        results.append(result)
                assert len(results) == 12
                assert not any(results)
                assert "not answered, tried twice" in results[0].comment
                assert "not sent" in results[-1].comment


def test_tls(tmp_path, study) -> None:
    certificates = Certificates(tmp_path)
    server, client = certificates.issue("server"), certificates.issue("client")
    options = ("+tls", server[1], server[0], "+cf", certificates.authority, "-rc")
    tls = TlsConfig(certificate=client[0], key=client[1], authorities=certificates.authority)
    received = tmp_path / "received"
    received.mkdir()
    with storescp(received, *map(str, options)) as port:
        with connect("127.0.0.1", port, tls=tls) as assoc:
            results = list(assoc.store_many(study))
    assert [result.status for result in results] == [0] * 12
    assert len(list(received.iterdir())) == 12


# --- dcmqrscp --------------------------------------------------------------------------------


def test_store_find_get_and_move(tmp_path, study) -> None:
    destination = tmp_path / "destination"
    destination.mkdir()
    with (
        storescp(destination, "-aet", "DEST", "+B") as target,
        dcmqrscp(tmp_path, DEST=target) as port,
        connect("127.0.0.1", port, called="QRSCP") as assoc,
    ):
        assert {result.status for result in assoc.store_many(study)} == {0}

        (found,) = assoc.find(key(PatientName="M*", NumberOfStudyRelatedInstances=None))
        assert found.StudyInstanceUID == STUDY
        images = DataSet.from_keywords(
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=STUDY,
            SOPInstanceUID=None,
            InstanceNumber=None,
            SeriesInstanceUID=read_file(CT).SeriesInstanceUID,
        )
        numbers = sorted(int(match.InstanceNumber) for match in assoc.find(images))
        assert numbers == list(range(1, 13))
        patients = DataSet.from_keywords(
            QueryRetrieveLevel="PATIENT", PatientID="*", PatientName=None
        )
        assert len(list(assoc.find(patients))) == 1
        assert list(assoc.find(key(PatientName="NOBODY"))) == []

        instances = assoc.get(key())
        got = {str(instance.SOPInstanceUID): instance for instance in instances}
        assert instances.progress == MoveProgress(None, 12, 0, 0, 0)
        assert got[f"{STUDY}.3"] == read_file(study / "03.dcm")

        moves = list(assoc.move(key(), "DEST"))
        assert moves[-1] == MoveProgress(None, 12, 0, 0, 0)
        assert [step.completed for step in moves[:-1]] == list(range(1, 13))
    assert len(list(destination.iterdir())) == 12


def test_moves_that_fail(tmp_path, study) -> None:
    with dcmqrscp(tmp_path, DEAD=free_port()) as port:
        with connect("127.0.0.1", port, called="QRSCP") as assoc:
            list(assoc.store_many(study))
            with pytest.raises(DimseFailure, match="move destination unknown") as caught:
                list(assoc.move(key(), "NOWHERE"))
            assert caught.value.status == 0xA801
            with pytest.raises(DimseFailure) as caught:
                list(assoc.move(key(), "DEAD"))
            assert caught.value.status in {0xA702, 0xC000, 0x0110, 0xA801}
            assoc.echo()


def test_cancelling_a_query_and_a_retrieval(tmp_path, study) -> None:
    images = DataSet.from_keywords(
        QueryRetrieveLevel="IMAGE",
        StudyInstanceUID=STUDY,
        SOPInstanceUID=None,
        SeriesInstanceUID=read_file(CT).SeriesInstanceUID,
    )
    with dcmqrscp(tmp_path) as port, connect("127.0.0.1", port, called="QRSCP") as assoc:
        list(assoc.store_many(study))
        for _ in assoc.find(images):
            break
        assoc.echo()
        for _ in assoc.get(key()):
            break
        assoc.echo()
        instances = assoc.get(key())
        next(instances)
        instances.cancel()
        assert len(list(instances)) < 11
        assert instances.status == 0xFE00
        assert len(list(assoc.find(images))) == 12


def test_an_unknown_title_is_rejected(tmp_path) -> None:
    with dcmqrscp(tmp_path) as port:
        with pytest.raises(AssociationRejected, match="called AE title not recognized"):
            connect("127.0.0.1", port, called="SOMEONE")


# --- wlmscpfs --------------------------------------------------------------------------------


def scheduled(number: int) -> DataSet:
    """A worklist item."""
    return DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 100",
        AccessionNumber=f"A{number}",
        ReferringPhysicianName="Ref^Doc",
        PatientName=f"Patient^{number}",
        PatientID=f"P{number}",
        PatientBirthDate="19700101",
        PatientSex="F",
        StudyInstanceUID=f"1.2.3.{number}",
        RequestedProcedureDescription="CHEST",
        RequestedProcedureID=f"R{number}",
        RequestedProcedurePriority="LOW",
        ScheduledProcedureStepSequence=[
            DataSet.from_keywords(
                Modality="CT",
                ScheduledStationAETitle="CT1",
                ScheduledProcedureStepStartDate="20260101",
                ScheduledProcedureStepStartTime="101500",
                ScheduledPerformingPhysicianName="Per^Former",
                ScheduledProcedureStepDescription="CHEST",
                ScheduledProcedureStepID=f"S{number}",
            )
        ],
    )


def test_a_worklist(tmp_path) -> None:
    folder = tmp_path / "WORK"
    folder.mkdir()
    (folder / "lockfile").touch()
    for number in range(1, 6):
        (folder / f"{number}.wl").write_bytes(scheduled(number).to_bytes("ExplicitVRLittleEndian"))
    port = free_port()
    wanted = DataSet.from_keywords(
        PatientName="Patient*",
        AccessionNumber=None,
        ScheduledProcedureStepSequence=[
            DataSet.from_keywords(
                Modality="CT", ScheduledProcedureStepStartDate="20251231-20260102"
            )
        ],
    )
    with dcmtk_scp("wlmscpfs", "-dfp", tmp_path, port, port=port):
        with connect("127.0.0.1", port, called="WORK") as assoc:
            found = list(assoc.find(wanted))
            assert sorted(item.AccessionNumber for item in found) == ["A1", "A2", "A3", "A4", "A5"]
            step = found[0]["ScheduledProcedureStepSequence", 0]
            assert step.ScheduledProcedureStepStartDate == "20260101"
            wanted["ScheduledProcedureStepSequence", 0, "Modality"] = "MR"
            assert list(assoc.find(wanted, model="worklist")) == []
            assert next(assoc.find(DataSet.from_keywords(PatientName=""), model="worklist"))
            assoc.echo()
