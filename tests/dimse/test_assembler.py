"""Messages from fragments, however they were cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    CommandReceived,
    DataReceived,
    MessageAssembler,
    MessageLimits,
    encode_command,
)
from dicom_actors.errors import InvalidPduError, UnexpectedPduError
from dicom_actors.pdu import Pdv


def command(*, has_data_set: bool, message_id: int = 1) -> bytes:
    return encode_command(
        {
            CommandElement.COMMAND_FIELD: CommandField.C_STORE_RQ,
            CommandElement.MESSAGE_ID: message_id,
        },
        has_data_set=has_data_set,
    )


def cut(data: bytes, cuts: list[int], context_id: int, *, is_command: bool) -> list[Pdv]:
    places = [0, *sorted({c % (len(data) + 1) for c in cuts}), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(places)]
    return [
        Pdv(context_id, is_command, i == len(parts) - 1, memoryview(part))
        for i, part in enumerate(parts)
    ]


def test_data_may_be_passed_without_being_looked_at() -> None:
    assembler = MessageAssembler({1, 3})
    for context_id, expected in ((1, UnexpectedPduError), (5, InvalidPduError)):
        with pytest.raises(expected):
            assembler.pass_data(context_id, is_last=True)
    assembler.receive(Pdv(1, True, True, command(has_data_set=True)))
    with pytest.raises(InvalidPduError, match="context 1, got a data set fragment on context 3"):
        assembler.pass_data(3, is_last=True)
    assembler.pass_data(1, is_last=False)
    assert assembler.partial is not None
    assembler.pass_data(1, is_last=True)
    assert assembler.partial is None


@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from([1, 3, 5]),
            st.one_of(st.none(), st.binary(max_size=64)),
            st.lists(st.integers(0, 200), max_size=4),
        ),
        max_size=5,
    )
)
def test_any_legal_fragmentation_gives_the_same_messages(
    messages: list[tuple[int, bytes | None, list[int]]],
) -> None:
    assembler = MessageAssembler({1, 3, 5})
    got: list[tuple[int, int, bytes | None]] = []
    for number, (context_id, data, cuts) in enumerate(messages):
        raw = command(has_data_set=data is not None, message_id=number)
        pdvs = cut(raw, cuts, context_id, is_command=True)
        if data is not None:
            pdvs += cut(data, cuts, context_id, is_command=False)
        commands, payload = [], b""
        for pdv in pdvs:
            event = assembler.receive(pdv)
            if isinstance(event, CommandReceived):
                commands.append(event)
            elif isinstance(event, DataReceived):
                payload += bytes(event.data)
        assert len(commands) == 1
        assert assembler.partial is None
        got.append(
            (
                commands[0].context_id,
                commands[0].command.message_id,
                payload if data is not None else None,
            )
        )
    assert got == [(c, n, data) for n, (c, data, _) in enumerate(messages)]


def test_a_successor_goes_on_in_the_middle_of_a_command() -> None:
    raw = command(has_data_set=False, message_id=77)
    first = MessageAssembler({1})
    assert first.receive(Pdv(1, True, False, raw[:10])) is None
    event = MessageAssembler({1}, first.partial).receive(Pdv(1, True, True, raw[10:]))
    assert isinstance(event, CommandReceived)
    assert event.command.message_id == 77


def test_a_context_that_was_not_accepted_is_refused() -> None:
    with pytest.raises(InvalidPduError, match="context 7 was not accepted") as caught:
        MessageAssembler({1}).receive(Pdv(7, True, True, command(has_data_set=False)))
    assert caught.value.abort_reason == 6


def test_data_before_a_command_is_unexpected() -> None:
    with pytest.raises(UnexpectedPduError) as caught:
        MessageAssembler({1}).receive(Pdv(1, False, True, b"data"))
    assert caught.value.abort_reason == 2


def test_data_that_was_not_announced_is_unexpected() -> None:
    assembler = MessageAssembler({1})
    assembler.receive(Pdv(1, True, True, command(has_data_set=False)))
    with pytest.raises(UnexpectedPduError):
        assembler.receive(Pdv(1, False, True, b"data"))


@pytest.mark.parametrize(
    "intruder",
    [Pdv(3, False, True, b""), Pdv(1, True, True, b""), Pdv(3, True, True, b"")],
    ids=["data of another context", "a command", "a command of another context"],
)
def test_interleaved_messages_are_refused(intruder: Pdv) -> None:
    assembler = MessageAssembler({1, 3})
    assembler.receive(Pdv(1, True, True, command(has_data_set=True)))
    assembler.receive(Pdv(1, False, False, b"half"))
    with pytest.raises(InvalidPduError) as caught:
        assembler.receive(intruder)
    assert caught.value.abort_reason == 5


LIMITS = MessageLimits()


def taken(assembler: MessageAssembler, pdv: Pdv, at_most: int) -> int:
    """How many of the same are taken before the peer is thought to be broken."""
    number = 0
    with pytest.raises(InvalidPduError) as caught:
        while number < at_most:
            assembler.receive(pdv)
            number += 1
    assert caught.value.abort_reason == 6
    return number


def test_a_command_without_end_is_refused() -> None:
    part = b"\0" * 4096
    pdv = Pdv(1, True, False, part)
    whole = LIMITS.max_command_length // len(part)
    assert taken(MessageAssembler({1}), pdv, 2 * whole) == whole


def test_a_command_in_one_value_is_bounded_too() -> None:
    assembler = MessageAssembler({1}, limits=MessageLimits(max_command_length=99))
    with pytest.raises(InvalidPduError, match="at most 99 bytes, got 100 and more"):
        assembler.receive(Pdv(1, True, True, bytes(100)))


@pytest.mark.parametrize("part", [b"", b"\0"], ids=["empty", "a byte"])
def test_the_fragments_of_a_command_are_counted(part: bytes) -> None:
    assembler = MessageAssembler({1})
    pdv = Pdv(1, True, False, part)
    assert taken(assembler, pdv, 2_000_000) == LIMITS.max_command_fragments - 1


def test_a_command_may_have_as_many_fragments_as_that() -> None:
    raw = command(has_data_set=False)
    fragments = [b""] * (LIMITS.max_command_fragments - 2) + [raw[:7], raw[7:]]
    assembler = MessageAssembler({1})
    for part in fragments[:-1]:
        assert assembler.receive(Pdv(1, True, False, part)) is None
    assert isinstance(assembler.receive(Pdv(1, True, True, fragments[-1])), CommandReceived)


def test_a_successor_counts_on() -> None:
    first = MessageAssembler({1})
    for _ in range(600):
        first.receive(Pdv(1, True, False, b""))
    second = MessageAssembler({1}, first.partial)
    assert taken(second, Pdv(1, True, False, b""), 1000) == LIMITS.max_command_fragments - 601


@pytest.mark.parametrize("between", [None, b"\0\0"], ids=["in a row", "among others"])
def test_empty_fragments_of_a_data_set_are_counted(between: bytes | None) -> None:
    assembler = MessageAssembler({1})
    for _ in range(2):  # each message anew
        assembler.receive(Pdv(1, True, True, command(has_data_set=True)))
        for _ in range(LIMITS.max_empty_fragments):
            assert assembler.receive(Pdv(1, False, False, memoryview(b""))) is not None
            if between is not None:
                assembler.receive(Pdv(1, False, False, between))
        last = assembler.receive(Pdv(1, False, True, b""))
        assert isinstance(last, DataReceived)
        assert last.is_last
    assembler.receive(Pdv(1, True, True, command(has_data_set=True)))
    assert taken(assembler, Pdv(1, False, False, b""), 200_000) == LIMITS.max_empty_fragments
