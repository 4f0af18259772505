"""The user side of DICOMweb, against our server, and against servers that misbehave."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.serving import file_of, image, served

from dicom_actors import DataSet, read_file
from dicom_actors.errors import (
    AssociationError,
    AssociationTimeout,
    ConfigurationError,
    DicomError,
    TransportError,
)
from dicom_actors.web import WebSettings
from dicom_actors.web.multipart import Part, write_parts
from dicom_actors.web.tokens import Tokens, new_token
from dicom_actors.web_user import WebClient, WebError
from dicom_actors.web_user.client import _keys, _path_of

STUDY = "1.2.3"


@contextlib.contextmanager
def archive(folder, *objects, **settings):
    """Our server with these objects, and a client of it."""
    with served(folder, *objects, settings=WebSettings(drain_timeout=1.0, **settings)) as (
        plain,
        _,
    ):
        with WebClient(f"http://127.0.0.1:{plain.port}") as client:
            yield client


# --- storing ---------------------------------------------------------------------------------


def test_what_is_stored_is_found_and_comes_back(tmp_path):
    objects = [image(number) for number in range(1, 8)]
    path = tmp_path / "a.dcm"
    path.write_bytes(file_of(objects[0]))
    with archive(tmp_path / "archive") as client:
        results = list(client.store([path, file_of(objects[1]), *objects[2:]]))
        assert [(one.status, one.sop_instance_uid) for one in results] == [
            (0, one.SOPInstanceUID) for one in objects
        ]
        assert results[0].source == path
        (study,) = client.find("STUDY", {"PatientName": "DOE*", "PatientID": None})
        assert (study.StudyInstanceUID, study.PatientID) == (STUDY, "P1")
        found = {one.SOPInstanceUID: one for one in client.retrieve(STUDY)}
        for one in objects:
            assert found[one.SOPInstanceUID]["PixelData"] == one["PixelData"]


def test_one_that_cannot_be_read_costs_no_other(tmp_path):
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all, but long enough to be looked at" * 10)
    with archive(tmp_path / "archive") as client:
        results = list(client.store([image(1), broken, tmp_path / "absent", image(2)]))
    assert [one.status for one in results] == [0, None, None, 0]
    assert "not sent" in results[1].comment
    assert isinstance(results[2].error, OSError)


def test_the_same_instance_twice_has_two_results(tmp_path):
    with archive(tmp_path) as client:
        other = image(1, PatientComments="other")
        results = list(client.store([image(1), image(1), other]))
    assert [one.status for one in results[:2]] == [0, 0]
    assert results[2].status not in {0, None}  # the first one is kept


def test_more_objects_than_one_request_takes(tmp_path):
    with archive(tmp_path) as client:
        results = list(client.store(image(number) for number in range(1, 251)))
        assert [one.status for one in results] == [0] * 250
        assert len(list(client.find("IMAGE", {"StudyInstanceUID": STUDY}))) == 250


def test_a_file_whose_meta_names_another_instance(tmp_path):
    data = image(1)
    raw = file_of(data).replace(b"1.2.3.1.1\0", b"1.2.3.1.9\0", 1)
    assert read_file(raw).file_meta.MediaStorageSOPInstanceUID != data.SOPInstanceUID
    with archive(tmp_path) as client:
        (result,) = client.store([raw])
    assert result.sop_instance_uid == data.SOPInstanceUID
    assert result.status is not None


def test_an_object_without_a_study_is_refused_with_a_status(tmp_path):
    with archive(tmp_path) as client:
        (result,) = client.store([image(1, StudyInstanceUID=None)])
    assert result.status == 0xC000
    assert not result


def test_a_server_that_is_not_there_is_asked_once(tmp_path):
    with WebClient("http://127.0.0.1:1") as client:
        results = list(client.store(image(number) for number in range(1, 400)))
    assert len(results) == 399
    assert all(isinstance(one.error, TransportError) for one in results)
    assert "not sent" in results[-1].comment


# --- searching -------------------------------------------------------------------------------


def test_all_pages_are_asked_for(tmp_path):
    objects = [image(1, study=f"1.2.{number}") for number in range(1, 620)]
    with archive(tmp_path, *objects) as client:
        found = [one.StudyInstanceUID for one in client.find("STUDY")]
        assert sorted(found) == sorted(one.StudyInstanceUID for one in objects)
        assert len(list(client.find("STUDY", limit=7))) == 7
        assert not list(client.find("STUDY", limit=0))


def test_a_level_that_is_none():
    with pytest.raises(ValueError, match="expected one of STUDY, SERIES, IMAGE, got 'PATIENT'"):
        next(WebClient("http://127.0.0.1:1").find("PATIENT"))


def test_keys_become_a_query():
    identifier = DataSet.from_keywords(
        QueryRetrieveLevel="IMAGE",
        PatientName="Dö^*",
        StudyDate="20240101-",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.3",
        Rows=None,
        RequestAttributesSequence=[DataSet.from_keywords(ScheduledProcedureStepID="x")],
    )
    keys = _keys(identifier)
    assert _path_of("IMAGE", keys) == "/studies/1.2/series/1.2.3/instances"
    assert keys == [
        ("StudyDate", "20240101-"),
        ("PatientName", "Dö^*"),
        ("includefield", "Rows"),
        ("RequestAttributesSequence.ScheduledProcedureStepID", "x"),
    ]


# --- who asks --------------------------------------------------------------------------------


def test_a_token_is_sent_and_one_that_is_missing_said_so(tmp_path):
    token, line = new_token("me", "write")
    (tmp_path / "tokens").write_text(line)
    with served(tmp_path / "archive", image(1), tokens=Tokens(tmp_path / "tokens")) as (plain, _):
        url = f"http://127.0.0.1:{plain.port}"
        with (
            WebClient(url) as client,
            pytest.raises(WebError, match="401, expected a token") as got,
        ):
            list(client.find("STUDY"))
        assert got.value.status == 401
        with WebClient(url, token=token) as client:
            assert len(list(client.find("STUDY"))) == 1


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:99999", "http://[", "http://u@h/x", "pacs:104"]
)
def test_an_address_that_is_none(url):
    with pytest.raises(ConfigurationError, match="http"):
        WebClient(url)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_no_machine_has(host):
    with pytest.raises(ConfigurationError, match="host: expected a name or an address"):
        WebClient(f"https://{host}/dicom-web")


@pytest.mark.parametrize("token", ["a b", "ä", "a\r\nX: y"])
def test_a_token_that_is_none(token):
    with pytest.raises(ConfigurationError, match="token"):
        WebClient("http://x", token=token)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": 5}, "expected http"),
        ({"url": b"http://x"}, "expected http"),
        ({"url": "http://x", "token": 5}, "token: expected a text, got int"),
        ({"url": "http://x", "timeout": "5"}, "timeout: expected seconds above 0, got '5'"),
        ({"url": "http://x", "timeout": 0}, "timeout: expected seconds above 0, got 0"),
    ],
)
def test_settings_that_are_none(settings, said):
    with pytest.raises(ConfigurationError, match=said):
        WebClient(**settings)


def test_what_is_none_is_refused_before_anybody_is_asked():
    client = WebClient("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="level: expected one of STUDY, SERIES, IMAGE"):
        list(client.find({"PatientID": "1"}))
    with pytest.raises(TypeError, match="identifier: expected a data set or a dict"):
        list(client.find("STUDY", "PatientID=1"))
    for source in (None, 5, {}):
        with pytest.raises(TypeError, match="expected a data set, a path or the bytes"):
            list(client.store([source]))


def test_one_object_is_stored_as_one(tmp_path):
    path = tmp_path / "a.dcm"
    path.write_bytes(file_of(image(1)))
    with archive(tmp_path / "archive") as client:
        for one in (str(path), path, path.read_bytes(), image(1)):
            (result,) = client.store(one)
            assert result.status == 0


# --- servers that misbehave ------------------------------------------------------------------


@contextlib.contextmanager
def answering(respond):
    """A server that does with each request what it is told to."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            respond(self)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/root"
        finally:
            server.shutdown()
            thread.join()


def sends(status, body=b"", content_type="application/dicom+json", length=None, **headers):
    def respond(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)
        if length is not None:
            handler.close_connection = True

    return respond


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        (b"<xml/>", "application/dicom+xml", "expected application/dicom.json, got application/di"),
        (b"{", "application/dicom+json", "expected data sets in JSON"),
        (b"[1]", "application/dicom+json", "expected data sets in JSON"),
        (b'{"x": {}}', "application/json", "expected data sets in JSON"),
        (b"[" * 100_000, "application/json", "expected data sets in JSON"),
    ],
)
def test_answers_that_are_no_data_sets(body, content_type, said):
    with answering(sends(200, body, content_type)) as url, WebClient(url) as client:
        with pytest.raises(WebError, match=said):
            list(client.find("STUDY"))


def test_a_refusal_is_said_in_words_without_what_hurts_a_terminal():
    respond = sends(500, b"no\x1b[31m room " + b"x" * 1000, "text/plain; charset=utf-8")
    with answering(respond) as url, WebClient(url) as client:
        with pytest.raises(WebError, match=r"500, refused: no \[31m room x+$") as caught:
            list(client.find("STUDY"))
    assert len(str(caught.value)) < 400


def test_a_redirection_is_not_followed():
    with answering(sends(302, Location="http://elsewhere/")) as url, WebClient(url) as client:
        with pytest.raises(WebError, match="302, moved to 'http://elsewhere/'"):
            list(client.find("STUDY"))


def test_a_response_that_is_cut_off():
    with answering(sends(200, b"[", length=100)) as url, WebClient(url) as client:
        with pytest.raises(TransportError):
            list(client.find("STUDY"))


def test_a_server_that_says_nothing():
    done = threading.Event()
    with answering(lambda handler: done.wait(60)) as url:
        with WebClient(url, timeout=0.05) as client, pytest.raises(AssociationTimeout):
            list(client.find("STUDY"))
        done.set()


def test_a_connection_that_idled_too_long_is_opened_again():
    answered = []

    def respond(handler):
        answered.append(handler.client_address)
        sends(200, b"[]")(handler)
        handler.close_connection = True  # and does not say so

    with answering(respond) as url, WebClient(url) as client:
        assert not list(client.find("STUDY"))
        assert not list(client.find("STUDY"))
    assert len(set(answered)) == 2


def test_a_server_that_refuses_before_all_was_sent():
    def respond(handler):
        sends(413, b"too much", "text/plain")(handler)
        handler.close_connection = True

    big = image(1, rows=1024, columns=1024)
    with answering(respond) as url, WebClient(url) as client:
        (result,) = client.store([big])
    assert not result
    assert isinstance(result.error, WebError | AssociationError)


def _multipart(*objects):
    kind, pieces = write_parts(
        "application/dicom",
        [Part({"Content-Type": "application/dicom"}, len(one), [one]) for one in objects],
    )
    return b"".join(pieces), kind


def test_objects_that_are_too_long_are_refused():
    body, kind = _multipart(file_of(image(1)))
    with answering(sends(200, body, kind)) as url:
        with WebClient(url, max_object_bytes=100) as client:
            with pytest.raises(WebError, match="expected objects of up to 100 bytes"):
                list(client.retrieve("1.2"))


def test_a_single_object_without_multipart():
    with answering(sends(200, file_of(image(3)), "application/dicom")) as url:
        with WebClient(url) as client:
            (found,) = client.retrieve("1.2", "1.3", "1.4")
    assert found.SOPInstanceUID == image(3).SOPInstanceUID


@pytest.fixture(scope="module")
def damaged():
    """A server that answers what the list has last, and a client of it."""
    bodies = []

    def respond(handler):
        sends(200, *bodies[-1])(handler)

    with answering(respond) as url:
        with WebClient(url) as client:
            yield bodies, client


@given(junk=st.binary(max_size=300), at=st.integers(0, 2000), cut=st.integers(0, 2000))
def test_damaged_bodies_raise_ours_alone(damaged, junk, at, cut):
    bodies, client = damaged
    body, kind = _multipart(file_of(image(1)), file_of(image(2)))
    at %= len(body)
    bodies.append((body[:at] + junk + body[at + cut :], kind))
    with contextlib.suppress(DicomError):
        assert len(list(client.retrieve("1.2"))) <= 3


def test_what_a_server_says_of_objects():
    uid = image(1).SOPInstanceUID
    said = [
        {
            "00081198": {
                "vr": "SQ",
                "Value": [
                    {
                        "00081155": {"vr": "UI", "Value": [uid]},
                        "00081197": {"vr": "US", "Value": [0xA700]},
                    }
                ],
            }
        }
    ]
    with answering(sends(409, json.dumps(said).encode())) as url, WebClient(url) as client:
        (result,) = client.store([image(1)])
    assert result.status == 0xA700
    with answering(sends(200, b"", "")) as url, WebClient(url) as client:
        (result,) = client.store([image(1)])
    assert result.status == 0
