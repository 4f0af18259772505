"""An endpoint as its users see it: requests, handlers, rejections, messages."""

from __future__ import annotations

import errno
import itertools
import socket
from pathlib import PurePosixPath
from typing import Any

import pykka
import pytest
from kit.endpoints import LIMIT, running
from kit.gate import Gate
from kit.peer import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    Peer,
    command_pdus,
    echo_pdus,
    store_pdus,
)

from dicom_actors import (
    DataSet,
    DimseFailure,
    Endpoint,
    EndpointConfig,
    Reject,
    Status,
    events,
    messages,
    read_file,
)
from dicom_actors.actors.storing import part_file
from dicom_actors.dimse import CommandElement, CommandField
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.pdu import AssociateAc, AssociateRj, PresentationContextRq, ReleaseRp
from dicom_actors.supervision import UnknownMessage

pytestmark = pytest.mark.usefixtures("nothing_left")

DATA = DataSet.from_keywords(
    SOPClassUID=CT_IMAGE, SOPInstanceUID="1.2.3", PatientID="ABC", Modality="CT"
).to_bytes(EXPLICIT)


MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def test_verification_needs_no_handler() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.echo() == Status.SUCCESS
        peer.expect_released()
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert (closed.reason, closed.requests) == ("released", 1)


def test_a_cecho_handler_decides() -> None:
    with (
        running({"cecho": lambda event: Status.NOT_AUTHORIZED}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        assert peer.echo() == Status.NOT_AUTHORIZED


def test_a_store_event_has_all_that_a_handler_wants(tmp_path: Any) -> None:
    seen = []

    def store(event: Any) -> None:
        path = event.save(tmp_path / "incoming")
        seen.append(
            (
                event.dataset.PatientID,
                event.length,
                bytes(event.data),
                event.transfer_syntax.uid,
                event.sop_class_uid,
                event.sop_instance_uid,
                event.message_id,
                event.command.value_for("AffectedSOPInstanceUID"),
                event.association.calling_ae_title,
                event.association.called_ae_title,
                event.association.peer[0],
                event.is_cancelled,
                path,
            )
        )

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.store(DATA, message_id=7) == Status.SUCCESS
    path = tmp_path / "incoming" / "1.2.3.dcm"
    assert seen == [
        ("ABC", len(DATA), DATA, EXPLICIT, CT_IMAGE, "1.2.3", 7, "1.2.3", "PEER", "TEST",
         "127.0.0.1", False, path)
    ]  # fmt: skip
    assert path.read_bytes().endswith(DATA)
    saved = read_file(path)
    assert saved.PatientID == "ABC"
    assert saved.file_meta.value_for("TransferSyntaxUID") == EXPLICIT
    assert saved.file_meta.value_for("MediaStorageSOPInstanceUID") == "1.2.3"


def test_a_large_object_is_spooled_renamed_and_still_readable(tmp_path: Any) -> None:
    seen = []

    def store(event: Any) -> None:
        first = event.save(tmp_path / "a")
        second = event.save(tmp_path / "b", "again.dcm")
        seen.append((event.dataset.PatientID, first.read_bytes() == second.read_bytes()))

    with (
        running({"cstore": store}, spool_bytes=10, spool_directory=tmp_path) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        assert peer.store(DATA) == Status.SUCCESS
        assert peer.store(DATA, message_id=2) == Status.SUCCESS
    assert seen == [("ABC", True)] * 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_a_spool_file_that_nobody_keeps_goes_away(tmp_path: Any) -> None:
    with (
        running(
            {"cstore": lambda event: None}, spool_bytes=10, spool_directory=tmp_path
        ) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        assert peer.store(DATA) == Status.SUCCESS
    assert list(tmp_path.iterdir()) == []


def test_a_name_cannot_lead_out_of_the_folder(tmp_path: Any) -> None:
    errors = []

    def store(event: Any) -> None:
        for name in ("../x.dcm", "/x.dcm", "a/../../x.dcm"):
            with pytest.raises(ValueError) as caught:
                event.save(tmp_path, name)
            errors.append(caught.type)

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        assert peer.store(DATA) == Status.SUCCESS
    assert errors == [ValueError] * 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (None, 0x0000),
        (True, 0x0000),
        (Status.OUT_OF_RESOURCES, 0xA700),
        (0xB000, 0xB000),
        (DataSet.from_keywords(Status=0xB006, ErrorComment="x"), 0xB006),
        ("kept/1.2.3.dcm", 0x0000),
        (PurePosixPath("kept/1.2.3.dcm"), 0x0000),
        (False, 0x0110),
        (b"done", 0x0110),
        (Status.PENDING, 0x0110),
        (0xFF01, 0x0110),
        (DataSet.from_keywords(Status=0xFF00), 0x0110),
        (0x1_0000, 0x0110),
        (-1, 0x0110),
        (DataSet(), 0x0110),
    ],
)
def test_what_a_handler_returns_is_the_status(result: Any, status: int) -> None:
    with (
        running({"cstore": lambda event: result}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        assert peer.store(DATA) == status
        assert peer.echo(2) == Status.SUCCESS


def test_a_dimse_failure_is_the_answer_and_ends_no_actor() -> None:
    def store(event: Any) -> None:
        raise DimseFailure(Status.OUT_OF_RESOURCES, "the disk is full")

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(DATA))
        response = peer.response()
        assert response.status == 0xA700
        assert response.elements.value_for("ErrorComment") == "the disk is full"
        assert response.elements.value_for("AffectedSOPInstanceUID") == "1.2.3"
        association = endpoint.child("association 1").ref
        assert peer.store(DATA) == 0xA700
        assert endpoint.child("association 1").ref is association


def test_an_actor_can_be_a_handler() -> None:
    class Host(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, event: Any) -> int:
            return 0xB000 if event.dataset.PatientID == "ABC" else 0

    host = Host.start()
    try:
        with running({"cstore": host}) as endpoint, Peer.associated(endpoint.port) as peer:
            assert peer.store(DATA) == 0xB000
            host.stop()
            assert peer.store(DATA) == Status.PROCESSING_FAILURE
    finally:
        host.stop()


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (None, AssociateAc),
        (True, AssociateAc),
        (False, AssociateRj(1, 1, 1)),
        (Reject.CALLED_AE_TITLE_NOT_RECOGNIZED, AssociateRj(1, 1, 7)),
        (Reject.LOCAL_LIMIT_EXCEEDED, AssociateRj(2, 3, 2)),
        ("yes", AssociateRj(2, 2, 1)),
        (ValueError("a bug"), AssociateRj(2, 2, 1)),
        (SystemExit(), AssociateRj(2, 2, 1)),
    ],
)
def test_the_validator_decides(result: Any, answer: Any) -> None:
    requests = []

    def validate(request: Any) -> Any:
        requests.append((request.called_ae_title, request.calling_ae_title, request.peer[0]))
        if isinstance(result, BaseException):
            raise result
        return result

    with running({"association_validator": validate}) as endpoint:
        with Peer(endpoint.port) as peer:
            got = peer.associate("THERE", "HERE")
            assert isinstance(got, AssociateAc) if answer is AssociateAc else got == answer
            if answer is AssociateAc:
                assert peer.echo() == Status.SUCCESS
        assert requests == [("THERE", "HERE", "127.0.0.1")]


def test_our_ae_title_can_be_insisted_on() -> None:
    with running(ae_title="TEST") as endpoint:
        with Peer(endpoint.port) as peer:
            assert peer.associate("OTHER") == AssociateRj(1, 1, 7)
        with Peer.associated(endpoint.port, "TEST") as peer:
            assert peer.echo() == Status.SUCCESS


def test_each_context_gets_its_own_answer_in_our_order() -> None:
    contexts = (
        PresentationContextRq(1, "1.2.840.10008.1.1", ("1.2.3.4.5",)),
        PresentationContextRq(3, CT_IMAGE, (IMPLICIT, EXPLICIT)),
        PresentationContextRq(5, CT_IMAGE, ("1.2.840.10008.1.2.4.70", IMPLICIT)),
        PresentationContextRq(7, CT_IMAGE, ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70")),
        PresentationContextRq(9, "1.2.840.10008.5.1.4.1.2.1.1", (IMPLICIT,)),
    )
    with running({"cstore": lambda event: None}) as endpoint, Peer(endpoint.port) as peer:
        ac = peer.associate(contexts=contexts)
        assert isinstance(ac, AssociateAc)
        assert ac.user_information.max_pdu_length == 128 * 1024
        answers = [(c.context_id, int(c.result)) for c in ac.presentation_contexts]
        assert answers == [(1, 4), (3, 0), (5, 0), (7, 0), (9, 3)]
        assert [c.transfer_syntax for c in ac.presentation_contexts if c.result == 0] == [
            EXPLICIT,
            IMPLICIT,
            "1.2.840.10008.1.2.4.70",
        ]


def test_storage_is_not_accepted_without_a_handler() -> None:
    with running() as endpoint, Peer(endpoint.port) as peer:
        ac = peer.associate()
        assert isinstance(ac, AssociateAc)
        assert [int(c.result) for c in ac.presentation_contexts] == [0, 3]


@pytest.mark.parametrize(("setting", "result"), [((), 3), (("1.2.3.4",), 0), (None, 0)])
def test_private_storage_classes_are_taken_by_configuration(setting: Any, result: int) -> None:
    context = PresentationContextRq(1, "1.2.3.4", (IMPLICIT,))
    with (
        running({"cstore": lambda event: None}, storage_sop_classes=setting) as endpoint,
        Peer(endpoint.port) as peer,
    ):
        ac = peer.associate(contexts=(context,))
        assert isinstance(ac, AssociateAc)
        assert ac.presentation_contexts[0].result == result


def test_new_handlers_apply_from_the_next_message() -> None:
    gate = Gate()

    def first(event: Any) -> int:
        gate()
        return 0xB000

    with running({"cstore": first}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(DATA))
        gate.wait_until_entered()
        endpoint.ref.ask(messages.SetHandlers({"cstore": lambda event: 0xB006}))
        gate.release()
        assert peer.status() == 0xB000
        assert peer.store(DATA) == 0xB006
        endpoint.ref.ask(messages.SetHandlers({}))
        assert peer.store(DATA) == Status.SOP_CLASS_NOT_SUPPORTED
        with pytest.raises(ConfigurationError, match="expected one of"):
            endpoint.ref.ask(messages.SetHandlers({"nonsense": print}))
        assert peer.echo() == Status.SUCCESS


def test_each_kind_of_request_gets_its_own_answer_whatever_came_before() -> None:
    """What is found out once for a kind of request on a context is not another kind's."""

    def ask(field: CommandField, sop_class: str, context_id: int, data: bytes = b"") -> int:
        values = {
            CommandElement.AFFECTED_SOP_CLASS_UID: sop_class,
            CommandElement.COMMAND_FIELD: field,
            CommandElement.MESSAGE_ID: 7,
            CommandElement.AFFECTED_SOP_INSTANCE_UID: "1.2.3",
        }
        peer.send(*command_pdus(values, context_id, has_data_set=bool(data)))
        if data:
            peer.send(*store_pdus(data, context_id=context_id)[1:])
        return peer.status()

    kinds = [
        (CommandField.C_STORE_RQ, CT_IMAGE, 3, DATA, Status.SUCCESS),
        (CommandField.C_STORE_RQ, CT_IMAGE, 3, b"", Status.MISTYPED_ARGUMENT),
        (CommandField.C_STORE_RQ, MR_IMAGE, 3, DATA, Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS),
        (CommandField.C_ECHO_RQ, CT_IMAGE, 3, b"", Status.SOP_CLASS_NOT_SUPPORTED),
        (CommandField.C_ECHO_RQ, CT_IMAGE, 1, b"", Status.SOP_CLASS_NOT_SUPPORTED),
        (CommandField.C_ECHO_RQ, VERIFICATION, 1, b"", Status.SUCCESS),
        (CommandField.N_GET_RQ, VERIFICATION, 1, b"", Status.UNRECOGNIZED_OPERATION),
    ]
    with running({"cstore": lambda event: None}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            for first, second in itertools.permutations(kinds, 2):
                for *request, status in (first, second, second):
                    assert ask(*request) == status


def test_requests_that_are_sent_ahead_are_answered_in_order() -> None:
    order = []

    def store(event: Any) -> None:
        order.append(event.message_id)

    with running({"cstore": store}) as endpoint, Peer.associated(endpoint.port) as peer:
        pdus = []
        for number in range(1, 21):
            pdus += store_pdus(DATA, number) if number % 2 else echo_pdus(number)
        peer.send(*pdus)
        answered = [peer.response().message_id for _ in range(20)]
        assert answered == list(range(1, 21))
        assert order == list(range(1, 21, 2))
        assert peer.release() == ReleaseRp()


def test_a_release_waits_for_open_requests() -> None:
    gate = Gate()
    with running({"cstore": gate}) as endpoint, Peer.associated(endpoint.port) as peer:
        peer.send(*store_pdus(DATA))
        gate.wait_until_entered()
        peer.send_bytes(b"\x05\0\0\0\0\4\0\0\0\0")
        gate.release()
        assert peer.status() == Status.SUCCESS
        assert peer.receive() == ReleaseRp()


def test_a_host_application_can_abort_an_association() -> None:
    with running() as endpoint, Peer.associated(endpoint.port) as peer:
        (association,) = endpoint.associations()
        assert association.calling_ae_title == "PEER"
        assert association.state == "open"
        assert endpoint.ref.ask(messages.AbortAssociation(association.id)) is True
        peer.expect_abort(0, 0)
        peer.close()
        endpoint.wait_for(events.AssociationClosed)
        assert endpoint.ref.ask(messages.AbortAssociation(association.id)) is False


def test_events_tell_what_happens() -> None:
    with running({"cstore": lambda event: 0xB000}) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.store(DATA, message_id=9)
            peer.expect_released()
        (opened,) = endpoint.wait_for(events.AssociationOpened)
        (received,) = endpoint.wait_for(events.RequestReceived)
        (completed,) = endpoint.wait_for(events.RequestCompleted)
        (closed,) = endpoint.wait_for(events.AssociationClosed)
        assert opened.association.id == closed.association.id == received.association_id
        assert (received.service, received.message_id, received.bytes) == ("cstore", 9, len(DATA))
        assert (completed.status, completed.bytes) == (0xB000, len(DATA))
        assert closed.requests == 1
        assert endpoint.status().requests == 1


def test_a_dead_subscriber_is_forgotten() -> None:
    with running() as endpoint:
        bus = endpoint.child("event bus").ref
        endpoint.watcher.stop(timeout=LIMIT)
        with Peer.associated(endpoint.port) as peer:
            assert peer.echo() == Status.SUCCESS
        with pytest.raises(UnknownMessage):  # its inbox is in order: what came before is done
            bus.ask("anything", timeout=LIMIT)
        assert endpoint.ref.ask(messages.Unsubscribe(endpoint.watcher)) is False


def test_a_port_in_use_makes_start_raise() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TransportError, match=f"port {port}"):
            Endpoint.start(port, host="127.0.0.1")


@pytest.mark.parametrize(
    "handlers",
    [{"cstor": print}, {"cstore": 5}, [("cstore", print), ("cstore", print)]],
    ids=["unknown", "not callable", "twice"],
)
def test_wrong_handlers_make_start_raise(handlers: Any) -> None:
    with pytest.raises(ConfigurationError, match="event_handlers"):
        Endpoint.start(0, event_handlers=handlers)


def test_stop_aborts_everybody_and_is_complete() -> None:
    with running() as endpoint:
        peers = [Peer.associated(endpoint.port) for _ in range(3)]
        silent = Peer(endpoint.port)
        endpoint.ref.stop(timeout=LIMIT)
        for peer in peers:
            peer.expect_abort(0, 0)
            peer.close()
        silent.expect_end()
        silent.close()
        with pytest.raises(ConnectionRefusedError):
            Peer(endpoint.port)


def test_callers_can_be_listed() -> None:
    with running(calling_ae_titles=("FRIEND", "OTHER ")) as endpoint:
        with Peer(endpoint.port) as peer:
            assert peer.associate(calling="STRANGER") == AssociateRj(1, 1, 3)
        for title in ("FRIEND", "OTHER"):
            with Peer.associated(endpoint.port, calling=title) as peer:
                assert peer.echo() == Status.SUCCESS
        closed = endpoint.wait_for(events.AssociationClosed, 3)
        assert sorted(c.was_open for c in closed) == [False, True, True]


@pytest.mark.parametrize(
    "settings",
    [
        {"calling_ae_titles": "FRIEND"},
        {"calling_ae_titles": ["x" * 17]},
        {"ae_title": ""},
        {"ae_title": "A\\B"},
        {"max_pdu_length": 1},
        {"max_pdu_length": "many"},
        {"artim_timeout": 0},
        {"artim_timeout": None},
        {"idle_timeout": -1},
        {"max_associations": True},
        {"when_full": "drop"},
        {"spool_directory": "/nonexistent"},
        {"spool_directory": 5},
        {"calling_ae_titles": 5},
        {"extended_negotiation": 5},
        {"extended_negotiation": ["1.2"]},
    ],
)
def test_settings_out_of_range_are_named(settings: Any) -> None:
    (name,) = settings
    with pytest.raises(ConfigurationError, match=name):
        EndpointConfig(**settings)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_out_of_resources_and_success_again_once_it_is_over(
    number: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(number, "it does not work")

    with (
        running({"cstore": lambda event: event.save(tmp_path) and None}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):
        with monkeypatch.context() as patch:
            patch.setattr(part_file.os, "fsync", failing)
            assert peer.store(DATA) == Status.OUT_OF_RESOURCES
            assert list(tmp_path.iterdir()) == []
        assert peer.store(DATA, message_id=2) == Status.SUCCESS
        assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("host", ["\0", "\udc80", "x" * 300])
def test_an_address_that_is_none_is_told(host: str) -> None:
    with pytest.raises(TransportError):
        Endpoint.start(0, host=host)


@pytest.mark.parametrize("name", ["handlers", "event_handler", "kernel", "acceptor"])
def test_an_argument_that_there_is_not(name) -> None:
    with pytest.raises(TypeError, match=f"no argument '{name}'; expected port, host, event_handl"):
        Endpoint.start(port=0, **{name: {}})
