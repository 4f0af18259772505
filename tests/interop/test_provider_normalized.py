"""pynetdicom uses the N-services of our endpoint: statuses, roles, unified procedure steps."""

from __future__ import annotations

from typing import Any

import pytest
from kit.endpoints import running
from kit.normalized_user import associated, made
from pydicom.tag import Tag
from pynetdicom import build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicFilmSession,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UPSGlobalSubscriptionInstance,
)

from dicom_actors import DataSet, DimseFailure, Status

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

MPPS = ModalityPerformedProcedureStep
COMMITMENT, COMMITMENT_INSTANCE = StorageCommitmentPushModel, StorageCommitmentPushModelInstance


class Instances:
    """Normalized instances of whatever class, as the handlers of an endpoint keep them."""

    def __init__(self) -> None:
        self.kept: dict[str, DataSet] = {}
        self.seen: list[tuple[str, str, str, int]] = []

    @property
    def handlers(self) -> dict[str, Any]:
        names = ("ncreate", "nset", "nget", "ndelete", "naction", "nevent_report")
        return {name: getattr(self, name) for name in names}

    def _find(self, event: Any) -> DataSet:
        found = self.kept.get(event.sop_instance_uid)
        if found is None:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE, "no such instance")
        return found

    def _note(self, name: str, event: Any, number: int = 0) -> None:
        self.seen.append((name, event.sop_class_uid, event.sop_instance_uid, number))

    def ncreate(self, event: Any) -> DataSet:
        self._note("create", event)
        if event.sop_instance_uid in self.kept:
            raise DimseFailure(Status.DUPLICATE_SOP_INSTANCE)
        data_set = DataSet() if event.dataset is None else event.dataset.copy()
        self.kept[event.sop_instance_uid] = data_set
        return data_set

    def nset(self, event: Any) -> DataSet:
        self._note("set", event)
        self._find(event).update(event.dataset)
        return event.dataset.copy()

    def nget(self, event: Any) -> DataSet:
        self._note("get", event)
        found = self._find(event)
        wanted = event.attribute_identifier_list or tuple(found)
        return DataSet({tag: found.fetch(tag) for tag in wanted if tag in found})

    def ndelete(self, event: Any) -> None:
        self._note("delete", event)
        self._find(event)
        del self.kept[event.sop_instance_uid]

    def naction(self, event: Any) -> DataSet | None:
        self._note("action", event, event.action_type_id)
        return None if event.dataset is None else event.dataset.copy()

    def nevent_report(self, event: Any) -> DataSet | None:
        self._note("report", event, event.event_type_id)
        return None if event.dataset is None else event.dataset.copy()


def test_all_six_services() -> None:
    instances = Instances()
    attributes = made(
        PatientName="Doe^Jane",
        PatientID="7",
        PerformedSeriesSequence=[made(SeriesInstanceUID="1.2.5"), made(SeriesInstanceUID="1.2.6")],
    )
    uids = (MPPS, ModalityPerformedProcedureStepRetrieve, BasicFilmSession, COMMITMENT)
    roles = [build_role(COMMITMENT, scu_role=True, scp_role=True)]
    with (
        running(instances.handlers) as endpoint,
        associated(endpoint.port, *uids, roles=roles) as peer,
    ):
        status, reply = peer.send_n_create(attributes, MPPS, "1.2.3")
        assert (status.Status, reply) == (0, attributes)
        assert peer.command.AffectedSOPInstanceUID == "1.2.3"
        status, _ = peer.send_n_create(attributes, MPPS, "1.2.3")
        assert status.Status == 0x0111

        change = made(PatientID="8")
        status, reply = peer.send_n_set(change, MPPS, "1.2.3")
        assert (status.Status, reply) == (0, change)

        wanted = [Tag("PatientID"), Tag("PatientName"), Tag("PatientSex")]
        status, reply = peer.send_n_get(wanted, ModalityPerformedProcedureStepRetrieve, "1.2.3")
        assert (status.Status, reply) == (0, made(PatientName="Doe^Jane", PatientID="8"))
        status, reply = peer.send_n_get(None, ModalityPerformedProcedureStepRetrieve, "1.2.3")
        attributes.PatientID = "8"
        assert (status.Status, reply) == (0, attributes)

        peer.send_n_create(None, BasicFilmSession, "1.2.9")
        assert peer.send_n_delete(BasicFilmSession, "1.2.9").Status == 0
        assert peer.send_n_delete(BasicFilmSession, "1.2.9").Status == 0x0112

        transaction = made(TransactionUID="1.2.77")
        status, reply = peer.send_n_action(transaction, 1, COMMITMENT, COMMITMENT_INSTANCE)
        assert (status.Status, reply) == (0, transaction)
        status, reply = peer.send_n_event_report(transaction, 2, COMMITMENT, COMMITMENT_INSTANCE)
        assert (status.Status, reply) == (0, transaction)
    assert [(name, uid, number) for name, _, uid, number in instances.seen] == [
        ("create", "1.2.3", 0),
        ("create", "1.2.3", 0),
        ("set", "1.2.3", 0),
        ("get", "1.2.3", 0),
        ("get", "1.2.3", 0),
        ("create", "1.2.9", 0),
        ("delete", "1.2.9", 0),
        ("delete", "1.2.9", 0),
        ("action", COMMITMENT_INSTANCE, 1),
        ("report", COMMITMENT_INSTANCE, 2),
    ]


def test_an_instance_that_the_provider_names() -> None:
    instances = Instances()
    with running(instances.handlers) as endpoint, associated(endpoint.port, MPPS) as peer:
        status, _ = peer.send_n_create(made(PatientID="7"), MPPS)
        assert status.Status == 0
        assert list(instances.kept) == [peer.command.AffectedSOPInstanceUID]


# What a handler gives, and what pynetdicom finds in the response besides its status.
STATUSES: list[tuple[Any, int, dict[str, Any]]] = [
    (Status.NO_SUCH_SOP_INSTANCE, 0x0112, {}),
    (DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "no date"), 0x0106, {"ErrorComment": "no date"}),
    (
        DimseFailure(Status.PROCESSING_FAILURE, "disk full", ErrorID=4711),
        0x0110,
        {"ErrorComment": "disk full", "ErrorID": 4711},
    ),
    (
        DimseFailure(Status.NO_SUCH_ATTRIBUTE, AttributeIdentifierList=["PatientID", 0x00100030]),
        0x0105,
        {"AttributeIdentifierList": [Tag("PatientID"), Tag(0x00100030)]},
    ),
    (
        DataSet.from_keywords(Status=0x0107, AttributeIdentifierList=["PatientSex"]),
        0x0107,
        {"AttributeIdentifierList": Tag("PatientSex")},
    ),
    (
        DimseFailure(Status.CANNOT_UNDERSTAND, "why", OffendingElement=["PatientSex"]),
        0xC000,
        {"OffendingElement": Tag("PatientSex"), "ErrorComment": "why"},
    ),
    (
        DimseFailure(Status.CLASS_INSTANCE_CONFLICT, AffectedSOPInstanceUID="1.2.4"),
        0x0119,
        {"AffectedSOPInstanceUID": "1.2.4"},
    ),
    (0xC123, 0xC123, {}),
    (DimseFailure(0x0110, "ü" * 100), 0x0110, None),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("given", "expected", "elements"), STATUSES)
@pytest.mark.parametrize("service", ["create", "set", "get", "delete", "action", "report"])
def test_statuses_and_what_goes_with_them(
    service: str, given: Any, expected: int, elements: dict[str, Any] | None
) -> None:
    def handle(event: Any) -> Any:
        if isinstance(given, DimseFailure):
            raise DimseFailure(given.status, given.comment, **given.elements)
        return given

    handlers = dict.fromkeys(Instances().handlers, handle)
    uids = (MPPS, ModalityPerformedProcedureStepRetrieve, BasicFilmSession, COMMITMENT)
    roles = [build_role(COMMITMENT, scu_role=True, scp_role=True)]
    with running(handlers) as endpoint, associated(endpoint.port, *uids, roles=roles) as peer:
        data_set = made(PatientID="7")
        retrieve = ModalityPerformedProcedureStepRetrieve
        status = {
            "create": lambda: peer.send_n_create(data_set, MPPS, "1.2.3")[0],
            "set": lambda: peer.send_n_set(data_set, MPPS, "1.2.3")[0],
            "get": lambda: peer.send_n_get([Tag("PatientID")], retrieve, "1.2.3")[0],
            "delete": lambda: peer.send_n_delete(BasicFilmSession, "1.2.3"),
            "action": lambda: peer.send_n_action(data_set, 1, COMMITMENT, "1.2.3")[0],
            "report": lambda: peer.send_n_event_report(data_set, 1, COMMITMENT, "1.2.3")[0],
        }[service]()
        command = peer.command
    assert status.Status == command.Status == expected
    if elements is None:
        assert 0 < len(command.ErrorComment) <= 64
    else:
        got = {keyword: command[keyword].value for keyword in elements}
        assert got == elements
        comment = elements.get("ErrorComment")
        assert status.get("ErrorComment") == comment


# --- roles -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "may_act"),
    [
        ([], True),  # as many a provider does that reports on a new association
        ([build_role(COMMITMENT, scp_role=True)], False),
        ([build_role(COMMITMENT, scu_role=True, scp_role=True)], True),
    ],
    ids=["no role", "SCP", "SCU and SCP"],
)
@pytest.mark.parametrize("has_action", [False, True])
def test_event_reports_in_each_role(roles: list[Any], may_act: bool, has_action: bool) -> None:
    instances = Instances()
    handlers = {"nevent_report": instances.nevent_report}
    if has_action:
        handlers["naction"] = instances.naction
    report = made(TransactionUID="1.2.77")
    with running(handlers) as endpoint:
        with associated(endpoint.port, COMMITMENT, roles=roles) as peer:
            (context,) = peer.accepted_contexts
            assert context.as_scp == bool(roles)
            assert context.as_scu == (may_act and (has_action or not roles))
            if not roles:
                # To pynetdicom it is an association of an SCU, which does not report.
                context._as_scp = True
            status, reply = peer.send_n_event_report(report, 1, COMMITMENT, COMMITMENT_INSTANCE)
            assert (status.Status, reply) == (0, report)
            if context.as_scu:
                status, _ = peer.send_n_action(report, 1, COMMITMENT, COMMITMENT_INSTANCE)
                assert status.Status == (0 if has_action else 0x0211)
    assert [name for name, *_ in instances.seen] == ["report", "action"][: 1 + (
        has_action and may_act
    )]  # fmt: skip


# --- unified procedure steps ------------------------------------------------------------------


class Worklist:
    """A provider of unified procedure steps, as far as the test goes (PS3.4 CC)."""

    def __init__(self) -> None:
        self.steps: dict[str, DataSet] = {}
        self.locks: dict[str, str] = {}
        self.subscribers: dict[str, set[str]] = {}

    @property
    def handlers(self) -> dict[str, Any]:
        names = ("ncreate", "nset", "nget", "naction", "cfind")
        return {name: getattr(self, name) for name in names}

    def _step(self, event: Any) -> DataSet:
        step = self.steps.get(event.sop_instance_uid)
        if step is None:
            raise DimseFailure(0xC307, "no such step")
        return step

    def ncreate(self, event: Any) -> None:
        if event.dataset.ProcedureStepState != "SCHEDULED":
            raise DimseFailure(0xC309, "not scheduled")
        self.steps[event.sop_instance_uid] = event.dataset.copy()

    def cfind(self, event: Any) -> Any:
        return event.query.select(self.steps.values())

    def nget(self, event: Any) -> DataSet:
        step = self._step(event)
        wanted = event.attribute_identifier_list or tuple(step)
        return DataSet({tag: step.fetch(tag) for tag in wanted if tag in step})

    def nset(self, event: Any) -> None:
        step = self._step(event)
        if self.locks.get(event.sop_instance_uid) != event.dataset.TransactionUID:
            raise DimseFailure(0xC301, "wrong transaction")
        change = event.dataset.copy()
        del change.TransactionUID
        step.update(change)

    def naction(self, event: Any) -> Any:
        uid, information = event.sop_instance_uid, event.dataset
        if event.action_type_id == 1:
            return self._change_state(uid, self._step(event), information)
        if event.action_type_id == 3:
            self.subscribers.setdefault(uid, set()).add(information.ReceivingAE)
            return None
        if event.action_type_id == 4:
            self.subscribers[uid].discard(information.ReceivingAE)
            return None
        raise DimseFailure(Status.NO_SUCH_ACTION_TYPE, ActionTypeID=event.action_type_id)

    def _change_state(self, uid: str, step: DataSet, information: DataSet) -> Any:
        state, transaction = information.ProcedureStepState, information.TransactionUID
        if self.locks.setdefault(uid, transaction) != transaction:
            return 0xC302
        if step.ProcedureStepState == state:
            return 0xB304 if state == "CANCELED" else 0xB306
        step.ProcedureStepState = state
        return None


def test_a_unified_procedure_step_from_push_to_completion() -> None:
    worklist = Worklist()
    push, pull, watch = (
        UnifiedProcedureStepPush,
        UnifiedProcedureStepPull,
        UnifiedProcedureStepWatch,
    )
    step = made(
        ProcedureStepState="SCHEDULED",
        ProcedureStepLabel="contouring",
        PatientName="Doe^Jane",
        PatientID="7",
        ScheduledProcedureStepPriority="MEDIUM",
    )

    def change(state: str, transaction: str = "1.2.100") -> int:
        information = made(ProcedureStepState=state, TransactionUID=transaction)
        status, _ = peer.send_n_action(information, 1, push, "1.2.1", meta_uid=pull)
        return int(status.Status)

    with (
        running(worklist.handlers) as endpoint,
        associated(endpoint.port, push, pull, watch) as peer,
    ):
        assert {c.abstract_syntax for c in peer.accepted_contexts} == {push, pull, watch}
        assert peer.send_n_create(step, push, "1.2.1")[0].Status == 0
        status, _ = peer.send_n_create(made(ProcedureStepState="COMPLETED"), push, "1.2.2")
        assert (status.Status, status.ErrorComment) == (0xC309, "not scheduled")

        subscription = made(ReceivingAE="WATCHER", DeletionLock="TRUE")
        for uid in ("1.2.1", UPSGlobalSubscriptionInstance):
            status, _ = peer.send_n_action(subscription, 3, push, uid, meta_uid=watch)
            assert status.Status == 0
        assert worklist.subscribers == {
            "1.2.1": {"WATCHER"},
            UPSGlobalSubscriptionInstance: {"WATCHER"},
        }

        query = made(ProcedureStepState="SCHEDULED", ProcedureStepLabel="", PatientName="doe*")
        matches = list(peer.send_c_find(query, pull))
        assert [status.Status for status, _ in matches] == [0xFF00, 0]
        assert matches[0][1].ProcedureStepLabel == "contouring"

        assert change("IN PROGRESS") == 0
        assert change("IN PROGRESS", "1.2.101") == 0xC302
        progress = made(TransactionUID="1.2.100", ProcedureStepLabel="half way")
        assert peer.send_n_set(progress, push, "1.2.1", meta_uid=pull)[0].Status == 0
        progress.TransactionUID = "1.2.101"
        status, _ = peer.send_n_set(progress, push, "1.2.1", meta_uid=pull)
        assert (status.Status, status.ErrorComment) == (0xC301, "wrong transaction")

        wanted = [Tag("ProcedureStepState"), Tag("ProcedureStepLabel")]
        status, got = peer.send_n_get(wanted, push, "1.2.1", meta_uid=watch)
        assert status.Status == 0
        assert got == made(ProcedureStepState="IN PROGRESS", ProcedureStepLabel="half way")

        assert change("COMPLETED") == 0
        assert change("COMPLETED") == 0xB306
        status, _ = peer.send_n_action(subscription, 4, push, "1.2.1", meta_uid=watch)
        assert status.Status == 0
        assert worklist.subscribers["1.2.1"] == set()
        status, _ = peer.send_n_action(subscription, 9, push, "1.2.1", meta_uid=watch)
        assert (status.Status, peer.command.ActionTypeID) == (0x0123, 9)
        status, _ = peer.send_n_get(wanted, push, "1.2.3", meta_uid=pull)
        assert status.Status == 0xC307


def test_a_subscriber_is_told_of_unified_procedure_steps() -> None:
    instances = Instances()
    event_class, push = UnifiedProcedureStepEvent, UnifiedProcedureStepPush
    state = made(ProcedureStepState="IN PROGRESS")
    with running({"nevent_report": instances.nevent_report}) as endpoint:
        roles = [build_role(event_class, scp_role=True)]
        with associated(endpoint.port, event_class, roles=roles) as peer:
            for number in (1, 2, 3):
                status, _ = peer.send_n_event_report(
                    state, number, push, "1.2.1", meta_uid=event_class
                )
                assert status.Status == 0
    assert instances.seen == [("report", push, "1.2.1", number) for number in (1, 2, 3)]
