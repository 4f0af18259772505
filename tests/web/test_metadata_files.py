"""Metadata on the disk: they outlast a restart, and are never what they should not be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.waiting import until
from web.serving import image

from dicom_actors.archive import Archive
from dicom_actors.web import DicomWeb, Request, WebSettings
from dicom_actors.web.exchange import HttpError
from dicom_actors.web.metadata import Metadata
from dicom_actors.web.metadata_files import MetadataFiles

SERIES = "/studies/1.2.3/series/1.2.3.1/metadata"


def ask(archive, path=SERIES, base_url="http://here", settings=None):
    application = DicomWeb(archive, settings)
    try:
        response = application.begin(Request("GET", path, base_url))
        return response.status, b"".join(response.body)
    finally:
        application.close()


def files(folder):
    return sorted(Path(folder, "metadata").glob("*"))


@pytest.fixture
def refused(monkeypatch):
    """Nothing is made any more."""

    def begin():
        def model(metadata, base_url, instance):
            raise HttpError(500, "it is made anew")

        monkeypatch.setattr(Metadata, "_model", model)

    return begin


def test_they_outlast_a_restart(tmp_path, refused):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        archive.add(image(2))
        first = ask(archive)
        assert first[0] == 200
    refused()
    with Archive.open(tmp_path, durability="os") as archive:
        assert ask(archive) == first
        # But for what it was made of, nothing of it is given.
        assert ask(archive, base_url="http://there")[0] == 500
        assert ask(archive, settings=WebSettings(bulk_data_bytes=10))[0] == 500
        assert ask(archive, settings=WebSettings(metadata_bytes=0))[0] == 500
        archive.add(image(3))
        assert ask(archive)[0] == 500


def test_those_of_an_instance_are_not_those_of_its_series(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        archive.add(image(2))
        whole = json.loads(ask(archive)[1])
        one = json.loads(
            ask(archive, "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2/metadata")[1]
        )
        assert one == whole[1:]
        assert json.loads(ask(archive)[1]) == whole
        assert len(files(tmp_path)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:70],
        lambda data: data + b"x",
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
        lambda data: b"0" * 64 + data[64:],
    ],
)
def test_what_is_damaged_is_made_anew(tmp_path, damage):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        whole = ask(archive)
        (path,) = files(tmp_path)
        before = path.read_bytes()
        path.write_bytes(damage(before))
        assert ask(archive) == whole
        assert path.read_bytes() == before


def test_neither_an_archive_nor_its_upkeep_take_them_for_objects(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        ask(archive)
        archive.settle()
    for path in tmp_path.glob("index*"):
        path.unlink()
    with Archive.open(tmp_path, durability="os") as archive:
        until(lambda: not archive.is_rebuilding)
        archive.settle()
        assert archive.counts().instances == 1
        assert len(files(tmp_path)) == 1


def test_what_is_dropped_is_gone_and_no_more(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        kept = MetadataFiles(archive.store, 1 << 20)
        for study in ("1.1", "1.2"):
            for series in (f"{study}.1", f"{study}.2"):
                kept.keep(study, series, "made of that", series.encode())
        other = MetadataFiles(archive.store, 1 << 20)
        assert sorted(other.studies()) == ["1.1", "1.2"]
        assert other.find("1.1", "1.1.2", "made of that") == b"1.1.2"
        assert other.find("1.1", "1.1.2", "made of this") is None
        other.drop("1.1")
        assert other.find("1.1", "1.1.2", "made of that") is None
        assert other.find("1.2", "1.2.1", "made of that") == b"1.2.1"
        assert len(files(tmp_path)) == 2


def test_there_are_so_many_bytes(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        kept = MetadataFiles(archive.store, 100_000)
        for number in range(100):
            kept.keep(f"1.{number}", "2.1", "of that", bytes(9000))
        kept.keep("1.1", "2.1", "of that", bytes(200_000))  # too large at all
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 100_000
        assert kept.find("1.99", "2.1", "of that") == bytes(9000)
        assert kept.find("1.80", "2.1", "of that") is None
        assert archive.store.file_system.names("incoming") == []


def test_a_folder_that_cannot_be_written_is_no_matter(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        Path(tmp_path, "metadata").write_bytes(b"no folder")
        assert ask(archive)[0] == 200
        assert archive.store.file_system.names("incoming") == []
