"""Associations from the request to the end, with a peer in memory and a clock moved by hand."""

from __future__ import annotations

import errno
import math
import traceback

import pytest
from kit.fake_acceptor import CLOSE, FakeAcceptor, response

from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandElement, CommandField, Status, encode_command
from dicom_actors.errors import (
    AssociationAborted,
    AssociationError,
    AssociationRejected,
    AssociationTimeout,
    ConfigurationError,
    DimseFailure,
    LocalProtocolError,
    RemoteProtocolError,
    TransportError,
    UnexpectedPduError,
)
from dicom_actors.pdu import (
    Abort,
    AssociateRj,
    AssociateRq,
    PDataTf,
    Pdv,
    Reject,
    ReleaseRp,
    ReleaseRq,
    UserIdentity,
    encode_pdu,
)
from dicom_actors.scu import ProposedContext, connect
from dicom_actors.scu.settings import user_identity_of

VERIFICATION = "1.2.840.10008.1.1"


def kinds(peer: FakeAcceptor) -> list[str]:
    """The types of the PDUs that the peer received."""
    return [type(pdu).__name__ for pdu in peer.pdus]


def test_a_block_is_an_association_from_request_to_release() -> None:
    peer = FakeAcceptor()
    with peer.connect(called="THEM", calling="US") as assoc:
        assert assoc.is_open
        assert repr(assoc) == "<Association with THEM at fake:104, open>"
        assoc.echo()
        assoc.echo()
    assert kinds(peer) == ["AssociateRq", "PDataTf", "PDataTf", "ReleaseRq"]
    rq = peer.pdus[0]
    assert isinstance(rq, AssociateRq)
    assert (rq.called_ae_title, rq.calling_ae_title) == ("THEM", "US")
    assert [command.message_id for _, command, _ in peer.messages] == [1, 2]
    assert not assoc.is_open
    assert peer.is_closed


def test_any_split_of_what_the_peer_sends_is_the_same() -> None:
    for chunk in (1, 2, 7):
        peer = FakeAcceptor()
        peer.chunk = chunk
        with peer.connect() as assoc:
            assoc.echo()
        assert kinds(peer)[-1] == "ReleaseRq"


def test_a_peer_that_takes_few_bytes_at_a_time_gets_all_of_them() -> None:
    peer = FakeAcceptor()
    peer.room = 5
    with peer.connect() as assoc:
        assoc.echo()
    assert kinds(peer) == ["AssociateRq", "PDataTf", "ReleaseRq"]


def test_an_exception_aborts() -> None:
    peer = FakeAcceptor()
    with pytest.raises(ZeroDivisionError), peer.connect():
        raise ZeroDivisionError
    assert peer.pdus[-1] == Abort(0, 0)
    assert peer.has_stopped
    assert peer.is_closed


def test_release_and_abort_of_what_is_over_do_nothing() -> None:
    peer = FakeAcceptor()
    assoc = peer.connect()
    assoc.release()
    assoc.release()
    assoc.abort()
    assert kinds(peer) == ["AssociateRq", "ReleaseRq"]
    with pytest.raises(AssociationError, match="the association is released"):
        assoc.echo()


# --- the request -----------------------------------------------------------------------------


def test_a_rejection_is_told_in_words() -> None:
    class Rejecting(FakeAcceptor):
        def on_associate(self, rq):
            yield AssociateRj.of(Reject.CALLED_AE_TITLE_NOT_RECOGNIZED)
            yield CLOSE

    peer = Rejecting()
    with pytest.raises(AssociationRejected, match="called AE title not recognized") as caught:
        peer.connect(called="NOBODY")
    assert (caught.value.result, caught.value.source, caught.value.reason) == (1, 1, 7)
    assert "NOBODY at fake:104" in str(caught.value)
    assert peer.is_closed


def test_an_abort_in_place_of_an_answer() -> None:
    class Aborting(FakeAcceptor):
        def on_associate(self, rq):
            yield Abort(2, 1)

    with pytest.raises(AssociationAborted, match="unrecognized PDU") as caught:
        Aborting().connect()
    assert (caught.value.source, caught.value.reason) == (2, 1)


def test_a_silent_peer_is_aborted_when_the_time_is_over() -> None:
    class Silent(FakeAcceptor):
        def on_associate(self, rq):
            return ()

    peer = Silent()
    began = peer.clock.monotonic()
    with pytest.raises(AssociationTimeout, match="association request within 12 s"):
        peer.connect(timeout=12)
    assert 12 <= peer.clock.monotonic() - began < 14
    assert peer.pdus[-1] == Abort(0, 0)
    assert peer.is_closed


def test_a_peer_that_closes_in_place_of_an_answer() -> None:
    class Closing(FakeAcceptor):
        def on_associate(self, rq):
            yield CLOSE

    with pytest.raises(TransportError, match="the peer closed the connection"):
        Closing().connect()


def test_a_reset_connection_says_why() -> None:
    class Resetting(FakeAcceptor):
        def on_associate(self, rq):
            self.receive_error = OSError(errno.ECONNRESET, "Connection reset by peer")
            return ()

    with pytest.raises(TransportError, match="Connection reset by peer"):
        Resetting().connect()


def test_garbage_in_place_of_an_answer_is_aborted_with_its_reason() -> None:
    class Garbled(FakeAcceptor):
        def on_associate(self, rq):
            yield b"HTTP/1.1 400 Bad Request\r\n\r\n"

    peer = Garbled()
    with pytest.raises(AssociationAborted, match="broke the protocol"):
        peer.connect()
    assert peer.pdus[-1] == Abort(2, 1)


def test_a_connection_that_cannot_be_opened() -> None:
    peer = FakeAcceptor()

    def refuse(_):
        raise TransportError("refused")

    peer._open = refuse
    with pytest.raises(TransportError, match="refused"):
        peer.connect()


def test_a_long_answer_is_taken() -> None:
    class Long(FakeAcceptor):
        def on_associate(self, rq):
            (ac,) = super().on_associate(rq)
            pdu = encode_pdu(ac)
            item = b"\xee\x00" + (60_000).to_bytes(2, "big") + bytes(60_000)
            length = len(pdu) - 6 + 12 * len(item)
            yield pdu[:2] + length.to_bytes(4, "big") + pdu[6:] + 12 * item

    with Long().connect() as assoc:
        assoc.echo()


def test_what_comes_right_behind_the_answer_is_not_lost() -> None:
    report = encode_command(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            CommandElement.COMMAND_FIELD: CommandField.N_EVENT_REPORT_RQ,
            CommandElement.MESSAGE_ID: 3,
            CommandElement.AFFECTED_SOP_INSTANCE_UID: "1.2",
            CommandElement.EVENT_TYPE_ID: 1,
        },
        has_data_set=False,
    )

    class Early(FakeAcceptor):
        def on_associate(self, rq):
            yield from super().on_associate(rq)
            yield PDataTf((Pdv(1, True, True, report),))

    reports = []
    peer = Early()
    with peer.connect(on_event_report=reports.append) as assoc:
        assert assoc.listen(1)
        assoc.echo()
    assert [found.event_type_id for found in reports] == [1]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("called", ""), ("calling", "x" * 17), ("timeout", 0), ("async_window", 0), ("timeout", "1")],
)
def test_settings_out_of_range_are_named(setting: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=setting):
        FakeAcceptor().connect(**{setting: value})


def test_an_association_needs_a_presentation_context() -> None:
    with pytest.raises(ConfigurationError, match="contexts: expected one presentation context"):
        FakeAcceptor().connect(contexts=[])


def test_a_port_that_is_no_whole_number() -> None:
    with pytest.raises(ConfigurationError, match="port: expected a whole number"):
        connect("127.0.0.1", 104.0)


@pytest.mark.parametrize("host", [None, "", 127, "a..b", ".a", "a" * 64, "\ud800"])
def test_a_host_that_is_none(host: object) -> None:
    with pytest.raises(ConfigurationError, match="host: expected a name or an address"):
        connect(host, 104)


@pytest.mark.parametrize(
    ("given", "item"),
    [
        ("ann", UserIdentity(1, b"ann", b"", True)),
        (("ann", "pass"), UserIdentity(2, b"ann", b"pass", True)),
        (UserIdentity(5, b"token"), UserIdentity(5, b"token")),
        (None, None),
    ],
)
def test_who_the_user_is(given: object, item: object) -> None:
    peer = FakeAcceptor()
    with peer.connect(user_identity=given) as assoc:
        assert assoc.user_identity_response is None
    rq = peer.pdus[0]
    assert isinstance(rq, AssociateRq)
    assert rq.user_information.user_identity == item


# --- responses -------------------------------------------------------------------------------


class Answering(FakeAcceptor):
    """Answers each message with what it was given."""

    def __init__(self, *answers: object, **policy: object) -> None:
        super().__init__(**policy)
        self._answers_given = list(answers)

    def on_message(self, context_id, command, data):
        answers = self._answers_given.pop(0)
        if callable(answers):
            answers = answers(context_id, command)
        return answers if isinstance(answers, list | tuple) else [answers]


def test_a_failure_status_is_raised_with_the_peers_comment() -> None:
    peer = Answering(lambda cid, rq: response(cid, rq, Status.SOP_CLASS_NOT_SUPPORTED, "go away"))
    with peer.connect() as assoc, pytest.raises(DimseFailure, match="go away") as caught:
        assoc.echo()
    assert caught.value.status == 0x0122
    assert "SOP class not supported" in str(caught.value)


def test_a_peer_that_does_not_answer_is_aborted() -> None:
    peer = Answering([])
    assoc = peer.connect(timeout=5, response_timeout=60)
    began = peer.clock.monotonic()
    with pytest.raises(AssociationTimeout, match="C-ECHO request within 60 s"):
        assoc.echo()
    assert 60 <= peer.clock.monotonic() - began < 62
    assert peer.pdus[-1] == Abort(0, 0)
    with pytest.raises(AssociationTimeout, match="C-ECHO request within 60 s"):
        assoc.echo()


def test_what_ended_an_association_does_not_grow_by_being_told() -> None:
    """Many users of one association may each hear of its end."""
    assoc = Answering([]).connect()
    depths = []
    for _ in range(4):
        with pytest.raises(AssociationTimeout) as caught:
            assoc.echo()
        depths.append(len(traceback.extract_tb(caught.value.__traceback__)))
    assert len(set(depths[1:])) == 1


def test_responses_may_be_awaited_for_ever() -> None:
    with FakeAcceptor().connect(response_timeout=math.inf) as assoc:
        assoc.echo()


def test_a_response_may_be_pending_first() -> None:
    peer = Answering(lambda cid, rq: [*response(cid, rq, 0xFF00), *response(cid, rq)])
    with peer.connect() as assoc:
        assoc.echo()


def answer_to(command) -> bytes:
    return encode_command(
        {
            CommandElement.COMMAND_FIELD: 0x8030,
            CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: command.message_id,
            CommandElement.STATUS: 0,
        },
        has_data_set=False,
    )


def halves(data: bytes, count: int) -> list[bytes]:
    step = -(-len(data) // count)
    return [data[step * index : step * (index + 1)] for index in range(count)]


def test_a_peer_that_reads_nothing_is_given_up() -> None:
    peer = FakeAcceptor()
    assoc = peer.connect(timeout=7)
    peer.room = 0
    began = peer.clock.monotonic()
    with pytest.raises(AssociationTimeout, match="read nothing for 7 s"):
        assoc.echo()
    assert 7 <= peer.clock.monotonic() - began < 9
    assert peer.is_closed


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda cid, rq: reply(cid, {0x0120: rq.message_id + 1}), id="other message"),
        pytest.param(lambda cid, rq: reply(cid, {0x0100: 0x8001}), id="other operation"),
        pytest.param(lambda cid, rq: reply(cid, {}, without=0x0900), id="no status"),
    ],
)
def test_a_response_to_nothing_is_aborted(answer) -> None:
    peer = Answering(answer)
    with pytest.raises(AssociationAborted) as caught, peer.connect() as assoc:
        assoc.echo()
    assert isinstance(caught.value.__cause__, UnexpectedPduError)
    assert peer.pdus[-1] == Abort(2, 2)


def reply(context_id: int, values: dict[int, int], without: int = 0) -> list[PDataTf]:
    elements = {0x0100: 0x8030, 0x0120: 1, 0x0900: 0, **values}
    elements.pop(without, None)
    data = encode_command(elements, has_data_set=False)
    return [PDataTf((Pdv(context_id, True, True, data),))]


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x09\x00\x00\x00\x00\x04abcd", 1),
        (b"\x04\x00\xff\xff\xff\xff", 6),
        (encode_pdu(PDataTf((Pdv(201, True, True, b"\0\0"),))), 6),
        (encode_pdu(PDataTf((Pdv(1, False, True, b"\0\0"),))), 2),
        (encode_pdu(PDataTf((Pdv(1, True, True, b"\0\0"),))), 6),
        (encode_pdu(AssociateRj(1, 1, 1)), 2),
    ],
)
def test_what_breaks_the_protocol_is_aborted_with_its_reason(sent: bytes, reason: int) -> None:
    peer = Answering(sent)
    with pytest.raises(AssociationAborted) as caught, peer.connect() as assoc:
        assoc.echo()
    assert isinstance(caught.value.__cause__, RemoteProtocolError)
    assert peer.pdus[-1] == Abort(2, reason)


def test_the_peers_abort_is_found_behind_a_broken_pipe() -> None:
    peer = FakeAcceptor()
    assoc = peer.connect()
    peer.say(Abort(2, 5), CLOSE)
    peer.send_error = OSError(errno.EPIPE, "Broken pipe")
    with pytest.raises(AssociationAborted, match="unexpected PDU parameter"):
        assoc.echo()


def test_a_broken_pipe_with_nothing_behind_it() -> None:
    peer = FakeAcceptor()
    assoc = peer.connect()
    peer.send_error = OSError(errno.EPIPE, "Broken pipe")
    with pytest.raises(TransportError, match="Broken pipe"):
        assoc.echo()
    assert not assoc.is_open


def test_a_peer_that_releases_while_it_owes_an_answer() -> None:
    peer = Answering(ReleaseRq())
    with pytest.raises(AssociationError, match="the peer released it"), peer.connect() as assoc:
        assoc.echo()
    assert peer.pdus[-1] == ReleaseRp()


# --- the release -----------------------------------------------------------------------------


def test_both_sides_may_release_at_once() -> None:
    class Colliding(FakeAcceptor):
        def on_release(self):
            yield ReleaseRq()

        def _answers(self, pdu):
            if pdu == ReleaseRp():
                return [ReleaseRp(), CLOSE]
            return super()._answers(pdu)

    peer = Colliding()
    peer.connect().release()
    assert kinds(peer) == ["AssociateRq", "ReleaseRq", "ReleaseRp"]
    assert peer.is_closed


@pytest.mark.parametrize(
    ("answers", "error"), [((), AssociationTimeout), ((CLOSE,), TransportError)]
)
def test_a_release_that_is_not_answered(answers, error, caplog) -> None:
    class Unfriendly(FakeAcceptor):
        def on_release(self):
            return answers

    assoc = Unfriendly().connect()
    with pytest.raises(error):
        assoc.release()
    with Unfriendly().connect() as assoc:
        assoc.echo()
    assert "not released in good order" in caplog.text


# --- presentation contexts -------------------------------------------------------------------


def test_what_was_not_accepted_cannot_be_used() -> None:
    peer = FakeAcceptor(abstract_syntaxes=lambda _: None)
    with peer.connect() as assoc:
        with pytest.raises(AssociationError, match="no presentation context for Verif") as caught:
            assoc.echo()
        assert str(caught.value).endswith("the peer answers abstract syntax not supported")
        assert assoc.is_open
    assert peer.associations == 1


def test_contexts_of_ones_own() -> None:
    peer = FakeAcceptor()
    contexts = [
        "Verification",
        ("CTImageStorage", "JPEGLSLossless"),
        ("1.2.840.10008.5.1.4.1.1.4", ["1.2.840.10008.1.2"]),
        ProposedContext("1.2.3", scp=True),
    ]
    with peer.connect(contexts=contexts) as assoc:
        with pytest.raises(AssociationError, match="it was not proposed"):
            assoc.n_delete("BasicFilmSession", "1.2")
    rq = peer.pdus[0]
    assert isinstance(rq, AssociateRq)
    assert [tuple(context)[1:] for context in rq.presentation_contexts] == [
        (VERIFICATION, ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")),
        ("1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.4.80",)),
        ("1.2.840.10008.5.1.4.1.1.4", ("1.2.840.10008.1.2",)),
        ("1.2.3", ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")),
    ]
    assert [tuple(role) for role in rq.user_information.roles] == [("1.2.3", True, True)]
    assert peer.associations == 1


def test_other_contexts_are_asked_for_when_they_are_needed() -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assoc.n_delete("BasicFilmSession", "1.2")
        assoc.n_delete("BasicFilmSession", "1.3")
        assoc.echo()
    assert peer.associations == 2
    assert kinds(peer).count("ReleaseRq") == 2


def test_a_bad_farewell_is_no_reason_not_to_go_on(caplog) -> None:
    class Hasty(FakeAcceptor):
        def on_release(self):
            yield CLOSE

    peer = Hasty()
    with peer.connect() as assoc:
        assoc.n_delete("BasicFilmSession", "1.2")
    assert peer.associations == 2
    assert "not released in good order" in caplog.text


def test_an_association_that_is_over_is_not_begun_anew() -> None:
    peer = FakeAcceptor()
    assoc = peer.connect()
    peer.say(CLOSE)
    with pytest.raises(TransportError):
        assoc.listen(1)
    with pytest.raises(TransportError):
        assoc.n_delete("BasicFilmSession", "1.2")
    assert peer.associations == 1


def test_a_request_of_the_peer_that_we_do_not_serve_is_refused() -> None:
    request = encode_command(
        {
            CommandElement.AFFECTED_SOP_CLASS_UID: VERIFICATION,
            CommandElement.COMMAND_FIELD: CommandField.C_ECHO_RQ,
            CommandElement.MESSAGE_ID: 9,
        },
        has_data_set=False,
    )

    def answer(context_id, command):
        return [PDataTf((Pdv(context_id, True, True, request),)), *response(context_id, command)]

    peer = Answering(answer, [])
    with peer.connect() as assoc:
        assoc.echo()
    (_, refused, _) = peer.messages[1]
    assert (refused.message_id, refused.status) == (9, Status.UNRECOGNIZED_OPERATION)


def test_one_operation_at_a_time() -> None:
    with FakeAcceptor().connect() as assoc:
        matches = assoc.find(DataSet.from_keywords(QueryRetrieveLevel="STUDY"))
        with pytest.raises(LocalProtocolError, match="a C-FIND is running"):
            assoc.echo()
        assert list(matches) == []
        assoc.echo()


@pytest.mark.parametrize("junk", [5, b"x", ("name",), ("a", "b", "c"), ("a", b"b"), object()])
def test_credentials_that_are_none_are_refused_and_not_shown(junk) -> None:
    with pytest.raises(TypeError) as caught:
        user_identity_of(junk)
    assert "'b'" not in str(caught.value)


def test_what_cannot_be_said_to_be_a_title_or_an_originator_is_refused() -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        for title in (b"DEST", 5, None, ["DEST"]):
            with pytest.raises(ConfigurationError, match="expected 1 to 16 ASCII characters"):
                assoc.move({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1"}, title)
        with pytest.raises(TypeError, match="expected a MoveOriginator"):
            assoc.store_many([], originator=("AE", 1))
        assert not peer.messages
