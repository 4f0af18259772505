"""Queries that are made to be costly, and moves to where nobody shall be reached."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
from kit.finder import Finder, find_pdus
from kit.mover import Mover, instance, moving_threads
from kit.siege import besieged

from dicom_actors import DataSet, MoveTo, Status, events
from dicom_actors.data.dictionary import vr_of
from dicom_actors.dimse import fragment
from dicom_actors.pdu import PDataTf

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]

LOCAL = "127.0.0.1"
SEQUENCE = "RequestAttributesSequence"


def studies(count: int = 3, **more: Any) -> list[DataSet]:
    """What can be asked for."""
    return [
        DataSet.from_keywords(StudyInstanceUID=f"1.2.{number}", **more) for number in range(count)
    ]


def select(*rows: DataSet) -> Any:
    """A ``cfind`` handler that matches by the rules of the standard."""
    return lambda event: event.query.select(rows)


def nested(depth: int) -> DataSet:
    """A key below so many sequences."""
    keys = DataSet.from_keywords(PatientID="*")
    for _ in range(depth):
        keys = DataSet.from_keywords(**{SEQUENCE: [keys]})
    return keys


def nested_pdus(message_id: int, depth: int) -> list[PDataTf]:
    """A query with a key below more sequences than anybody would write."""
    *command, _ = find_pdus(message_id)
    begin = struct.pack("<HHLHHL", 0x0040, 0x0275, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    data = begin * depth + struct.pack("<HHL", 0x0010, 0x0020, 0) + end * depth
    pdvs = fragment(3, data, 16384, is_command=False)
    return [*command, *(PDataTf((pdv,)) for pdv in pdvs)]


# --- 28: queries ---------------------------------------------------------------------------------


def test_row_28_stars_in_every_key_match_all() -> None:
    query = DataSet.from_keywords(StudyInstanceUID=None)
    for tag in range(0x00100000, 0x00110000):
        if (vr := vr_of(tag)) in {"LO", "SH", "PN", "LT", "CS"}:
            query.put(tag, vr, ["*"])
    assert len(query) > 40
    handlers = {"cfind": select(*studies(PatientID="7"))}
    with besieged(handlers) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1, query))
        matches, status = peer.rest()
        assert ([match.PatientID for match in matches], status) == (["7"] * 3, Status.SUCCESS)


def test_row_28_a_thousand_wild_cards_in_a_value_are_matched_in_linear_time() -> None:
    """A matcher that tries again and again would not come to an end."""
    query = DataSet.from_keywords(StudyInstanceUID=None, PatientComments="*a" * 1_000 + "b")
    handlers = {"cfind": select(*studies(PatientComments="a" * 8_000))}
    with besieged(handlers) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1, query))
        assert peer.rest() == ([], Status.SUCCESS)


def test_row_28_a_key_is_no_regular_expression() -> None:
    query = DataSet.from_keywords(StudyInstanceUID=None, PatientComments="(a+)+$[*")
    rows = (*studies(1, PatientComments="aaaa"), *studies(2, PatientComments="(a+)+$[b"))
    with besieged({"cfind": select(*rows)}) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1, query))
        matches, status = peer.rest()
        assert ([str(match.PatientComments) for match in matches], status) == (
            ["(a+)+$[b"] * 2,
            Status.SUCCESS,
        )


@pytest.mark.parametrize("depth", [65, 3_000])
def test_row_28_keys_that_are_too_deep_are_refused(depth: int) -> None:
    with besieged({"cfind": select(*studies())}) as siege, Finder.at(siege.port) as peer:
        peer.send(*nested_pdus(1, depth))
        assert peer.next_response() == (Status.UNABLE_TO_PROCESS, None)
        peer.send(*find_pdus(2))
        assert len(peer.rest()[0]) == 3


def test_row_28_deep_keys_are_matched() -> None:
    query = nested(30)
    query.StudyInstanceUID = None
    (row,) = studies(1)
    row.put(SEQUENCE, "SQ", list(nested(30)[SEQUENCE]))
    with besieged({"cfind": select(row)}) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1, query))
        matches, status = peer.rest()
        assert ([match.StudyInstanceUID for match in matches], status) == (["1.2.0"], 0)


def test_row_28_more_matches_than_the_limit_are_out_of_resources() -> None:
    def find(event: Any) -> Iterator[DataSet]:
        while True:
            yield from studies()

    with besieged({"cfind": find}, max_matches=100) as siege, Finder.at(siege.port) as peer:
        peer.send(*find_pdus(1))
        matches, status = peer.rest()
        assert (len(matches), status) == (100, Status.OUT_OF_RESOURCES)
        assert siege.endpoint.wait_for(events.LimitReached)[0].name == "max_matches"


# --- 29: moves -----------------------------------------------------------------------------------


@pytest.mark.parametrize("destination", ["ELSEWHERE", "127.0.0.1", "127.0.0.1:22", "archive", "*"])
def test_row_29_a_destination_that_is_not_configured_is_unknown(destination: str) -> None:
    """The destination that a peer names is looked up; it is never an address."""
    with socket.create_server((LOCAL, 0)) as server:
        known = {"ARCHIVE": (LOCAL, server.getsockname()[1])}

        def move(event: Any) -> MoveTo | Status:
            if event.destination not in known:
                return Status.MOVE_DESTINATION_UNKNOWN
            return MoveTo(*known[event.destination], event.destination, [instance(1)])

        with besieged({"cmove": move}) as siege, Mover.at(siege.port) as peer:
            peer.ask(destination=destination)
            answer = peer.answer()
            assert (answer.counts.status, answer.failed) == (0xA801, [])
            assert moving_threads() == []


def test_row_29_the_address_of_a_destination_is_not_told() -> None:
    with socket.create_server((LOCAL, 0)) as server:
        port = server.getsockname()[1]
    move = {"cmove": lambda event: MoveTo(LOCAL, port, "ARCHIVE", [instance(1)])}
    with besieged(move) as siege, Mover.at(siege.port) as peer:
        peer.ask()
        answer = peer.answer()
        assert (answer.counts.status, answer.failed) == (0xA702, ["1.2.1"])
        assert answer.comment == "ARCHIVE: connection refused"
