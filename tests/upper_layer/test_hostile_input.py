"""Broken and hostile input to the upper layer, and the exact bytes that it must get.

An acceptor throughout, unless a test says otherwise. The endpoint's own tests send the same
things over TCP.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from dicom_actors.errors import PduTooLargeError, UnexpectedPduError, UnrecognizedPduError
from dicom_actors.pdu import PresentationContextRq, Reject, UserInformation, encode_pdu
from dicom_actors.upper_layer import (
    AssociateAccept,
    AssociateIndication,
    AssociateReject,
    Indicate,
    Role,
    State,
    UpperLayer,
    negotiate,
)
from tests.upper_layer.scenes import (
    AC_BYTES,
    DATA_BYTES,
    LIMITS,
    PDV,
    POLICY,
    RELEASE_RQ_BYTES,
    ROUTES,
    RQ,
    RQ_BYTES,
    USER,
    feed,
    machine_led_to,
    plain,
)

USER_ABORT = bytes.fromhex("07 00 00000004 00 00 00 00")
ESTABLISHED = [
    place for place in ROUTES if place[1] not in {State.STA1, State.STA2, State.STA4, State.STA13}
]


def provider_abort(reason):
    return bytes.fromhex("07 00 00000004 00 00 02") + bytes((reason,))


def reject(result, source, reason):
    return bytes.fromhex("03 00 00000004 00") + bytes((result, source, reason))


def waiting():
    return machine_led_to(Role.ACCEPTOR, State.STA2)


def established():
    return machine_led_to(Role.ACCEPTOR, State.STA6)


def sent(effects):
    return [entry[1] for entry in plain(effects) if entry[0] == "Send"]


def item(kind, data=b""):
    return bytes((kind, 0)) + len(data).to_bytes(2, "big") + data


def associate_rq(*items, version=b"\0\1", called=b"CALLED", calling=b"CALLING"):
    fixed = version + bytes(2) + called.ljust(16) + calling.ljust(16) + bytes(32)
    body = fixed + b"".join(items)
    return b"\1\0" + len(body).to_bytes(4, "big") + body


def context(context_id, transfer_syntaxes=1):
    return item(
        0x20,
        bytes((context_id, 0, 0, 0))
        + item(0x30, b"1.2.840.10008.1.1")
        + item(0x40, b"1.2.840.10008.1.2") * transfer_syntaxes,
    )


APPLICATION_CONTEXT = item(0x10, b"1.2.840.10008.3.1.1.1")
USER_INFORMATION = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2"))


# --- on the connection ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x0bMSH|^~\\&|ADT1|",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\0\0\0",
        b"\xff" * 6,
    ],
    ids=["http", "ssh", "hl7", "tls", "zeros", "ones"],
)
def test_something_else_than_dicom_is_refused_from_its_first_six_bytes(first):
    machine = waiting()
    assert machine.receive_data(memoryview(first[:5])) == (0, ())

    consumed, effects = machine.receive_data(memoryview(first[:6]))

    assert consumed == 6
    assert sent(effects) == [USER_ABORT]
    assert machine.state is State.STA13
    assert isinstance(machine.error, UnrecognizedPduError)
    assert feed(machine, first[6:] + b"anything") == ([], b"")


@pytest.mark.parametrize("place", ESTABLISHED, ids=str)
@pytest.mark.parametrize("kind", [0x00, 0x08, 0x10, 0xFF])
def test_an_unknown_pdu_type(place, kind):
    machine = machine_led_to(*place)

    effects, left = feed(machine, bytes((kind, 0, 0, 0, 0, 4)))

    assert sent(effects) == [provider_abort(1)]
    assert (left, machine.state) == (b"", State.STA13)


@pytest.mark.parametrize("early", [DATA_BYTES, RELEASE_RQ_BYTES], ids=["data", "release"])
def test_data_or_a_release_before_the_association(early):
    machine = waiting()

    effects, left = feed(machine, early)

    assert sent(effects) == [USER_ABORT]
    assert (left, machine.state) == (b"", State.STA13)
    assert isinstance(machine.error, UnexpectedPduError)


def test_a_second_associate_request():
    machine = established()

    effects, left = feed(machine, RQ_BYTES)

    assert sent(effects) == [provider_abort(2)]
    assert (left, machine.state) == (b"", State.STA13)


@pytest.mark.parametrize(
    ("place", "kind", "answer"),
    [
        ((Role.ACCEPTOR, State.STA2), 1, USER_ABORT),
        ((Role.ACCEPTOR, State.STA2), 4, USER_ABORT),
        ((Role.ACCEPTOR, State.STA6), 4, provider_abort(6)),
        ((Role.ACCEPTOR, State.STA6), 1, provider_abort(6)),
        ((Role.REQUESTOR, State.STA5), 2, provider_abort(6)),
        ((Role.REQUESTOR, State.STA7), 4, provider_abort(6)),
        ((Role.ACCEPTOR, State.STA13), 4, provider_abort(6)),
    ],
)
def test_a_length_of_four_gigabytes_is_refused_from_the_header(place, kind, answer):
    machine = machine_led_to(*place)

    consumed, effects = machine.receive_data(memoryview(bytes((kind, 0)) + b"\xff" * 4))

    assert consumed == 6
    assert sent(effects) == [answer]
    assert machine.state is State.STA13
    assert isinstance(machine.error, PduTooLargeError)


def test_the_cap_on_a_request_is_a_mebibyte_by_default():
    for length, consumed in ((1 << 20, 0), ((1 << 20) + 1, 6)):
        machine = UpperLayer(Role.ACCEPTOR)
        machine.connected()

        header = b"\1\0" + length.to_bytes(4, "big")
        assert machine.receive_data(memoryview(header))[0] == consumed


@pytest.mark.parametrize("place", ESTABLISHED, ids=str)
@pytest.mark.parametrize("kind", [3, 5, 6, 7])
@pytest.mark.parametrize("length", [0, 3, 5, 0xFFFFFFFF])
def test_short_pdus_of_another_length(place, kind, length):
    machine = machine_led_to(*place)

    effects, _ = feed(machine, bytes((kind, 0)) + length.to_bytes(4, "big"))

    assert sent(effects) == [provider_abort(6)]
    assert machine.state is State.STA13


# --- negotiation ------------------------------------------------------------------------------

BROKEN_ITEMS = [
    b"\x20\0\xff\xff\1\0\0\0",
    b"\x50",
    context(1)[:-1],
    item(0x20, bytes((1, 0, 0, 0)) + b"\x30\0\0\x20" + b"1.2"),
    item(0x50, b"\x51\0\0\x08\0\0\0\0"),
    item(0x50, item(0x54, b"\0\x20" + b"1.2")),
    item(0x50, item(0x58, b"\2\0\0\4anna\xff\xff")),
]


@pytest.mark.parametrize("broken", BROKEN_ITEMS)
def test_an_item_past_its_parent_in_a_request(broken):
    machine = waiting()

    effects, left = feed(machine, associate_rq(APPLICATION_CONTEXT, broken))

    assert sent(effects) == [USER_ABORT]
    assert (left, machine.state) == (b"", State.STA13)
    assert "at byte" in str(machine.error)


def test_an_item_past_its_parent_in_an_answer():
    machine = machine_led_to(Role.REQUESTOR, State.STA5)
    broken = AC_BYTES[:76] + b"\xff\xff" + AC_BYTES[78:]

    effects, left = feed(machine, broken)

    assert sent(effects) == [provider_abort(6)]
    assert (left, machine.state) == (b"", State.STA13)


@pytest.mark.parametrize(
    "contexts",
    [
        [context(2)],
        [context(0)],
        [context(1), context(1)],
        [context(1), context(254)],
        [context(index % 128 * 2 + 1) for index in range(129)],
        [context(1) for _ in range(5000)],
        [context(1, transfer_syntaxes=2500)],
        [context(1), *[item(0x60)] * 200_000],
        [],
    ],
    ids=[
        "even",
        "zero",
        "twice",
        "254",
        "129",
        "5000",
        "transfer syntaxes",
        "unknown items",
        "none",
    ],
)
def test_presentation_contexts_that_cannot_be(contexts):
    machine = UpperLayer(Role.ACCEPTOR)
    machine.connected()

    effects, left = feed(machine, associate_rq(APPLICATION_CONTEXT, *contexts, USER_INFORMATION))

    assert plain(effects) == [("StopArtim",), ("Send", reject(1, 2, 1)), ("StartArtim",)]
    assert (left, machine.state) == (b"", State.STA13)
    assert machine.error is not None


@pytest.mark.parametrize(
    "user",
    [item(0x60, bytes(65531)), item(0x60) * 16383, item(0x52, b"1" * 40000)],
    ids=["one large", "many small", "a long uid"],
)
def test_user_information_without_end(user):
    machine = UpperLayer(Role.ACCEPTOR)
    machine.connected()

    effects, left = feed(machine, associate_rq(APPLICATION_CONTEXT, context(1), item(0x50, user)))

    assert sent(effects) == [reject(1, 2, 1)]
    assert (left, machine.state) == (b"", State.STA13)


def test_an_unknown_sub_item_is_ignored_and_kept():
    machine = waiting()
    user = item(0x50, item(0x51, b"\0\0\x40\0") + item(0x52, b"1.2") + item(0x99, b"new"))

    effects, _ = feed(machine, associate_rq(APPLICATION_CONTEXT, context(1), user))

    (indication,) = [effect.indication for effect in effects if isinstance(effect, Indicate)]
    assert indication.rq.user_information.unknown == ((0x99, b"new"),)
    answer = negotiate(indication.rq, POLICY)
    machine.request(AssociateAccept(answer))
    assert machine.state is State.STA6


@pytest.mark.parametrize("version", [b"\0\0", b"\0\2", b"\xff\xfe"])
def test_a_protocol_version_without_bit_0(version):
    machine = waiting()

    effects, _ = feed(
        machine,
        associate_rq(APPLICATION_CONTEXT, context(1), USER_INFORMATION, version=version),
    )

    assert sent(effects) == [reject(1, 2, 2)]
    assert machine.state is State.STA13


TITLES = {"control": b"A\x1b[31m", "nul": b"A\0", "spaces": b" " * 16, "umlaut": b"M\xdcLLER"}


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"application_context": b"1.2.3"}, reject(1, 1, 2)),
        ({"application_context": b""}, reject(1, 1, 2)),
        ({"called": b"OTHER"}, reject(1, 1, 7)),
        ({"calling": b"OTHER"}, reject(1, 1, 3)),
        *[({"called": title}, reject(1, 1, 7)) for title in TITLES.values()],
        *[({"calling": title}, reject(1, 1, 3)) for title in TITLES.values()],
    ],
)
def test_requests_for_the_user_to_refuse(arguments, answer):
    arguments = dict(arguments)
    application_context = item(0x10, arguments.pop("application_context", b"1.2.840.10008.3.1.1.1"))
    policy = replace(POLICY, calling_ae_titles=frozenset({"CALLING"}))
    machine = waiting()

    effects, _ = feed(
        machine, associate_rq(application_context, context(1), USER_INFORMATION, **arguments)
    )
    (rq,) = effects[1].indication
    refused = negotiate(rq, policy)

    assert isinstance(effects[1].indication, AssociateIndication)
    assert isinstance(refused, Reject)
    assert sent(machine.request(AssociateReject(refused))) == [answer]
    assert machine.state is State.STA13
    # What goes into log lines and file names is printable.
    assert (rq.called_ae_title + rq.calling_ae_title).isprintable()
    assert (rq.called_ae_title + rq.calling_ae_title).isascii()


def test_a_maximum_length_without_room_for_data():
    user = item(0x50, item(0x51, b"\0\0\0\6"))
    machine = waiting()

    effects, _ = feed(machine, associate_rq(APPLICATION_CONTEXT, context(1), user))

    assert sent(effects) == [reject(1, 2, 1)]


# --- P-DATA -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [(role, state) for role, state in ROUTES if state is State.STA6])
@pytest.mark.parametrize(
    "body",
    [
        "00000000 01 03",
        "00000001 01 03",
        "00000003 01 03",
        "FFFFFFFF 01 03",
        "00000002 01 03 00",
        "00000002 01 03 00000000 01 03",
        "00",
        "00000002 01",
    ],
)
def test_pdvs_that_do_not_fit(place, body):
    machine = machine_led_to(*place)
    data = bytes.fromhex(body)

    effects, left = feed(machine, b"\4\0" + len(data).to_bytes(4, "big") + data)

    assert sent(effects) == [provider_abort(6)]
    assert (left, machine.state) == (b"", State.STA13)


def test_p_data_without_pdvs_is_ignored_but_not_for_ever():
    machine = established()
    empty = bytes.fromhex("04 00 00000000")

    for _ in range(3):
        assert feed(machine, empty * LIMITS.max_empty_pdus) == ([], b"")
        effects, _ = feed(machine, DATA_BYTES)  # one that is good for something
        assert plain(effects) == [("Indicate", "DataIndication", (PDV,))]
    effects, _ = feed(machine, empty * (LIMITS.max_empty_pdus + 1))

    assert sent(effects) == [provider_abort(6)]
    assert machine.state is State.STA13


@pytest.mark.parametrize("state", [State.STA6, State.STA7])
def test_values_without_bytes_do_not_make_up_for_p_data_without_pdvs(state):
    machine = machine_led_to(Role.ACCEPTOR, state)
    empty = bytes.fromhex("04 00 00000000")
    hollow = bytes.fromhex("04 00 00000006 00000002 01 01")
    two_hollow = bytes.fromhex("04 00 0000000C 00000002 01 01 00000002 01 00")

    for between in (hollow, two_hollow, hollow):
        effects, _ = feed(machine, empty + between)
        assert [entry[:2] for entry in plain(effects)] == [("Indicate", "DataIndication")]
    effects, _ = feed(machine, empty)

    assert sent(effects) == [provider_abort(6)]
    assert machine.state is State.STA13


@pytest.mark.parametrize("state", [State.STA6, State.STA7])
@pytest.mark.parametrize("context_id", [0, 2, 3, 255])
def test_a_pdv_on_a_context_that_was_not_accepted(state, context_id):
    machine = machine_led_to(Role.ACCEPTOR, state)

    effects, left = feed(
        machine, bytes.fromhex("04 00 00000008 00000004") + bytes((context_id, 3, 0, 0))
    )

    assert sent(effects) == [provider_abort(6)]
    assert (left, machine.state) == (b"", State.STA13)


def test_contexts_are_those_of_this_association():
    rq = replace(
        RQ,
        presentation_contexts=(
            PresentationContextRq(77, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),
        ),
        user_information=UserInformation(USER.max_pdu_length, "1.2"),
    )
    machine = waiting()
    effects, _ = feed(machine, encode_pdu(rq))
    machine.request(AssociateAccept(negotiate(effects[1].indication.rq, POLICY)))

    effects, _ = feed(machine, bytes.fromhex("04 00 00000006 00000002 4D 03"))
    assert plain(effects)[0][:2] == ("Indicate", "DataIndication")
    effects, _ = feed(machine, DATA_BYTES)
    assert sent(effects) == [provider_abort(6)]
