"""Each actor of an archive crashes at each of its steps, under load."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from kit.archive_objects import make_file
from kit.endpoints import running

from dicom_actors import connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.actors.disk_watch import DiskWatch
from dicom_actors.archive.actors.index_writer import IndexWriter
from dicom_actors.archive.actors.journal_store import JournalStore
from dicom_actors.archive.actors.kernel import ArchiveKernel
from dicom_actors.archive.actors.unpacker import Unpacker
from dicom_actors.archive.files import DiskFileSystem, JournalWriter, Store
from dicom_actors.archive.files.file_system import FileStatus
from dicom_actors.archive.files.placing import FilePlacing
from dicom_actors.archive.index import Index
from dicom_actors.archive.maintenance import verify
from dicom_actors.archive.upkeep import Unpacking
from dicom_actors.supervision import which_children

if TYPE_CHECKING:
    from collections.abc import Callable

SENDERS, EACH = 4, 12
SIZES = (64, 9_000, 40_000)
SETTINGS = {
    "reserve_bytes": 0,
    "warn_free_bytes": 0,
    "journal_object_bytes": 16_000,
    "journal_seconds": 0.02,
    "disk_interval": 0.01,
    "answer_timeout": 20.0,
}

pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("nothing_left")]


class InjectedCrash(BaseException):
    """What no code expects."""


# Which actor runs through it, the class, the method, and whether it crashes behind it.
STEPS: dict[str, tuple[str, type, str, bool]] = {
    "store takes an object": ("store", JournalStore, "handle_call", False),
    "store opens a journal": ("store", JournalStore, "_open", False),
    "store has opened a journal": ("store", JournalStore, "_open", True),
    "store writes an object": ("store", JournalWriter, "append", False),
    "store has written an object": ("store", JournalWriter, "append", True),
    "store synchronizes": ("store", JournalWriter, "synchronize", False),
    "store has synchronized": ("store", JournalWriter, "synchronize", True),
    "store hands on": ("store", JournalStore, "_hand_on", False),
    "store has handed on": ("store", JournalStore, "_hand_on", True),
    "store closes a journal": ("store", JournalStore, "_close", False),
    "store has closed a journal": ("store", JournalStore, "_close", True),
    "index takes rows": ("index", IndexWriter, "handle_cast", False),
    "index takes changes": ("index", IndexWriter, "handle_call", False),
    "index writes": ("index", Index, "write", False),
    "index has written": ("index", Index, "write", True),
    "index tells": ("index", IndexWriter, "_tell", False),
    "index has told": ("index", IndexWriter, "_tell", True),
    "unpacker takes work": ("unpacker", Unpacker, "handle_cast", False),
    "unpacker begins": ("unpacker", Unpacker, "work_off", False),
    "unpacker looks for what is left": ("unpacker", Unpacking, "recover", True),
    "unpacker has unpacked": ("unpacker", Unpacking, "unpack", True),
    "unpacker finds a place": ("unpacker", FilePlacing, "add", True),
    "unpacker makes places safe": ("unpacker", FilePlacing, "finish", False),
    "unpacker has made places safe": ("unpacker", FilePlacing, "finish", True),
    "unpacker tells the index": ("unpacker", Unpacking, "_learn", False),
    "unpacker has told the index": ("unpacker", Unpacking, "_learn", True),
    "unpacker removes": ("unpacker", Store, "remove", True),
    "disk looks": ("disk", DiskWatch, "_look", False),
    "disk has looked": ("disk", ArchiveKernel, "look_at_disk", True),
}


RARE = {
    "index takes rows",
    "unpacker takes work",
    "unpacker looks for what is left",
    "unpacker has unpacked",
}
"""Steps to which an actor comes seldom: it crashes each time."""


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Have the thread of an actor crash at a step, every so many times it comes there."""

    def arm(actor: str, owner: type, method: str, *, is_behind: bool, every: int) -> list[int]:
        original = getattr(owner, method)
        numbers, crashes = itertools.count(1), []

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            is_meant = _actor_of_this_thread() == actor
            number = next(numbers) if is_meant else 0
            is_time = is_meant and number % every == 0 and len(crashes) < 6
            if is_time and not is_behind:
                crashes.append(number)
                raise InjectedCrash(method)
            result = original(*args, **kwargs)
            if is_time:
                crashes.append(number)
                raise InjectedCrash(method)
            return result

        monkeypatch.setattr(owner, method, wrapped)
        return crashes

    return arm


def _actor_of_this_thread() -> str | None:
    ref = getattr(threading.current_thread(), "actor_ref", None)
    return None if ref is None else ref.life.name


def send(port: int, sender: int) -> dict[int, int]:
    """Send a series on one association; returns the status of each object."""
    statuses = {}
    with connect("127.0.0.1", port) as association:
        for number in range(1, EACH + 1):
            data = make_file(number, series=sender, size=SIZES[number % len(SIZES)])
            statuses[number] = association.store(read_file(data)).status
    return statuses


class WithoutLinks(DiskFileSystem):
    """A file system where a file has one name."""

    def link(self, name: str, new_name: str) -> bool:
        return False

    def file_status(self, name: str) -> FileStatus | None:
        status = super().file_status(name)
        return None if status is None else status._replace(links=1)


@pytest.mark.parametrize(
    ("step", "kind"),
    [(step, DiskFileSystem) for step in STEPS]
    + [(step, WithoutLinks) for step in STEPS if STEPS[step][0] == "unpacker"],
)
def test_no_sender_sees_more_than_a_failure_for_an_object(
    tmp_path, step, kind, crash_at, caplog, index_place
):
    caplog.set_level(logging.CRITICAL)
    actor, owner, method, is_behind = STEPS[step]
    every = 1 if step in RARE else 3
    crashes = crash_at(actor, owner, method, is_behind=is_behind, every=every)
    with Archive.open(tmp_path, file_system=kind(tmp_path), **SETTINGS) as archive:
        with (
            running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
            ThreadPoolExecutor(SENDERS) as pool,
        ):
            sent: list[dict[int, int]] = []
            work = functools.partial(send, endpoint.port)
            while not crashes and len(sent) < 50 * SENDERS:
                sent += pool.map(work, range(1, SENDERS + 1))
            assert crashes, "it never came to that step"
            # What failed is sent again, and then nothing is missing.
            crashes += [0] * 6
            again = list(pool.map(work, range(1, SENDERS + 1)))
        assert len(which_children(archive._supervisor)) == 6 + index_place.is_shared
        assert {status for one in sent for status in one.values()} <= {
            0x0000,
            0x0110,
            0xA700,
        }
        assert {status for one in again for status in one.values()} == {0x0000}
        archive.settle()
        assert archive.counts().instances == SENDERS * EACH
        problems: list[Any] = []
        verify(archive, problems.append)
        assert problems == []
        assert archive.waiting() == set()
        failed = sum(status != 0 for one in sent for status in one.values())
        # What an actor that crashes is at, of each sender, and what comes to it before it is gone.
        assert failed <= 6 * 2 * SENDERS
