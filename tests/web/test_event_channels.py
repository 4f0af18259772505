"""Events of workitems over real WebSockets, and what hostile clients of them achieve."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import struct

import pytest
import trustme
from kit.serving import serving
from kit.waiting import until
from web.serving import Client, image, served
from web.workitems import UID, attribute, workitem
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from dicom_actors import DataSet
from dicom_actors.web import WebSettings
from dicom_actors.web.tokens import Tokens, new_token

WORKLIST = "1.2.840.10008.5.1.4.34.5"
SETTINGS = WebSettings(ups=True, drain_timeout=1.0)
LOCK = "1.2.826.78"


def listening(client, ae_title="ME", **named):
    url = f"ws://{client.host}:{client.port}/dicom-web/ws/subscribers/{ae_title}"
    return connect(url, open_timeout=20, close_timeout=5, **named)


def make(client, uid=UID, **headers):
    body = json.dumps(workitem())
    return client.web(f"/workitems?workitem={uid}", "POST", body, **headers).status


def change(client, state, uid=UID):
    body = {"00741000": attribute("CS", state), "00081195": attribute("UI", LOCK)}
    return client.web(f"/workitems/{uid}/state", "PUT", json.dumps(body)).status


def subscribe(client, uid=WORKLIST, ae_title="ME", query="", **headers):
    path = f"/workitems/{uid}/subscribers/{ae_title}{query}"
    return client.web(path, "POST", **headers)


def event(channel):
    """The next event: its type, of what, and the state, if it says that."""
    told = json.loads(channel.recv(timeout=20))
    state = told.get("00741000", {}).get("Value", [""])[0]
    return told["00001002"]["Value"][0], told["00001000"]["Value"][0], state


def channels_of(client):
    found = json.loads(client.ask("/api/requests").body)
    return [one for one in found if one["method"] == "WEBSOCKET"]


def test_events_come_as_they_happen_and_over_a_restart(tmp_path):
    with served(tmp_path, settings=SETTINGS) as (client, _):
        answer = subscribe(client)
        assert answer.status == 201
        url = answer.headers["content-location"]
        assert url == f"ws://127.0.0.1:{client.port}/dicom-web/ws/subscribers/ME"
        with connect(url) as channel, listening(client) as other:
            assert make(client) == 201
            assert event(channel) == event(other) == (1, UID, "SCHEDULED")
            change(client, "IN PROGRESS")
            assert event(channel) == event(other) == (1, UID, "IN PROGRESS")
            assert len(channels_of(client)) == 2
            assert client.web(f"/workitems/{UID}/cancelrequest", "POST").status == 202
            assert event(channel) == event(other) == (2, UID, "")
        until(lambda: not channels_of(client))
        change(client, "CANCELED")  # while nobody listens
        with listening(client) as channel:
            assert event(channel) == (1, UID, "CANCELED")
    with served(tmp_path, settings=SETTINGS) as (client, _):
        with listening(client) as channel:
            assert event(channel) == (4, WORKLIST, "")
            make(client, "1.2.5")
            assert event(channel) == (1, "1.2.5", "SCHEDULED")
            path = f"/workitems/{WORKLIST}/subscribers/ME"
            assert client.web(path + "/suspend", "POST").status == 200
            make(client, "1.2.6")
            change(client, "IN PROGRESS", "1.2.5")
            assert event(channel) == (1, "1.2.5", "IN PROGRESS")
            assert client.web(path, "DELETE").status == 200
            assert client.web(path, "DELETE").status == 404


def test_a_command_that_is_killed_knows_who_has_subscribed(tmp_path):
    arguments = ("--store", str(tmp_path / "archive"), "--web-port", "0", "--ups")

    @contextlib.contextmanager
    def running():
        with serving(*arguments) as server:
            server.wait_for("DICOMweb on http://127.0.0.1:")
            port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
            yield server, Client("127.0.0.1", port)

    with running() as (server, client), contextlib.ExitStack() as stack:
        assert subscribe(client).status == 201
        channel = stack.enter_context(listening(client))
        make(client)
        assert event(channel) == (1, UID, "SCHEDULED")
        server.stop(signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            channel.recv(timeout=20)
    with running() as (server, client):
        assert change(client, "IN PROGRESS") == 200
        with listening(client) as channel:
            told = [event(channel), event(channel)]
            if told[0] == (1, UID, "SCHEDULED"):  # nobody has noted any more that it was sent
                told = [told[1], event(channel)]
            assert told == [(4, WORKLIST, ""), (1, UID, "IN PROGRESS")]
        assert server.stop() == 0


def test_a_server_that_ends_says_so_to_its_channels(tmp_path):
    with contextlib.ExitStack() as stack:
        with served(tmp_path, settings=SETTINGS) as (client, _):
            channel = stack.enter_context(listening(client))
        with pytest.raises(ConnectionClosed) as caught:
            channel.recv(timeout=20)
        assert caught.value.rcvd.code == 1012


def test_channels_are_for_those_who_may_read(tmp_path):
    lines, known = [], {}
    for right in ("read", "write"):
        known[right], line = new_token(f"a-{right}", right)
        lines.append(line)
    path = tmp_path / "tokens.txt"
    path.write_text("\n".join(lines))
    tokens = Tokens(path)

    def bearer(right):
        return {"Authorization": f"Bearer {known[right]}"}

    with served(tmp_path / "archive", settings=SETTINGS, tokens=tokens) as (client, _):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            with pytest.raises(InvalidStatus) as caught:
                listening(client, additional_headers=headers)
            assert caught.value.response.status_code == 401
            assert "Bearer" in caught.value.response.headers["www-authenticate"]
        assert subscribe(client, **bearer("read")).status == 403
        assert subscribe(client, **bearer("write")).status == 201
        with listening(client, additional_headers=bearer("read")) as channel:
            assert make(client, **bearer("write")) == 201
            assert event(channel) == (1, UID, "SCHEDULED")
            unsubscribed = client.web(
                f"/workitems/{WORKLIST}/subscribers/ME", "DELETE", **bearer("write")
            )
            assert unsubscribed.status == 200  # it deletes nothing but the subscription
        digest = hashlib.sha256(known["read"].encode()).digest()
        (token,) = [one for one in tokens._tokens if one.digest == digest]
        cookie = {"Cookie": f"dicom-actors-session={tokens.session(token)}"}
        with listening(client, additional_headers=cookie):
            pass  # a page on this server, which cannot show the token
        with pytest.raises(InvalidStatus) as caught:
            listening(client, additional_headers={**cookie, "Sec-Fetch-Site": "cross-site"})
        assert caught.value.response.status_code == 401


def test_a_token_that_is_taken_back_ends_its_channel(tmp_path, monkeypatch):
    monkeypatch.setattr("dicom_actors.web.asgi_channel._LOOKING", 0.05)
    token, line = new_token("one", "read")
    path = tmp_path / "tokens.txt"
    path.write_text(line)
    headers = {"Authorization": f"Bearer {token}"}
    with served(tmp_path / "archive", settings=SETTINGS, tokens=Tokens(path)) as (client, _):
        with listening(client, additional_headers=headers) as channel:
            path.write_text("# nobody\n")
            with pytest.raises(ConnectionClosed) as caught:
                channel.recv(timeout=20)
            assert caught.value.rcvd.code == 1008


def test_a_channel_may_be_encrypted(tmp_path):
    authority = trustme.CA()
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(own)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with served(tmp_path, settings=SETTINGS, context=own) as (client, archive):
        archive.workitems.subscribe(WORKLIST, "ME")
        url = f"wss://127.0.0.1:{client.port}/dicom-web/ws/subscribers/ME"
        with connect(url, ssl=trusting, open_timeout=20, close_timeout=5) as channel:
            archive.workitems.create(UID, DataSet.from_json(workitem()))
            assert event(channel) == (1, UID, "SCHEDULED")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_pages_of_others_get_no_channel(tmp_path, headers, status):
    with served(tmp_path, settings=SETTINGS) as (client, _):
        with raw(client, **headers) as connection:
            assert status_of(connection) == status
        own = {"Origin": f"http://127.0.0.1:{client.port}"}
        with raw(client, **own) as connection:
            assert status_of(connection) == 101


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dicom-web/ws/subscribers/" + "A" * 17, 400),
        ("/dicom-web/ws/subscribers/A%0d%0aB", 403),
        ("/dicom-web/ws/subscribers/A%00B", 400),
        ("/dicom-web/ws/subscribers/", 400),
        ("/dicom-web/studies", 404),
        ("/api/events", 403),
        ("/", 403),
    ],
)
def test_there_is_no_other_channel(tmp_path, path, status):
    with served(tmp_path, settings=SETTINGS) as (client, _):
        with raw(client, path) as connection:
            assert status_of(connection) == status
        assert client.ask("/dicom-web/ws/subscribers/ME").status == 426


def test_a_viewer_has_no_channel(tmp_path):
    viewer = tmp_path / "viewer"
    viewer.mkdir()
    (viewer / "index.html").write_text("<p>")
    with served(tmp_path / "archive", settings=SETTINGS, viewer=str(viewer)) as (client, _):
        for path in ("/viewer/x", "/x.js"):
            with raw(client, path) as connection:
                assert status_of(connection) == 403


# --- hostile clients -------------------------------------------------------------------------


@contextlib.contextmanager
def raw(client, path="/dicom-web/ws/subscribers/ME", **headers):
    """A connection that has asked for a channel."""
    connection = socket.create_connection((client.host, client.port), timeout=20)
    try:
        named = {
            "Host": f"{client.host}:{client.port}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        yield connection
    finally:
        connection.close()


def status_of(connection):
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(1000)
        assert piece
        found += piece
    return int(found.split()[1])


def frame(opcode, payload=b"", *, is_last=True):
    head = bytes([opcode | (0x80 if is_last else 0)])
    length = len(payload)
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 1 << 16:
        head += struct.pack(">BH", 0x80 | 126, length)
    else:
        head += struct.pack(">BQ", 0x80 | 127, length)
    return head + bytes(4) + payload  # a mask of zeroes


def ended(connection):
    """Whether the server ends the connection, whatever it says before."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            continue
    return True


@pytest.mark.parametrize(
    "junk",
    [
        os.urandom(4096),
        b"GET / HTTP/1.1\r\n\r\n" * 50,
        frame(1, b"\xff\xfe"),
        frame(3, b"what"),
        frame(0, b"behind nothing"),
        frame(9, b"x" * 126),
        frame(1, b"x" * 20_000),
        frame(2, b"x" * 9000, is_last=False) + frame(0, b"x" * 9000, is_last=False),
        b"\x82\xff" + b"\xff" * 8 + bytes(4) + b"x" * 70_000,
        b"\x81\x05hello",
        frame(1, b"x") * 2000,
    ],
    ids=range(11),
)
def test_junk_ends_its_own_channel_and_nothing_else(tmp_path, junk):
    with served(tmp_path, image(), settings=SETTINGS) as (client, _):
        subscribe(client)
        with listening(client) as channel, raw(client) as hostile:
            assert status_of(hostile) == 101
            with contextlib.suppress(ConnectionError):
                hostile.sendall(junk)
            assert ended(hostile)
            make(client)
            assert event(channel) == (1, UID, "SCHEDULED")
            assert client.web("/studies").status == 200
            until(lambda: len(channels_of(client)) == 1)


def test_a_client_that_says_a_little_is_heard_out(tmp_path):
    with served(tmp_path, settings=SETTINGS) as (client, _):
        subscribe(client)
        with listening(client) as channel:
            for _ in range(20):
                channel.send("are you there?")
            channel.ping().wait(20)
            make(client)
            assert event(channel) == (1, UID, "SCHEDULED")


def large_progress(client):
    text = "x" * 200_000
    progress = attribute("SQ", {"00741006": attribute("UT", text)})
    return client.web(f"/workitems/{UID}", "POST", json.dumps({"00741002": progress})).status


def test_a_channel_that_is_not_read_is_cut_and_nothing_waits_for_it(tmp_path):
    settings = WebSettings(ups=True, drain_timeout=1.0, write_timeout=1.0)
    with served(tmp_path, image(), settings=settings) as (client, _):
        make(client)
        subscribe(client, UID)
        with raw(client) as unread, listening(client) as channel:
            assert status_of(unread) == 101
            until(lambda: len(channels_of(client)) == 2)
            for _ in range(60):  # 12 MB, more than sockets hold
                assert large_progress(client) == 200
                assert json.loads(channel.recv(timeout=20))
                assert client.web("/studies").status == 200
            until(lambda: len(channels_of(client)) == 1)
            assert ended(unread)


def test_pings_whose_answers_are_not_read_do_not_stay(tmp_path):
    with served(tmp_path, settings=SETTINGS) as (client, _):
        with raw(client) as hostile:
            assert status_of(hostile) == 101
            many = frame(9, b"x" * 125) * 2000
            with pytest.raises(ConnectionError):
                while True:
                    hostile.sendall(many)
        assert client.web("/studies").status in {200, 204}
        until(lambda: not channels_of(client))


def test_one_that_vanishes_leaves_nothing(tmp_path):
    with served(tmp_path, settings=SETTINGS) as (client, archive):
        subscribe(client)
        with raw(client) as connection:
            assert status_of(connection) == 101
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # ends by RST
        until(lambda: not channels_of(client))
        assert archive.workitems._channels._listening == {}


def test_a_thousand_more_than_may_be_are_refused_and_nothing_else_is(tmp_path):
    settings = WebSettings(ups=True, drain_timeout=1.0, max_event_channels=20)
    with served(tmp_path, image(), settings=settings) as (client, _):
        subscribe(client)
        with contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(listening(client)) for _ in range(20)]
            refused = 0
            for _ in range(20):
                some = [stack.enter_context(raw(client)) for _ in range(50)]
                refused += [status_of(one) for one in some].count(503)
            assert refused == 1000
            make(client)
            assert {event(one) for one in open_ones} == {(1, UID, "SCHEDULED")}
            assert client.web("/studies").status == 200
        until(lambda: not channels_of(client))
        with listening(client):
            pass
