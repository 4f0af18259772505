"""The page's side of the server: what it sends, whom it lets operate, what it tells live."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import threading
import zipfile

import pytest
from kit.waiting import until
from pydicom import dcmread
from web.serving import Client, file_of, image, served

from dicom_actors import (
    Endpoint,
    NewDirectory,
    connect,
    messages,
    read_directory,
    read_file,
    write_file,
)
from dicom_actors.archive import Archive
from dicom_actors.deidentification import Deidentifier
from dicom_actors.errors import EncodeError
from dicom_actors.supervision import ManualClock
from dicom_actors.web import WebServer, WebSettings
from dicom_actors.web.live_hub import LiveHub
from dicom_actors.web.media import Tickets
from dicom_actors.web.tokens import Tokens, new_token

JSON = {"Content_Type": "application/json"}


@contextlib.contextmanager
def running(folder, **named):
    """A web server with an endpoint."""
    settings = named.pop("settings", None) or WebSettings(drain_timeout=1.0)
    with Archive.open(folder, durability="os", index=named.pop("index", None)) as archive:
        endpoint = Endpoint.start(port=0, event_handlers=archive.event_handlers())
        try:
            with WebServer.start(
                archive, port=0, settings=settings, endpoint=endpoint, **named
            ) as server:
                port = int(server.url.rpartition(":")[2].strip("/"))
                yield Client("127.0.0.1", port), endpoint, archive
        finally:
            endpoint.stop()


def state(endpoint):
    return endpoint.ask(messages.GetStatus()).state


# --- files ---------------------------------------------------------------------------------


def test_the_page_loads_nothing_of_others_and_nothing_inline(tmp_path):
    with served(tmp_path) as (client, _):
        page = client.ask("/")
        assert (page.status, page.type) == (200, "text/html; charset=utf-8")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        text = page.body.decode()
        for forbidden in ("style=", "onclick", "<style", "http://", "https://"):
            assert forbidden not in text
        for path, kind in (("/page.js", "text/javascript"), ("/page.css", "text/css")):
            answer = client.ask(path)
            assert answer.type.startswith(kind)
            assert b"https://" not in answer.body
            assert client.ask(path, If_None_Match=answer.headers["etag"]).status == 304
        script = client.ask("/page.js").body.decode()
        for forbidden in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "document.write",
        ):
            assert forbidden not in script


def test_names_of_tags_and_uids(tmp_path):
    with served(tmp_path) as (client, _):
        answer = client.ask(
            "/api/dictionary?tags=00100010,00091010,zz&uids=1.2.840.10008.1.2,1.2.3"
        )
        found = answer.json()
        assert found["tags"] == {
            "00100010": ["PatientName", "Patient's Name"],
            "00091010": ["", ""],
        }
        assert list(found["uids"]) == ["1.2.840.10008.1.2"]
        assert found["uids"]["1.2.840.10008.1.2"].startswith("Implicit VR Little Endian")
        many = ",".join(["00100010"] * 501)
        assert client.ask(f"/api/dictionary?tags={many}").status == 400


# --- operations ----------------------------------------------------------------------------


def test_operations_need_the_token_of_the_page(tmp_path):
    with running(tmp_path) as (client, endpoint, _):
        path = "/api/operations/suspend"
        assert client.ask(path, "POST", "{}", **JSON).status == 403
        assert client.ask(path, "POST", "{}", **JSON, X_Operation_Token="wrong").status == 403
        token = client.ask("/api/page").json()["operation_token"]
        right = {**JSON, "X_Operation_Token": token}
        assert client.ask(path, "GET", **right).status == 405
        assert client.ask(path, "POST", "{}", X_Operation_Token=token).status == 415
        for body in (b"[]", b"{", b"[" * 1000):
            assert client.ask(path, "POST", body, **right).status == 400
        assert client.ask(path, "POST", b" " * 2000, **right).status == 413
        assert state(endpoint) == "running"
        assert client.ask(path, "POST", "{}", **right).json() == {"state": "suspended"}
        assert state(endpoint) == "suspended"
        assert client.ask("/api/operations/resume", "POST", "", **right).status == 200
        assert state(endpoint) == "running"
        for deadline in ("-1", "1e9", "true", '"x"', "null"):
            body = f'{{"deadline": {deadline}}}'
            assert client.ask("/api/operations/drain", "POST", body, **right).status == 400
        assert client.ask("/api/associations/7/abort", "POST", "", **right).status == 404
        assert client.ask("/api/associations/x/abort", "POST", "", **right).status == 400
        association = connect("127.0.0.1", endpoint.ask(messages.GetStatus()).port, called="ANY")
        (one,) = endpoint.ask(messages.ListAssociations())
        assert client.ask(f"/api/associations/{one.id}/abort", "POST", "", **right).status == 200
        association.abort()
        assert client.ask("/api/operations/drain", "POST", "", **right).status == 200
        until(lambda: state(endpoint) != "running")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
    ],
)
def test_pages_of_other_sites_operate_nothing(tmp_path, headers):
    settings = WebSettings(drain_timeout=1.0, cors_origins=("http://evil.example",))
    with running(tmp_path, settings=settings) as (client, endpoint, _):
        token = client.ask("/api/page").json()["operation_token"]
        right = {**JSON, "X_Operation_Token": token, **headers}
        assert client.ask("/api/operations/suspend", "POST", "{}", **right).status in {403, 421}
        assert state(endpoint) == "running"


def test_operations_need_a_token_that_is_for_them(tmp_path):
    lines, known = [], {}
    for right in ("read", "admin"):
        known[right], line = new_token(right, right)
        lines.append(line)
    (tmp_path / "tokens").write_text("\n".join(lines))
    with running(tmp_path / "archive", tokens=Tokens(tmp_path / "tokens")) as (client, endpoint, _):
        path = "/api/operations/suspend"
        assert client.ask(path, "POST", "{}", **JSON).status == 401
        assert client.ask("/api/events").status == 401
        assert client.ask("/page.json").json()["needs_token"] is True
        reader = {"Authorization": f"Bearer {known['read']}"}
        page = client.ask("/api/page", **reader).json()
        assert (page["can_operate"], page["operation_token"]) == (False, None)
        assert client.ask(path, "POST", "{}", **JSON, **reader).status == 403
        admin = {"Authorization": f"Bearer {known['admin']}"}
        assert client.ask("/api/page", **admin).json()["can_operate"] is True
        assert client.ask(path, "POST", "{}", **JSON, **admin).status == 200
        assert state(endpoint) == "suspended"


def test_who_serves_others_without_tokens_lets_nobody_operate(tmp_path):
    with running(tmp_path, host="0.0.0.0", is_insecure=True) as (client, endpoint, _):
        page = client.ask("/api/page").json()
        assert (page["can_operate"], page["operation_token"]) == (False, None)
        assert client.ask("/api/operations/suspend", "POST", "{}", **JSON).status == 403
        assert state(endpoint) == "running"


# --- live events ---------------------------------------------------------------------------


class Stream:
    """Reads server-sent events."""

    def __init__(self, client):
        self.connection = http.client.HTTPConnection(client.host, client.port, timeout=60)
        self.connection.request("GET", "/api/events")
        self.answer = self.connection.getresponse()
        assert self.answer.getheader("content-type") == "text/event-stream"

    def next(self, kind):
        """The next event of a kind."""
        while True:
            lines = []
            while line := self.answer.readline().strip():
                lines.append(line.decode())
            if lines and lines[0] == f"event: {kind}":
                return json.loads(lines[1].removeprefix("data: "))
            assert lines, "it has ended"

    def close(self):
        self.answer.close()
        self.connection.close()


def test_what_happens_is_told(tmp_path):
    with running(tmp_path) as (client, endpoint, archive):
        stream = Stream(client)
        assert stream.next("log") == []
        seen = stream.next("state")
        assert [tree["name"] for tree in seen["trees"]] == ["endpoint supervisor", "archive", "web"]
        assert seen["archive"]["studies"] == 0
        port = endpoint.ask(messages.GetStatus()).port
        with connect("127.0.0.1", port, called="ANY", calling="TESTER") as association:
            assert association.store(file_of(image()))
            assert stream.next("studies") == ["1.2.3"]
        kinds = []
        while kinds[-1:] != ["closed"]:
            kinds += [line["kind"] for line in stream.next("log")]
        assert kinds == ["opened", "closed"]
        archive.delete(study_instance_uid="1.2.3")
        assert stream.next("studies") == ["1.2.3"]
        while stream.next("state")["totals"]["objects"] != 1:
            pass
        stream.close()


def test_what_comes_to_another_node_is_told_here(tmp_path, postgresql):
    index = postgresql.new_index()
    with (
        Archive.open(tmp_path, index=index) as other,
        running(tmp_path, index=index) as (client, _, archive),
    ):
        stream = Stream(client)
        stream.next("state")
        other.add(file_of(image()))
        assert stream.next("studies") == ["1.2.3"]
        archive.add(file_of(image(2)))
        assert stream.next("studies") == ["1.2.3"]
        while (seen := stream.next("state"))["archive"]["instances"] != 2:
            pass
        assert seen["totals"]["objects"] == 1  # what came to this one
        stream.close()


def test_streams_end_with_the_server(tmp_path):
    with running(tmp_path) as (client, _, _):
        stream = Stream(client)
        stream.next("state")
    assert stream.answer.read().endswith(b"\n\n") or stream.answer.read() == b""
    stream.close()


def test_one_that_is_slow_loses_what_is_old_and_is_told(tmp_path):
    hub = LiveHub()
    assert hub.listen(lambda: None) is None  # there is nothing to listen to yet
    greeted = []
    hub.attach(greeted.append)
    woken = threading.Event()
    listener = hub.listen(woken.set)
    assert greeted == [listener]
    hub.publish("state", 1, is_state=True)
    hub.publish("state", 2, is_state=True)
    assert woken.is_set()
    assert listener.take() == b"event: state\ndata: 2\n\n"
    for number in range(1000):
        hub.publish("log", number)
    text = listener.take()
    assert text.startswith(b"event: lost\ndata: null\n\n")
    assert text.endswith(b"event: log\ndata: 999\n\n")
    assert text.count(b"event:") <= 201
    others = [hub.listen(lambda: None) for _ in range(200)]
    assert others.count(None) == 101
    hub.detach()
    assert listener.is_closed
    assert len(hub) == 0


# --- media ---------------------------------------------------------------------------------


def test_a_study_is_a_file_set(tmp_path):
    objects = [image(1), image(2), image(1, series="1.2.3.2", SeriesNumber=2)]
    with served(tmp_path / "archive", *objects, image(1, study="1.2.4")) as (client, _):
        url = client.ask("/api/studies/1.2.3/download").json()["url"]
        answer = client.ask(f"/{url}")
        assert (answer.status, answer.type) == (200, "application/zip")
        assert client.ask(f"/{url}").status == 404  # once
        assert client.ask("/api/studies/x..y/download").status == 400
        assert client.ask(f"/{client.ask('/api/studies/1.9/download').json()['url']}").status == 404
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "media")
    directory = read_directory(tmp_path / "media" / "DICOMDIR")
    found = {dcmread(path).SOPInstanceUID for path in directory.files()}
    assert found == {one.SOPInstanceUID for one in objects}
    assert not directory.warnings


def test_a_study_without_what_identifies_the_patient(tmp_path):
    salt = tmp_path / "salt"
    salt.write_text("a secret\n")
    burned = image(3, BurnedInAnnotation="YES")
    objects = [image(1), image(2), burned]
    settings = WebSettings(
        deidentification_salt_file=str(salt), deidentification_options=("retain-full-dates",)
    )
    with served(tmp_path / "archive", *objects, settings=settings) as (client, _):
        url = client.ask("/api/studies/1.2.3/download?deidentified=true").json()["url"]
        answer = client.ask(f"/{url}")
        again = client.ask("/dicom-web/studies/1.2.3/media?deidentified=true")
        assert client.ask("/dicom-web/studies/1.2.3/media?deidentified=1").status == 400
        assert client.ask("/api/studies/1.2.3/download?deidentified=yes").status == 400
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        archive.extractall(tmp_path / "media")
        assert b"Left out, since it cannot be removed from them: 1." in archive.read("README.TXT")
    cleaner = Deidentifier(options=["retain-full-dates"], salt="a secret")
    found = [dcmread(path) for path in read_directory(tmp_path / "media" / "DICOMDIR").files()]
    assert {one.SOPInstanceUID for one in found} == {
        cleaner.new_uid(one.SOPInstanceUID) for one in objects[:2]
    }
    assert all(one.PatientIdentityRemoved == "YES" for one in found)
    files = [path.read_bytes() for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert not any(b"Doe" in file for file in files)
    first, second = (zipfile.ZipFile(io.BytesIO(one.body)) for one in (answer, again))
    for name in set(first.namelist()) - {"DICOMDIR"}:  # which has a UID of its own each time
        assert second.read(name) == first.read(name)
    assert second.namelist() == first.namelist()


def test_tickets_are_good_once_and_for_a_while():
    clock = ManualClock()
    tickets = Tickets(clock.monotonic)
    ticket = tickets.issue("1.2.3")
    assert tickets.take("other") is None
    assert tickets.take(ticket) == "1.2.3"
    assert tickets.take(ticket) is None
    late = tickets.issue("1.2.3")
    clock.advance(61)
    assert tickets.take(late) is None
    first = tickets.issue("1.2.3")
    for _ in range(1000):
        tickets.issue("1.2.4")
    assert tickets.take(first) is None


def test_a_directory_of_files_that_are_elsewhere(tmp_path):
    directory = NewDirectory("TEST")
    one = image(1)
    (tmp_path / "A").mkdir()
    write_file(tmp_path / "A" / "B", one)
    dataset = read_file(tmp_path / "A" / "B")
    directory.add(dataset, "A/B")
    assert directory.instances == 1
    write_file(
        tmp_path / "DICOMDIR", directory.data_set(), transfer_syntax="ExplicitVRLittleEndian"
    )
    found = read_directory(tmp_path / "DICOMDIR")
    assert found.file_set_id == "TEST"
    assert list(found.files()) == [tmp_path / "A" / "B"]
    with pytest.raises(EncodeError):
        directory.add(dataset, "lower/case")
    with pytest.raises(EncodeError):
        NewDirectory("more than sixteen characters")
