"""Broken and hostile messages within an association: P-DATA, command sets, data sets."""

from __future__ import annotations

import errno
import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest
from kit import wire
from kit.siege import besieged, status_of

from dicom_actors import events, messages
from dicom_actors.actors.storing import part_file
from dicom_actors.dimse import MessageLimits, decode_command
from dicom_actors.pdu import ReleaseRp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

ECHO = wire.p_data(wire.pdv(wire.echo_rq()))
FIRST = wire.pdv(wire.store_rq(), 3)


# --- 20 and 21: presentation data values -----------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        wire.p_data(b"\0\0\0\0"),
        wire.p_data(b"\0\0\0\1\1"),
        wire.p_data(wire.pdv(b"abc", length=6)),
        wire.p_data(wire.pdv(b"abc", length=0xFFFFFFFF)),
        wire.p_data(wire.pdv(wire.echo_rq()), b"\0\0"),
        wire.p_data(wire.pdv(wire.echo_rq()), wire.pdv(b"x", length=4)),
        wire.p_data(wire.pdv(wire.echo_rq()), wire.pdv(b"", length=1)),
    ],
    ids=["length 0", "length 1", "one byte past", "4 GiB", "half a header", "second past",
         "second too short"],
)  # fmt: skip
def test_row_20_a_value_that_does_not_fit_its_pdu_is_invalid(data: bytes) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(data)
        peer.expect_abort(2, 6)


def test_row_20_a_p_data_without_values_is_ignored_and_capped() -> None:
    with besieged() as siege, siege.associated() as peer:
        for _ in range(3):
            peer.send(wire.p_data() * 1_000, ECHO)
            assert status_of(peer.receive()) == (1, 0)
        peer.send(wire.p_data() * 1_001)
        peer.expect_abort(2, 6)


def test_row_20_values_without_bytes_are_fragments_like_others() -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.echo_rq(3)
        empty = wire.pdv(b"", last=False)
        peer.send(wire.p_data(empty, wire.pdv(command[:9], last=False), empty))
        peer.send(wire.p_data(wire.pdv(command[9:], last=False), wire.pdv(b"")))
        assert status_of(peer.receive()) == (3, 0)


@pytest.mark.parametrize("number", [0, 2, 5, 255])
def test_row_21_a_context_that_was_not_accepted_is_invalid(number: int) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(wire.pdv(wire.echo_rq(), number)))
        peer.expect_abort(2, 6)


@pytest.mark.parametrize(
    "second",
    [
        wire.pdv(wire.echo_rq(), 1),
        wire.pdv(wire.echo_rq(), 3),
        wire.pdv(b"\0\0", 1, command=False),
    ],
    ids=["command elsewhere", "command on the same context", "data elsewhere"],
)
def test_row_21_fragments_of_two_messages_are_not_mixed(second: bytes) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(FIRST, wire.pdv(b"\0\0", 3, command=False, last=False), second))
        peer.expect_abort(2, 5)


def test_row_21_commands_are_not_mixed_either() -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.echo_rq()
        peer.send(wire.p_data(wire.pdv(command[:10], 1, last=False), wire.pdv(command, 3)))
        peer.expect_abort(2, 5)


def test_row_21_data_before_a_command_is_unexpected() -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(wire.pdv(wire.DATA_SET, 3, command=False)))
        peer.expect_abort(2, 2)


# --- 22 and 23: command sets -----------------------------------------------------------------


FRAGMENTS = MessageLimits()


def test_row_20_empty_fragments_of_a_data_set_are_capped() -> None:
    limit = FRAGMENTS.max_empty_fragments
    empty = wire.p_data(wire.pdv(b"", 3, command=False, last=False))
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(FIRST), empty * (limit - 1), wire.p_data())
        peer.send(wire.p_data(wire.pdv(wire.DATA_SET, 3, command=False)))
        assert status_of(peer.receive()) == (1, 0)
        peer.send(wire.p_data(FIRST), empty * (limit + 1))
        peer.expect_abort(2, 6)


def test_row_22_a_command_set_of_more_than_64_kib_is_invalid() -> None:
    with besieged() as siege, siege.associated() as peer:
        comment = wire.element(0x0902, bytes(66_000))
        peer.send(wire.p_data(wire.pdv(wire.command_set(comment))))
        peer.expect_abort(2, 6)


@pytest.mark.parametrize(
    ("piece", "count"),
    [
        (b"\0" * 1000, FRAGMENTS.max_command_length // 1000),
        (b"\0", FRAGMENTS.max_command_fragments - 1),
        (b"", FRAGMENTS.max_command_fragments - 1),
    ],
    ids=["long", "a byte each", "empty"],
)
@pytest.mark.parametrize("together", [False, True], ids=["in PDUs of their own", "in one PDU"])
def test_row_22_command_fragments_without_end_are_invalid(
    piece: bytes, count: int, together: bool
) -> None:
    with besieged() as siege, siege.associated() as peer:
        fragment = wire.pdv(piece, last=False)
        peer.send(wire.p_data(*[fragment] * count) if together else wire.p_data(fragment) * count)
        siege.until(lambda: siege.record().unread_length == 0)
        assert not siege.record().is_ending
        peer.send(wire.p_data(fragment))
        peer.expect_abort(2, 6)


def test_row_22_a_command_that_stops_half_way_is_aborted_at_the_dimse_deadline() -> None:
    with besieged(dimse_timeout=300.0) as siege, siege.associated() as peer:
        peer.send(wire.p_data(wire.pdv(wire.echo_rq()[:20], last=False)))
        siege.until(lambda: siege.record().partial is not None)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(300.0)
        peer.expect_abort(2, 0)


BROKEN_COMMANDS = {
    "empty": b"",
    "half an element": wire.echo_rq()[:-1],
    "an element past the end": wire.command_set(wire.us(0x0100, 0x30)) + b"\0\0\x10\1\xff\0\0\0",
    "an undefined length": wire.command_set(wire.us(0x0100, 0x30)) + b"\0\0\x10\1\xff\xff\xff\xff",
    "another group": wire.command_set(wire.us(0x0100, 0x30)) + wire.element(0x10, b"ab", 0x10),
    "no command field": wire.command_set(wire.us(0x0110, 1), wire.us(0x0800, 0x0101)),
    "no message id": wire.command_set(
        wire.ui(2, wire.VERIFICATION), wire.us(0x0100, 0x30), wire.us(0x0800, 0x0101)
    ),
    "no data set type": wire.command_set(wire.us(0x0100, 0x30), wire.us(0x0110, 1)),
    "a number of one byte": wire.command_set(
        wire.element(0x0100, b"\x30"), wire.us(0x0110, 1), wire.us(0x0800, 0x0101)
    ),
    "noise": bytes(range(256)),
}


@pytest.mark.parametrize("name", BROKEN_COMMANDS)
def test_row_23_a_command_set_that_cannot_be_answered_is_invalid(name: str) -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(wire.pdv(BROKEN_COMMANDS[name])))
        peer.expect_abort(2, 6)


def test_row_23_a_group_length_that_is_missing_or_wrong_does_not_matter() -> None:
    elements = (wire.ui(2, wire.VERIFICATION), wire.us(0x0100, 0x30), wire.us(0x0110, 4),
                wire.us(0x0800, 0x0101))  # fmt: skip
    with besieged() as siege, siege.associated() as peer:
        peer.send(wire.p_data(wire.pdv(wire.command_set(*elements, group_length=False))))
        assert status_of(peer.receive()) == (4, 0)
        wrong = wire.element(0, b"\xff\xff\0\0") + b"".join(elements)
        peer.send(wire.p_data(wire.pdv(wrong)))
        assert status_of(peer.receive()) == (4, 0)


@pytest.mark.parametrize("field", [0x0000, 0x0002, 0x0050, 0x0777, 0x7FFF])
def test_row_23_an_unknown_command_field_is_an_unrecognized_operation(field: int) -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.command_set(
            wire.ui(2, wire.VERIFICATION),
            wire.us(0x0100, field),
            wire.us(0x0110, 5),
            wire.us(0x0800, 0x0101),
        )
        peer.send(wire.p_data(wire.pdv(command)))
        assert status_of(peer.receive()) == (5, 0x0211)
        peer.send(ECHO)
        assert status_of(peer.receive()) == (1, 0)


def test_row_23_an_unknown_command_field_with_a_data_set_is_read_to_its_end() -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.command_set(
            wire.ui(2, wire.CT_IMAGE),
            wire.us(0x0100, 0x0777),
            wire.us(0x0110, 5),
            wire.us(0x0800, 1),
        )
        peer.send(wire.p_data(wire.pdv(command, 3), wire.pdv(bytes(5000), 3, command=False)))
        assert status_of(peer.receive()) == (5, 0x0211)


def test_row_23_a_missing_sop_class_is_an_unrecognized_operation() -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.command_set(
            wire.us(0x0100, 0x30), wire.us(0x0110, 6), wire.us(0x0800, 0x0101)
        )
        peer.send(wire.p_data(wire.pdv(command)))
        assert status_of(peer.receive()) == (6, 0x0211)


@pytest.mark.parametrize("field", [0x8001, 0x8030, 0x8020, 0x8777])
def test_row_23_a_response_that_nobody_asked_for_is_unexpected(field: int) -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.command_set(
            wire.ui(2, wire.CT_IMAGE),
            wire.us(0x0100, field),
            wire.us(0x0120, 1),
            wire.us(0x0800, 0x0101),
            wire.us(0x0900, 0),
        )
        peer.send(wire.p_data(wire.pdv(command, 3)))
        peer.expect_abort(2, 2)


# --- 24 and 25: data sets --------------------------------------------------------------------


def test_row_24_a_data_set_that_never_comes_is_aborted_at_the_dimse_deadline() -> None:
    with besieged(dimse_timeout=300.0) as siege, siege.associated() as peer:
        peer.send(wire.p_data(FIRST))
        siege.until(lambda: siege.record().incarnation.deadlines.message is not None)
        siege.sync(f"association {siege.record().id}")
        siege.clock.advance(299.9)
        siege.sync(f"association {siege.record().id}")
        assert not siege.record().is_ending
        siege.clock.advance(0.1)
        peer.expect_abort(2, 0)


def test_row_24_a_data_set_that_drips_is_aborted_at_the_dimse_deadline() -> None:
    with besieged(dimse_timeout=300.0) as siege, siege.associated() as peer:
        peer.send(wire.p_data(FIRST))
        drop = wire.p_data(wire.pdv(b"\0\0", 3, command=False, last=False))
        for count in range(1, 30):
            peer.send(drop)
            siege.until(lambda count=count: siege.record().incarnation.received_length == 2 * count)
            siege.clock.advance(10.0)
        siege.sync(f"association {siege.record().id}")
        assert not siege.record().is_ending
        siege.clock.advance(10.0)
        peer.expect_abort(2, 0)


def test_row_24_a_data_set_that_was_not_announced_is_aborted() -> None:
    with besieged() as siege, siege.associated() as peer:
        command = wire.pdv(wire.store_rq(data_set=False), 3)
        peer.send(wire.p_data(command))
        assert status_of(peer.receive()) == (1, 0x0212)
        peer.send(wire.p_data(wire.pdv(wire.DATA_SET, 3, command=False)))
        peer.expect_abort(2, 2)


@pytest.mark.parametrize("spool_bytes", [0, 4000, 1 << 20])
def test_row_25_a_data_set_beyond_the_quota_is_out_of_resources(
    spool_bytes: int, tmp_path: Path
) -> None:
    stored: list[Any] = []
    settings = {"spool_bytes": spool_bytes, "max_object_bytes": 5000, "spool_directory": tmp_path}
    with besieged({"cstore": lambda e: stored.append(e.length)}, **settings) as siege:
        with siege.associated() as peer:
            peer.send(wire.store(1, bytes(5001)))
            assert status_of(peer.receive()) == (1, 0xA700)
            large = [wire.pdv(bytes(10_000), 3, command=False, last=n == 99) for n in range(100)]
            peer.send(wire.p_data(wire.pdv(wire.store_rq(2), 3)), *map(wire.p_data, large))
            assert status_of(peer.receive()) == (2, 0xA700)
            peer.send(wire.store(3, wire.data_set_of(5000)))
            assert status_of(peer.receive()) == (3, 0)
            limits = siege.endpoint.wait_for(events.LimitReached, 2)
            assert {limit.name for limit in limits} == {"max_object_bytes"}
    assert stored == [5000]
    assert list(tmp_path.iterdir()) == []


def failing_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> Callable[[], None]:
    """Let writing to spool files fail until the returned function is called."""
    real = os.writev
    full = [True]

    def writev(file: int, parts: Any) -> int:
        if not full[0]:
            return real(file, parts)
        real(file, [bytes(parts[0])[:10]])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(part_file.os, "writev", writev)
    return lambda: full.clear() or full.append(False)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
def test_row_25_a_full_disk_is_out_of_resources_until_it_is_over(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_room = failing_writes(monkeypatch, number)
    folder = tmp_path / "kept"
    with besieged(
        {"cstore": lambda event: event.save(folder) and None},
        spool_bytes=0,
        spool_directory=tmp_path,
    ) as siege:
        with siege.associated() as peer:
            for message_id in (1, 2):
                peer.send(wire.store(message_id, wire.data_set_of(50_000)))
                response = peer.receive()
                assert status_of(response) == (message_id, 0xA700)
                comment = decode_command(bytes(response.pdvs[0].data)).elements
                assert comment.value_for("ErrorComment") == os.strerror(number)
                assert list(tmp_path.iterdir()) == []
            has_room()
            peer.send(wire.store(3))
            assert status_of(peer.receive()) == (3, 0)
            peer.send(wire.RELEASE_RQ)
            peer.expect(ReleaseRp)
    assert [path.name for path in folder.iterdir()] == ["1.2.3.dcm"]


def test_row_25_a_spool_directory_that_is_gone_is_out_of_resources(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    with besieged(spool_bytes=0, spool_directory=folder) as siege, siege.associated() as peer:
        folder.rmdir()
        peer.send(wire.store(1))
        assert status_of(peer.receive()) == (1, 0xA700)
        folder.mkdir()
        peer.send(wire.store(2))
        assert status_of(peer.receive()) == (2, 0)


# --- 26: data sets that are not what their command says --------------------------------------

CLASS = wire.element(0x16, b"1.2.840.10008.5.1.4.1.1.2\0", group=8)
OTHER_CLASS = wire.element(0x16, b"1.2.840.10008.5.1.4.1.1.4\0", group=8)
INSTANCE = wire.element(0x18, b"1.2.3\0", group=8)
OTHER_INSTANCE = wire.element(0x18, b"1.2.34", group=8)
PATIENT = wire.element(0x20, b"ABC ", group=0x10)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (CLASS + INSTANCE, 0),
        (b"", 0xC000),
        (INSTANCE, 0xA900),
        (CLASS, 0xA900),
        (PATIENT, 0xA900),
        (OTHER_CLASS + INSTANCE, 0xA900),
        (CLASS + OTHER_INSTANCE, 0xA900),
        (OTHER_CLASS + OTHER_INSTANCE, 0xA900),
        (CLASS + INSTANCE + b"\x10\0\x10\0\xff\xff\xff\x7fDoe^Jane", 0xC000),
        (CLASS + INSTANCE + b"\x10\0\x10", 0xC000),
    ],
)
def test_row_26_a_data_set_must_be_that_of_its_command(data: bytes, status: int) -> None:
    called = []
    with besieged({"cstore": called.append}) as siege, siege.associated() as peer:
        peer.send(wire.store(1, data))
        assert status_of(peer.receive()) == (1, status)
        peer.send(wire.store(2))
        assert status_of(peer.receive()) == (2, 0)
    assert len(called) == 1 + (status == 0)


def test_row_26_it_need_not_where_the_configuration_says_so() -> None:
    handlers = {"cstore": lambda event: None}
    with besieged(handlers, check_instances=False) as siege, siege.associated() as peer:
        for number, data in enumerate((OTHER_CLASS + OTHER_INSTANCE, b"\x10\0\x10"), 1):
            peer.send(wire.store(number, data))
            assert status_of(peer.receive()) == (number, 0)


def test_row_26_a_sop_class_without_a_handler_is_not_supported() -> None:
    with besieged({"cstore": lambda event: None}) as siege, siege.associated() as peer:
        siege.endpoint.ref.ask(messages.SetHandlers({"cecho": lambda event: None}))
        peer.send(wire.store(1))
        assert status_of(peer.receive()) == (1, 0x0122)


@pytest.mark.parametrize("handlers", [{}, {"cecho": lambda event: None}])
def test_row_26_what_is_verified_is_the_verification_class(handlers: Any) -> None:
    with besieged({**handlers, "cstore": lambda event: None}) as siege, siege.associated() as peer:
        echo = wire.command_set(
            wire.ui(0x0002, wire.CT_IMAGE),
            wire.us(0x0100, 0x0030),
            wire.us(0x0110, 1),
            wire.us(0x0800, 0x0101),
        )
        peer.send(wire.p_data(wire.pdv(echo, 3)))  # on the context of CT images
        assert status_of(peer.receive()) == (1, 0x0122)
        peer.send(ECHO)
        assert status_of(peer.receive()) == (1, 0)


# --- 27: cancelling what is not there --------------------------------------------------------


def cancel(message_id: int) -> bytes:
    return wire.p_data(wire.pdv(wire.cancel_rq(message_id)))


def test_row_27_cancelling_nothing_is_ignored() -> None:
    with besieged() as siege, siege.associated() as peer:
        peer.send(cancel(1), cancel(77), ECHO, cancel(1))
        assert status_of(peer.receive()) == (1, 0)
        peer.send(wire.RELEASE_RQ)
        peer.expect(ReleaseRp)
        assert siege.endpoint.status().ignored_cancels == 3


def test_row_27_a_flood_of_cancels_is_ignored_and_keeps_nothing() -> None:
    with besieged() as siege, siege.associated() as peer:
        for start in range(0, 60_000, 5_000):
            peer.send(b"".join(map(cancel, range(start, start + 5_000))), ECHO)
            assert status_of(peer.receive()) == (1, 0)
        assert siege.record()._cancelled == frozenset()
        assert siege.endpoint.status().ignored_cancels == 60_000


def test_row_27_cancelling_a_store_that_runs_is_told_to_its_handler() -> None:
    seen = []

    def handle(event: Any) -> None:
        for _ in itertools.takewhile(lambda _: not event.is_cancelled, itertools.count()):
            event.association  # noqa: B018 - something to do between the looks
        seen.append(event.is_cancelled)

    with besieged({"cstore": handle}, async_window=2) as siege, siege.associated() as peer:
        peer.send(wire.store(5), cancel(5))
        assert status_of(peer.receive()) == (5, 0)
    assert seen == [True]
