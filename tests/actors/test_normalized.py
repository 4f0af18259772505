"""The N-services: what handlers get and return, and what the peer is answered."""

from __future__ import annotations

from copy import copy
from typing import Any

import pytest
from kit.endpoints import running
from kit.peer import IMPLICIT, Peer, command_pdus

from dicom_actors import DataSet, DimseFailure, Status, Tag, connect
from dicom_actors.dimse import Command, CommandElement, CommandField, decode_command, fragment
from dicom_actors.pdu import PDataTf, PresentationContextRq
from dicom_actors.scu import ProposedContext

pytestmark = pytest.mark.usefixtures("nothing_left")

MPPS = "1.2.840.10008.3.1.2.3.3"
MPPS_RETRIEVE = "1.2.840.10008.3.1.2.3.4"
COMMITMENT = "1.2.840.10008.1.20.1"
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
FILM_SESSION = "1.2.840.10008.5.1.1.1"
PRINT_META = "1.2.840.10008.5.1.1.9"
STEP = DataSet.from_keywords(PerformedProcedureStepStatus="IN PROGRESS", PatientID="7")


class Recorded:
    """A handler that keeps what its events say and returns what it is told to."""

    def __init__(self, result: Any = None) -> None:
        self.result = result
        self.events: list[Any] = []

    def __call__(self, event: Any) -> Any:
        event.dataset  # noqa: B018 - decoded while the event is alive
        self.events.append(event)
        if isinstance(self.result, Exception):
            raise copy(self.result)  # a new one, since it keeps the frames that it went through
        return self.result


def test_create_set_get_delete() -> None:
    attributes = DataSet.from_keywords(PatientID="7", PatientName="Doe^Jane")
    create, change, delete = Recorded(), Recorded((Status.ATTRIBUTE_LIST_ERROR, STEP)), Recorded()
    get = Recorded(attributes)
    handlers = {"ncreate": create, "nset": change, "nget": get, "ndelete": delete}
    with running(handlers) as endpoint, connect("127.0.0.1", endpoint.port) as association:
        result = association.n_create(MPPS, "1.2.3", STEP)
        assert (result.status, result.sop_instance_uid, result.data_set) == (0, "1.2.3", None)
        assert create.events[0].dataset == STEP
        assert create.events[0].sop_class_uid == MPPS
        assert create.events[0].association.calling_ae_title == "DICOM_ACTORS"

        result = association.n_set(MPPS, "1.2.3", STEP)
        assert (result.status, result.data_set) == (0x0107, STEP)
        assert change.events[0].sop_instance_uid == "1.2.3"

        result = association.n_get(MPPS_RETRIEVE, "1.2.3", ["PatientID", 0x00100010])
        assert (result.status, result.data_set) == (0, attributes)
        wanted = get.events[0].attribute_identifier_list
        assert wanted == (Tag(0x00100020), Tag(0x00100010))
        assert get.events[0].dataset is None
        association.n_get(MPPS_RETRIEVE, "1.2.3")
        assert get.events[1].attribute_identifier_list == ()

        result = association.n_delete(FILM_SESSION, "1.2.3")
        assert (result.status, result.data_set) == (0, None)
        assert delete.events[0].sop_class_uid == FILM_SESSION


def test_an_instance_without_a_uid_gets_one() -> None:
    create = Recorded()
    with running({"ncreate": create}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            first = association.n_create(MPPS, None, STEP)
            second = association.n_create(MPPS)
        assert first.sop_instance_uid == create.events[0].sop_instance_uid != ""
        assert second.sop_instance_uid == create.events[1].sop_instance_uid
        assert first.sop_instance_uid != second.sop_instance_uid
        assert create.events[1].dataset is None


def test_a_handler_may_name_the_instance_itself() -> None:
    status = DataSet.from_keywords(Status=0, AffectedSOPInstanceUID="1.2.3.4")
    with running({"ncreate": Recorded((status, STEP))}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            result = association.n_create(MPPS)
        assert (result.sop_instance_uid, result.data_set) == ("1.2.3.4", STEP)


def test_actions_and_event_reports() -> None:
    action, report = Recorded(STEP), Recorded(STEP)
    with running({"naction": action, "nevent_report": report}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            result = association.n_action(COMMITMENT, COMMITMENT_INSTANCE, 1, STEP)
            assert (result.status, result.data_set) == (0, STEP)
            assert action.events[0].action_type_id == 1
            assert action.events[0].dataset == STEP
            result = association.n_event_report(COMMITMENT, COMMITMENT_INSTANCE, 2, STEP)
            assert (result.status, result.data_set) == (0, STEP)
            assert report.events[0].event_type_id == 2
            assert report.events[0].sop_instance_uid == COMMITMENT_INSTANCE


@pytest.mark.parametrize(
    ("result", "status", "has_data"),
    [
        (None, 0, False),
        (True, 0, False),
        (Status.NO_SUCH_SOP_INSTANCE, 0x0112, False),
        (STEP, 0, True),
        ((0x0001, STEP), 0x0001, True),
        ((None, STEP), 0, True),
        (DataSet.from_keywords(Status=0x0110, ErrorComment="why"), 0x0110, False),
        ((DataSet.from_keywords(Status=0x0107), STEP), 0x0107, True),
        ("text", 0x0110, False),
        ((0, 5), 0x0110, False),
        ((STEP, STEP), 0x0110, False),
        (False, 0x0110, False),
        (DimseFailure(Status.INVALID_ATTRIBUTE_VALUE, "bad"), 0x0106, False),
        (DimseFailure(Status.NO_SUCH_ATTRIBUTE, AttributeIdentifierList=["PatientID"]), 0x0105, 0),
        (DimseFailure(Status.PROCESSING_FAILURE, PatientID="7"), 0x0110, False),
    ],
)
def test_what_a_handler_may_return(result: Any, status: int, has_data: bool) -> None:
    with running({"nget": Recorded(result)}) as endpoint, Peer(endpoint.port) as peer:
        peer.associate(contexts=contexts(MPPS_RETRIEVE))
        peer.send(*request(CommandField.N_GET_RQ, MPPS_RETRIEVE))
        command, data = answer(peer)
        assert (command.status, data is not None) == (status, bool(has_data))
        assert command.command_field == 0x8110
        assert command.sop_instance_uid == "1.2.3"
        if status == 0x0105:
            assert command.elements.AttributeIdentifierList == 0x00100020


def test_the_responses_say_which_action_or_event() -> None:
    handlers = {"naction": Recorded(STEP), "nevent_report": Recorded(STEP)}
    with running(handlers) as endpoint:
        with connect(
            "127.0.0.1",
            endpoint.port,
            contexts=[ProposedContext(COMMITMENT, scu=True, scp=True)],
        ) as association:
            seen = [
                association.n_action(COMMITMENT, COMMITMENT_INSTANCE, 7).data_set,
                association.n_event_report(COMMITMENT, COMMITMENT_INSTANCE, 9).data_set,
            ]
        assert seen == [STEP, STEP]
        with Peer(endpoint.port) as peer:
            peer.associate(contexts=contexts(COMMITMENT))
            peer.send(
                *request(CommandField.N_ACTION_RQ, COMMITMENT, {CommandElement.ACTION_TYPE_ID: 7})
            )
            command, _ = answer(peer)
            assert command.elements.ActionTypeID == 7


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({CommandElement.REQUESTED_SOP_INSTANCE_UID: ""}, 0x0117),
        ({}, 0x0212),
    ],
)
def test_what_is_missing_is_refused_without_the_handler(values: Any, status: int) -> None:
    change = Recorded()
    with running({"nset": change}) as endpoint, Peer(endpoint.port) as peer:
        peer.associate(contexts=contexts(MPPS))
        peer.send(*request(CommandField.N_SET_RQ, MPPS, values, data=STEP if values else None))
        assert answer(peer)[0].status == status
        assert peer.echo(2) == 0
    assert change.events == []


def test_a_service_without_a_handler_is_not_recognized() -> None:
    with running({"ncreate": Recorded()}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            with pytest.raises(DimseFailure) as failure:
                association.n_set(MPPS, "1.2.3", STEP)
            assert failure.value.status == Status.UNRECOGNIZED_OPERATION


def test_a_data_set_that_cannot_be_read_is_refused() -> None:
    create = Recorded()
    with running({"ncreate": create}) as endpoint, Peer(endpoint.port) as peer:
        peer.associate(contexts=contexts(MPPS))
        broken = b"\x10\0\x10\0\xff\xff\xff\x7fDoe"
        peer.send(*request(CommandField.N_CREATE_RQ, MPPS, data=broken))
        assert answer(peer)[0].status == Status.CANNOT_UNDERSTAND
    assert create.events == []


def test_a_meta_sop_class_carries_its_members() -> None:
    create = Recorded()
    with running({"ncreate": create}) as endpoint:
        with connect("127.0.0.1", endpoint.port) as association:
            association.n_create(FILM_SESSION, "1.2.3", abstract_syntax=PRINT_META)
        assert create.events[0].sop_class_uid == FILM_SESSION


def contexts(uid: str) -> tuple[PresentationContextRq, ...]:
    return (
        PresentationContextRq(1, "1.2.840.10008.1.1", (IMPLICIT,)),
        PresentationContextRq(3, uid, (IMPLICIT,)),
    )


def request(
    field: CommandField, uid: str, values: Any = None, data: DataSet | bytes | None = None
) -> list[Any]:
    """The PDUs of a request of an N-service for the instance 1.2.3."""
    if isinstance(data, DataSet):
        data = data.to_bytes(IMPLICIT)
    is_create = field == CommandField.N_CREATE_RQ
    instance = (
        CommandElement.AFFECTED_SOP_INSTANCE_UID
        if is_create
        else CommandElement.REQUESTED_SOP_INSTANCE_UID
    )
    command = {
        (
            CommandElement.AFFECTED_SOP_CLASS_UID
            if is_create
            else CommandElement.REQUESTED_SOP_CLASS_UID
        ): uid,
        CommandElement.COMMAND_FIELD: field,
        CommandElement.MESSAGE_ID: 1,
        instance: "1.2.3",
        **(values or {}),
    }
    return [
        *command_pdus(command, 3, has_data_set=data is not None),
        *(PDataTf((pdv,)) for pdv in _data_pdvs(data)),
    ]


def _data_pdvs(data: bytes | None) -> Any:
    return () if data is None else fragment(3, data, 16384, is_command=False)


def answer(peer: Peer) -> tuple[Command, DataSet | None]:
    """The next response, and its data set."""
    pdu = peer.receive()
    assert isinstance(pdu, PDataTf)
    command = decode_command(bytes(pdu.pdvs[0].data))
    if not command.has_data_set:
        return command, None
    pdu = peer.receive()
    assert isinstance(pdu, PDataTf)
    return command, DataSet.from_bytes(bytes(pdu.pdvs[0].data), IMPLICIT)
