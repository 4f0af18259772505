"""The input buffer keeps every byte in order, and costs nothing when it is empty."""

from __future__ import annotations

from threading import Lock

from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.actors.connection.input_buffer import BufferPool, InputBuffer

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("receive"), st.binary(min_size=1, max_size=40)),
        st.tuples(st.just("consume"), st.integers(1, 60)),
        st.tuples(st.just("settle"), st.none()),
        st.tuples(st.just("park"), st.none()),
    ),
    max_size=60,
)


@given(steps=STEPS, plenty=st.sampled_from([0, 4]))
def test_what_goes_in_comes_out_once_and_in_order(
    steps: list[tuple[str, bytes | int | None]], plenty: int
) -> None:
    pool = BufferPool(64, plenty, Lock())
    buffer = InputBuffer(pool)
    expected = b""
    for step, argument in steps:
        if step == "receive":
            assert isinstance(argument, bytes)
            if len(expected) == 64:
                continue
            room = buffer.room()
            part = argument[: len(room)]
            assert part
            room[: len(part)] = part
            buffer.unread_length += len(part)
            expected += part
        elif step == "consume":
            assert isinstance(argument, int)
            length = min(argument, len(expected))
            buffer.consume(length)
            expected = expected[length:]
        elif step == "settle":
            buffer.settle()
        else:
            buffer.park()
            assert pool.lent == 0
        assert bytes(buffer.unread) == expected
        assert buffer.unread_length == len(expected)
    buffer.consume(len(expected))
    buffer.settle()
    assert pool.lent <= (1 if plenty else 0)  # for the next message, if there are enough
    buffer.park()
    assert pool.lent == 0


def test_a_scarce_pool_gets_its_buffer_back_with_a_part_left() -> None:
    pool = BufferPool(64, 0, Lock())
    buffer = InputBuffer(pool)
    buffer.room()[:3] = b"abc"
    buffer.unread_length += 3
    assert pool.lent == 1
    buffer.settle()
    assert pool.lent == 0
    assert bytes(buffer.unread) == b"abc"


def test_a_plentiful_pool_lends_the_same_buffer_again() -> None:
    pool = BufferPool(64, 4, Lock())
    first = pool.take()
    pool.give_back(first)
    assert pool.take() is first


def test_an_empty_buffer_is_kept_while_few_are_lent() -> None:
    pool = BufferPool(64, 4, Lock())
    buffers = [InputBuffer(pool) for _ in range(4)]
    for buffer in buffers:
        buffer.room()
    lent = []
    for buffer in buffers:
        buffer.settle()
        lent.append(pool.lent)
    assert lent == [3, 2, 2, 2]


def test_little_is_read_ahead_where_buffers_are_scarce_and_a_long_pdu_all_the_same() -> None:
    length = 1 << 20
    few, many = BufferPool(length, 4, Lock()), BufferPool(length, 0, Lock())
    assert len(InputBuffer(few).room()) == length
    buffer, rooms = InputBuffer(many), []
    while buffer.unread_length < length:
        rooms.append(len(buffer.room()))
        buffer.unread_length += rooms[-1]
        buffer.settle()
    assert rooms[0] <= 32 * 1024
    assert len(rooms) <= 7  # doubled each time: copied twice, whatever the length
    assert sum(rooms) == length


def test_clear_forgets_and_gives_back() -> None:
    pool = BufferPool(64, 4, Lock())
    buffer = InputBuffer(pool)
    buffer.room()[:1] = b"x"
    buffer.unread_length += 1
    buffer.clear()
    assert (buffer.unread_length, pool.lent) == (0, 0)
