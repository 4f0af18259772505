"""C-MOVE with destinations that die, hang and break the protocol, and with crashes of our own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from kit.certificates import Certificates
from kit.endpoints import LIMIT, running
from kit.fake_acceptor import CLOSE, FakeAcceptor, response
from kit.mover import Counts, Mover, destination, instance, moving_threads, uids
from kit.peer import CT_IMAGE
from kit.scripted import RESET, listening
from kit.waiting import until

from dicom_actors import DataSet, MoveTo, TlsConfig, events, messages
from dicom_actors.dimse import CommandField
from dicom_actors.pdu import Abort, ReleaseRq
from dicom_actors.testing import assert_healthy, crash_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from dicom_actors.dimse import Command

pytestmark = pytest.mark.usefixtures("nothing_left")

LOCAL = "127.0.0.1"


class Script(FakeAcceptor):
    """A destination that answers so many objects, and then says something else."""

    def __init__(self, good: int, *instead: Any) -> None:
        super().__init__()
        self._good = good
        self._instead = instead

    def on_message(self, context_id: int, command: Command, data: bytes | None) -> Iterable[Any]:
        assert command.command_field == CommandField.C_STORE_RQ
        if len(self.messages) <= self._good:
            yield response(context_id, command)
        else:
            yield from self._instead


WRONG = {
    "reset": (RESET,),
    "close": (CLOSE,),
    "abort": (Abort(0, 0), CLOSE),
    "release": (ReleaseRq(),),
    "garbage": (b"\xff" * 64,),
    "silence": (),
}


@pytest.mark.parametrize("good", [0, 3])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_destination_that_fails_half_way(wrong: str, good: int) -> None:
    with listening(Script(good, *WRONG[wrong])) as port, destination() as other:
        items = [instance(number) for number in range(8)]

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, port, "BROKEN", items, timeout=0.3 if wrong == "silence" else LIMIT),
                MoveTo(LOCAL, other.port, "OTHER", items),
            ]

        with running({"cmove": move}) as endpoint:
            with Mover.at(endpoint.port) as peer:
                peer.ask()
                pending, answer = peer.rest()
                assert len(pending) == 16
                assert answer.counts == (0xB000, None, 8 + good, 8 - good, 0)
                assert answer.failed == uids(*range(good, 8))
                assert answer.comment.startswith("BROKEN: ")
                assert peer.echo(2) == 0
            endpoint.wait_for(events.AssociationClosed)
            assert_healthy(endpoint.ref)
        assert other.uids == uids(*range(8))


def test_one_of_two_destinations_dies_in_the_middle_of_500() -> None:
    def instances() -> Iterator[DataSet]:
        for number in range(500):
            yield instance(number)

    def die(event: Any) -> None:
        if event.sop_instance_uid == "1.2.250":
            mortal.endpoint.ref.stop(block=False)
            until(lambda: event.is_cancelled)

    with destination(die) as mortal, destination() as other:

        def move(event: Any) -> list[MoveTo]:
            return [
                MoveTo(LOCAL, mortal.port, "MORTAL", (500, instances())),
                MoveTo(LOCAL, other.port, "OTHER", (500, instances())),
            ]

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            pending, answer = peer.rest()
        assert len(pending) == 1000
        for number, counts in enumerate(pending, start=1):
            done = [counts.completed, counts.failed, counts.warning]
            assert sum(count or 0 for count in done) == number == 1000 - (counts.remaining or 0)
        assert answer.counts == (0xB000, None, 750, 250, 0)
        assert answer.failed == uids(*range(250, 500))
        assert answer.comment.startswith("MORTAL: ")
        assert len(mortal.stored) == 251
        assert other.uids == uids(*range(500))


def test_a_destination_that_never_answers_the_association_request() -> None:
    with socket.create_server((LOCAL, 0)) as silent:
        port = silent.getsockname()[1]
        move = MoveTo(LOCAL, port, "SILENT", [instance(1), instance(2)], timeout=0.2)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
            assert answer.counts == (0xA702, None, 0, 2, 0)
            assert answer.failed == uids(1, 2)
            assert answer.comment.startswith("SILENT: no answer to the association request")


def test_a_destination_that_does_not_answer_the_release_costs_little() -> None:
    class Clinging(FakeAcceptor):
        def on_release(self) -> Iterable[Any]:
            return ()

    with listening(Clinging()) as port:
        move = MoveTo(LOCAL, port, "ARCHIVE", [instance(1)], timeout=3600)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            assert peer.answer().counts == (0, None, 1, 0, 0)


@pytest.mark.parametrize(
    ("point", "after"),
    [
        ("association.outcome", 0),
        ("association.reply", 0),
        ("association.replied", 0),
        ("association.command", 0),
        ("association.complete", 0),
    ],
)
def test_a_crash_of_the_association_does_not_touch_the_destination(point: str, after: int) -> None:
    with destination() as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(n) for n in range(5)])
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            assert peer.echo(1) == 0
            crash_at(endpoint.ref, point)
            peer.ask(2)
            endpoint.wait_for(events.ActorRestarted)
            answer = peer.answer()
            if answer.counts.status == 0:
                assert answer.counts == (0, None, 5, 0, 0)
                assert archive.uids == uids(*range(5))
            else:  # it crashed before the handler was asked
                assert answer.counts.status == 0x0110
            assert peer.echo(3) == 0


def test_a_crash_of_the_handler_tells_the_counts() -> None:
    with destination() as archive:
        move = MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(n) for n in range(5)])
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            crash_at(endpoint.ref, "handler.outcome")
            peer.ask()
            assert peer.answer().counts == (0x0110, None, 5, 0, 0)
            peer.ask(2)
            assert peer.answer().counts == (0, None, 5, 0, 0)


def test_many_moves_at_once_with_a_destination_that_comes_and_goes() -> None:
    good = threading.Event()

    def answer(event: Any) -> None:
        if not good.is_set() and event.dataset.PatientID == "2":
            archive.endpoint.ref.ask(messages.AbortAssociation(event.association.id))

    with destination(answer) as archive:

        def move(event: Any) -> MoveTo:
            return MoveTo(LOCAL, archive.port, "ARCHIVE", (instance(n) for n in range(4)))

        with running({"cmove": move}) as endpoint:
            peers = [Mover.at(endpoint.port) for _ in range(4)]
            for expected in ((0xB000, None, 2, 2, 0), (0, None, 4, 0, 0)):
                for peer in peers:
                    peer.ask()
                assert [peer.answer().counts for peer in peers] == [expected] * 4
                good.set()
            for peer in peers:
                peer.close()
            endpoint.wait_for(events.AssociationClosed, count=4)
            assert_healthy(endpoint.ref, associations=0)


# --- TLS -----------------------------------------------------------------------------------------


def test_a_destination_with_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    certificate, key = certificates.issue("archive")
    server = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
    certificate, key = certificates.issue("endpoint")
    client = TlsConfig(certificate=certificate, key=key, authorities=certificates.authority)
    (tmp_path / "others").mkdir()
    others = TlsConfig(authorities=Certificates(tmp_path / "others").authority)
    with destination(tls=server) as archive:

        def move(event: Any) -> MoveTo:
            tls = client if event.destination == "GOOD" else others
            return MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(1)], tls=tls)

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask(1, "GOOD")
            assert peer.answer().counts == (0, None, 1, 0, 0)
            peer.ask(2, "BAD")
            answer = peer.answer()
            assert answer.counts == (0xA702, None, 0, 1, 0)
            assert answer.comment.startswith("ARCHIVE: the TLS handshake failed")


@pytest.mark.parametrize("speaks_tls", [False, True])
def test_a_cancel_does_not_wait_for_an_association(tmp_path: Path, *, speaks_tls: bool) -> None:
    tls = TlsConfig(authorities=Certificates(tmp_path).authority) if speaks_tls else None
    with socket.create_server((LOCAL, 0)) as silent:
        port = silent.getsockname()[1]
        move = MoveTo(LOCAL, port, "SILENT", [instance(1)], timeout=3600, tls=tls)
        with running({"cmove": lambda event: move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            connection, _ = silent.accept()
            with connection:
                assert connection.recv(1)  # an association request, or the handshake
                assert moving_threads()
                peer.cancel()
                assert peer.answer() == (Counts(0xFE00, 0, 0, 1, 0), "", uids(1))


def test_settings_that_cannot_work_fail_one_destination_alone(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with destination() as archive:

        def move(event: Any) -> list[MoveTo]:
            tls = TlsConfig(authorities=tmp_path / "empty")
            return [
                MoveTo(LOCAL, archive.port, "SECURE", [instance(1)], tls=tls),
                MoveTo(LOCAL, archive.port, "ARCHIVE", [instance(1, CT_IMAGE)]),
            ]

        with running({"cmove": move}) as endpoint, Mover.at(endpoint.port) as peer:
            peer.ask()
            answer = peer.answer()
        assert answer.counts == (0xB000, None, 1, 1, 0)
        assert answer.comment.startswith("SECURE: ")
