"""C-STORE to an archive: the status that a sender sees, and what it can rely on then."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from kit.archive_objects import make_file, uid_of
from kit.dcmtk import storescu
from kit.endpoints import running
from kit.file_systems import read_only, small_disk
from pydicom.data import get_testdata_file

from dicom_actors import connect, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.files import DiskFileSystem
from dicom_actors.errors import ArchiveError

SMALL, LARGE = 64, 600_000
ROOM = {"reserve_bytes": 0, "warn_free_bytes": 0}

pytestmark = pytest.mark.usefixtures("nothing_left")


def stored(port: int, *files: bytes) -> list[int]:
    """Send files on one association; returns the statuses."""
    with connect("127.0.0.1", port) as association:
        return [association.store(read_file(data)).status for data in files]


@pytest.mark.parametrize("durability", ["disk", "os"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_success_is_found_and_given_back_as_it_came(tmp_path, size, durability):
    data = make_file(1, size=size)
    with (
        Archive.open(tmp_path, durability=durability, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, data, data) == [0x0000, 0x0000]
        (found,) = archive.instances()
        offset = found.header_length
        sent = read_file(data).to_bytes(found.transfer_syntax_uid)
        assert bytes(archive.read(found))[offset:] == sent
        archive.settle()
        assert (tmp_path / "1.2.1/1.2.1.1/1.2.1.1.1.dcm").read_bytes()[offset:] == sent
        with connect("127.0.0.1", endpoint.port) as association:
            keys = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": None}
            keys |= {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}
            (match,) = association.find(keys)
            assert uid_of(1) == match.SOPInstanceUID
            (instance,) = association.get(match)
            assert instance == read_file(data)
        assert not [one for one in (tmp_path / "incoming").rglob("*") if one.is_file()]


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize(
    ("policy", "status"), [("keep-first", 0x0111), ("replace", 0x0000), ("keep-both", 0x0000)]
)
def test_other_bytes_of_the_same_uid_have_their_status(tmp_path, size, policy, status):
    files = [make_file(1, size=size), make_file(1, size=size, fill=1)]
    with (
        Archive.open(tmp_path, duplicates=policy, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, *files) == [0x0000, status]
        with archive.reader() as reader:
            kept = [bytes(archive.read(one)) for one in reader.versions_of(uid_of(1))]
        pixels = [read_file(data).PixelData[0] for data in kept]
        assert pixels == {"keep-first": [1], "replace": [2], "keep-both": [1, 2]}[policy]


def test_an_object_without_a_study_is_refused_and_says_why(tmp_path):
    ds = read_file(make_file(1))
    del ds.StudyInstanceUID
    with (
        Archive.open(tmp_path, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
        connect("127.0.0.1", endpoint.port) as association,
    ):
        result = association.store(ds)
        assert result.status == 0xC000
        assert "StudyInstanceUID" in result.comment
        assert association.store(read_file(make_file(2))).status == 0x0000
        assert archive.counts().instances == 1


@pytest.mark.interop
def test_storescu_sends_a_study(tmp_path):
    files = [
        Path(str(get_testdata_file(name)))
        for name in ("CT_small.dcm", "MR_small.dcm", "rtplan.dcm", "rtdose.dcm")
    ]
    with (
        Archive.open(tmp_path, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        for _ in range(2):
            result = storescu(endpoint.port, *files, options=("-v",))
            assert result.returncode == 0, result.stderr
        assert archive.counts().instances == len(files)
        for path in files:
            sent = read_file(path)
            if "DataSetTrailingPadding" in sent:
                del sent.DataSetTrailingPadding  # which DCMTK leaves out
            assert archive.open_instance(str(sent.SOPInstanceUID)) == sent


# --- the disk and the index --------------------------------------------------------------------


@pytest.mark.parametrize("size", [SMALL, 8000])
def test_a_full_disk_is_said_and_is_over_when_there_is_room(size):
    with small_disk(4 << 20) as disk, Archive.open(disk.folder, **SMALL_ROOM) as archive:
        with running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint:
            assert stored(endpoint.port, make_file(1, size=size)) == [0x0000]
            with disk.full():
                assert stored(endpoint.port, make_file(2, size=size)) == [0xA700]
                assert archive.find_instance(uid_of(2)) is None
                assert archive.open_instance(uid_of(1)).InstanceNumber == 1
            assert stored(endpoint.port, make_file(2, size=size)) == [0x0000]
            archive.settle()
            assert archive.open_instance(uid_of(2)).InstanceNumber == 2


SMALL_ROOM = {
    "reserve_bytes": 0,
    "warn_free_bytes": 0,
    "journal_object_bytes": 4096,
    "disk_interval": 3600.0,
}


def test_objects_are_refused_before_the_disk_is_full(tmp_path):
    with Archive.open(tmp_path, **ROOM) as archive:
        free = archive.stats().free_bytes
    with (
        Archive.open(tmp_path, reserve_bytes=free + (1 << 40)) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        with connect("127.0.0.1", endpoint.port) as association:
            result = association.store(read_file(make_file(1)))
        assert (result.status, result.comment) == (0xA700, "no room on the disk")
        assert archive.stats().disk == "full"


@pytest.mark.parametrize("durability", ["disk", "os"])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_what_comes_again_is_kept_again_where_its_bytes_are_gone(
    tmp_path, size, durability, damage
):
    data = make_file(1, size=size)
    place = tmp_path / "1.2.1/1.2.1.1/1.2.1.1.1.dcm"
    with (
        Archive.open(tmp_path, durability=durability, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, data) == [0x0000]
        archive.settle()
        before = place.read_bytes()
        place.unlink()
        if damage == "cut":
            place.write_bytes(before[:-1])
        assert stored(endpoint.port, data) == [0x0000]
        (found,) = archive.instances()
        assert bytes(archive.read(found))[found.header_length :] == before[found.header_length :]
        archive.settle()
        (found,) = archive.instances()
        assert not found.location.startswith("incoming/")
        assert bytes(archive.read(found))[found.header_length :] == before[found.header_length :]
        assert archive.stats().instances == 1


def test_what_comes_again_is_refused_where_its_bytes_are_gone_and_there_is_no_room(tmp_path):
    data = make_file(1)
    with (
        Archive.open(tmp_path, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, data) == [0x0000]
        archive.settle()
        (tmp_path / "1.2.1/1.2.1.1/1.2.1.1.1.dcm").unlink()
    with (
        Archive.open(tmp_path, reserve_bytes=1 << 60, warn_free_bytes=0) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, data) == [0xA700]


@pytest.mark.parametrize(
    ("total", "free", "status"),
    [
        (1 << 40, 300 << 20, 0x0000),
        (1 << 40, 200 << 20, 0xA700),
        (64 << 20, 60 << 20, 0x0000),
        (64 << 20, 9 << 20, 0x0000),
        (64 << 20, 7 << 20, 0xA700),
    ],
)
def test_what_is_kept_in_reserve_leaves_room_on_a_small_disk(
    tmp_path, monkeypatch, total, free, status
):
    monkeypatch.setattr(DiskFileSystem, "total_bytes", lambda _: total)
    monkeypatch.setattr(DiskFileSystem, "free_bytes", lambda _: free)
    with (
        Archive.open(tmp_path) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        assert stored(endpoint.port, make_file(1)) == [status]


def test_a_small_disk_takes_objects_until_an_eighth_of_it_is_left():
    with small_disk(32 << 20) as disk, Archive.open(disk.folder) as archive:
        with running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint:
            assert stored(endpoint.port, make_file(1), make_file(2, size=LARGE)) == [0x0000] * 2
            if not disk.is_mounted:
                return  # it is a large one
            ballast = archive.stats().free_bytes - (4 << 20)
            (disk.folder / "ballast").write_bytes(bytes(ballast))
            assert stored(endpoint.port, make_file(3, size=LARGE)) == [0xA700]


def test_folders_that_are_read_only_are_said_and_it_is_over_when_they_are_not(tmp_path):
    files = [make_file(3), make_file(4, size=LARGE)]
    with Archive.open(tmp_path, **ROOM) as archive:
        settings = archive.endpoint_settings()
        with running(archive.event_handlers(), **settings) as endpoint:
            assert stored(endpoint.port, make_file(1), make_file(2, size=LARGE)) == [0, 0]
        archive.settle()
        with (
            read_only(tmp_path / "journal"),
            read_only(tmp_path / "incoming"),
            # A new one, which has no folder open from before.
            running(archive.event_handlers(), **settings) as endpoint,
        ):
            assert stored(endpoint.port, *files) == [0xA700, 0xA700]
            assert stored(endpoint.port, make_file(1)) == [0x0000]  # it is there
        with running(archive.event_handlers(), **settings) as endpoint:
            assert stored(endpoint.port, *files) == [0x0000, 0x0000]
        assert archive.counts().instances == 4


def test_a_disk_that_is_read_only_from_the_start_is_said(tmp_path):
    with small_disk(4 << 20) as disk:
        Archive.open(disk.folder, **SMALL_ROOM).close()
        with (
            disk.read_only(),
            pytest.raises((ArchiveError, OSError), match=r"(?i)read-only|denied"),
        ):
            Archive.open(disk.folder, **SMALL_ROOM)
        Archive.open(disk.folder, **SMALL_ROOM).close()


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("is_begun", [True, False])
def test_a_folder_that_is_gone_is_said_and_is_over_when_it_is_back(tmp_path, size, is_begun):
    folder, away = tmp_path / "archive", tmp_path / "away"
    with (
        Archive.open(folder, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        if is_begun:
            assert stored(endpoint.port, make_file(1, size=size)) == [0x0000]
        folder.rename(away)
        assert stored(endpoint.port, make_file(2, size=size)) == [0xA700]
        away.rename(folder)
        assert stored(endpoint.port, make_file(2, size=size)) == [0x0000]
        assert archive.counts().instances == 1 + is_begun
        assert archive.open_instance(uid_of(2)).InstanceNumber == 2


def test_a_folder_that_was_removed_is_not_made_again_behind_its_owners_back(tmp_path):
    folder = tmp_path / "archive"
    with (
        Archive.open(folder, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        stored(endpoint.port, make_file(1))
        shutil.rmtree(folder)
        files = [make_file(2), make_file(3, size=LARGE)]
        assert stored(endpoint.port, *files) == [0xA700, 0xA700]
        assert not folder.exists()


@pytest.mark.index_in_folder
def test_an_index_that_another_process_has_locked_is_waited_for_and_said(tmp_path):
    import sqlite3

    with (
        Archive.open(tmp_path, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        archive._kernel.index.get()._connection.patience = 0
        other = sqlite3.connect(tmp_path / "index.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert stored(endpoint.port, make_file(1), make_file(2, size=LARGE)) == [0xA700, 0xA700]
        other.execute("ROLLBACK")
        other.close()
        assert stored(endpoint.port, make_file(1), make_file(2, size=LARGE)) == [0x0000, 0x0000]
        archive.settle()
        assert archive.counts().instances == 2


def test_what_the_index_cannot_keep_harms_nobody_else_of_its_group(tmp_path, monkeypatch):
    from dicom_actors.archive.index import Index, NewInstance

    write = Index.write

    def picky(index: Index, changes: list[object], **options: bool) -> object:
        if any(
            isinstance(one, NewInstance) and one.description.sop_instance_uid == uid_of(2)
            for one in changes
        ):
            raise OverflowError("too much")
        return write(index, changes, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Index, "write", picky)
    with (
        Archive.open(tmp_path, **ROOM) as archive,
        running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint,
    ):
        files = [make_file(number) for number in (1, 2, 3)]
        assert stored(endpoint.port, *files) == [0x0000, 0x0110, 0x0000]
