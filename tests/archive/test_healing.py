"""An index that is gone or damaged is made anew of the files."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time

import pytest
from kit.archive_objects import abandon, make_file, uid_of
from kit.gate import Gate
from kit.waiting import until

from dicom_actors import DataSet
from dicom_actors.archive import Archive
from dicom_actors.archive.maintenance import rebuilding, verify
from dicom_actors.archive.upkeep import Unpacking
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


@pytest.fixture
def rebuilder(monkeypatch):
    """A gate before the rebuilder looks at files."""
    gate, files_in_place = Gate(), rebuilding.files_in_place

    def held(holdings):
        gate()
        yield from files_in_place(holdings)

    monkeypatch.setattr(rebuilding, "files_in_place", held)
    yield gate
    gate.release()


@pytest.fixture
def unpacker(monkeypatch):
    """A gate before the unpacker looks for what a crash left."""
    gate, recover = Gate(), Unpacking.recover

    def held(unpacking, *arguments):
        gate()
        return recover(unpacking, *arguments)

    monkeypatch.setattr(Unpacking, "recover", held)
    yield gate
    gate.release()


def check_all_is_there(archive):
    until(lambda: not archive.is_rebuilding)
    assert archive.counts()[:4] == (2, 2, 2, len(EVERY))
    for uid, data in EVERY.items():
        assert archive.read(archive.find_instance(uid)) == data
    assert verify(archive, print).problems == 0
    assert not list(archive.folder.glob("index.rebuild"))


@pytest.fixture
def lose(index_place):
    return index_place.lose


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


def empty(folder):
    (folder / "index.sqlite").write_bytes(b"")


def forget_a_table(folder):
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.execute("DROP TABLE series")
    connection.commit()
    connection.close()


def forget_headers(folder):
    connection = sqlite3.connect(folder / "index.sqlite")
    connection.execute("DELETE FROM header")
    connection.commit()
    connection.close()


@pytest.mark.index_in_folder
def test_an_index_with_nothing_in_it_is_made_anew(folder):
    empty(folder)
    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)


@pytest.mark.index_in_folder
@pytest.mark.parametrize("harm", [forget_a_table, forget_headers])
def test_damage_that_a_query_finds_is_mended_at_the_next_start(folder, harm):
    harm(folder)
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyDescription": ""}
    if harm is forget_a_table:
        keys = {**keys, "QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2.1"}
    identifier = DataSet.from_keywords(**keys)
    with Archive.open(folder, **ROOM) as archive:
        with pytest.raises(ArchiveError) as caught:
            list(archive.find(identifier))
        assert caught.value.reason == "damaged"
    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)
        assert list(archive.find(identifier))


@pytest.mark.index_in_folder
def test_damage_that_is_found_behind_the_scenes_is_mended_at_the_next_start(folder):
    with Archive.open(folder, **ROOM) as archive:
        archive.add(make_file(30))
        connection = sqlite3.connect(folder / "index.sqlite")
        connection.execute("DROP TABLE other_version")
        connection.close()
        with pytest.raises(ArchiveError, match="damaged"):
            archive.settle()
    with Archive.open(folder, **ROOM) as archive:
        until(lambda: not archive.is_rebuilding)
        archive.settle()
        assert verify(archive, print)[::2] == (len(EVERY) + 1, 0)


@pytest.mark.index_in_folder
def test_an_archive_is_closed_though_another_process_holds_its_index(tmp_path):
    outcomes = []

    def add(archive):
        try:
            archive.add(make_file(1))
        except ArchiveError as error:
            outcomes.append(error.reason)

    archive = Archive.open(tmp_path, **ROOM)
    other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    adding = threading.Thread(target=add, args=(archive,))
    adding.start()
    until(archive.waiting)
    before = time.monotonic()
    archive.close()
    adding.join()
    assert time.monotonic() - before < 15  # an object waits for the lock for 30 s
    assert outcomes
    other.close()
    with Archive.open(tmp_path, **ROOM) as archive:  # it was safe, though nobody was told so
        until(lambda: archive.counts().instances == 1)


def test_an_index_that_is_gone_is_made_anew(folder, lose):
    lose(folder)

    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)
    assert list(folder.glob("index.sqlite.damaged-*")) == []
    with Archive.open(folder, **ROOM) as archive:
        assert not archive.is_rebuilding


@pytest.mark.index_in_folder  # a database is for those to mend who keep it
@pytest.mark.parametrize("harm", [fill_with_noise, cut_short])
def test_an_index_that_is_damaged_is_made_anew(folder, harm):
    harm(folder)

    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)
    assert len(list(folder.glob("index.sqlite.damaged-*"))) == 1
    with Archive.open(folder, **ROOM) as archive:
        assert not archive.is_rebuilding


@pytest.mark.parametrize("settles_first", [True, False])
def test_what_comes_meanwhile_is_kept(folder, rebuilder, settles_first, lose):
    lose(folder)
    with Archive.open(folder, **ROOM) as archive:
        assert archive.add(make_file(1, study=3)).is_kept
        for data in EVERY.values():
            assert archive.add(data).is_kept
        if settles_first:
            archive.settle()
        rebuilder.release()
        until(lambda: not archive.is_rebuilding)
        archive.settle()
        assert archive.counts()[:4] == (3, 3, 3, len(EVERY) + 1)
        assert verify(archive, print).problems == 0


def test_it_goes_on_after_a_crash(folder, monkeypatch, lose):
    lose(folder)
    halfway, files_in_place = Gate(), rebuilding.files_in_place
    halfway.release()

    def broken_off(holdings):
        yield from itertools.islice(files_in_place(holdings), len(EVERY) // 2)
        halfway()
        raise OSError("it breaks off here")

    with monkeypatch.context() as patch:
        patch.setattr(rebuilding, "files_in_place", broken_off)
        archive = Archive.open(folder, **ROOM)
        halfway.wait_until_entered()
        abandon(archive)
    assert (folder / "index.rebuild").exists()

    with Archive.open(folder, **ROOM) as archive:
        check_all_is_there(archive)


@pytest.mark.parametrize("is_first", ["rebuilder", "unpacker"])
def test_what_a_journal_alone_has_is_taken_in_whoever_comes_first(
    tmp_path, rebuilder, unpacker, is_first, lose
):
    older, newer = make_file(1), make_file(1, fill=1)
    unpacker.release()
    rebuilder.release()
    with Archive.open(tmp_path, duplicates="keep-both", **ROOM) as archive:
        archive.add(older)
    archive = Archive.open(tmp_path, duplicates="keep-both", journal_seconds=600, **ROOM)
    assert archive.add(newer).is_kept
    abandon(archive)
    lose(tmp_path)

    unpacker.close()
    rebuilder.close()
    with Archive.open(tmp_path, duplicates="keep-both", **ROOM) as archive:
        gates = {"rebuilder": rebuilder, "unpacker": unpacker}
        gates.pop(is_first).release()
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        gates.popitem()[1].release()
        until(lambda: not archive.is_rebuilding)
        versions = archive.rows.versions_of(uid_of(1))
        assert sorted(bytes(archive.read(one)) for one in versions) == sorted([older, newer])
        assert verify(archive, print).problems == 0


def test_what_is_deleted_while_its_row_is_being_made_has_none(
    tmp_path, unpacker, monkeypatch, lose
):
    unpacker.release()
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(make_file(1))
        archive.add(make_file(2))
        archive.settle()
        placed = archive.find_instance(uid_of(1)).location
    # As a crash leaves it between the two names of a file.
    (tmp_path / "incoming" / "left.dcm").hardlink_to(tmp_path / placed)
    lose(tmp_path)

    unpacker.close()
    looked_into, files_in_place = Gate(), rebuilding.files_in_place

    def held(holdings):
        yield from files_in_place(holdings)
        looked_into()  # and no row is written yet

    monkeypatch.setattr(rebuilding, "files_in_place", held)
    with Archive.open(tmp_path, **ROOM) as archive:
        looked_into.wait_until_entered()
        unpacker.release()
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        archive.settle()
        assert archive.delete(sop_instance_uid=uid_of(1)) == 1
        assert not (tmp_path / placed).exists()
        looked_into.release()
        until(lambda: not archive.is_rebuilding)
        assert [one.sop_instance_uid for one in archive.instances()] == [uid_of(2)]
        assert verify(archive, print).problems == 0


@pytest.mark.parametrize("size", [64, 2_000])
@pytest.mark.parametrize("is_first", ["rebuilder", "unpacker"])
def test_what_replaced_another_is_the_current_one_whoever_comes_first(
    tmp_path, rebuilder, unpacker, is_first, size, lose
):
    settings = {"duplicates": "replace", "journal_object_bytes": 1_000, **ROOM}
    older, newer = make_file(1), make_file(1, fill=1, size=size)
    unpacker.release()
    rebuilder.release()
    with Archive.open(tmp_path, **settings) as archive:
        archive.add(older)
        archive.settle()
        (placed,) = archive.instances()
    (tmp_path / "kept").hardlink_to(tmp_path / placed.location)
    unpacker.close()
    archive = Archive.open(tmp_path, journal_seconds=600, **settings)
    assert archive.add(newer).is_kept
    abandon(archive)
    lose(tmp_path)
    if not (tmp_path / placed.location).exists():
        # As the crash leaves it before the file goes.
        (tmp_path / placed.location).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / placed.location).hardlink_to(tmp_path / "kept")
    (tmp_path / "kept").unlink()

    rebuilder.close()
    unpacker.close()
    with Archive.open(tmp_path, **settings) as archive:
        gates = {"rebuilder": rebuilder, "unpacker": unpacker}
        gates.pop(is_first).release()
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        gates.popitem()[1].release()
        until(lambda: not archive.is_rebuilding)
        current = archive.find_instance(uid_of(1))
        assert archive.read(current) == newer
        versions = archive.rows.versions_of(uid_of(1))
        assert [bytes(archive.read(one)) for one in versions] == [newer, older]
        assert archive.counts().instances == 1
        assert verify(archive, print).problems == 0


@pytest.mark.parametrize("is_first", ["rebuilder", "unpacker"])
def test_what_was_refused_does_not_become_the_current_one(
    tmp_path, rebuilder, unpacker, is_first, lose
):
    unpacker.release()
    rebuilder.release()
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(make_file(1))
        archive.settle()
    archive = Archive.open(tmp_path, journal_seconds=600, **ROOM)
    assert not archive.add(make_file(1, fill=1)).is_kept
    abandon(archive)
    assert list((tmp_path / "journal").iterdir())
    lose(tmp_path)

    rebuilder.close()
    unpacker.close()
    with Archive.open(tmp_path, **ROOM) as archive:
        gates = {"rebuilder": rebuilder, "unpacker": unpacker}
        gates.pop(is_first).release()
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        gates.popitem()[1].release()
        until(lambda: not archive.is_rebuilding)
        assert archive.read(archive.find_instance(uid_of(1))) == make_file(1)
        assert verify(archive, print).problems == 0


def test_an_old_journal_does_not_replace_what_came_later(tmp_path, rebuilder, unpacker, lose):
    settings = {"duplicates": "replace", **ROOM}
    rebuilder.release()
    unpacker.release()
    archive = Archive.open(tmp_path, journal_seconds=600, **settings)
    assert archive.add(make_file(1)).is_kept
    (journal,) = (tmp_path / archive.store.journal).iterdir()
    old = journal.read_bytes()
    assert archive.add(make_file(1, fill=1)).is_kept
    archive.settle()
    archive.close()
    # As it is left when something in it is damaged.
    journal.parent.mkdir(exist_ok=True)
    journal.write_bytes(old)
    lose(tmp_path)

    unpacker.close()
    with Archive.open(tmp_path, **settings) as archive:
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        unpacker.release()
        until(lambda: not archive.is_rebuilding)
        assert archive.read(archive.find_instance(uid_of(1))) == make_file(1, fill=1)


def test_a_file_without_a_place_is_found_once_whoever_comes_first(
    tmp_path, rebuilder, unpacker, lose
):
    unpacker.release()
    rebuilder.release()
    with Archive.open(tmp_path, **ROOM) as archive:
        archive.add(make_file(1))
        archive.settle()
        (placed,) = archive.instances()
    # As a crash leaves it between the two names of a file.
    (tmp_path / "incoming" / "left.dcm").hardlink_to(tmp_path / placed.location)
    lose(tmp_path)

    unpacker.close()
    with Archive.open(tmp_path, **ROOM) as archive:
        until(lambda: archive.find_instance(uid_of(1)) is not None)
        unpacker.release()
        until(lambda: not archive.is_rebuilding)
        assert archive.waiting() == set()
        assert verify(archive, print) == (1, len(make_file(1)), 0)


@pytest.mark.index_in_folder
def test_damage_that_is_found_later_is_mended_at_the_next_start(folder, rebuilder):
    scribble_on_rows(folder)
    with Archive.open(folder, **ROOM) as archive:
        assert not archive.is_rebuilding
        with pytest.raises(ArchiveError) as caught:
            archive.add(make_file(1, study=2, fill=1))
        assert caught.value.reason == "damaged"
    with Archive.open(folder, **ROOM) as archive:
        assert archive.is_rebuilding
        rebuilder.release()
        until(lambda: not archive.is_rebuilding)
        for uid, data in EVERY.items():
            assert archive.read(archive.find_instance(uid)) == data


def test_a_new_archive_needs_nothing(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        assert not archive.is_rebuilding


@pytest.mark.index_in_folder
def test_nothing_is_done_unasked(folder):
    fill_with_noise(folder)
    with pytest.raises(ArchiveError) as caught:
        Archive.open(folder, heal=False, **ROOM)
    assert caught.value.reason == "damaged"


@pytest.mark.index_in_folder
def test_an_index_of_another_program_is_not_touched_and_kept(folder, lose):
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
