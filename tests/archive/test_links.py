"""Somebody who may write to an archive's folder plants links there: none is followed."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from kit.archive_objects import make_file, uid_of
from kit.endpoints import running
from kit.waiting import until

from dicom_actors import DataSet, connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.files import DiskFileSystem
from dicom_actors.archive.files.file_system import HAS_DESCRIPTORS
from dicom_actors.archive.maintenance import backup, reindex, verify
from dicom_actors.errors import ArchiveError, RetrievalIncomplete

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(os.name == "nt", reason="links there need rights"),
]
SETTINGS = {"reserve_bytes": 0, "warn_free_bytes": 0, "journal_object_bytes": 2_000}
SMALL, LARGE = 64, 5_000
PLACE = "1.2.1/1.2.1.1/1.2.1.1.1.dcm"


@pytest.fixture
def outside(tmp_path):
    """A folder that is no business of the archive's, with a file in it."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious.dcm").write_bytes(make_file(9, study=9))
    return folder


@pytest.fixture
def untouched(outside):
    """Nothing is changed there."""
    before = {path: path.read_bytes() for path in outside.iterdir()}
    yield
    assert {path: path.read_bytes() for path in outside.iterdir()} == before


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("link", ["1.2.1", "1.2.1/1.2.1.1"])
def test_an_object_is_not_placed_through_a_link(tmp_path, outside, size, link):
    folder = tmp_path / "archive"
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(outside)
    data = make_file(1, size=size)
    with Archive.open(folder, **SETTINGS) as archive:
        assert archive.add(data).is_kept
        assert archive.add(make_file(2, study=2)).is_kept
        archive.settle()  # the link keeps nobody else's object from its place, either
        (found,) = archive.instances(study_instance_uid="1.2.1")
        assert found.location == f"elsewhere/{PLACE}"
        assert archive.read(found) == data
        assert verify(archive, print).problems == 0
    with Archive.open(folder, **SETTINGS) as archive:
        assert archive.delete(study_instance_uid="1.2.1") == 1
    assert not (folder / "elsewhere").exists()


@pytest.mark.usefixtures("untouched")
def test_a_link_where_an_object_would_be_is_left_alone(tmp_path, outside):
    folder = tmp_path / "archive"
    (folder / PLACE).parent.mkdir(parents=True)
    (folder / PLACE).symlink_to(outside / "precious.dcm")
    with Archive.open(folder, **SETTINGS) as archive:
        archive.add(make_file(1))
        archive.settle()
        (found,) = archive.instances()
        assert found.location == PLACE.replace(".dcm", "-2.dcm")


@pytest.fixture
def robbed(tmp_path, outside):
    """An archive in which the folder of a study was replaced by a link."""
    folder = tmp_path / "archive"
    with Archive.open(folder, **SETTINGS) as archive:
        archive.add(make_file(1))
        archive.settle()
        (folder / "1.2.1").rename(tmp_path / "away")
        (outside / "1.2.1.1").mkdir()
        (outside / "1.2.1.1/1.2.1.1.1.dcm").write_bytes(make_file(1))
        (folder / "1.2.1").symlink_to(outside)
        yield archive
    assert (outside / "1.2.1.1/1.2.1.1.1.dcm").exists()


def test_nothing_is_read_through_a_link(robbed):
    (found,) = robbed.instances()
    with pytest.raises(OSError, match="no folder, or a link"):
        robbed.read(found)
    with pytest.raises(OSError, match="no folder, or a link"):
        robbed.open_instance(uid_of(1))
    assert not robbed.is_whole(found)
    problems = []
    assert verify(robbed, problems.append).problems == 1


def test_nothing_is_sent_through_a_link_and_the_peer_is_told_which(robbed):
    with (
        running(robbed.event_handlers(), **robbed.endpoint_settings()) as endpoint,
        connect("127.0.0.1", endpoint.port) as association,
    ):
        keys = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.1")
        with pytest.raises(RetrievalIncomplete) as caught:
            list(association.get(keys))
        assert caught.value.progress.failed == 1
        assert caught.value.progress.failed_sop_instance_uids == (uid_of(1),)


def test_nothing_is_deleted_through_a_link(robbed):
    assert robbed.delete(study_instance_uid="1.2.1") == 1
    assert robbed.counts().instances == 0


def test_nothing_is_indexed_through_a_link(robbed):
    (robbed.folder / "9").mkdir()
    (robbed.folder / "9/stolen.dcm").symlink_to(Path("/etc/hostname"))
    problems = []
    assert reindex(robbed, problems.append)[:2] == (1, 0)
    assert "no link" in problems[0].what


def test_nothing_is_copied_through_a_link(robbed, tmp_path):
    problems = []
    made = backup(robbed, tmp_path / "copy", problems.append)
    assert (made.instances, made.problems) == (0, 1)


@pytest.mark.usefixtures("untouched")
def test_a_backup_is_not_written_through_a_link(tmp_path, outside):
    with Archive.open(tmp_path / "archive", **SETTINGS) as archive:
        archive.add(make_file(1))
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy/1.2.1").symlink_to(outside)
        (tmp_path / "copy/archive.lock").symlink_to(outside / "precious.dcm")
        with pytest.raises(ArchiveError, match=r"archive\.lock"):
            backup(archive, tmp_path / "copy", print)
        (tmp_path / "copy/archive.lock").unlink()
        made = backup(archive, tmp_path / "copy", lambda _: None)
        assert (made.instances, made.problems) == (0, 1)


@pytest.mark.parametrize("folder", ["incoming", "journal"])
def test_what_would_be_written_elsewhere_is_not_acknowledged(tmp_path, outside, folder):
    size = LARGE if folder == "incoming" else SMALL
    with Archive.open(tmp_path / "archive", **SETTINGS) as archive:
        place = archive.folder / getattr(archive.store, folder)
        place.rmdir()
        place.symlink_to(outside)
        with (
            running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
            connect("127.0.0.1", endpoint.port) as association,
        ):
            assert association.store(read_file(make_file(1, size=size))).status == 0xA700
        assert archive.find_instance(uid_of(1)) is None
        place.unlink()
        place.mkdir()


@pytest.mark.index_in_folder  # these are files, whose ever
@pytest.mark.parametrize(
    "by_path", [True, pytest.param(False, marks=pytest.mark.skipif(not HAS_DESCRIPTORS, reason=""))]
)
@pytest.mark.parametrize("is_held", [True, False])
class TestDiskFileSystem:
    @pytest.fixture
    def disk(self, tmp_path, outside, by_path, is_held):
        root = tmp_path / "root"
        (root / "in").mkdir(parents=True)
        (root / "in/file").write_bytes(b"ours")
        (root / "out").symlink_to(outside)
        (root / "file").symlink_to(outside / "precious.dcm")
        disk = DiskFileSystem(root, by_path=by_path)
        with disk.held() if is_held else nullcontext(disk) as there:
            yield there

    def test_a_folder_that_is_made_anew_is_not_the_one_that_was(self, disk):
        disk.make_folder("a/b")
        disk.create("a/b/one").close()
        disk.remove("a/b/one")
        assert disk.remove_folder("a/b")
        assert disk.remove_folder("a")
        disk.make_folder("a/b")
        disk.create("a/b/two").close()
        assert os.listdir(Path(disk.root) / "a/b") == ["two"]

    def test_a_file_is_found_in_the_folder_that_has_the_place_of_one_that_was_read_in(self, disk):
        assert disk.read("in/file") == b"ours"
        folder = Path(disk.root) / "in"
        folder.rename(folder.with_name("before"))
        folder.mkdir()
        (folder / "other").write_bytes(b"new")
        assert disk.read("in/other") == b"new"
        with pytest.raises(FileNotFoundError):
            disk.read("in/file")

    def test_many_folders_are_not_all_open(self, disk):
        before = set(os.listdir("/dev/fd"))
        for number in range(200):
            disk.make_folder(f"many/{number}")
            disk.create(f"many/{number}/one").close()
            assert disk.link(f"many/{number}/one", f"many/{number // 2}/of {number}")
        assert len(set(os.listdir("/dev/fd")) - before) < 70
        assert disk.names("many/0") == ["of 0", "of 1", "one"]

    @pytest.mark.usefixtures("untouched")
    def test_no_call_follows_a_link(self, disk):
        assert (disk.size("out/precious.dcm"), disk.size("file")) == (None, None)
        assert disk.file_status("out/precious.dcm") is disk.file_status("file") is None
        assert disk.names("out") == []
        assert not disk.has_folder("out")
        assert disk.is_taken("out")
        for call in (
            lambda: disk.read("out/precious.dcm"),
            lambda: disk.read("file"),
            lambda: disk.create("out/new"),
            lambda: disk.make_folder("out"),
            lambda: disk.make_folder("out/new/er"),
            lambda: disk.link("in/file", "out/new"),
            lambda: disk.link("out/precious.dcm", "in/new"),
            lambda: disk.link("file", "in/new"),
            lambda: disk.rename("out/precious.dcm", "in/new"),
            lambda: disk.rename("in/file", "out/precious.dcm"),
        ):
            with pytest.raises(OSError, match=r"link|Not a directory|file"):
                call()
        disk.remove("out/precious.dcm")
        assert not disk.remove_folder("out")
        assert disk.names("in") == ["file"]

    def test_nothing_is_above_it(self, disk):
        for name in ("../outside/precious.dcm", "in/../../outside/precious.dcm", "in//file"):
            with pytest.raises(FileNotFoundError):
                disk.read(name)

    def test_what_is_ours_is_found(self, disk):
        disk.make_folder("in/deep/er")
        disk.create("in/deep/er/one").append([b"12", b"34"])
        assert disk.link("in/deep/er/one", "in/two")
        assert (status := disk.file_status("in/two")) is not None
        assert status.links == 2
        disk.rename("in/two", "in/deep/three")
        assert bytes(disk.read("in/deep/three", 1, 2)) == b"23"
        assert disk.names("in/deep") == ["er", "three"]
        disk.synchronize_all(["in/deep/three"], ["in/deep", ""])
        disk.synchronize_folder("in/deep")
        assert not disk.remove_folder("in/deep/er")
        disk.remove("in/deep/er/one")
        disk.remove("in/deep/er/one")
        assert disk.remove_folder("in/deep/er")
        assert disk.remove_folder("in/deep/er")

    def test_a_pipe_is_not_waited_for(self, disk):
        os.mkfifo(Path(disk.root) / "pipe")
        with pytest.raises(OSError, match="pipe"):
            disk.read("pipe")


# --- the index itself ------------------------------------------------------------------------


@pytest.mark.index_in_folder
@pytest.mark.parametrize("name", ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"])
@pytest.mark.parametrize("is_dangling", [False, True])
def test_an_index_that_is_a_link_is_not_opened(tmp_path, name, is_dangling):
    folder, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    with Archive.open(folder, **SETTINGS) as archive:
        archive.add(make_file(1))
    link = folder / name
    if link.exists():
        link.rename(elsewhere)
    else:
        elsewhere.write_bytes(b"")
    before = elsewhere.read_bytes()
    if is_dangling:
        elsewhere.unlink()
    link.symlink_to(elsewhere)
    with pytest.raises(ArchiveError, match=f"{name} is a link, which is not followed") as caught:
        Archive.open(folder, **SETTINGS)
    assert caught.value.reason == "absent"
    assert elsewhere.exists() is not is_dangling
    if not is_dangling:
        assert elsewhere.read_bytes() == before
    link.unlink()
    if name == "index.sqlite" and not is_dangling:
        elsewhere.rename(link)
    with Archive.open(folder, **SETTINGS) as archive:
        until(lambda: archive.counts().instances == 1)  # made anew if it is gone


@pytest.mark.index_in_folder
def test_an_index_that_becomes_a_link_is_not_written_to(tmp_path):
    folder, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    with Archive.open(folder, **SETTINGS) as archive:
        archive.add(make_file(1))
        index = folder / "index.sqlite"
        index.rename(elsewhere)
        index.symlink_to(elsewhere)
        with pytest.raises(ArchiveError, match="is a link"):
            archive.add(make_file(2))
        index.unlink()
        elsewhere.rename(index)
        assert archive.add(make_file(2)).is_kept
        assert archive.counts().instances == 2


def test_a_lock_that_is_a_link_is_not_opened(tmp_path, outside):
    folder = tmp_path / "archive"
    folder.mkdir()
    (folder / "archive.lock").symlink_to(outside / "precious.dcm")
    with pytest.raises(ArchiveError, match=r"archive\.lock is a link"):
        Archive.open(folder, **SETTINGS)


# --- files that somebody else cuts off -------------------------------------------------------

CUT = """
import os, sys
from dicom_actors.archive.files import DiskFileSystem
folder, size = sys.argv[1], int(sys.argv[2])
data = DiskFileSystem(folder).read("object")
os.truncate(os.path.join(folder, "object"), 0)
assert bytes(data) == bytes(size)
"""


@pytest.mark.index_in_folder  # or anywhere
def test_who_reads_a_file_survives_that_it_is_cut_off(tmp_path):
    size = 8 << 20
    (tmp_path / "object").write_bytes(bytes(size))
    run = subprocess.run(
        [sys.executable, "-c", CUT, str(tmp_path), str(size)], check=False, timeout=60
    )
    assert run.returncode == 0
