"""What was acknowledged and has no place yet finds it when the folder is back, without a start."""

from __future__ import annotations

import shutil

import pytest
from kit.archive_objects import make_file, uid_of
from kit.file_systems import small_disk
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.archive.actors import unpacker
from dicom_actors.archive.maintenance import verify
from dicom_actors.errors import ArchiveError
from dicom_actors.supervision import kill

pytestmark = pytest.mark.usefixtures("nothing_left")

LARGE = 1000
"""Bytes up to which objects go through the journal here."""


def open_archive(folder, **settings):
    room = {"reserve_bytes": 0, "warn_free_bytes": 0}
    return Archive.open(folder, journal_object_bytes=LARGE, **room, **settings)


def places(folder):
    return sorted(path.name for path in folder.glob("*/*/*.dcm"))


@pytest.mark.parametrize("gone", ["", "journal", "incoming"])
@pytest.mark.parametrize("size", [10, 2 * LARGE])
def test_a_folder_is_gone_for_a_while(tmp_path, gone, size):
    folder, away = tmp_path / "archive", tmp_path / "away"
    with open_archive(folder) as archive:
        data = make_file(1, size=size)
        assert archive.add(data).is_kept
        (folder / gone).rename(away)
        with pytest.raises(ArchiveError):
            archive.settle()
        away.rename(folder / gone)

        until(lambda: places(folder))
        archive.settle()
        assert archive.read(archive.find_instance(uid_of(1))) == data
        assert verify(archive, print).problems == 0
        assert archive.waiting() == set()


@pytest.mark.index_in_folder  # where a database says what there is, others make theirs, too
@pytest.mark.parametrize("gone", ["journal", "incoming"])
def test_a_folder_that_is_needed_is_made_again(tmp_path, gone):
    with open_archive(tmp_path, disk_interval=0.05) as archive:
        assert archive.add(make_file(1)).is_kept
        archive.settle()
        (tmp_path / gone).rmdir()

        until(lambda: all(is_kept(archive, make_file(n, size=n)) for n in (10, 2 * LARGE)))
        until(lambda: is_settled(archive))
        assert len(places(tmp_path)) == 3
        assert verify(archive, print).problems == 0


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("size", [10, 2 * LARGE])
def test_in_an_emptied_folder_it_begins_anew(tmp_path, size, is_whole, index_place):
    # A database knows of what was in the folder, and `verify` says that it is gone.
    lost = [uid_of(1)] if index_place.is_shared else []
    folder = tmp_path / "archive"
    with open_archive(folder, disk_interval=0.05) as archive:
        assert archive.add(make_file(1, size=size)).is_kept
        if is_whole:
            shutil.rmtree(folder)
            with pytest.raises((ArchiveError, OSError)):
                archive.add(make_file(2, size=size))
            folder.mkdir()
        else:
            for path in list(folder.iterdir()):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

        until(lambda: is_kept(archive, make_file(3, size=size)))
        until(lambda: is_settled(archive))  # one of the folders is there before the other
        assert [found.sop_instance_uid for found in archive.instances()] == [*lost, uid_of(3)]
        assert places(folder) == [f"{uid_of(3)}.dcm"]
        assert verify(archive, print).problems == len(lost)
        with pytest.raises(ArchiveError, match="is open already"):
            open_archive(folder, index=None)
    with open_archive(folder) as archive:
        assert archive.counts().instances == len(lost) + 1


def is_settled(archive):
    try:
        archive.settle()
    except (ArchiveError, OSError):
        return False
    return True


def is_kept(archive, data):
    try:
        return archive.add(data).is_kept
    except (ArchiveError, OSError):
        return False


def test_where_a_disk_was_mounted_it_does_not_begin_anew(tmp_path):
    with small_disk(4 << 20) as disk:
        folder = disk.folder / "archive"
        with open_archive(folder, disk_interval=0.01) as archive:
            assert archive.add(make_file(1)).is_kept
            archive.settle()
            folder.rename(disk.folder / "away")
            (tmp_path / "other").mkdir()
            folder.symlink_to(tmp_path / "other")
            looks = []
            kernel = archive._kernel
            look = kernel.look_at_disk
            kernel.look_at_disk = lambda needed=0: (looks.append(needed), look(needed))
            until(lambda: len(looks) >= 5)
            assert not is_kept(archive, make_file(2))
            folder.unlink()
            (disk.folder / "away").rename(folder)
            until(lambda: is_kept(archive, make_file(2)))
    assert not list((tmp_path / "other").iterdir())


def test_nobody_waits_for_the_next_attempt_when_the_folder_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacker, "_FIRST_PAUSE", 3600.0)
    folder, away = tmp_path / "archive", tmp_path / "away"
    with open_archive(folder, disk_interval=0.05) as archive:
        assert archive.add(make_file(1)).is_kept
        folder.rename(away)
        with pytest.raises(ArchiveError):
            archive.settle()
        until(lambda: archive._kernel.disk_state == "absent")
        away.rename(folder)
        until(lambda: places(folder))


def test_a_crash_in_between_forgets_nothing(tmp_path):
    folder, away = tmp_path / "archive", tmp_path / "away"
    with open_archive(folder, disk_interval=0.05) as archive:
        assert archive.add(make_file(1)).is_kept
        folder.rename(away)
        with pytest.raises(ArchiveError):
            archive.settle()
        kill(archive._kernel.system.registry.lookup("unpacker"))
        with pytest.raises(ArchiveError):
            archive.settle()
        away.rename(folder)
        until(lambda: places(folder))
