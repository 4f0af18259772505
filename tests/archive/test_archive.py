"""An archive used without any endpoint."""

from __future__ import annotations

import queue
import re
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import pykka
import pytest
from kit.archive_objects import make_file, uid_of

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Archive, Peer, Result, events
from dicom_actors.errors import ArchiveError, ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SMALL, LARGE = 64, 8192
ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0, "journal_object_bytes": 4096}
LIMIT = 60.0
IMPLICIT = "1.2.840.10008.1.2"

pytestmark = pytest.mark.usefixtures("nothing_left")


def files_below(folder: Path) -> dict[str, bytes]:
    """The files in their places."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.dcm")
        if path.relative_to(folder).parts[0] not in ("incoming", "journal")
    }


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("kind", ["path", "bytes", "data set"])
def test_what_is_added_is_there_at_once_and_at_its_place_later(tmp_path, size, kind):
    data = make_file(1, size=size)
    path = tmp_path / "one.dcm"
    path.write_bytes(data)
    source = {"path": path, "bytes": data, "data set": read_file(data)}[kind]
    folder = tmp_path / "archive"
    with Archive.open(folder, **ROOM) as archive:
        assert archive.add(source) == (uid_of(1), Result.NEW, True)
        (found,) = archive.instances()
        assert bytes(archive.read(found)) == data
        assert archive.open_instance(uid_of(1)).PatientID == "P1"
        archive.settle()
        assert files_below(folder) == {"1.2.1/1.2.1.1/1.2.1.1.1.dcm": data}
        # What was looked up before it was brought there is found all the same.
        assert bytes(archive.read(found)) == data
        (found,) = archive.instances()
        assert archive.is_whole(found)
        assert archive.stats()[:5] == (1, 1, 1, 1, len(data))
        assert (archive.stats().journal_bytes, archive.stats().incoming_files) == (0, 0)


@pytest.mark.parametrize("size", [SMALL, 5_000_000])
@pytest.mark.parametrize("has_file_meta", [True, False])
def test_a_file_goes_through_memory_a_piece_at_a_time(tmp_path, size, has_file_meta):
    data = make_file(1, size=size)
    if not has_file_meta:  # as there was none before 1993
        data = read_file(data).to_bytes(IMPLICIT)
    path = tmp_path / "one.dcm"
    path.write_bytes(data)
    folder = tmp_path / "archive"
    with Archive.open(folder, reserve_bytes=0, warn_free_bytes=0) as archive:
        tracemalloc.start()
        try:
            archive.add(path)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 4_000_000
        assert archive.add(path).result is Result.SAME
        archive.settle()
        (found,) = files_below(folder).values()
        same = [read_file(one).to_bytes(IMPLICIT) for one in (found, make_file(1, size=size))]
        assert same[0] == same[1]
        assert not any(one.is_file() for one in (folder / "incoming").rglob("*"))


def test_nothing_is_left_of_a_file_that_cannot_be_taken(tmp_path):
    path = tmp_path / "none.dcm"
    path.write_bytes(make_file(1, size=5_000_000)[:4_000_000])
    with Archive.open(tmp_path / "archive", reserve_bytes=0, warn_free_bytes=0) as archive:
        with pytest.raises(DataError):
            archive.add(path)
        with pytest.raises(FileNotFoundError):
            archive.add(tmp_path / "nothing.dcm")
        assert not any(one.is_file() for one in (tmp_path / "archive" / "incoming").rglob("*"))


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize(
    ("policy", "is_kept", "answered", "files"),
    [
        ("keep-first", False, 0, {"1.2.1/1.2.1.1/1.2.1.1.1.dcm": 0}),
        ("replace", True, 1, {1}),
        (
            "keep-both",
            True,
            0,
            {"1.2.1/1.2.1.1/1.2.1.1.1.dcm": 0, "1.2.1/1.2.1.1/1.2.1.1.1-2.dcm": 1},
        ),
    ],
)
def test_other_bytes_of_the_same_uid(tmp_path, size, settled, policy, is_kept, answered, files):
    sent = [make_file(1, size=size), make_file(1, size=size, fill=1)]
    with Archive.open(tmp_path, duplicates=policy, **ROOM) as archive:
        archive.add(sent[0])
        if settled:
            archive.settle()
        assert archive.add(sent[0]) == (uid_of(1), Result.SAME, True)
        assert archive.add(sent[1]) == (uid_of(1), Result.DIFFERENT, is_kept)
        assert archive.add(sent[answered]) == (uid_of(1), Result.SAME, True)
        (found,) = archive.instances()
        assert bytes(archive.read(found)) == sent[answered]
        archive.settle()
        (found,) = archive.instances()
        assert bytes(archive.read(found)) == sent[answered]
        there = files_below(tmp_path)
        if isinstance(files, set):
            assert list(there.values()) == [sent[one] for one in files]
        else:
            assert there == {name: sent[one] for name, one in files.items()}
        assert archive.delete(sop_instance_uid=uid_of(1)) == 1
        assert files_below(tmp_path) == {}
        assert archive.counts().instances == 0
        assert not [one for one in (tmp_path / "incoming").rglob("*") if one.is_file()]


def test_a_study_is_deleted_and_does_not_come_back(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        for number in range(1, 4):
            archive.add(make_file(number, study=1 + number % 2, size=SMALL))
        archive.add(make_file(9, size=LARGE))
        with pytest.raises(ValueError, match="at least one key"):
            archive.delete()
        assert archive.delete(study_instance_uid="1.2.1") == 2
        assert archive.delete(study_instance_uid="1.2.1") == 0
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.settle()
        assert [one.study_instance_uid for one in archive.instances()] == ["1.2.2", "1.2.2"]
        assert sorted(path.name for path in tmp_path.iterdir() if path.name[0].isdigit()) == [
            "1.2.2"
        ]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_several_are_opened_whatever_becomes_of_their_folder_meanwhile(tmp_path, size):
    files = [make_file(number, size=size) for number in range(1, 5)]
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(files[0])
        archive.settle()
        for data in files[1:]:
            archive.add(data)
        looked_up = list(archive.instances(study_instance_uid="1.2.1"))
        opened = archive.open_each(looked_up, as_wanted=1)
        found = [next(opened)]
        archive.settle()  # it is brought to its place
        found.append(next(opened))
        archive.delete(study_instance_uid="1.2.1")  # with its folder
        for data in files:
            archive.add(data)
        archive.settle()
        found.append(next(opened))
        archive.delete(sop_instance_uid=uid_of(4))
        with pytest.raises(ArchiveError, match="there is no instance"):
            next(opened)
    assert list(map(bytes, found)) == files[:3]


def test_a_uid_that_is_none_makes_no_name(tmp_path):
    data = make_file(1, size=SMALL)
    with Archive.open(tmp_path, **ROOM) as archive:
        with pytest.raises(DataError, match="SOPInstanceUID"):
            archive.add(data.replace(b"1.2.1.1.1\0", b"../../xyz\0"))
        with pytest.raises(DataError):
            archive.add(data[:-10])
        with pytest.raises(DataError):
            archive.add(b"nothing")
        assert archive.counts().instances == 0


@pytest.mark.index_in_folder
def test_two_do_not_keep_one_archive(tmp_path):
    with Archive.open(tmp_path), pytest.raises(ArchiveError, match="is open already") as caught:
        Archive.open(tmp_path)
    assert caught.value.reason == "locked"
    Archive.open(tmp_path).close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"durability": "hope"}, "durability: expected 'disk' or 'os', got 'hope'"),
        ({"group": 0}, "group: expected a whole number from 1 to 100000, got 0"),
        ({"group": 2.5}, "group: expected a whole number"),
        ({"layout": "{instance}/../x"}, "layout: expected a path of its own"),
        ({"layout": "incoming/{instance}"}, "layout: expected a path of its own"),
        ({"layout": "{study}.dcm"}, r"layout: expected \{instance\} in it"),
        ({"layout": "{PatientName}/{instance}"}, "layout: expected a pattern of"),
        ({"layuot": "x"}, "layuot: there is no such setting"),
    ],
)
def test_settings_are_checked(tmp_path, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Archive.open(tmp_path, **settings)


def test_the_layout_may_change_any_day(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(make_file(1, size=SMALL))
    with Archive.open(tmp_path, layout="{hash}/{instance}", **ROOM) as archive:
        archive.add(make_file(2, size=SMALL))
        archive.settle()
        locations = [one.location for one in archive.instances()]
        assert locations[0] == "1.2.1/1.2.1.1/1.2.1.1.1.dcm"
        assert locations[1].partition("/")[2] == "1.2.1.1.2"
        assert [archive.open_instance(uid_of(n)).InstanceNumber for n in (1, 2)] == [1, 2]


class Listener(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self, heard: queue.Queue[Any]) -> None:
        super().__init__()
        self.heard = heard

    def on_receive(self, message: Any) -> None:
        self.heard.put(message)


def test_an_actor_hears_of_what_is_committed(tmp_path):
    heard: queue.Queue[Any] = queue.Queue()
    listener = Listener.start(heard)
    try:
        with Archive.open(tmp_path, **ROOM) as archive:
            archive.subscribe(listener)
            archive.add(make_file(1, size=SMALL))
            archive.add(make_file(1, size=SMALL))  # nothing new
            archive.delete(sop_instance_uid=uid_of(1))
        uids = ("1.2.1", "1.2.1.1", uid_of(1))
        assert [heard.get(timeout=LIMIT) for _ in range(4)] == [
            events.InstanceStored(*uids, len(make_file(1, size=SMALL))),
            events.StudyChanged("1.2.1"),
            events.InstanceDeleted(*uids),
            events.StudyChanged("1.2.1"),
        ]
        assert heard.empty()
    finally:
        listener.stop()


@pytest.mark.index_in_folder
def test_a_lost_index_loses_nothing_that_has_no_place_yet(tmp_path, end_of_process):
    archive = Archive.open(tmp_path, journal_seconds=1000.0, **ROOM)
    archive.add(make_file(1, size=SMALL))
    archive.add(make_file(2, size=SMALL))
    end_of_process(archive)
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.settle()
        assert {one.sop_instance_uid for one in archive.instances()} == {uid_of(1), uid_of(2)}
        assert len(files_below(tmp_path)) == 2


@pytest.mark.index_in_folder
def test_what_is_damaged_in_a_journal_is_not_given_out_and_not_removed(
    tmp_path, end_of_process, caplog
):
    archive = Archive.open(tmp_path, journal_seconds=1000.0, **ROOM)
    archive.add(make_file(1, size=SMALL))
    archive.add(make_file(2, size=SMALL))
    end_of_process(archive)
    (journal,) = (tmp_path / "journal").iterdir()
    data = bytearray(journal.read_bytes())
    data[-1] ^= 1
    journal.write_bytes(data)
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.settle()
        assert list(files_below(tmp_path)) == ["1.2.1/1.2.1.1/1.2.1.1.1.dcm"]
        assert journal.exists()
    assert "is damaged; it stays where it is" in caplog.text


def _flip_a_bit_of_the_head(data, at, end):
    data[at + 10] ^= 1


def _have_it_longer_than_anything(data, at, end):
    data[at + 23 : at + 30] = b"\xff" * 7


def _leave_nothing_but_zeros(data, at, end):
    data[at:end] = bytes(end - at)


def _cut_it_off_in_the_middle(data, at, end):
    del data[(at + end) // 2 :]


@pytest.mark.parametrize(
    ("harm", "whole"),
    [
        (_flip_a_bit_of_the_head, {1, 2, 3, 4}),  # the row says where it is
        (_have_it_longer_than_anything, {1, 2, 3, 4}),
        (_leave_nothing_but_zeros, {1, 3, 4}),
        (_cut_it_off_in_the_middle, {1}),
    ],
)
def test_what_is_behind_damage_in_a_journal_is_found_by_its_row(
    tmp_path, end_of_process, caplog, harm, whole
):
    archive = Archive.open(tmp_path, journal_seconds=1000.0, **ROOM)
    for number in range(1, 5):
        archive.add(make_file(number, size=SMALL))
    end_of_process(archive)
    (journal,) = (path for path in (tmp_path / "journal").rglob("*.journal"))
    data = bytearray(journal.read_bytes())
    heads = [found.start() for found in re.finditer(b"DAjr", data)]
    harm(data, heads[1], heads[2])
    journal.write_bytes(data)
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.settle()
        files = {path.name for path in tmp_path.glob("1.2.1/*/*.dcm")}
        assert files == {f"{uid_of(number)}.dcm" for number in whole}
        for number in whole:
            found = archive.find_instance(uid_of(number))
            assert archive.read(found) == make_file(number, size=SMALL)
        assert journal.exists() is (whole != {1, 2, 3, 4})
    assert ("is damaged; it stays where it is" in caplog.text) is journal.exists()


def test_a_row_whose_journal_was_lost_finds_nothing_of_others(tmp_path, end_of_process):
    archive = Archive.open(tmp_path, journal_seconds=1000.0, **ROOM)
    archive.add(make_file(1, study=1, size=SMALL))
    end_of_process(archive)
    (journal,) = (path for path in (tmp_path / "journal").rglob("*.journal"))
    journal.unlink()
    later = time.time() + 1
    with Archive.open(tmp_path, journal_seconds=1000.0, now=lambda: later, **ROOM) as archive:
        archive.add(make_file(1, study=2, size=SMALL))
        assert archive.read(archive.find_instance(uid_of(1, 2))) == make_file(
            1, study=2, size=SMALL
        )
        lost = archive.find_instance(uid_of(1, 1))
        with pytest.raises(FileNotFoundError):
            archive.read(lost)


def test_a_record_that_was_being_written_at_the_end_is_nothing_to_keep(
    tmp_path, end_of_process, caplog
):
    archive = Archive.open(tmp_path, journal_seconds=1000.0, **ROOM)
    archive.add(make_file(1, size=SMALL))
    end_of_process(archive)
    (journal,) = (path for path in (tmp_path / "journal").rglob("*.journal"))
    data = journal.read_bytes()
    journal.write_bytes(data + data[: len(data) // 2])
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.settle()
        assert [one.sop_instance_uid for one in archive.instances()] == [uid_of(1)]
        assert not journal.exists()
    assert "damaged" not in caplog.text


@pytest.fixture
def end_of_process() -> Callable[[Archive], None]:
    """End an archive as the end of its process does."""
    from kit.archive_objects import abandon

    return abandon


def test_all_keys_count_together(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(make_file(1))
        (one,) = archive.instances()
        uid, study = one.sop_instance_uid, one.study_instance_uid
        for keys in (
            {"patient_id": "P2", "sop_instance_uid": uid},
            {"study_instance_uid": study + ".1", "sop_instance_uid": uid},
            {"series_instance_uid": study, "sop_instance_uid": uid},
            {"patient_id": "P2", "study_instance_uid": study},
        ):
            assert list(archive.instances(**keys)) == []
            assert archive.delete(**keys) == 0
        keys = {"patient_id": "P1", "study_instance_uid": study, "sop_instance_uid": uid}
        assert [found.sop_instance_uid for found in archive.instances(**keys)] == [uid]
        assert archive.delete(**keys) == 1


@pytest.mark.parametrize("junk", [True, 7, 1 << 70, b"P1", ["P1"], object()])
def test_what_is_no_key_no_object_and_no_listener_is_refused_by_name(tmp_path, junk):
    calls: dict[str, Callable[[Archive], object]] = {
        "source": lambda archive: archive.add(junk),
        "identifier": lambda archive: archive.find(junk),
        "settings": lambda archive: archive.find(DataSet(), junk),
        "patient_id": lambda archive: archive.delete(patient_id=junk),
        "study_instance_uid": lambda archive: archive.instances(study_instance_uid=junk),
        "sop_instance_uid": lambda archive: archive.open_instance(junk),
        "item": lambda archive: archive.worklist.put(junk),
        "ref": lambda archive: archive.subscribe(junk),
    }
    if isinstance(junk, bytes):
        del calls["source"]
    with Archive.open(tmp_path, **ROOM) as archive:
        for name, call in calls.items():
            with pytest.raises(
                TypeError, match=rf"^{name}: expected .*, got {type(junk).__name__}"
            ):
                call(archive)
        assert archive.add(make_file(1)).is_kept
        assert all(actor.restarts == 0 for actor in archive.actors())


@pytest.mark.parametrize(
    "name", ["peers", "worklist_folder", "file_system", "clock", "now", "index", "heal"]
)
@pytest.mark.parametrize("junk", [7, b"x", ["x"], object()])
def test_an_archive_is_not_opened_with_junk(tmp_path, name, junk):
    with pytest.raises(TypeError, match=rf"^{name}: expected .*, got {type(junk).__name__}"):
        Archive.open(tmp_path, **{**ROOM, name: junk})
    assert list(tmp_path.iterdir()) == []


def test_peers_are_peers_by_their_titles(tmp_path):
    for peers in ({"PACS": ("host", 104)}, {7: Peer("host", 104)}):
        with pytest.raises(TypeError, match=r"^peers.*: expected"):
            Archive.open(tmp_path, peers=peers)
