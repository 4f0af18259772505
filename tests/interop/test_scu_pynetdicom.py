"""Our user side against pynetdicom's providers: every service, roles, identity, TLS."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path

import pydicom
import pytest
from kit.certificates import Certificates
from kit.endpoints import running
from kit.scp import pynetdicom_scp
from pydicom.data import get_testdata_file
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    SecondaryCaptureImageStorage,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    Verification,
)

from dicom_actors.data import DataSet, read_file
from dicom_actors.errors import AssociationRejected, DimseFailure, RetrievalIncomplete
from dicom_actors.pdu import SopClassExtended
from dicom_actors.scu import MoveProgress, connect
from dicom_actors.tls import TlsConfig

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = Path(str(get_testdata_file("CT_small.dcm")))
MPPS = str(ModalityPerformedProcedureStep)


def entity(*sop_classes: str, **roles: bool) -> AE:
    """An application entity that supports these."""
    made = AE("PYNETDICOM")
    for sop_class in sop_classes:
        made.add_supported_context(sop_class, **roles)
    return made


def key(**values: object) -> DataSet:
    return DataSet.from_keywords(QueryRetrieveLevel="STUDY", PatientName="*", **values)


# --- C-services ------------------------------------------------------------------------------


def test_echo_and_its_failure() -> None:
    statuses = [0x0000, 0x0211]
    with pynetdicom_scp(
        entity(Verification), [(evt.EVT_C_ECHO, lambda _: statuses.pop(0))]
    ) as port:
        with connect("127.0.0.1", port) as assoc:
            assoc.echo()
            with pytest.raises(DimseFailure, match="unrecognized operation"):
                assoc.echo()


def test_store_tells_what_was_answered() -> None:
    received = []

    def store(event):
        received.append((event.dataset, event.request.AffectedSOPInstanceUID))
        status = pydicom.Dataset()
        status.Status = 0xA700 if len(received) == 2 else 0x0000
        status.ErrorComment = "no room"
        return status

    made = entity(CTImageStorage)
    with pynetdicom_scp(made, [(evt.EVT_C_STORE, store)]) as port:
        with connect("127.0.0.1", port) as assoc:
            results = list(
                assoc.store_many([CT, read_file(CT), CT.read_bytes()], on_warning="ignore")
            )
    assert [(result.status, result.comment) for result in results] == [
        (0, ""),
        (0xA700, "no room"),
        (0, ""),
    ]
    expected = pydicom.dcmread(CT)
    for data_set, uid in received:
        assert uid == expected.SOPInstanceUID
        assert data_set == expected


def test_find_and_its_cancellation() -> None:
    made = entity(StudyRootQueryRetrieveInformationModelFind)
    cancelled = []

    def find(event):
        for number in range(200):
            found = pydicom.Dataset()
            found.PatientName = f"Doe^{number}"
            found.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
            yield 0xFF00, found
        # It reads nothing as long as it has something to send, so that only now it can hear.
        pause = threading.Event()
        while not event.is_cancelled:
            pause.wait(0.005)
        cancelled.append(event)
        yield 0xFE00, None

    with pynetdicom_scp(made, [(evt.EVT_C_FIND, find)]) as port:
        with connect("127.0.0.1", port) as assoc:
            for number, found in enumerate(assoc.find(key())):
                assert found.PatientName == f"Doe^{number}"
                if number == 20:
                    break
            matches = assoc.find(key())
            next(matches)
            matches.cancel()
            assert len(list(matches)) == 199
            assert matches.status == 0xFE00
    assert len(cancelled) == 2


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001])
def test_find_that_fails(status: int) -> None:
    def find(_):
        failure = pydicom.Dataset()
        failure.Status = status
        failure.ErrorComment = "not today"
        yield failure, None

    made = entity(PatientRootQueryRetrieveInformationModelFind, ModalityWorklistInformationFind)
    with pynetdicom_scp(made, [(evt.EVT_C_FIND, find)]) as port:
        with connect("127.0.0.1", port) as assoc:
            for model in ("patient", "worklist"):
                with pytest.raises(DimseFailure, match="not today") as caught:
                    list(assoc.find(key(), model=model))
                assert caught.value.status == status


def storage_entity() -> AE:
    made = entity(
        StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove
    )
    for context in AllStoragePresentationContexts:
        made.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    return made


def instances(count: int) -> list[pydicom.Dataset]:
    made = []
    for number in range(1, count + 1):
        data_set = pydicom.dcmread(CT)
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        made.append(data_set)
    return made


def mixed_study() -> list[pydicom.Dataset]:
    """Secondary captures in three transfer syntaxes."""
    made = []
    for name in ("CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm"):
        data_set = pydicom.dcmread(get_testdata_file(name))
        data_set.SOPClassUID = SecondaryCaptureImageStorage
        data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID
        data_set.StudyInstanceUID = "1.2.3"
        made.append(data_set)
    return made


@pytest.mark.parametrize(
    "syntaxes", [None, ["ExplicitVRLittleEndian", "JPEG2000Lossless", "JPEG2000", "RLELossless"]]
)
def test_a_study_in_several_transfer_syntaxes_is_got_as_it_is(syntaxes) -> None:
    study = mixed_study()

    def get(event):
        yield len(study)
        for data_set in study:
            yield 0xFF00, data_set

    made = entity(StudyRootQueryRetrieveInformationModelGet)
    made.add_supported_context(
        SecondaryCaptureImageStorage, ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True
    )
    with pynetdicom_scp(made, [(evt.EVT_C_GET, get)]) as port:
        with connect("127.0.0.1", port) as assoc:
            found = list(assoc.get(key(StudyInstanceUID="1.2.3"), transfer_syntaxes=syntaxes))
    plain, *compressed = [each.file_meta.TransferSyntaxUID for each in found]
    assert plain in {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1"}  # either is as good
    assert compressed == [each.file_meta.TransferSyntaxUID for each in study[1:]]
    assert bytes(found[0].PixelData) == study[0].PixelData


def test_a_get_of_which_some_failed_raises_at_its_end() -> None:
    def get(event):
        yield 3
        for data_set in instances(3):
            data_set.SOPClassUID = CTImageStorage if data_set.SOPInstanceUID[-1] != "2" else "1.2"
            yield 0xFF00, data_set

    with pynetdicom_scp(storage_entity(), [(evt.EVT_C_GET, get)]) as port:
        with connect("127.0.0.1", port) as assoc:
            found = []
            with pytest.raises(RetrievalIncomplete) as caught:
                for data_set in assoc.get(key(), sop_classes=["CTImageStorage"]):
                    found.append(data_set)
            assert len(found) == 2
            assert caught.value.progress.failed == 1
            assert caught.value.progress.failed_sop_instance_uids == ("1.2.3.2",)


def test_get_by_role_selection() -> None:
    def get(event):
        yield 5
        for data_set in instances(5):
            if event.is_cancelled:
                yield 0xFE00, None
                return
            yield 0xFF00, data_set

    with pynetdicom_scp(storage_entity(), [(evt.EVT_C_GET, get)]) as port:
        with connect("127.0.0.1", port) as assoc:
            gets = assoc.get(key())
            found = list(gets)
            assert [data_set.SOPInstanceUID for data_set in found] == [
                f"1.2.3.{number}" for number in range(1, 6)
            ]
            assert bytes(found[0].PixelData) == pydicom.dcmread(CT).PixelData
            assert gets.progress is not None
            assert gets.progress[1:5] == (5, 0, 0, 0)
            for _ in assoc.get(key()):
                break
            gets = assoc.get(key())
            next(gets)
            gets.cancel()
            assert len(list(gets)) < 4
            assert gets.status == 0xFE00


def test_move_to_ourselves() -> None:
    """With an endpoint of ours as the destination."""
    stored = []
    with running({"cstore": lambda event: stored.append(event.sop_instance_uid)}) as endpoint:

        def move(event):
            assert event.move_destination == "US"
            yield "127.0.0.1", endpoint.port
            yield 3
            for data_set in instances(3):
                yield 0xFF00, data_set

        made = storage_entity()
        made.requested_contexts = AllStoragePresentationContexts[:100]
        with pynetdicom_scp(made, [(evt.EVT_C_MOVE, move)]) as port:
            with connect("127.0.0.1", port) as assoc:
                moves = list(assoc.move(key(), "US"))
    assert stored == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert [step.completed for step in moves] == [1, 2, 3, 3]
    assert moves[-1][1:] == MoveProgress(None, 3, 0, 0, 0)[1:]


# --- N-services ------------------------------------------------------------------------------


class Steps:
    """Performed procedure steps, as an MPPS provider keeps them."""

    def __init__(self) -> None:
        self.steps: dict[str, pydicom.Dataset] = {}

    def create(self, event):
        uid = event.request.AffectedSOPInstanceUID
        if uid in self.steps:
            return 0x0111, None
        self.steps[uid] = event.attribute_list
        return 0x0000, event.attribute_list

    def set(self, event):
        step = self.steps.get(event.request.RequestedSOPInstanceUID)
        if step is None:
            return 0x0112, None
        step.update(event.modification_list)
        return 0x0000, step

    def get(self, event):
        step = self.steps[event.request.RequestedSOPInstanceUID]
        wanted = pydicom.Dataset()
        for tag in event.attribute_identifiers or list(step.keys()):
            if tag in step:
                wanted[tag] = step[tag]
        return 0x0000, wanted

    def delete(self, event):
        del self.steps[event.request.RequestedSOPInstanceUID]
        return 0x0000

    @property
    def handlers(self):
        return [
            (evt.EVT_N_CREATE, self.create),
            (evt.EVT_N_SET, self.set),
            (evt.EVT_N_GET, self.get),
            (evt.EVT_N_DELETE, self.delete),
        ]


def test_a_procedure_step_from_creation_to_completion() -> None:
    steps = Steps()
    attributes = DataSet.from_keywords(
        PerformedProcedureStepStatus="IN PROGRESS", PatientName="Doe^Jane"
    )
    with pynetdicom_scp(entity(MPPS), steps.handlers) as port:
        with connect("127.0.0.1", port) as assoc:
            created = assoc.n_create("ModalityPerformedProcedureStep", "1.2.3", attributes)
            assert created == (0, "1.2.3", attributes)
            with pytest.raises(DimseFailure, match="duplicate SOP instance"):
                assoc.n_create(MPPS, "1.2.3", attributes)
            done = DataSet.from_keywords(PerformedProcedureStepStatus="COMPLETED")
            assert assoc.n_set(MPPS, "1.2.3", done).status == 0
            assert steps.steps["1.2.3"].PerformedProcedureStepStatus == "COMPLETED"
            with pytest.raises(DimseFailure, match="no such SOP instance"):
                assoc.n_set(MPPS, "1.2.4", done)
            got = assoc.n_get(MPPS, "1.2.3", ["PerformedProcedureStepStatus", "PatientID"])
            assert got.data_set == done
            everything = assoc.n_get(MPPS, "1.2.3").data_set
            assert everything is not None
            assert everything.PatientName == "Doe^Jane"


def test_a_film_session_is_deleted() -> None:
    steps = Steps()
    meta = str(BasicGrayscalePrintManagementMeta)
    with pynetdicom_scp(entity(meta), steps.handlers) as port:
        with connect("127.0.0.1", port) as assoc:
            film = str(BasicFilmSession)
            assoc.n_create(film, "1.2.3", abstract_syntax=meta)
            assert list(steps.steps) == ["1.2.3"]
            assert assoc.n_delete(film, "1.2.3", abstract_syntax=meta).status == 0
    assert not steps.steps


def test_actions_and_other_abstract_syntaxes() -> None:
    seen = []

    def action(event):
        seen.append((event.request.RequestedSOPClassUID, event.action_type, event.context))
        reply = pydicom.Dataset()
        reply.PatientID = "reply"
        return 0x0000, reply

    def create(event):
        seen.append((event.request.AffectedSOPClassUID, 0, event.context))
        return 0x0000, event.attribute_list

    made = entity(BasicGrayscalePrintManagementMeta, UnifiedProcedureStepPull)
    with pynetdicom_scp(made, [(evt.EVT_N_ACTION, action), (evt.EVT_N_CREATE, create)]) as port:
        with connect("127.0.0.1", port) as assoc:
            session = DataSet.from_keywords(NumberOfCopies=1)
            created = assoc.n_create(
                str(BasicFilmSession),
                "1.2.3",
                session,
                abstract_syntax="BasicGrayscalePrintManagementMeta",
            )
            assert created.data_set == session
            done = assoc.n_action(
                "UnifiedProcedureStepPush",
                "1.2.4",
                1,
                DataSet.from_keywords(ProcedureStepState="IN PROGRESS"),
                abstract_syntax="UnifiedProcedureStepPull",
            )
            assert done.data_set == DataSet.from_keywords(PatientID="reply")
    assert [(str(sop_class), kind) for sop_class, kind, _ in seen] == [
        (str(BasicFilmSession), 0),
        (str(UnifiedProcedureStepPush), 1),
    ]
    assert [str(context.abstract_syntax) for _, _, context in seen] == [
        str(BasicGrayscalePrintManagementMeta),
        str(UnifiedProcedureStepPull),
    ]


def test_storage_commitment_reported_on_the_same_association() -> None:
    """The provider sends its N-EVENT-REPORT while we wait for it."""
    well_known = "1.2.840.10008.1.20.1.1"

    def action(event):
        event.assoc.pending = event.action_information
        return 0x0000, None

    def report(event):
        # Sent from the provider's thread, when the response to the N-ACTION is on its way.
        if event.message.__class__.__name__ != "N_ACTION_RSP":
            return
        information = pydicom.Dataset()
        information.TransactionUID = event.assoc.pending.TransactionUID
        threading.Thread(
            target=event.assoc.send_n_event_report,
            args=(information, 1, StorageCommitmentPushModel, well_known),
            daemon=True,
        ).start()

    reports = []
    made = entity(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_ACTION, action), (evt.EVT_DIMSE_SENT, report)]
    with pynetdicom_scp(made, handlers) as port:
        with connect("127.0.0.1", port, on_event_report=reports.append) as assoc:
            request = DataSet.from_keywords(TransactionUID="1.2.77")
            assoc.n_action("StorageCommitmentPushModel", well_known, 1, request)
            if not reports:
                assert assoc.listen(10)
    assert [(report.event_type_id, report.data_set) for report in reports] == [(1, request)]


def test_event_reports_of_ours() -> None:
    seen = []

    def report(event):
        seen.append((event.event_type, event.event_information.TransactionUID))
        return 0x0000, None

    made = entity(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    with pynetdicom_scp(made, [(evt.EVT_N_EVENT_REPORT, report)]) as port:
        with connect("127.0.0.1", port) as assoc:
            information = DataSet.from_keywords(TransactionUID="1.2.3")
            done = assoc.n_event_report(
                "StorageCommitmentPushModel", "1.2.840.10008.1.20.1.1", 1, information
            )
            assert done.status == 0
    assert seen == [(1, "1.2.3")]


# --- negotiation -----------------------------------------------------------------------------


def test_user_identity() -> None:
    seen = []

    def identify(event):
        seen.append((event.user_id_type, event.primary_field, event.secondary_field))
        return event.primary_field == b"ann", b"server says yes"

    with pynetdicom_scp(entity(Verification), [(evt.EVT_USER_ID, identify)]) as port:
        with connect("127.0.0.1", port, user_identity=("ann", "secret")) as assoc:
            assoc.echo()
        with connect("127.0.0.1", port, user_identity="ann") as assoc:
            assoc.echo()
        with pytest.raises(AssociationRejected):
            connect("127.0.0.1", port, user_identity="bob")
    assert seen == [(2, b"ann", b"secret"), (1, b"ann", b""), (1, b"bob", b"")]


def test_extended_negotiation() -> None:
    uid = str(StudyRootQueryRetrieveInformationModelFind)
    seen = []

    def extended(event):
        seen.append(dict(event.app_info))
        return event.app_info

    made = entity(uid)
    with pynetdicom_scp(made, [(evt.EVT_SOP_EXTENDED, extended)]) as port:
        item = SopClassExtended(uid, b"\x01\x00\x01")
        with connect("127.0.0.1", port, extended=[item]) as assoc:
            assert assoc.terms.extended == (item,)
    assert seen == [{uid: b"\x01\x00\x01"}]


def test_a_limit_of_associations_is_told() -> None:
    made = entity(Verification)
    made.maximum_associations = 1
    with pynetdicom_scp(made, []) as port, connect("127.0.0.1", port):
        with pytest.raises(AssociationRejected, match="local limit exceeded"):
            connect("127.0.0.1", port)


def test_tls(tmp_path) -> None:
    certificates = Certificates(tmp_path)
    certificate, secret = certificates.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    tls = TlsConfig(authorities=certificates.authority)
    received = []

    def store(event):
        received.append(event.dataset)
        return 0x0000

    made = entity(CTImageStorage, Verification)
    with pynetdicom_scp(made, [(evt.EVT_C_STORE, store)], ssl_context=context) as port:
        with connect("127.0.0.1", port, tls=tls) as assoc:
            assoc.echo()
            assert assoc.store(CT, check=True).is_stored
    assert received == [pydicom.dcmread(CT)]
