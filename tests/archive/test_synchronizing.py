"""What is to be safe is handed to the system for that, and in an order that is of use."""

from __future__ import annotations

import os

import pytest
from kit.archive_objects import make_file
from kit.forgetful_disk import ForgetfulDisk

from dicom_actors.archive import Archive
from dicom_actors.archive.files import Buckets, DiskFileSystem, file_system
from dicom_actors.archive.maintenance import backup

ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0}


@pytest.fixture
def flushed(monkeypatch):
    """The numbers of the files and folders that the system was asked to make safe."""
    found = []

    def flush(descriptor):
        found.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(file_system, "_flush", flush)
    monkeypatch.setattr(os, "fsync", flush)
    return found


@pytest.mark.index_in_folder  # there is none
@pytest.mark.parametrize("is_synchronous", [True, False])
def test_a_file_and_a_folder_are_made_safe_by_the_system(tmp_path, flushed, is_synchronous):
    disk = DiskFileSystem(tmp_path, is_synchronous=is_synchronous)
    disk.make_folder("a/b")
    file = disk.create("a/b/c")
    file.synchronize()
    file.close()
    disk.synchronize_folder("a/b")
    disk.synchronize_folder("")
    paths = [tmp_path / "a/b/c", tmp_path / "a/b", tmp_path]
    assert flushed == [path.stat().st_ino for path in paths if is_synchronous]


@pytest.mark.index_in_folder  # there is none
def test_many_are_made_safe_one_by_one_where_they_cannot_be_at_once(tmp_path, flushed, monkeypatch):
    monkeypatch.setattr(file_system, "_syncfs", None)
    disk = DiskFileSystem(tmp_path)
    disk.make_folder("a")
    disk.create("a/b").close()
    disk.synchronize_all(["a/b"], ["a", ""])
    paths = [tmp_path / "a/b", tmp_path / "a", tmp_path]
    assert flushed == [path.stat().st_ino for path in paths]


@pytest.mark.index_in_folder  # there is none
def test_many_are_made_safe_at_once(tmp_path, monkeypatch):
    if file_system._syncfs is None:
        pytest.skip("this system makes no file system safe at once")
    asked = []

    def syncfs(descriptor):
        asked.append(os.fstat(descriptor).st_ino)
        return 0

    monkeypatch.setattr(file_system, "_syncfs", syncfs)
    disk = DiskFileSystem(tmp_path)
    disk.synchronize_all([], [])
    assert asked == [tmp_path.stat().st_ino]


def test_a_backup_is_safe_before_it_is_one_and_then_its_name(tmp_path, monkeypatch):
    asked = []

    class Recording(DiskFileSystem):
        def synchronize_all(self, files, folders):
            if list(files):
                is_there = (tmp_path / "copy" / "index.sqlite").exists()
                asked.append((set(files), set(folders), is_there))
            super().synchronize_all(files, folders)

        def synchronize_folder(self, name):
            asked.append((name, (tmp_path / "copy" / "index.sqlite").exists()))
            super().synchronize_folder(name)

    with Archive.open(tmp_path / "archive", **ROOM) as archive:
        for number in (1, 2, 3):
            archive.add(make_file(number, study=number))
        archive.settle()
        monkeypatch.setattr(backup_module := _module_of(backup), "DiskFileSystem", Recording)
        monkeypatch.setattr(backup_module, "_SYNCHRONIZED_AT_ONCE", 2)
        backup(archive, tmp_path / "copy", print)
        locations = {one.location for one in archive.instances()}
    batches = [one for one in asked if len(one) == 3]
    assert [len(files) for files, _, _ in batches] == [2, 1]
    assert set().union(*(files for files, _, _ in batches)) == locations
    for files, folders, is_a_backup in batches:
        above = {name.rpartition("/")[0] for name in files}
        assert folders == {"", *above, *(name.rpartition("/")[0] for name in above)}
        assert not is_a_backup
    assert asked[-1] == ("", True)


def _module_of(function):
    import sys

    return sys.modules[function.__module__]


@pytest.mark.index_in_folder  # there is none
@pytest.mark.parametrize("left_out", [None, "a placed file", "the folder of the archive"])
def test_the_register_of_buckets_is_safe(left_out):
    disk = ForgetfulDisk()
    disk.left_out = left_out and f"synchronize {left_out} in Buckets._note"
    Buckets(disk, timeout=1.0)._note({"b1": "s3://bucket"})
    found = disk.restart()
    if left_out is None:
        assert Buckets(found, timeout=1.0).addresses() == {"b1": "s3://bucket"}
    else:
        assert all(b"s3://bucket" not in data for data in found.files().values())
