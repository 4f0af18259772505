"""The N-services, and event reports of the peer."""

from __future__ import annotations

import pytest
from kit.fake_acceptor import EXPLICIT, FakeAcceptor, message, response

from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandElement, CommandField, Status, encode_command
from dicom_actors.errors import DimseFailure
from dicom_actors.pdu import AssociateRq
from dicom_actors.scu import EventReport, NormalizedResult

MPPS = "1.2.840.10008.3.1.2.3.3"
COMMITMENT = "1.2.840.10008.1.20.1"
ATTRIBUTES = DataSet.from_keywords(PatientName="Doe")
ENCODED = ATTRIBUTES.to_bytes(EXPLICIT)


class Echoing(FakeAcceptor):
    """Answers every request with its data set, if it has one."""

    def on_message(self, context_id, command, data):
        yield response(context_id, command, data=data)


CALLS = {
    "n_create": (
        lambda assoc: assoc.n_create("ModalityPerformedProcedureStep", "1.2", ATTRIBUTES),
        {"CommandField": 0x0140, "AffectedSOPClassUID": MPPS, "AffectedSOPInstanceUID": "1.2"},
    ),
    "n_create without a UID": (
        lambda assoc: assoc.n_create(MPPS),
        {"CommandField": 0x0140, "AffectedSOPClassUID": MPPS},
    ),
    "n_set": (
        lambda assoc: assoc.n_set(MPPS, "1.2", ATTRIBUTES),
        {"CommandField": 0x0120, "RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": "1.2"},
    ),
    "n_get": (
        lambda assoc: assoc.n_get(MPPS, "1.2", ["PatientID", 0x00100010]),
        {
            "CommandField": 0x0110,
            "RequestedSOPClassUID": MPPS,
            "RequestedSOPInstanceUID": "1.2",
            "AttributeIdentifierList": [0x00100020, 0x00100010],
        },
    ),
    "n_get of all": (
        lambda assoc: assoc.n_get(MPPS, "1.2"),
        {"CommandField": 0x0110, "RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": "1.2"},
    ),
    "n_delete": (
        lambda assoc: assoc.n_delete(MPPS, "1.2"),
        {"CommandField": 0x0150, "RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": "1.2"},
    ),
    "n_action": (
        lambda assoc: assoc.n_action(MPPS, "1.2", 7, ATTRIBUTES),
        {
            "CommandField": 0x0130,
            "RequestedSOPClassUID": MPPS,
            "RequestedSOPInstanceUID": "1.2",
            "ActionTypeID": 7,
        },
    ),
    "n_event_report": (
        lambda assoc: assoc.n_event_report(MPPS, "1.2", 3, ATTRIBUTES),
        {
            "CommandField": 0x0100,
            "AffectedSOPClassUID": MPPS,
            "AffectedSOPInstanceUID": "1.2",
            "EventTypeID": 3,
        },
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_requests_have_the_elements_of_the_standard(name: str) -> None:
    call, expected = CALLS[name]
    peer = Echoing()
    with peer.connect() as assoc:
        result = call(assoc)
    ((_, command, data),) = peer.messages
    elements = command.elements
    for keyword in ("CommandGroupLength", "CommandDataSetType", "MessageID"):
        del elements[keyword]
    assert elements == DataSet(expected)
    has_data = data is not None
    assert has_data == (result.data_set == ATTRIBUTES)
    assert result.status == 0
    assert result.sop_instance_uid == ("" if "without" in name else "1.2")


def test_a_warning_is_given_back_and_a_failure_raised() -> None:
    statuses = [0x0107, 0x0112]

    class Judging(FakeAcceptor):
        def on_message(self, context_id, command, data):
            yield response(context_id, command, statuses.pop(0))

    with Judging().connect() as assoc:
        assert assoc.n_get(MPPS, "1.2") == NormalizedResult(0x0107, "1.2", None)
        with pytest.raises(DimseFailure, match="0112H: no such SOP instance"):
            assoc.n_get(MPPS, "1.2")


def test_the_context_may_be_of_another_sop_class() -> None:
    peer = Echoing()
    with peer.connect() as assoc:
        assoc.n_create("BasicFilmSession", abstract_syntax="BasicGrayscalePrintManagementMeta")
    ((context_id, command, _),) = peer.messages
    assert command.sop_class_uid == "1.2.840.10008.5.1.1.1"
    rq = [pdu for pdu in peer.pdus if isinstance(pdu, AssociateRq)][-1]
    (context,) = [c for c in rq.presentation_contexts if c.context_id == context_id]
    assert context.abstract_syntax == "1.2.840.10008.5.1.1.9"


def test_events_are_reported_as_the_provider() -> None:
    peer = Echoing()
    with peer.connect() as assoc:
        assoc.n_event_report(COMMITMENT, "1.2.840.10008.1.20.1.1", 1, ATTRIBUTES)
    rq = [pdu for pdu in peer.pdus if isinstance(pdu, AssociateRq)][-1]
    assert [tuple(role) for role in rq.user_information.roles] == [(COMMITMENT, False, True)]


# --- what the peer reports -------------------------------------------------------------------


def event_report(context_id: int, data: bytes | None) -> list:
    command = encode_command(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: COMMITMENT,
            CommandElement.COMMAND_FIELD: CommandField.N_EVENT_REPORT_RQ,
            CommandElement.MESSAGE_ID: 77,
            CommandElement.AFFECTED_SOP_INSTANCE_UID: "1.9",
            CommandElement.EVENT_TYPE_ID: 2,
        },
        has_data_set=data is not None,
    )
    return message(context_id, command, data)


class Reporting(FakeAcceptor):
    """Reports an event, before or after it answers a request."""

    def __init__(self, *, first: bool, data: bytes | None = ENCODED) -> None:
        super().__init__()
        self.first = first
        self.data = data
        self.status: int | None = None

    def on_message(self, context_id, command, data):
        if command.is_response:
            assert command.message_id == 77
            self.status = command.status
            return
        reported = event_report(context_id, self.data)
        answer = response(context_id, command)
        yield from (reported, answer) if self.first else (answer, reported)


@pytest.mark.parametrize("first", [True, False])
def test_event_reports_are_handed_over_and_answered(first: bool) -> None:
    peer = Reporting(first=first)
    reports: list[EventReport] = []
    with peer.connect(on_event_report=reports.append) as assoc:
        assoc.n_action(COMMITMENT, "1.2.840.10008.1.20.1.1", 1, ATTRIBUTES)
        if not first:
            assert assoc.listen(5.0)
        (report,) = reports
        assert report == EventReport(COMMITMENT, "1.9", 2, ATTRIBUTES)
        assert peer.status == 0
        began = peer.clock.monotonic()
        assert not assoc.listen(5.0)
        assert peer.clock.monotonic() - began >= 5
        assert assoc.is_open


def test_the_callback_decides_the_status() -> None:
    peer = Reporting(first=True, data=None)
    with peer.connect(on_event_report=lambda _: Status.NO_SUCH_EVENT_TYPE) as assoc:
        assoc.n_action(COMMITMENT, "1.2", 1)
    assert peer.status == 0x0113


def test_a_callback_that_raises_fails_the_report_and_the_caller() -> None:
    def crash(_):
        raise ZeroDivisionError

    peer = Reporting(first=True)
    with pytest.raises(ZeroDivisionError), peer.connect(on_event_report=crash) as assoc:
        assoc.n_action(COMMITMENT, "1.2", 1)
    assert peer.status == Status.PROCESSING_FAILURE


def test_a_report_that_cannot_be_read_is_refused() -> None:
    peer = Reporting(first=True, data=b"\x10\x00\x10\x00PN\xff\x00x")
    with peer.connect(on_event_report=lambda _: None) as assoc:
        assoc.n_action(COMMITMENT, "1.2", 1)
    assert peer.status == Status.MISTYPED_ARGUMENT


def test_without_a_callback_reports_are_refused() -> None:
    peer = Reporting(first=True)
    with peer.connect() as assoc:
        assoc.n_action(COMMITMENT, "1.2", 1)
    assert peer.status == Status.UNRECOGNIZED_OPERATION


@pytest.mark.parametrize("number", [-1, 0x10000, "7", 1.0, None, b"x"])
def test_a_number_that_no_command_can_say_is_refused(number) -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        with pytest.raises(ValueError, match="action_type_id: expected 0 to 65535"):
            assoc.n_action(MPPS, "1.2", number)
        with pytest.raises(ValueError, match="event_type_id: expected 0 to 65535"):
            assoc.n_event_report(MPPS, "1.2", number)


def test_what_is_no_data_set_is_not_sent() -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        for call in (assoc.n_set, assoc.n_create):
            with pytest.raises(TypeError, match="expected a data set, got"):
                call(MPPS, "1.2", {"PatientID": "X"})
