"""An index that is gone or damaged is made anew of the files."""

from __future__ import annotations

import sqlite3

import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.archive.maintenance import verify
from dicom_actors.errors import ArchiveError

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0}
EVERY = {uid_of(n, s): make_file(n, study=s) for s in (1, 2) for n in range(1, 21)}


@pytest.fixture
def folder(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        for data in EVERY.values():
            archive.add(data)
    return tmp_path


def check_all_is_there(archive):
    until(lambda: not archive.is_rebuilding)
    assert archive.counts()[:4] == (2, 2, 2, len(EVERY))
    for uid, data in EVERY.items():
        assert archive.read(archive.find_instance(uid)) == data
    assert verify(archive, print).problems == 0
    assert not list(archive.folder.glob("index.rebuild"))


def lose(folder):
    for path in folder.glob("index.sqlite*"):
        path.unlink()


def fill_with_noise(folder):
    (folder / "index.sqlite").write_bytes(b"no index" * 2_000)


def cut_short(folder):
    path = folder / "index.sqlite"
    path.write_bytes(path.read_bytes()[:10_000])


def scribble_on_rows(folder):
    path = folder / "index.sqlite"
    data = bytearray(path.read_bytes())
    for page in range(8192, len(data), 8192):
        if uid_of(1, 2).encode() in data[page : page + 8192]:
            data[page : page + 8192] = b"\xff" * 8192
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [lose, fill_with_noise, cut_short])
def test_an_index_is_made_anew(folder, harm):
    harm(folder)

    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)
    assert len(list(folder.glob("index.sqlite.damaged-*"))) == (harm is not lose)
    with Archive.open(folder, **ROOM) as archive:
        assert not archive.is_rebuilding


def test_what_comes_meanwhile_is_kept(folder, monkeypatch):
    lose(folder)
    with Archive.open(folder, **ROOM) as archive:
        assert archive.add(make_file(1, study=3)).is_kept
        for data in EVERY.values():
            assert archive.add(data).is_kept
        archive.settle()
        until(lambda: not archive.is_rebuilding)
        assert archive.counts()[:4] == (3, 3, 3, len(EVERY) + 1)


def test_it_goes_on_after_a_crash(folder):
    lose(folder)
    abandon(Archive.open(folder, **ROOM))
    assert (folder / "index.rebuild").exists()

    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)


def test_damage_that_is_found_later_is_mended_at_the_next_start(folder):
    scribble_on_rows(folder)
    with Archive.open(folder, **ROOM) as archive:
        assert not archive.is_rebuilding
        with pytest.raises(ArchiveError) as caught:
            archive.add(make_file(1, study=2, fill=1))
        assert caught.value.reason == "damaged"
    with Archive.open(folder, **ROOM) as archive:
        assert archive.is_rebuilding
        until(lambda: not archive.is_rebuilding)
        for uid, data in EVERY.items():
            assert archive.read(archive.find_instance(uid)) == data


def test_a_new_archive_needs_nothing(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        assert not archive.is_rebuilding


def test_nothing_is_done_unasked(folder):
    fill_with_noise(folder)
    with pytest.raises(ArchiveError) as caught:
        Archive.open(folder, heal=False, **ROOM)
    assert caught.value.reason == "damaged"


def test_an_index_of_another_program_is_not_touched_and_kept(folder):
    lose(folder)
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)
    (kept,) = folder.glob("index.sqlite.damaged-*")
    connection = sqlite3.connect(kept)
    assert connection.execute("SELECT * FROM theirs").fetchall() == []
    connection.close()
