"""Metadata are made when a study is quiet, and made anew when an instance comes."""

from __future__ import annotations

import threading

import pytest
from kit.waiting import until
from web.serving import image, served

from dicom_actors.archive import Archive
from dicom_actors.web.exchange import HttpError
from dicom_actors.web.metadata import Metadata
from dicom_actors.web.settings import WebSettings

LIMIT = 60


class Making:
    """Sees which metadata are made, and can have that fail."""

    def __init__(self, monkeypatch):
        self.made: list[str] = []
        self.is_over = threading.Event()
        self.is_refused = False
        self.was_refused = threading.Event()
        prepare, model = Metadata.prepare, Metadata._model

        def prepared(metadata, study):
            self.is_over.clear()
            yield from prepare(metadata, study)
            self.is_over.set()

        def modeled(metadata, base_url, instance):
            if self.is_refused:
                self.was_refused.set()
                raise HttpError(500, "too late")
            self.made.append(instance.sop_instance_uid)
            return model(metadata, base_url, instance)

        monkeypatch.setattr(Metadata, "prepare", prepared)
        monkeypatch.setattr(Metadata, "_model", modeled)


@pytest.fixture
def making(monkeypatch):
    return Making(monkeypatch)


def objects(study):
    return [image(1, study=study, series=f"{study}.{series}") for series in (1, 2)]


def quiet(archive, making, study):
    making.is_over.clear()
    archive.has_evidence(study, "a test says so")
    assert making.is_over.wait(LIMIT)


@pytest.mark.parametrize("public_url", ["", "https://pacs.example.org"])
def test_the_first_who_asks_gets_what_is_made_already(tmp_path, making, public_url):
    settings = WebSettings(drain_timeout=1.0, public_url=public_url)
    with served(tmp_path, settings=settings) as (client, archive):
        for one in objects("1.2.3"):
            archive.add(one)
        quiet(archive, making, "1.2.3")
        assert making.made == ["1.2.3.1.1", "1.2.3.2.1"]

        making.is_refused = True
        found = client.web("/studies/1.2.3/metadata").json()
        address = public_url or f"http://127.0.0.1:{client.port}"
        assert found[0]["7FE00010"]["BulkDataURI"].startswith(f"{address}/dicom-web/studies/1.2.3/")
        assert client.web("/studies/1.2.3/series/1.2.3.2/metadata").status == 200

        archive.add(image(2, study="1.2.3", series="1.2.3.1"))
        assert client.web("/studies/1.2.3/series/1.2.3.1/metadata").status == 500
        assert client.web("/studies/1.2.3/series/1.2.3.2/metadata").status == 200
        making.is_refused = False
        quiet(archive, making, "1.2.3")
        making.is_refused = True
        assert len(client.web("/studies/1.2.3/series/1.2.3.1/metadata").json()) == 2


def test_a_study_that_is_gone_or_damaged_ends_nothing(tmp_path, making):
    with served(tmp_path) as (client, archive):
        archive.add(image(1, study="1.2.3"))
        making.is_refused = True
        archive.has_evidence("1.2.3", "a test says so")
        assert making.was_refused.wait(LIMIT)
        archive.add(image(1, study="1.2.4"))
        making.is_refused = False
        quiet(archive, making, "1.2.4")

        assert "1.2.4.1.1" in making.made
        assert client.web("/studies/1.2.3/metadata").status == 200


def test_what_is_on_the_disk_goes_with_its_study(tmp_path, making):
    folder = tmp_path / "metadata"
    with served(tmp_path) as (_, archive):
        for study in ("1.2.3", "1.2.4", "1.2.5"):
            archive.add(image(1, study=study))
            quiet(archive, making, study)
        assert len(list(folder.iterdir())) == 3
        archive.delete(study_instance_uid="1.2.3")
        until(lambda: len(list(folder.iterdir())) == 2)
        archive.add(image(2, study="1.2.4"))  # as does what is no more true
        until(lambda: len(list(folder.iterdir())) == 1)
    with Archive.open(tmp_path, durability="os") as archive:  # while nobody hears of it
        archive.delete(study_instance_uid="1.2.5")
        assert len(list(folder.iterdir())) == 1
    with served(tmp_path):
        until(lambda: not list(folder.iterdir()))
