"""The server as a whole: an archive, uvicorn, a client."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import time
import zipfile

import pytest
from web.serving import file_of, image, served

from dicom_actors import read_directory, read_file
from dicom_actors.web import WebSettings, server


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    objects = [image(number, study=f"1.2.{study}") for study in (3, 4) for number in (1, 2, 3)]
    with served(tmp_path_factory.mktemp("archive"), *objects) as (client, _):
        yield client


def test_studies_are_found(client):
    answer = client.web("/studies")

    assert (answer.status, answer.type) == (200, "application/dicom+json")
    found = answer.json()
    assert [one["0020000D"]["Value"] for one in found] == [["1.2.3"], ["1.2.4"]]
    first = found[0]
    assert first["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Doe^John"}]}
    assert first["00080061"]["Value"] == ["CT"]
    assert first["00201206"]["Value"] == [1]
    assert first["00201208"]["Value"] == [3]
    assert first["00081190"]["Value"] == [f"http://127.0.0.1:{client.port}/dicom-web/studies/1.2.3"]


def test_an_instance_comes_as_it_is_stored(client):
    path = "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.2"
    answer = client.web(path, Accept='multipart/related; type="application/dicom"')

    ((headers, body),) = answer.parts()
    assert headers["content-type"] == "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    assert read_file(body).InstanceNumber == 2


def test_a_series_comes_whole(client):
    answer = client.web("/studies/1.2.3/series/1.2.3.1")

    assert [read_file(body).InstanceNumber for _, body in answer.parts()] == [1, 2, 3]


def test_metadata_have_addresses_of_pixels(client):
    answer = client.web("/studies/1.2.3/metadata")

    found = answer.json()
    assert [one["00200013"]["Value"] for one in found] == [[1], [2], [3]]
    uri = found[0]["7FE00010"]["BulkDataURI"]
    path = uri.partition(f":{client.port}")[2]
    pixels = client.ask(path, Accept="application/octet-stream")
    assert pixels.body == image(1)["PixelData"]


def test_what_is_stored_is_found(tmp_path):
    with served(tmp_path / "archive") as (client, archive):
        body = b"".join(
            b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(image(number)) + b"\r\n"
            for number in (1, 2)
        )
        content_type = 'multipart/related; type="application/dicom"; boundary=x'
        answer = client.web("/studies", "POST", body + b"--x--", Content_Type=content_type)

        assert answer.status == 200
        stored = answer.json()["00081199"]["Value"]
        assert [one["00081155"]["Value"] for one in stored] == [["1.2.3.1.1"], ["1.2.3.1.2"]]
        assert archive.counts().instances == 2
        assert len(client.web("/instances").json()) == 2


def test_what_is_not_there_is_said(client):
    assert client.web("/studies/1.9").status == 404
    assert client.web("/studies/1.9/metadata").status == 404
    assert client.web("/studies/x..y").status == 400
    assert client.web("/nothing").status == 404
    assert client.web("/studies", "PUT").status == 405
    assert client.web("/studies/1.2.3", "DELETE").status == 405


def test_operations(client):
    assert client.ask("/api/status").json()["archive"]["instances"] == 6
    assert client.ask("/api/tree").json() is None
    assert client.ask("/api/requests").json() == []


@pytest.mark.parametrize(
    ("path", "kind", "status"),
    [("/studies", "multipart/related; boundary=x", 400), ("/workitems", "application/json", 400)],
)
def test_who_is_refused_with_all_of_a_body_read_asks_on_at_once(tmp_path, path, kind, status):
    settings = WebSettings(ups=True, drain_timeout=1.0)
    with served(tmp_path, settings=settings) as (client, _):
        connection = http.client.HTTPConnection(client.host, client.port, timeout=60)
        with contextlib.closing(connection):
            since = time.monotonic()
            for _ in range(10):
                connection.request("POST", f"/dicom-web{path}", b"{", {"Content-Type": kind})
                answer = connection.getresponse()
                answer.read()
                assert (answer.status, answer.getheader("connection")) == (status, None)
            assert time.monotonic() - since < 8  # it was a second for each


def test_an_instance_with_what_is_no_value_spoils_nothing_for_the_others(tmp_path):
    numbered = file_of(image(1, PixelSpacing=[0.5, 0.25], InstanceNumber=77))
    damaged = numbered.replace(b"0.5\\0.25", b"\xff\xff5\\0.2\xff")
    damaged = damaged.replace(b"IS\x02\x0077", b"IS\x02\x00\xff\xff")
    assert damaged.count(b"\xff\xff") == numbered.count(b"\xff\xff") + 2
    with served(tmp_path, image(2)) as (client, _):
        stored = client.web("/studies", "POST", damaged, Content_Type="application/dicom")
        assert stored.status == 200
        found = client.web("/instances?includefield=all").json()
        assert [one["00280030"] for one in found if "00280030" in one] == [{"vr": "DS"}]
        assert len(found) == 2
        media = client.web("/studies/1.2.3/media")
        assert media.status == 200
        with zipfile.ZipFile(io.BytesIO(media.body)) as archive:
            archive.extractall(tmp_path / "media")
        assert len(list(read_directory(tmp_path / "media" / "DICOMDIR").files())) == 2


def test_an_object_whose_transfer_syntax_is_no_uid_is_refused_alone(tmp_path):
    explicit, junk = b"1.2.840.10008.1.2.1\0", b"1.2.840.1000\0\0\0\x002\0\0\0"
    body = b"".join(
        b"--x\r\n\r\n" + one + b"\r\n"
        for one in (file_of(image(1)).replace(explicit, junk), file_of(image(2)))
    )
    with served(tmp_path) as (client, _):
        kind = "multipart/related; boundary=x"
        answer = client.web("/studies", "POST", body + b"--x--", Content_Type=kind)
        assert answer.status == 202
        assert len(client.web("/instances").json()) == 1


def test_capabilities_of_the_root_and_of_each_resource(client):
    answer = client.web("/", "OPTIONS")
    assert (answer.status, answer.type) == (200, "application/vnd.sun.wadl+xml")
    assert b'"studies/{study}/metadata"' in answer.body
    instance = "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
    for path, allowed in (
        ("/", "GET, HEAD, OPTIONS"),
        ("/studies", "GET, HEAD, OPTIONS, POST"),
        ("/studies/1.2.3", "GET, HEAD, OPTIONS, POST"),
        ("/wado", "GET, HEAD, OPTIONS"),
        (f"{instance}/frames/1", "GET, HEAD, OPTIONS"),
        (f"{instance}/bulkdata/7FE00010", "GET, HEAD, OPTIONS"),
    ):
        answer = client.web(path, "OPTIONS", Accept="application/json")
        assert (answer.status, answer.headers["allow"]) == (200, allowed)
        (methods,) = {
            tuple(one["methods"]) for one in answer.json()["resources"] if path != "/"
        } or {("GET",)}
        assert set(methods) == set(allowed.split(", ")) - {"HEAD", "OPTIONS"}
    assert client.web("/nothing", "OPTIONS").status == 404
    assert client.web("/studies", "PUT").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_the_end_of_an_answer_waits_for_no_acknowledgement(tmp_path, monkeypatch):
    """With Nagle's algorithm the second answer of a connection would take 40 ms more."""
    options, made = [], server.H11Protocol.connection_made

    def noted(protocol, transport):
        connection = transport.get_extra_info("socket")
        options.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        made(protocol, transport)

    monkeypatch.setattr(server.H11Protocol, "connection_made", noted)
    with served(tmp_path, image()) as (client, _):
        assert client.web("/studies").status == 200
    assert options
    assert all(options)


def test_an_archive_that_is_away_is_not_one_whose_studies_were_deleted(tmp_path):
    folder, away = tmp_path / "archive", tmp_path / "away"
    with served(folder, image()) as (client, _):
        paths = ("/studies", "/studies/1.2.3", "/studies/1.2.3/metadata", "/studies/1.2.3/rendered")
        assert {client.web(path).status for path in paths} == {200}
        folder.rename(away)
        answers = [client.web(path) for path in paths]
        assert {answer.status for answer in answers} == {503}
        assert all("retry-after" in answer.headers for answer in answers)
        away.rename(folder)
        assert {client.web(path).status for path in paths} == {200}
