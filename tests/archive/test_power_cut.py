"""At each step of an archive's work it is cut off: nothing acknowledged is lost.

By a power cut, or the end of its process.
"""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.forgetful_disk import ForgetfulDisk, PowerCut
from kit.waiting import until

from dicom_actors import read_file, write_file
from dicom_actors.archive.archive import Archive
from dicom_actors.archive.files import Location
from dicom_actors.archive.index import Index, NewInstance, Queued
from dicom_actors.archive.maintenance import rebuilding
from dicom_actors.archive.maintenance.reindexing import reindex, reindexing
from dicom_actors.archive.maintenance.verifying import verify
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kit.index_places import InFolder, OnServer

SMALL, LARGE = 64, 4096
SAFE = "index.safe"
SETTINGS = {
    # The disk of objects is ours; the index is safe at its commit, which SQLite is trusted with.
    "durability": "os",
    "reserve_bytes": 0,
    "warn_free_bytes": 0,
    "journal_object_bytes": 2048,
    "journal_seconds": 1000.0,
    "duplicates": "replace",
    "restarts": 0,
    "node_lease_seconds": 0.1,
}
COPIED = "1.2.1/1.2.1.1/1.2.1.1.5.dcm"


class Witness:
    """Works with an archive until the power is cut, and remembers what it was told.

    Attributes:
        kept: the bytes that must be there, by SOP Instance UID.
        under_way: what may be there, by SOP Instance UID: what was there before, and after.
        gone: the bytes that must not be there.
        refused: the bytes that are about to be refused.
        settings: the archive's.
    """

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.under_way: dict[str, tuple[bytes | None, ...]] = {}
        self.gone: set[bytes] = set()
        self.refused: set[bytes] = set()

    settings: ClassVar[dict[str, Any]] = SETTINGS

    def work(self, archive: Archive, disk: ForgetfulDisk) -> None:
        """Have an archive do all kinds of things."""
        self.add(archive, make_file(1, size=SMALL))
        self.add(archive, make_file(2, size=SMALL))
        archive.settle()
        self.add(archive, make_file(3, size=LARGE))
        archive.settle()
        self.add(archive, make_file(4, study=2, size=LARGE))
        archive.settle()
        # Somebody copies a file to where it will be, and leaves it to the system.
        disk.put_unsafe(COPIED, make_file(5, size=SMALL))
        self.add(archive, make_file(5, size=SMALL))
        archive.settle()
        self.add(archive, make_file(2, size=SMALL, fill=7))
        archive.settle()
        self.add(archive, make_file(3, size=LARGE, fill=7))
        archive.settle()
        self.delete(archive, uid_of(4, 2))
        self.add(archive, make_file(6, size=SMALL))
        self.delete(archive, uid_of(6))
        self.add(archive, make_file(7, series=2, size=SMALL))

    def add(self, archive: Archive, data: bytes) -> None:
        uid = str(read_file(data).SOPInstanceUID)
        self.under_way[uid] = (self.kept.pop(uid, None), data)
        before = self.under_way[uid][0]
        assert archive.add(data).is_kept
        self.kept[uid] = data
        del self.under_way[uid]
        if before is not None:
            self.gone.add(before)

    def delete(self, archive: Archive, uid: str) -> None:
        self.under_way[uid] = (self.kept.pop(uid), None)
        assert archive.delete(sop_instance_uid=uid) == 1
        before = self.under_way.pop(uid)[0]
        assert before is not None
        self.gone.add(before)


class WitnessOfTheFirst(Witness):
    """Works where what comes first stays."""

    settings: ClassVar[dict[str, Any]] = {**SETTINGS, "duplicates": "keep-first"}

    def work(self, archive: Archive, disk: ForgetfulDisk) -> None:
        """Have the same come again, and others under its UID, in its study and in another one."""
        del disk
        data = make_file(1, size=LARGE)
        self.add(archive, data)
        assert archive.add(data).is_kept
        self.is_refused(archive, make_file(1, size=LARGE, fill=3))
        archive.settle()
        elsewhere = read_file(make_file(1, size=LARGE, fill=4))
        elsewhere.StudyInstanceUID = "1.2.9"
        buffer = io.BytesIO()
        write_file(buffer, elsewhere)
        self.is_refused(archive, buffer.getvalue())
        self.delete(archive, uid_of(1))
        self.add(archive, make_file(2, size=LARGE))
        for number in range(3, 6):
            self.add(archive, make_file(number, size=SMALL))
            self.is_refused(archive, make_file(number, size=LARGE, fill=5))
            self.is_refused(archive, make_file(number, size=SMALL, fill=5))
        self.delete(archive, uid_of(3))
        self.add(archive, make_file(3, size=SMALL, fill=6))

    def is_refused(self, archive: Archive, data: bytes) -> None:
        uid = str(read_file(data).SOPInstanceUID)
        self.refused.add(data)
        assert not archive.add(data).is_kept
        assert archive.read(archive.find_instance(uid)) == self.kept[uid]
        self.refused.remove(data)


def cut(
    folder: Path,
    at: int | None,
    *,
    left_out: str | None = None,
    is_killed: bool = False,
    kind: type[Witness] = Witness,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Witness, ForgetfulDisk]:
    """Work on a new archive until a step."""
    disk, witness = ForgetfulDisk(is_synchronous=not is_killed), kind()
    disk.cut_at, disk.left_out = at, left_out
    write = Index.write

    def write_as_a_step(index: Index, changes: object, *, is_durable: bool = True) -> object:
        disk.step("commit")
        outcomes = write(index, changes, is_durable=is_durable)  # type: ignore[arg-type]
        if is_durable:
            _note_index(index, folder)
        return outcomes

    archive = None
    with monkeypatch.context() as patch:
        patch.setattr(Index, "write", write_as_a_step)
        try:
            archive = Archive.open(folder, file_system=disk, **witness.settings)
            _note_index(archive._kernel.index.get(), folder)
            witness.work(archive, disk)
        except (PowerCut, ArchiveError):
            assert at is not None
        finally:
            if archive is not None:
                abandon(archive)
    return witness, disk


def _note_index(index: Index, folder: Path) -> None:
    """Note what is safe of an index."""
    (folder / SAFE).unlink(missing_ok=True)
    index.copy_to(folder / SAFE)


def _forget(folder: Path, copy: Path) -> None:
    """Have of an index what was safe alone."""
    if (folder / SAFE).exists():
        for path in copy.glob("index.sqlite*"):
            path.unlink()
        (copy / "index.sqlite").write_bytes((folder / SAFE).read_bytes())


def problems_after(folder: Path, witness: Witness, disk: ForgetfulDisk) -> list[str]:
    """Start again, and say what is wrong."""
    found = []
    with Archive.open(folder, file_system=disk, **witness.settings) as archive:
        if not archive.store.node:
            found += [
                f"{uid} is not found at once"
                for uid in witness.kept
                if archive.find_instance(uid) is None
            ]
        archive.settle()
        # Where there are nodes, the one before was another one, and has left more than that.
        until(lambda: not archive.store.nodes() - {archive.store.node})
        for uid, data in witness.kept.items():
            instance = archive.find_instance(uid)
            if instance is None:
                found.append(f"{uid} is lost")
                continue
            try:
                if archive.read(instance) != data:
                    found.append(f"{uid} is not what it was")
            except (OSError, ArchiveError) as error:
                found.append(f"{uid} cannot be read: {error}")
        known = {*witness.kept.values()}
        known |= {data for pair in witness.under_way.values() for data in pair if data}
        known |= witness.refused  # whom nobody has told yet: it may be one of two
        rows = list(archive.instances())
        placed = {
            name: data
            for name, data in disk.files().items()
            if not name.startswith(("incoming/", "journal/"))
        }
        if all(row.location != COPIED for row in rows):
            placed.pop(COPIED, None)  # it is somebody else's
        found += [
            f"{name} is half written"
            for name, data in placed.items()
            if data not in (known | witness.gone)
        ]
        found += [f"{name} is deleted" for name, data in placed.items() if data in witness.gone]
        found += [f"{row.location} has no file" for row in rows if row.location not in placed]
        found += [f"{name} has no row" for name in placed.keys() - {row.location for row in rows}]
        if archive.counts().instances != len(rows):
            found.append("the counts are wrong")
    return found


@pytest.fixture
def campaign(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    index_place: InFolder | OnServer,
) -> Callable[[str | None], list[str]]:
    """Cut the power before each step; returns what was wrong, with a synchronization left out."""
    caplog.set_level(logging.CRITICAL)

    def run(left_out: str | None, **options: Any) -> list[str]:
        is_killed = options.get("is_killed", False)
        _, whole = cut(tmp_path / "whole", None, monkeypatch=monkeypatch, **options)
        found: list[str] = []
        first = 0 if left_out is None else whole.steps.index(left_out)
        for at in range(first, len(whole.steps) + 1):
            folder = tmp_path / f"cut {at}"
            witness, disk = cut(folder, at, left_out=left_out, monkeypatch=monkeypatch, **options)
            step = whole.steps[at] if at < len(whole.steps) else "the end"
            seeds = [None] if is_killed else [None, 10 * at + 1, 10 * at + 2]
            # There a node has to be taken to be gone each time: one of them, in turn.
            for seed in seeds[at % len(seeds) :][:1] if index_place.is_shared else seeds:
                copy = tmp_path / f"cut {at}, seed {seed}"
                copy.mkdir()
                index_place.copy(folder, copy)
                if not (is_killed or index_place.is_shared or seed == seeds[-1]):
                    _forget(folder, copy)
                found += [
                    f"cut before step {at} ({step}), seed {seed}: {problem}"
                    for problem in problems_after(copy, witness, disk.restart(seed))
                ]
                index_place.lose(copy)
                if left_out is not None and found:
                    return found
            index_place.lose(folder)
        return found

    return run


@pytest.mark.parametrize("is_killed", [True, False])
@pytest.mark.parametrize("kind", [Witness, WitnessOfTheFirst])
def test_nothing_is_lost_half_or_back_wherever_it_ends(campaign, kind, is_killed):
    assert campaign(None, kind=kind, is_killed=is_killed) == []


SYNCHRONIZATIONS = [
    "synchronize a journal in JournalStore.work_off",
    "synchronize a placed file in FilePlacing.finish",
    "synchronize an incoming part in FilePlacing.finish",
    "synchronize an incoming part in Removing.around",
    "synchronize an incoming part in Store.put",
    "synchronize the folder incoming in Removing.around",
    "synchronize the folder incoming in Store.put",
    "synchronize the folder journal in Holdings.delete",
    "synchronize the folder journal in JournalWriter.__init__",
    "synchronize the folder of a series in FilePlacing.finish",
    "synchronize the folder of a series in Removing._carry_out",
    "synchronize the folder of a study in FilePlacing.finish",
    "synchronize the folder of the archive in FilePlacing.finish",
    "synchronize the folder of the archive in Removing._carry_out",
    "synchronize the folder of the archive in Store.make_folders",
]


@pytest.mark.index_in_folder  # the same ones are needed wherever it is
@pytest.mark.parametrize("label", SYNCHRONIZATIONS)
def test_each_synchronization_is_needed(campaign, label):
    assert campaign(label) != []


OF_REINDEX = [
    "synchronize a placed file in reindexing",
    "synchronize the folder of the archive in reindexing",
    "synchronize the folder of a study in reindexing",
    "synchronize the folder of a series in reindexing",
]


@pytest.mark.index_in_folder  # likewise
@pytest.mark.parametrize("left_out", [None, *OF_REINDEX])
def test_what_is_given_a_row_is_safe_first(tmp_path, left_out, index_place):
    disk = ForgetfulDisk()
    disk.left_out = left_out
    archive = Archive.open(tmp_path / "whole", file_system=disk, **SETTINGS)
    disk.put_unsafe(COPIED, make_file(5, size=SMALL))
    *_, found = reindexing(archive, print, [COPIED])
    assert found.added == 1
    abandon(archive)
    steps = {step for step in disk.steps if step.endswith(" in reindexing")}
    assert steps == set(OF_REINDEX)

    (tmp_path / "copy").mkdir()
    index_place.copy(tmp_path / "whole", tmp_path / "copy")
    witness = Witness()
    witness.kept[uid_of(5)] = make_file(5, size=SMALL)
    assert bool(problems_after(tmp_path / "copy", witness, disk.restart())) == bool(left_out)


def cut_after(tmp_path, left_out, work):
    """What is there when the power is cut after a step of the rebuilding."""
    disk = ForgetfulDisk()
    archive = Archive.open(tmp_path, file_system=disk, **SETTINGS)
    disk.put_unsafe("index.sqlite", b"no index")
    disk.synchronize_folder("")
    disk.left_out = left_out
    work(archive.store)
    abandon(archive)
    return disk.restart().names("")


@pytest.mark.parametrize("is_left_out", [False, True])
def test_that_the_index_is_to_be_made_anew_is_safe(tmp_path, is_left_out):
    left_out = "synchronize the folder of the archive in ask_for_rebuild" if is_left_out else None
    names = cut_after(tmp_path, left_out, rebuilding.ask_for_rebuild)
    assert ("index.rebuild" in names) == (not is_left_out)


@pytest.mark.index_in_folder
@pytest.mark.parametrize("is_left_out", [False, True])
def test_that_a_damaged_index_is_set_aside_is_safe(tmp_path, is_left_out):
    left_out = "synchronize the folder of the archive in set_aside" if is_left_out else None
    names = cut_after(tmp_path, left_out, rebuilding.set_aside)
    assert ("index.sqlite" in names) == is_left_out


@pytest.mark.parametrize("is_left_out", [False, True])
def test_that_the_index_was_made_anew_is_safe(tmp_path, is_left_out):
    disk = ForgetfulDisk()
    with Archive.open(tmp_path / "whole", file_system=disk, **SETTINGS) as archive:
        rebuilding.ask_for_rebuild(archive.store)
    label = "synchronize the folder of the archive in _forget_that_it_was_asked_for"
    disk.left_out = label if is_left_out else None
    archive = Archive.open(tmp_path / "whole", file_system=disk, **SETTINGS)
    until(lambda: not archive.is_rebuilding)
    abandon(archive)
    assert label in disk.steps
    assert ("index.rebuild" in disk.restart().names("")) == is_left_out


@pytest.mark.index_in_folder  # see there
def test_these_are_all_synchronizations(tmp_path, monkeypatch):
    _, disk = cut(tmp_path / "whole", None, monkeypatch=monkeypatch)

    assert sorted({step for step in disk.steps if step.startswith("synchronize")}) == sorted(
        SYNCHRONIZATIONS
    )


def test_who_deletes_leaves_no_first_name_behind(tmp_path):
    settings = {**SETTINGS, "duplicates": "keep-first"}
    with Archive.open(tmp_path, **settings) as archive:
        archive.add(make_file(1, size=LARGE))
        (placed,) = archive.instances()
        # As it is while who has written the row has not got to it.
        first = tmp_path / "incoming" / "first.dcm"
        first.hardlink_to(tmp_path / placed.location)
        assert archive.delete(sop_instance_uid=uid_of(1)) == 1
        assert not first.exists()
        abandon(archive)
    with Archive.open(tmp_path, **settings) as archive:
        archive.settle()
        assert list(archive.instances()) == []


def test_what_has_no_row_yet_is_no_problem_and_gets_none_from_others(tmp_path):
    settings = {**SETTINGS, "duplicates": "keep-first"}
    with Archive.open(tmp_path, **settings) as archive:
        first = tmp_path / "incoming" / "first.dcm"
        first.write_bytes(make_file(1, size=LARGE))
        place = archive.store.place(Location("incoming/first.dcm"), ("1.2.1", "1.2.1.1", uid_of(1)))
        assert place is not None
        assert verify(archive, print).problems == 0
        assert reindex(archive, print).added == 0
        first.unlink()
        assert verify(archive, print).problems == 1
        assert reindex(archive, print).added == 1


@pytest.mark.index_in_folder
@pytest.mark.parametrize(
    ("duplicates", "size", "is_lent", "queued", "is_durable"),
    [
        ("keep-first", SMALL, False, (), False),
        ("keep-first", LARGE, False, (), True),
        ("keep-first", SMALL, True, (), True),
        ("keep-first", SMALL, False, (Queued("all", "elsewhere"),), True),
        ("replace", SMALL, False, (), True),
        ("keep-both", SMALL, False, (), True),
    ],
)
def test_a_row_need_not_be_durable_that_its_journal_gives_again(
    tmp_path, monkeypatch, duplicates, size, is_lent, queued, is_durable
):
    seen = []
    write = Index.write

    def note(index, changes, *, is_durable=True):
        if any(isinstance(change, NewInstance) for change in changes):
            seen.append(is_durable)
        return write(index, changes, is_durable=is_durable)

    with Archive.open(tmp_path, **{**SETTINGS, "duplicates": duplicates}) as archive:
        archive.route_with(lambda *_: queued)
        if is_lent:
            archive._kernel.lent_journals.add("journal/0000000009.journal")
        monkeypatch.setattr(Index, "write", note)
        archive.add(make_file(1, size=size))
    assert seen == [is_durable]
