"""What is awaited of a peer, and until when."""

from __future__ import annotations

import pytest

from dicom_actors import EndpointConfig
from dicom_actors.actors.connection.deadlines import Deadlines

CONFIG = EndpointConfig(write_timeout=60.0, pdu_timeout=30.0, idle_timeout=300.0)
MIB = 1 << 20


def test_nothing_is_awaited_at_first() -> None:
    deadlines = Deadlines()
    assert deadlines.earliest() is None
    assert deadlines.due(1e9) is None


def test_the_earliest_is_the_first_of_all() -> None:
    deadlines = Deadlines()
    deadlines.idle, deadlines.handler, deadlines.message = 30.0, 10.0, 20.0
    assert deadlines.earliest() == 10.0
    assert deadlines.due(9.9) is None
    assert deadlines.due(10.0) == "handler"
    assert deadlines.due(100.0) == "handler"
    deadlines.handler = None
    assert deadlines.due(20.0) == "message"


# --- output ----------------------------------------------------------------------------------


def test_what_is_all_sent_awaits_nothing() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 5 * MIB)
    assert deadlines.write == 60.0
    deadlines.await_output(59.0, CONFIG, 0)
    assert deadlines.write is None


@pytest.mark.parametrize("read", [0, 1, MIB - 1])
def test_a_peer_that_reads_too_little_gets_no_more_time(read: int) -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 5 * MIB)
    deadlines.await_output(50.0, CONFIG, 5 * MIB - read)
    assert deadlines.write == 60.0


def test_a_mebibyte_gives_all_the_time_again() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 5 * MIB)
    deadlines.await_output(50.0, CONFIG, 4 * MIB)
    assert deadlines.write == 110.0
    deadlines.await_output(100.0, CONFIG, 3 * MIB + 1)
    assert deadlines.write == 110.0
    deadlines.await_output(101.0, CONFIG, 3 * MIB)
    assert deadlines.write == 161.0


def test_a_mebibyte_in_small_pieces_does_so_too() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 2 * MIB)
    for piece in range(1, 1024):
        deadlines.await_output(piece / 100, CONFIG, 2 * MIB - piece * 1024)
        assert deadlines.write == 60.0
    deadlines.await_output(20.0, CONFIG, MIB)
    assert deadlines.write == 80.0


def test_more_to_send_is_no_progress_of_the_peer() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, MIB)
    deadlines.await_output(50.0, CONFIG, 3 * MIB)
    assert deadlines.write == 60.0
    # Nor is it held against it.
    deadlines.await_output(55.0, CONFIG, 2 * MIB)
    assert deadlines.write == 115.0


def test_what_is_less_than_a_mebibyte_has_one_deadline() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 1000)
    deadlines.await_output(30.0, CONFIG, 10)
    assert deadlines.write == 60.0
    deadlines.await_output(40.0, CONFIG, 0)
    deadlines.await_output(50.0, CONFIG, 1000)
    assert deadlines.write == 110.0


def test_after_clearing_it_begins_anew() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 9 * MIB)
    deadlines.clear()
    assert deadlines.earliest() is None
    deadlines.await_output(70.0, CONFIG, 10)
    assert deadlines.write == 130.0


# --- input -----------------------------------------------------------------------------------


def test_a_pdu_that_has_begun_has_one_deadline() -> None:
    deadlines = Deadlines()
    deadlines.await_input(0.0, CONFIG, has_begun=True, is_idle=False)
    deadlines.await_input(20.0, CONFIG, has_begun=True, is_idle=False)
    assert deadlines.pdu == 30.0


def test_an_idle_peer_is_awaited_only_where_it_is_its_turn() -> None:
    deadlines = Deadlines()
    deadlines.await_input(0.0, CONFIG, has_begun=False, is_idle=True)
    assert deadlines.idle == 300.0
    deadlines.await_input(5.0, CONFIG, has_begun=False, is_idle=False)
    assert deadlines.idle is None
    deadlines.await_input(6.0, EndpointConfig(idle_timeout=None), has_begun=False, is_idle=True)
    assert deadlines.earliest() is None


def test_at_the_end_only_the_peers_reading_and_closing_is_awaited() -> None:
    deadlines = Deadlines()
    deadlines.await_output(0.0, CONFIG, 10)
    deadlines.await_input(0.0, CONFIG, has_begun=True, is_idle=False)
    deadlines.artim, deadlines.handler, deadlines.message = 10.0, 20.0, 30.0
    deadlines.await_end()
    assert (deadlines.artim, deadlines.write) == (10.0, 60.0)
    assert (deadlines.pdu, deadlines.handler, deadlines.message) == (None, None, None)
