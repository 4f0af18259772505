"""Work on an archive as a whole, on one that is open and beside a process that has it open."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING

import pytest
from kit.archive_objects import make_file, uid_of
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.archive.maintenance import adopt, backup, rebuilding, reindex, verify
from dicom_actors.archive.maintenance.backup import _Backup
from dicom_actors.archive.maintenance.reindexing import reindexing
from dicom_actors.archive.visit import Visit
from dicom_actors.cli.main import main
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from pathlib import Path

    from dicom_actors.archive.maintenance import Problem

ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0, "journal_object_bytes": 4096}
SMALL, LARGE = 64, 8192

pytestmark = pytest.mark.usefixtures("nothing_left")


def filled(folder: Path) -> Archive:
    """An archive of four instances in their places, in two studies."""
    archive = Archive.open(folder, duplicates="keep-both", **ROOM)
    for number in range(1, 5):
        size = SMALL if number % 2 else LARGE
        archive.add(make_file(number, study=1 + number // 3, size=size))
    archive.settle()
    return archive


def place_of(number: int, study: int) -> str:
    return f"1.2.{study}/1.2.{study}.1/{uid_of(number, study)}.dcm"


def test_verify_finds_what_is_wrong_and_nothing_else(tmp_path):
    problems: list[Problem] = []
    with filled(tmp_path) as archive:
        archive.add(make_file(1, fill=1))  # another version
        archive.settle()
        assert verify(archive, problems.append) == (5, archive.counts().bytes, 0)
        assert problems == []
        damaged, missing, cut = (tmp_path / place_of(*one) for one in ((1, 1), (2, 1), (3, 2)))
        data = bytearray(damaged.read_bytes())
        data[-1] ^= 1
        damaged.write_bytes(data)
        missing.unlink()
        cut.write_bytes(cut.read_bytes()[:-1])
        with (tmp_path / place_of(4, 2)).open("ab") as longer:
            longer.write(b"\0")
        (tmp_path / "1.2.1" / "new.dcm").write_bytes(make_file(9))
        assert verify(archive, problems.append).problems == 5
    assert {problem.sop_instance_uid: problem.what.split(";")[0] for problem in problems} == {
        uid_of(1): "the bytes are not those that were stored",
        uid_of(2): "the file is missing",
        uid_of(3, 2): f"{place_of(3, 2)}: expected {len(make_file(3, study=2))} bytes,"
        f" got {len(make_file(3, study=2)) - 1}",
        uid_of(4, 2): "the file is longer than what was stored",
        uid_of(9): "a file without a row",
    }


def test_verify_says_what_reindex_does_with_a_file_without_a_row(tmp_path):
    problems: list[Problem] = []
    with filled(tmp_path) as archive:
        (tmp_path / "1.2.1" / "copy.dcm").write_bytes((tmp_path / place_of(1, 1)).read_bytes())
        (tmp_path / "1.2.1" / "new.dcm").write_bytes(make_file(9))
        verify(archive, problems.append)
        assert [(problem.location, problem.what.split("; ")[-1]) for problem in problems] == [
            (
                "1.2.1/copy.dcm",
                f"a file without a row: a copy of {place_of(1, 1)}, which nothing needs",
            ),
            ("1.2.1/new.dcm", "`reindex` gives it one, if it can be read"),
        ]
        assert reindex(archive, print).added == 1
        problems.clear()
        verify(archive, problems.append)
        assert [problem.location for problem in problems] == ["1.2.1/copy.dcm"]


def test_reindex_makes_a_new_index_of_the_files(tmp_path, index_place):
    problems: list[Problem] = []
    with filled(tmp_path) as archive:
        archive.add(make_file(1, fill=1))
        archive.settle()
        before = {(one.sop_instance_uid, one.checksum) for one in archive.instances()}
        counts = archive.counts()
    index_place.lose(tmp_path)
    (tmp_path / "1.2.1" / "text.dcm").write_text("no object")
    with Archive.open(tmp_path, heal=False, **ROOM) as archive:
        assert archive.counts().instances == 0
        assert reindex(archive, problems.append) == (6, 5, 0, 1)
        assert [problem.location for problem in problems] == ["1.2.1/text.dcm"]
        assert archive.counts() == counts
        with archive.reader() as reader:
            assert len(reader.versions_of(uid_of(1))) == 2
        after = {(one.sop_instance_uid, one.checksum) for one in archive.instances()}
        assert {uid for uid, _ in after} == {uid for uid, _ in before}
        assert reindex(archive, problems.append)[:3] == (6, 0, 0)


def test_reindex_finds_a_file_that_was_moved(tmp_path):
    with filled(tmp_path) as archive:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / place_of(1, 1)).rename(tmp_path / "elsewhere" / "a.dcm")
        assert reindex(archive, print)[:3] == (4, 0, 1)
        assert archive.open_instance(uid_of(1)).InstanceNumber == 1
        assert verify(archive, print).problems == 0


@pytest.mark.parametrize("in_place", [False, True])
def test_a_folder_is_adopted(tmp_path, in_place):
    problems: list[Problem] = []
    folder = tmp_path / "{other} 100%:"
    (folder / "below").mkdir(parents=True)
    for number in range(1, 4):
        (folder / "below" / f"{number}").write_bytes(make_file(number, size=LARGE))
    (folder / "again").write_bytes(make_file(1, size=LARGE))
    (folder / "other").write_bytes(make_file(2, size=LARGE, fill=1))
    (folder / "text").write_text("no object")
    with Archive.open(tmp_path / "archive", **ROOM) as archive:
        found = adopt(archive, folder, problems.append, in_place=in_place)
        assert found == (6, 3, 1, 1, 1)
        assert [problem.location for problem in problems] == [str(folder / "text")]
        archive.settle()
        assert verify(archive, problems.append).problems == 0
        locations = [one.location for one in archive.instances()]
        assert all(location.startswith(str(folder)) == in_place for location in locations)
        assert bytes(archive.read(next(archive.instances()))) == make_file(1, size=LARGE)
        assert archive.delete(study_instance_uid="1.2.1") == 3
        assert len(list((folder / "below").iterdir())) == 3  # theirs, whatever we forget


@pytest.mark.parametrize("in_place", [False, True])
def test_what_is_no_file_is_neither_waited_for_nor_taken(tmp_path, in_place):
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.mkfifo(folder / "1-pipe.dcm")
    (folder / "2-device.dcm").symlink_to("/dev/zero")
    (folder / "3-nowhere.dcm").symlink_to(folder / "nothing")
    (folder / "4-loop.dcm").symlink_to("4-loop.dcm")
    (folder / "5.dcm").write_bytes(make_file(1))
    problems: list[Problem] = []
    with Archive.open(tmp_path / "ours", **ROOM) as archive:
        found = adopt(archive, folder, problems.append, in_place=in_place)
        assert found == (5, 1, 0, 0, 4)
        assert [problem.location[-8:] for problem in problems] == [
            "pipe.dcm",
            "vice.dcm",
            "here.dcm",
            "loop.dcm",
        ]
        for name in ("1-pipe.dcm", "2-device.dcm"):
            with pytest.raises(OSError, match="expected a file"):
                archive.add(folder / name)


def test_a_backup_can_be_opened_and_a_second_one_copies_what_is_new(tmp_path):
    with filled(tmp_path / "archive") as archive:
        archive.add(make_file(9, size=SMALL))  # in the journal
        assert backup(archive, tmp_path / "copy", print)[:2] == (5, 5)
        archive.add(make_file(10, size=LARGE))
        assert archive.delete(sop_instance_uid=uid_of(1)) == 1
        found = backup(archive, tmp_path / "copy", print)
        assert found.instances == 5
        assert found.copied <= 2
        expected = {one.sop_instance_uid: one.checksum for one in archive.instances()}
        with pytest.raises(ArchiveError, match="folder of its own"):
            backup(archive, tmp_path / "archive", print)
    # Wherever that of the archive is: a backup has its index in its folder.
    with Archive.open(tmp_path / "copy", index=None, **ROOM) as copy:
        with pytest.raises(ArchiveError, match="is open already"):
            Archive.open(tmp_path / "copy", index=None)
        assert {one.sop_instance_uid: one.checksum for one in copy.instances()} == expected
        assert [one for one in expected if not copy.open_instance(one)] == []
        problems: list[Problem] = []
        verify(copy, problems.append)
        assert problems == []
    assert list((tmp_path / "copy" / "incoming").iterdir()) == []


@pytest.mark.parametrize("in_place", [False, True])
def test_an_archive_does_not_take_in_its_own_files(tmp_path, in_place):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "9.dcm").write_bytes(make_file(9))
    (tmp_path / "link").symlink_to(tmp_path)
    problems: list[Problem] = []
    with filled(tmp_path / "archive") as archive:
        archive.add(make_file(8, size=SMALL))  # in the journal
        for folder in (tmp_path / "archive", tmp_path / "link/archive/1.2.1"):
            with pytest.raises(ArchiveError, match="in the archive already"):
                adopt(archive, folder, problems.append, in_place=in_place)
        found = adopt(archive, tmp_path / "link", problems.append, in_place=in_place)
        assert (found, problems) == ((1, 1, 0, 0, 0), [])
        assert archive.counts().instances == 6


@pytest.mark.parametrize("where", ["archive/below", "archive/1.2.1", "."])
def test_a_backup_is_not_made_among_the_files_of_its_archive(tmp_path, where):
    with filled(tmp_path / "archive") as archive:
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(ArchiveError, match="folder of its own"):
            backup(archive, tmp_path / where, print)
        assert sorted(tmp_path.rglob("*")) == before


def test_a_backup_takes_nothing_from_another_archive(tmp_path):
    with Archive.open(tmp_path / "other", index=None, **ROOM) as other:
        other.add(make_file(9, study=9))
    with filled(tmp_path / "archive") as archive:
        with pytest.raises(ArchiveError, match="an archive of its own"):
            backup(archive, tmp_path / "other", print)
        backup(archive, tmp_path / "copy", print)
    with Archive.open(tmp_path / "other", index=None, **ROOM) as other:
        assert verify(other, print)[::2] == (1, 0)
        with pytest.raises(ArchiveError, match="is a backup of"):
            backup(other, tmp_path / "copy", print)
    with Archive.open(tmp_path / "copy", index=None, **ROOM) as copy:
        assert verify(copy, print)[::2] == (4, 0)


@pytest.mark.parametrize("way", ["add", "visit", "adopt", "in place", "reindex"])
def test_a_backup_in_which_something_is_kept_is_an_archive_of_its_own(tmp_path, way):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "9.dcm").write_bytes(make_file(9))
    with filled(tmp_path / "archive") as archive:
        backup(archive, tmp_path / "copy", print)
        with Archive.open(tmp_path / "copy", index=None, **ROOM) as copy:
            verify(copy, print)
            copy.delete(sop_instance_uid=uid_of(1))
        backup(archive, tmp_path / "copy", print)  # which it still is
        with Archive.open(tmp_path / "copy", index=None, **ROOM) as copy:
            if way == "add":
                copy.add(make_file(9))
            elif way == "visit":
                with Visit(tmp_path / "copy") as visit:
                    visit.add(make_file(9))
            elif way == "reindex":
                (tmp_path / "copy" / "1.2.1" / "9.dcm").write_bytes(make_file(9))
                reindex(copy, print)
            else:
                adopt(copy, tmp_path / "new", print, in_place=way == "in place")
        with pytest.raises(ArchiveError, match="an archive of its own"):
            backup(archive, tmp_path / "copy", print)
        with Visit(tmp_path / "copy") as copy:
            assert copy.open_instance(uid_of(9)).InstanceNumber == 9
            assert verify(copy, print).problems == 0


def test_a_damaged_mark_of_a_backup_is_an_error(tmp_path):
    with filled(tmp_path / "archive") as archive:
        backup(archive, tmp_path / "copy", print)
        for text in ("", "[]", "{}", '{"archive": 1}'):
            (tmp_path / "copy" / "backup.json").write_text(text)
            with pytest.raises(ArchiveError, match=r"backup\.json: expected"):
                backup(archive, tmp_path / "copy", print)


def test_a_backup_that_breaks_off_leaves_the_one_before(tmp_path, monkeypatch):
    with filled(tmp_path / "archive") as archive:
        backup(archive, tmp_path / "copy", print)
        before = {one.sop_instance_uid for one in archive.instances()}
        archive.delete(sop_instance_uid=uid_of(1))

        def fail(self):
            raise OSError("the power")

        with monkeypatch.context() as patch:
            patch.setattr(_Backup, "_be_the_backup", fail)
            with pytest.raises(OSError, match="the power"):
                backup(archive, tmp_path / "copy", print)
        with Visit(tmp_path / "copy") as copy:
            assert {one.sop_instance_uid for one in copy.instances()} == before
            assert verify(copy, print).problems == 0
        # What was about to be removed is looked at again, and has its row.
        backup(archive, tmp_path / "copy", print)
        with Visit(tmp_path / "copy") as copy:
            assert {one.sop_instance_uid for one in copy.instances()} == before - {uid_of(1)}
            assert verify(copy, print).problems == 0


def test_all_of_it_beside_a_process_that_has_it_open(tmp_path, index_place):
    # Those who share an index open the archive, and none of them is a visitor who adds anything.
    beside = Archive.open if index_place.is_shared else Visit
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1").write_bytes(make_file(7, size=LARGE))
    with filled(tmp_path / "archive") as archive, beside(tmp_path / "archive") as visit:
        assert verify(visit, print).problems == 0
        assert adopt(visit, tmp_path / "new", print) == (1, 1, 0, 0, 0)
        assert archive.open_instance(uid_of(7)).InstanceNumber == 7
        assert backup(visit, tmp_path / "copy", print).instances == 5
        assert visit.delete(study_instance_uid="1.2.1") == 3
        archive.add(make_file(8, size=SMALL))
        assert [one.sop_instance_uid for one in visit.instances()] == [
            uid_of(3, 2),
            uid_of(4, 2),
            uid_of(8),
        ]
        assert archive.counts() == visit.counts()
        assert reindex(visit, print)[1:] == (0, 0, 0)


@pytest.fixture
def command(tmp_path, capsys, monkeypatch, index_place):
    """Work on the archive by a command."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    store = tmp_path / "archive"

    def run(*words: str) -> tuple[int, dict[str, int], str]:
        where = ["--store", str(store), *index_place.words(store)]
        code = main(["archive", *words, *where, "--json"])
        out, error = capsys.readouterr()
        return code, json.loads(out) if out else {}, error

    return run


def test_the_command_line(tmp_path, capsys, command, index_place):
    filled(tmp_path / "archive").close()
    assert command("stats")[1]["instances"] == 4
    assert command("verify")[:2] == (
        0,
        {"instances": 4, "bytes": command("stats")[1]["bytes"], "problems": 0},
    )
    code, result, _ = command("backup", str(tmp_path / "copy"))
    assert (code, result["copied"]) == (0, 4)
    assert command("delete", "StudyInstanceUID=1.2.1")[:2] == (0, {"deleted": 2})
    assert command("adopt", str(tmp_path / "copy"))[1]["added"] == 2
    (tmp_path / "archive" / place_of(1, 1)).unlink()
    code, _, error = command("verify")
    assert code == 1
    assert error.endswith(f"{place_of(1, 1)}: the file is missing\n")
    assert command("delete", "StudyDate=2026")[0] == 2
    for words in (["stats"], ["reindex"], ["adopt", str(tmp_path / "nothing")]):
        assert main(["archive", *words, "--store", str(tmp_path / "none")]) == 2
        assert not (tmp_path / "none").exists()
    assert command("delete", f"SOPInstanceUID={uid_of(1)}")[1] == {"deleted": 1}
    assert command("reindex")[1]["added"] == 0
    assert command("stats")[1]["instances"] == 3
    where = ["--store", str(tmp_path / "archive"), *index_place.words(tmp_path / "archive")]
    assert main(["archive", "stats", *where]) == 0
    assert "instances 3" in capsys.readouterr().out


@pytest.mark.index_in_folder  # a database is for those to mend who keep it
def test_an_index_that_is_damaged_is_said_and_made_anew(tmp_path, command):
    filled(tmp_path / "archive").close()
    (tmp_path / "archive" / "index.sqlite").write_bytes(b"no index" * 1000)
    for path in (tmp_path / "archive").glob("index.sqlite-*"):
        path.unlink()
    code, _, error = command("stats")
    assert code == 1
    assert "`reindex` makes a new one" in error
    code, result, error = command("reindex")
    assert (code, result["added"]) == (0, 4)
    assert "is kept as index.sqlite.damaged-" in error
    assert command("stats")[1]["instances"] == 4


def forget_versions(folder):
    with contextlib.closing(sqlite3.connect(folder / "index.sqlite")) as connection:
        connection.execute("DROP TABLE other_version")


@pytest.mark.index_in_folder
def test_damage_that_shows_in_use_is_mended_by_reindex_as_it_says(tmp_path, command):
    filled(tmp_path / "archive").close()
    forget_versions(tmp_path / "archive")
    code, result, error = command("reindex")
    assert (code, result["added"]) == (0, 4)
    assert "is kept as index.sqlite.damaged-" in error
    assert command("verify")[1]["problems"] == 0
    forget_versions(tmp_path / "archive")
    code, _, error = command("verify")
    assert code == 1
    assert "`reindex` makes a new one" in error
    code, result, error = command("reindex")
    assert (code, result["added"]) == (0, 4)
    assert "was found to be damaged" in error
    assert command("verify")[1]["problems"] == 0
    names = {path.name for path in (tmp_path / "archive").iterdir()}
    assert not names & {"index.rebuild", "index.sqlite.is-damaged"}


@pytest.mark.index_in_folder
def test_reindex_says_what_helps_where_another_process_has_the_damaged_index(tmp_path, command):
    with filled(tmp_path / "archive"):
        forget_versions(tmp_path / "archive")
        code, _, error = command("reindex")
        assert code == 1
        assert "`serve` makes a new one when it is started again" in error
    with Archive.open(tmp_path / "archive", **ROOM) as archive:
        until(lambda: not archive.is_rebuilding)
        assert verify(archive, print)[::2] == (4, 0)


@pytest.mark.index_in_folder
@pytest.mark.parametrize("is_gone", [True, False])
def test_a_reindex_that_is_broken_off_is_taken_up_at_the_next_start(
    tmp_path, command, monkeypatch, is_gone
):
    filled(tmp_path / "archive").close()
    for path in (tmp_path / "archive").glob("index.sqlite*"):
        path.unlink() if is_gone else path.write_bytes(b"no index" * 1000)

    def broken_off(*arguments, **more):
        next(reindexing(*arguments, **more))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "reindexing", broken_off)
        assert main(["archive", "reindex", "--store", str(tmp_path / "archive")]) == 130
    with Archive.open(tmp_path / "archive", **ROOM) as archive:
        until(lambda: not archive.is_rebuilding)
        assert verify(archive, print)[::2] == (4, 0)


def test_an_index_of_a_newer_version_is_left_alone_and_said(tmp_path, index_place):
    filled(tmp_path).close()
    index_place.set_version(tmp_path, 9999)
    with pytest.raises(ArchiveError) as caught:
        Archive.open(tmp_path)
    assert caught.value.reason == "newer"
    assert "9999" in str(caught.value)
