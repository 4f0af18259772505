"""When a study is complete: random schedules against a model, and the archive as a whole."""

from __future__ import annotations

import queue
import random
from dataclasses import dataclass, field

import pykka
import pytest
from kit.archive_objects import make_file, uid_of
from kit.endpoints import running
from kit.waiting import until

from dicom_actors import connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.actors import IndexWriter
from dicom_actors.archive.actors.index_writer import StudiesChanged
from dicom_actors.archive.events import StudyComplete, StudyUpdated
from dicom_actors.archive.index import Outcome, Result
from dicom_actors.archive.upkeep import Senders, StudyWatch
from dicom_actors.errors import ArchiveError
from dicom_actors.testing import ManualClock

QUIET = 60.0
STUDIES = ("1.2.1", "1.2.2", "1.2.3")


class Table:
    """The index, as far as it is asked."""

    def __init__(self):
        self.rows: dict[str, list[int]] = {}
        self.is_broken = False
        self.when_asked = _nothing

    def pending_studies(self):
        return [(study, new) for study, (new, told) in self.rows.items() if new > told]

    def pending_revision(self, study):
        if self.is_broken:
            raise ArchiveError("broken")
        new, told = self.rows.get(study, (0, 0))
        return new if new > told else None

    def write(self, changes):
        self.when_asked()
        outcomes = []
        for study, revision, _ in changes:
            new, told = self.rows.get(study, (0, 0))
            if new != revision or told >= revision:
                outcomes.append(Outcome(Result.MISSING))
                continue
            self.rows[study][1] = new
            outcomes.append(Outcome(Result.UPDATED if told else Result.COMPLETE))
            self.told.append((study, outcomes[-1].result))
        return outcomes

    told: list[tuple[str, Result]]


def _nothing():
    pass


@dataclass
class Schedule:
    """A random life of some studies, and what a model says of it."""

    seed: int
    table: Table = field(default_factory=Table)
    clock: ManualClock = field(default_factory=ManualClock)
    senders: Senders = field(default_factory=Senders)
    open: set[int] = field(default_factory=set)
    sent: dict[int, set[str]] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    evidence: set[str] = field(default_factory=set)
    instances_told: dict[str, int] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self):
        self.chance = random.Random(self.seed)
        self.table.told = []
        self.table.when_asked = self.on_asked
        self.when_asked = self.when_listed = _nothing
        self.numbers = iter(range(1, 1_000))
        self.started = self.clock.monotonic()
        self.restart()

    def restart(self):
        """Another process, or another actor: all that was not in the index is gone."""
        self.watch = StudyWatch(self.table, self.senders, self.list_open, QUIET)
        self.watch.begin(self.clock.monotonic())
        self.evidence.clear()
        now = self.clock.monotonic()
        self.last.update(dict.fromkeys((study for study, _ in self.table.pending_studies()), now))

    def on_asked(self):
        self.when_asked()

    def list_open(self):
        found = set(self.open)
        self.when_listed()
        return found

    def arrive(self, study):
        self.table.rows.setdefault(study, [0, 0])[0] += 1
        self.last[study] = self.clock.monotonic()
        self.evidence.discard(study)

    def step(self):
        chance, now = self.chance, self.clock.monotonic()
        study = chance.choice(STUDIES)
        action = chance.choices(
            ("open", "close", "send", "wait", "wait long", "evidence", "restart", "crash", "delete",
             "break", "race"),
            (3, 3, 8, 6, 3, 1, 1, 1, 1, 1, 1),
        )[0]  # fmt: skip
        if action == "open":
            self.open.add(number := next(self.numbers))
            self.sent[number] = set()
        elif action == "close" and self.open:
            self.open.discard(chance.choice(sorted(self.open)))
        elif action == "send" and self.open:
            association = chance.choice(sorted(self.open))
            self.senders.note(association, study)
            self.sent[association].add(study)
            self.arrive(study)
            self.watch.changed([study], now)
        elif action == "wait":
            self.pass_time(chance.choice((1.0, 29.0, 59.0, QUIET)))
        elif action == "wait long":
            self.pass_time(3 * QUIET)
        elif action == "evidence":
            self.watch.has_evidence(study, "evidence", now)
            if self.table.pending_revision(study) is not None:
                self.evidence.add(study)
        elif action == "crash":
            self.restart()
        elif action == "restart":
            self.open.clear()
            self.senders = Senders()
            self.restart()
        elif action == "delete":
            self.table.rows.pop(study, None)
            self.evidence.discard(study)
        elif action == "break":
            self.table.is_broken = True
            self.pass_time(2.0)
            self.table.is_broken = False
        elif action == "race" and self.open:
            # Something comes between the look and the word, from an association that just opened.
            where = chance.choice(("when_asked", "when_listed"))
            setattr(self, where, lambda: self.arrive_meanwhile(study))
            self.pass_time(5.0)
            self.when_asked = self.when_listed = _nothing
        self.pass_time(0.0)

    def arrive_meanwhile(self, study):
        self.when_asked = self.when_listed = _nothing
        self.open.add(number := next(self.numbers))
        self.sent[number] = {study}
        self.senders.note(number, study)
        self.arrive(study)
        self.messages.append(study)

    def pass_time(self, seconds):
        end = self.clock.monotonic() + seconds
        while (due := self.watch.next_due()) is not None and due <= end:
            self.clock.advance(max(0.0, due - self.clock.monotonic()))
            before = len(self.table.told)
            try:
                self.watch.look(self.clock.monotonic())
            except ArchiveError:
                assert self.table.is_broken
            for told in self.table.told[before:]:
                self.check(*told)
            self.watch.changed(self.messages, self.clock.monotonic())
            self.messages.clear()
        self.clock.advance(end - self.clock.monotonic())

    def check(self, study, result):
        """What is told must be true at that moment."""
        busy = {study for one in self.open for study in self.sent[one]}
        assert study not in busy, "an association is open that has sent to it"
        is_quiet = self.clock.monotonic() - self.last[study] >= QUIET
        assert is_quiet or study in self.evidence, "too early"
        assert (result is Result.COMPLETE) == (self.instances_told.get(study, 0) == 0)
        revision = self.table.rows[study][0]
        assert revision > self.instances_told.get(study, 0), "told of twice"
        self.instances_told[study] = revision
        self.evidence.discard(study)

    def finish(self):
        """In the end all is told of that is there."""
        self.open.clear()
        self.pass_time(2 * QUIET)
        assert self.table.pending_studies() == []
        assert self.watch.next_due() is None
        assert self.senders.busy_studies(lambda: ()) == set()


@pytest.mark.index_in_folder  # there is none
def test_10_000_random_schedules_hold_to_the_model():
    for seed in range(10_000):
        schedule = Schedule(seed)
        try:
            for _ in range(25):
                schedule.step()
                # What was deleted is begun anew.
                for study in STUDIES:
                    if study not in schedule.table.rows:
                        schedule.instances_told.pop(study, None)
            schedule.finish()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


# --- the whole archive ---------------------------------------------------------------------------

SETTINGS = {"reserve_bytes": 0, "warn_free_bytes": 0, "study_quiet_seconds": QUIET}


class Listener(pykka.ThreadingActor):
    def __init__(self, heard):
        super().__init__()
        self._heard = heard

    def on_receive(self, message):
        self._heard.put(message)


@pytest.fixture
def heard():
    return queue.SimpleQueue()


@pytest.fixture
def listener(heard):
    ref = Listener.start(heard)
    yield ref
    ref.stop()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def opened(tmp_path, clock, listener):
    def open_archive(**settings):
        archive = Archive.open(tmp_path, clock=clock, **{**SETTINGS, **settings})
        archive.subscribe(listener, (StudyComplete, StudyUpdated))
        return archive

    return open_archive


def pending(archive):
    with archive.reader() as reader:
        return [study for study, _ in reader.pending_studies()]


def advance_until(clock, condition):
    """Let time pass, a second at a time, until something is true; returns how much."""
    begun = clock.monotonic()

    def move():
        clock.advance(1.0)
        return condition()

    until(move)
    return clock.monotonic() - begun


@pytest.mark.usefixtures("nothing_left")
def test_what_was_evidence_is_so_when_the_index_is_looked_at_anew(opened, clock, heard):
    whole = read_file(make_file(1))
    whole.put("ImagesInAcquisition", "IS", [1])
    with opened() as archive:
        archive.add(whole)
        # As who has not heard of others for a while does.
        archive._kernel.tell("studies", StudiesChanged(None))
        advance_until(clock, lambda: not heard.empty())
        reason = "all instances of Images in Acquisition are there"
        assert heard.get(timeout=60) == StudyComplete("1.2.1", reason)


@pytest.mark.usefixtures("nothing_left")
def test_a_study_is_complete_once_and_updated_later(opened, clock, heard):
    with opened() as archive:
        archive.add(make_file(1))
        advance_until(clock, lambda: not heard.empty())
        assert heard.get(timeout=60) == StudyComplete("1.2.1", "nothing came for a while")
        archive.add(make_file(1))  # which is there
        archive.add(make_file(2))
        advance_until(clock, lambda: not heard.empty())
        assert heard.get(timeout=60) == StudyUpdated("1.2.1", "nothing came for a while")
        assert pending(archive) == []
        archive.add(make_file(1, study=2))
        archive.delete(study_instance_uid="1.2.2")
        clock.advance(3 * QUIET)
        assert pending(archive) == []
    assert heard.empty()


@pytest.mark.usefixtures("nothing_left")
def test_what_comes_to_an_awaited_study_wakes_nobody(opened, clock, heard):
    with opened() as archive:
        archive.add(make_file(1))
        watcher = archive.system.registry.lookup("studies")
        until(lambda: archive._kernel.can_wait(frozenset({"1.2.1"})))
        until(lambda: watcher.life.inbox._waker is not None)
        clock.advance(QUIET / 2)
        archive.add(make_file(2))
        assert watcher.queue_length == 1
        # It counts from when it came all the same.
        passed = advance_until(clock, lambda: not heard.empty())
        assert passed >= QUIET
        assert heard.get(timeout=60) == StudyComplete("1.2.1", "nothing came for a while")
        assert pending(archive) == []
        # Of one that was told of nobody would be awake.
        archive.add(make_file(3))
        advance_until(clock, lambda: not heard.empty())
        assert heard.get(timeout=60) == StudyUpdated("1.2.1", "nothing came for a while")
    assert heard.empty()


@pytest.mark.usefixtures("nothing_left")
def test_a_restart_in_the_quiet_time_forgets_nothing(opened, clock, heard):
    with opened() as archive:
        archive.add(make_file(1))
    with opened() as archive:
        assert pending(archive) == ["1.2.1"]
        assert advance_until(clock, lambda: not heard.empty()) >= QUIET - 1
        assert heard.get(timeout=60) == StudyComplete("1.2.1", "nothing came for a while")
    with opened() as archive:
        assert pending(archive) == []


@pytest.mark.usefixtures("nothing_left")
def test_not_while_an_association_is_open_that_has_sent_to_it(opened, clock, heard):
    with (
        opened() as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        archive.attach(endpoint.ref)
        with connect("127.0.0.1", endpoint.port) as sender:
            assert sender.store(read_file(make_file(1))).status == 0
            archive.add(make_file(1, study=2))
            advance_until(clock, lambda: not heard.empty())
            assert heard.get(timeout=60).study_instance_uid == "1.2.2"
            archive.has_evidence("1.2.1", "all images in acquisition")
            for _ in range(20):
                clock.advance(10.0)
            assert pending(archive) == ["1.2.1"]
        advance_until(clock, lambda: not heard.empty())
        assert heard.get(timeout=60).study_instance_uid == "1.2.1"


@pytest.mark.usefixtures("nothing_left")
def test_an_index_writer_that_crashes_behind_its_commit_hides_nothing(
    opened, clock, heard, monkeypatch
):
    crashes = []

    def tell(writer, items, outcomes):
        monkeypatch.undo()
        crashes.append(writer)
        raise SystemExit

    with opened() as archive:
        monkeypatch.setattr(IndexWriter, "_tell", tell)
        assert archive.add(make_file(1)).is_kept
        assert crashes
        advance_until(clock, lambda: not heard.empty())
        assert heard.get(timeout=60).study_instance_uid == "1.2.1"


@pytest.mark.usefixtures("nothing_left")
def test_evidence_needs_no_quiet_time(opened, clock, heard):
    with opened() as archive:
        archive.add(make_file(1))
        archive.has_evidence("1.2.1", "storage commitment was asked for")
        passed = advance_until(clock, lambda: not heard.empty())
        assert passed < QUIET
        assert heard.get(timeout=60).reason == "storage commitment was asked for"


@pytest.mark.usefixtures("nothing_left")
def test_what_an_index_is_made_anew_of_is_not_new(opened, clock, heard, tmp_path, index_place):
    with opened() as archive:
        archive.add(make_file(1))
        archive.settle()
    index_place.lose(tmp_path)
    with opened() as archive:
        until(lambda: not archive.is_rebuilding)
        assert archive.find_instance(uid_of(1)) is not None
        assert pending(archive) == []
        archive.add(make_file(2))
        advance_until(clock, lambda: not heard.empty())
        assert isinstance(heard.get(timeout=60), StudyUpdated)
