"""What was acknowledged and has no place yet finds it when the folder is back, without a start."""

from __future__ import annotations

import pytest
from kit.archive_objects import make_file, uid_of
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
        assert not list(folder.glob("journal/*"))
        assert not list(folder.glob("incoming/*"))


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
