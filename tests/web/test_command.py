"""``dicom-actors serve`` with its web server."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time

import pytest
from kit.serving import serving
from web.serving import Client, file_of, image, served

from dicom_actors import connect
from dicom_actors.archive import Archive
from dicom_actors.archive.query import json_answers
from dicom_actors.cli.main import main
from dicom_actors.web import DicomWeb, Request
from dicom_actors.web.server import _Ended, server_of
from dicom_actors.web.tokens import new_token


def test_what_is_sent_is_found_by_http(tmp_path):
    with serving("--store", str(tmp_path / "archive"), "--web-port", "0") as server:
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        client = Client("127.0.0.1", port)
        assert client.web("/studies").json() == []
        with connect("127.0.0.1", server.port, called="ANY") as association:
            assert association.store(file_of(image()))
        assert len(client.web("/studies").json()) == 1
        tree = client.ask("/api/tree").json()
        assert tree["children"]
        assert client.ask("/api/status").json()["endpoint"]["port"] == server.port
        assert server.stop() == 0


def test_what_is_asked_first_is_asked_before(tmp_path, monkeypatch):
    done, real = threading.Event(), DicomWeb.warm_up

    def noted(application):
        real(application)
        done.set()

    monkeypatch.setattr(DicomWeb, "warm_up", noted)
    with served(tmp_path / "archive", image()) as (client, archive):
        assert done.wait(60)
        assert client.ask("/api/requests").json() == []  # it is no request of anybody
    DicomWeb(archive).warm_up()  # one that is closed has nothing to say


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_what_the_studies_say_that_come_first_is_known_before(tmp_path, order):
    with Archive.open(tmp_path, durability="os") as archive:
        for number in range(120):
            archive.add(file_of(image(study=f"1.2.{number}", StudyDescription=f"{order} {number}")))
        application = DicomWeb(archive)
        application.warm_up()
        before = json_answers._said.cache_info().misses
        query = (("limit", "50"), ("sort", order))
        found = application.begin(Request("GET", "/studies", "http://here", query))

        assert len(json.loads(b"".join(found.body))) == 50
        assert json_answers._said.cache_info().misses == before
        application.close()


def test_a_port_that_was_chosen_and_is_taken(tmp_path, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        store = str(tmp_path / "archive")
        assert main(["serve", "--port", "0", "--store", store, "--web-port", port]) == 1
    assert f"web port {port} of 127.0.0.1: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--web-port", "99999"), "--web-port"),
        (("--public-url", "nonsense"), "--web-public-url: expected an address"),
        (("--cors-origin", "nonsense"), "--web-cors-origins: expected an address"),
        (("--web-key", "key.pem"), "certificate"),
        (("--web-host", "0.0.0.0"), "tokens"),
        (("--web-host", "a..b"), "web host a..b: "),
        (("--tokens", "/nowhere"), "tokens cannot be read"),
        (("--viewer", "/nowhere"), "index.html"),
        (("--web-certificate", "/nowhere"), "tls: /nowhere: No such file"),
    ],
)
@pytest.mark.parametrize("only", [(), ("--check-config",)])
def test_what_cannot_be_served_is_said_before_anything_is(tmp_path, capsys, only, arguments, text):
    store = tmp_path / "archive"

    assert main(["serve", "--port", "0", "--store", str(store), *arguments, *only]) == 2
    assert text in capsys.readouterr().err
    assert not store.exists()


def test_idle_clients_of_the_web_leave_descriptors_for_others(tmp_path):
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))"
    with (
        serving("--store", str(tmp_path / "archive"), "--web-port", "0", before=few) as server,
        contextlib.ExitStack() as stack,
    ):
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        for _ in range(500):
            idle = socket.create_connection(("127.0.0.1", port), 60)
            stack.enter_context(idle).sendall(b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(65_536).startswith(b"HTTP/1.1 200")
        with connect("127.0.0.1", server.port, called="ANY", timeout=10) as association:
            association.echo()
            assert association.store(image()).status == 0
        assert len(Client("127.0.0.1", port).web("/studies").json()) == 1


def test_a_table_of_the_configuration(tmp_path, capsys):
    _, line = new_token("somebody", "read")
    (tmp_path / "tokens.txt").write_text(line)
    config = tmp_path / "config.toml"
    config.write_text(
        '[web]\nport = 0\ntokens = "tokens.txt"\ncors_origins = ["https://a.example"]\n'
    )
    assert main(["serve", "--config", str(config), "--show-config"]) == 0
    shown = capsys.readouterr().out.partition("[web]")[2]
    assert f"tokens = {json.dumps(str(tmp_path / 'tokens.txt'))}" in shown
    assert 'cors_origins = ["https://a.example"]' in shown
    config.write_text("[web]\nprot = 0\n")
    assert main(["serve", "--config", str(config), "--check-config"]) == 2
    assert "did you mean port?" in capsys.readouterr().err


def test_a_viewer_is_served(tmp_path):
    folder = tmp_path / "viewer"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>viewer</title>")
    (folder / "app-config.js").write_text("not this one")
    (folder / "assets" / "app.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    with served(tmp_path / "archive", viewer=str(folder)) as (client, _):
        assert b"<title>" in client.ask("/viewer/").body
        assert b"<title>" in client.ask("/viewer/study/1.2.3").body
        assert client.ask("/viewer/assets/app.js").body == b"1"
        assert client.ask("/viewer/assets/none.js").status == 404
        config = client.ask("/viewer/app-config.js")
        assert b'"wadoRoot": "/dicom-web"' in config.body
        assert "javascript" in config.type
        for path in ("/viewer/../secret", "/viewer/%2e%2e/secret", "/viewer/..%2fsecret"):
            assert b"secret" not in client.ask(path).body
        (folder / "sub").mkdir()
        (folder / "sub" / "index.html").write_text("1")
        for path in ("/viewer", "/viewer/sub"):
            answer = client.ask(path, Host="127.0.0.1:1")
            assert (answer.status, answer.headers["location"]) == (307, f"{path}/")


def test_a_server_that_fails_is_started_again_on_its_port(tmp_path):
    with served(tmp_path, image()) as (client, _):
        supervisor = client.server.supervisor
        first = server_of(supervisor)
        first.tell(_Ended(None, RuntimeError("a fault")))
        first.actor_stopped.wait(60)
        deadline = time.monotonic() + 60
        while server_of(supervisor) in {None, first} and time.monotonic() < deadline:
            pass
        assert len(client.web("/studies").json()) == 1
