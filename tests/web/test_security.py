"""Who is let in, and what hostile clients achieve."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import socket
import ssl
import time

import pytest
import trustme
from kit.file_systems import limited
from web.serving import file_of, image, served

from dicom_actors.archive import Archive
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.web import WebServer, WebSettings, asgi
from dicom_actors.web.tokens import SESSION_SECONDS, Tokens, new_token

STOW = 'multipart/related; type="application/dicom"; boundary=x'


def body_of(*objects):
    parts = (b"--x\r\n\r\n" + file_of(one) + b"\r\n" for one in objects)
    return b"".join(parts) + b"--x--"


@pytest.fixture
def tokens(tmp_path):
    path = tmp_path / "tokens.txt"
    lines, found = ["# who may ask"], {}
    for right in ("read", "write", "admin"):
        found[right], line = new_token(f"a-{right}", right)
        lines.append(line)
    path.write_text("\n".join(lines))
    return path, found


def test_tokens_say_who_may_do_what(tmp_path, tokens):
    path, known = tokens
    settings = WebSettings(allow_delete=True, drain_timeout=1.0)
    named = {"tokens": Tokens(path), "settings": settings}
    with served(tmp_path / "archive", image(), **named) as (client, _):
        body = body_of(image(2))

        def ask(token, path, method="GET", body=None):
            headers = {"Content_Type": STOW} if body else {}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            return client.ask(path, method, body, **headers).status

        assert ask("", "/dicom-web/studies") == 401
        assert ask("wrong", "/dicom-web/studies") == 401
        assert ask("", "/api/status") == 401
        assert ask("", "/dicom-web/studies", "POST", body) == 401
        assert "Bearer" in client.web("/studies").headers["www-authenticate"]
        assert client.web("/studies", Authorization="Basic eDp5").status == 401
        assert ask(known["read"], "/dicom-web/studies") == 200
        assert ask(known["read"], "/api/status") == 200
        assert ask(known["read"], "/dicom-web/studies", "POST", body) == 403
        assert ask(known["write"], "/dicom-web/studies", "POST", body) == 200
        assert ask(known["write"], "/dicom-web/studies/1.2.3", "DELETE") == 403
        assert ask(known["admin"], "/dicom-web/studies/1.2.3", "DELETE") == 204

        # What is taken out of the file is let in no more.
        path.write_text("# nobody\n")
        assert ask(known["admin"], "/dicom-web/studies") == 401


@pytest.mark.parametrize(
    "text", ["name", "name 1234", "name " + "0" * 64 + " everything", "a b c d", "\xff"]
)
def test_a_file_of_tokens_that_is_none(tmp_path, text):
    path = tmp_path / "tokens"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError):
        Tokens(path)
    with pytest.raises(ConfigurationError):
        Tokens(tmp_path / "absent")


def test_a_browser_that_showed_a_token_lets_a_viewer_ask(tmp_path, tokens):
    path, known = tokens
    viewer = tmp_path / "viewer"
    viewer.mkdir()
    (viewer / "index.html").write_text("a viewer")
    now = [1000.0]
    settings = WebSettings(allow_delete=True, drain_timeout=1.0)
    named = {"tokens": Tokens(path, lambda: now[0]), "settings": settings, "viewer": str(viewer)}
    with served(tmp_path / "archive", image(), **named) as (client, _):

        def cookie(right):
            answer = client.ask("/api/page", Authorization=f"Bearer {known[right]}")
            text = answer.headers["set-cookie"]
            pair, *attributes = [one.strip() for one in text.lower().split(";")]
            assert {"httponly", "samesite=strict", "path=/dicom-web"} <= set(attributes)
            assert known[right] not in text
            return pair

        def ask(cookie, method="GET", path="/dicom-web/studies", **more):
            body = body_of(image(2)) if method == "POST" else None
            headers = {"Content_Type": STOW, "Cookie": f"a=b; {cookie}", **more}
            return client.ask(path, method, body, **headers).status

        read, admin = cookie("read"), cookie("admin")
        assert ask(read) == ask(admin) == 200
        assert ask(read, "POST") == 403
        assert ask(admin, "POST") == 200
        assert ask(admin, "DELETE", "/dicom-web/studies/1.2.3") == 403  # takes the token itself
        assert ask(admin, path="/api/status") == 401
        assert ask(read, Authorization="Bearer wrong") == 401
        # Nor is it for pages of others, whether they are on the same host or not.
        for site in ("cross-site", "same-site", "none"):
            assert ask(read, Sec_Fetch_Site=site) == 401
        assert ask(read, Sec_Fetch_Site="same-origin") == 200
        assert ask(admin, "POST", Origin="http://127.0.0.1:1") == 403
        name, _, value = read.partition("=")
        until, _, mac = value.partition(".")
        for wrong in ("", ".", mac, f"{int(until) + 1}.{mac}", f"{until}.{mac[:-1]}", "9" * 99):
            assert ask(f"{name}={wrong}") == 401
        forgotten = client.ask("/forget", "POST").headers["set-cookie"]
        assert "Max-Age=0" in forgotten
        now[0] += SESSION_SECONDS + 1
        assert ask(read) == 401
        read = cookie("read")
        assert ask(read) == 200
        path.write_text("")  # a token that is taken back takes its cookies with it
        assert ask(read) == 401


def test_there_are_no_cookies_without_a_viewer(tmp_path, tokens):
    path, known = tokens
    with served(tmp_path / "archive", tokens=Tokens(path)) as (client, _):
        answer = client.ask("/api/page", Authorization=f"Bearer {known['read']}")
        assert answer.status == 200
        assert "set-cookie" not in answer.headers


def test_the_file_has_no_token(tokens):
    path, known = tokens
    text = path.read_text()
    assert all(token not in text for token in known.values())
    assert hashlib.sha256(known["read"].encode()).hexdigest() in text


def test_others_need_tokens(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        with pytest.raises(ConfigurationError, match="tokens"):
            WebServer.start(archive, host="0.0.0.0", port=0)
        with WebServer.start(archive, host="0.0.0.0", port=0, is_insecure=True) as server:
            assert server.url.startswith("http://localhost:")


def test_a_port_that_is_taken(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(TransportError, match="in use"):
            WebServer.start(archive, port=other.getsockname()[1])


def test_names_and_origins_of_others_are_refused(tmp_path):
    with served(tmp_path, image()) as (client, _):
        assert client.web("/studies", Host="localhost").status == 200
        assert client.web("/studies", Host="evil.example:80").status == 421
        assert client.web("/studies", Host="").status == 421
        for host in ("evil.example\\@127.0.0.1", "evil@localhost", "localhost/evil", "localhost:x"):
            assert client.web("/studies", Host=host).status == 421
        posted = {"Content_Type": STOW}
        refused = client.web(
            "/studies", "POST", body_of(image(2)), Origin="http://evil.example", **posted
        )
        assert refused.status == 403
        own = f"http://127.0.0.1:{client.port}"
        assert client.web("/studies", "POST", body_of(image(2)), Origin=own, **posted).status == 200
        # Nor may their pages read.
        answer = client.web("/studies", Origin="http://evil.example")
        assert "access-control-allow-origin" not in answer.headers


def test_no_address_is_made_of_a_name_that_a_client_says(tmp_path):
    with served(tmp_path, image(), host="0.0.0.0", is_insecure=True) as (client, _):
        for path in ("/dicom-web", "/dicom-web/", "/page.js/", "/api/page/", "/dicom-web/studies"):
            answer = client.ask(path, Host="evil.example")
            assert answer.status == (404 if path in {"/page.js/", "/api/page/"} else 200)
            assert "location" not in answer.headers
            assert b"evil" not in answer.body


def test_origins_that_are_named_may_ask(tmp_path):
    settings = WebSettings(cors_origins=("https://viewer.example.org",), drain_timeout=1.0)
    with served(tmp_path, image(), settings=settings) as (client, _):
        origin = "https://viewer.example.org"
        assert (
            client.web("/studies", Origin=origin).headers["access-control-allow-origin"] == origin
        )
        preflight = client.web(
            "/studies",
            "OPTIONS",
            Origin=origin,
            Access_Control_Request_Method="POST",
            Access_Control_Request_Headers="authorization",
        )
        assert preflight.status == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]


def test_tls(tmp_path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with served(tmp_path, image(), context=context) as (client, _):
        own = ssl.create_default_context()
        authority.configure_trust(own)
        with (
            socket.create_connection(("127.0.0.1", client.port), 60) as plain,
            own.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"]"):
                answer += connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"https://127.0.0.1:" in answer


# --- hostile clients -----------------------------------------------------------------------

_TRAVERSALS = [
    "/studies/..%2f..%2fetc/metadata",
    "/studies/../../etc/passwd",
    "/studies/%2e%2e/series",
    "/studies/1.2.3/series/..",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/bulkdata/../../etc",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/bulkdata/00080018/-1/00080018",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/bulkdata/" + "0/" * 900,
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/0",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/-1",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/99999999999999999999",
    "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/" + "1," * 900,
    "/studies/1.2.3%00",
    "/studies/1.2.3%0d%0aX-Evil:%201",
    "/studies/" + "1." * 40 + "1",
    "/studies/1.2.3'%20OR%201=1",
    "/studies?StudyInstanceUID=1%0d%0a&limit=-1",
    "/studies?limit=1e9",
    "/studies?limit=99999999999999999999999",
    "/studies?nokeyword=1",
    "/studies?00100010000=1",
    "/studies?a.b.c.d.e.f.g.h.i.j=1",
    "/studies?" + "&".join(f"PatientID={n}" for n in range(400)),
    "/studies?StudyDate=nonsense",
    "/studies?fuzzymatching=perhaps",
    "/studies?includefield=nothing",
    "/wado?requestType=WADO&studyUID=../..&seriesUID=1&objectUID=1",
    "/wado?requestType=WADO",
    "/wado",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    settings = WebSettings(
        header_timeout=0.5,
        body_timeout=0.5,
        keep_alive_timeout=1.0,
        max_parts=100,
        max_part_bytes=1 << 20,
        max_body_bytes=1 << 22,
        drain_timeout=1.0,
    )
    with served(tmp_path_factory.mktemp("archive"), image(), settings=settings) as (client, _):
        yield client


@pytest.mark.parametrize("path", _TRAVERSALS, ids=range(len(_TRAVERSALS)))
def test_what_is_no_path_is_refused(target, path):
    answer = target.web(path)

    assert answer.status in {400, 404, 413, 414}
    assert "x-evil" not in answer.headers
    assert target.web("/studies").status == 200


def raw(target, data, wait=True):
    """Send bytes, and give what comes until the end."""
    with socket.create_connection((target.host, target.port), 60) as connection:
        found = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            connection.sendall(data)
        # What was sent and not read makes the end of a connection a reset.
        with contextlib.suppress(ConnectionResetError):
            while wait and (more := connection.recv(65_536)):
                found += more
        return found


HEAD = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n" % STOW.encode()
)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET /dicom-web/studies HT",
        b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nX: ",
        HEAD + b"Content-Length: 1000\r\n\r\n--x\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_who_is_slow_is_let_go(target, data):
    # Nothing more is sent; that the server closes is what ends this.
    answer = raw(target, data)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert target.web("/studies").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 1000 + b"\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 200_000,
        b"GET /dicom-web/studies HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Content-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1" * 10_000,
        b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nA: b\rc\r\n\r\n",
    ],
)
def test_garbage_is_refused(target, data):
    answer = raw(target, data)

    assert answer == b"" or answer[9:12] in {b"400", b"413", b"414", b"421", b"431", b"408"}
    assert target.web("/studies").status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"--x\r\n\r\n" * 200, 413),
        (b"--x\r\n\r\n" + bytes(2 << 20) + b"\r\n--x--", 413),
        (b"--x\r\nA: " + b"x" * 20_000, 413),
        (b"hello", 400),
        (b"--x\r\n\r\nhello\r\n--x--", 409),
        (b"--x\r\nContent-Type: text/html\r\n\r\nhello\r\n--x--", 409),
        (b"--x\r\nContent-Location: ../../etc/passwd\r\n\r\nhello\r\n--x--", 409),
        (b"--x--", 400),
        (b"", 400),
    ],
)
def test_bodies_beyond_a_limit(target, body, status):
    assert target.web("/studies", "POST", body, Content_Type=STOW).status == status
    assert target.web("/studies").status == 200


def test_a_length_that_is_declared_and_too_much(target):
    answer = raw(target, HEAD + b"Content-Length: 10000000000\r\n\r\n--x")

    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"{" * 1000,
        b"nonsense",
        b'{"00080018": {"vr": "UI", "Value": [1e999999]}}',
        b'[{"00080018": ' * 500,
        b'{"00081140": {"vr": "SQ", "Value": [' * 3000,
        b'[{"7FE00010": {"vr": "OW", "BulkDataURI": "file:///etc/passwd"}}]',
        b'[{"7FE00010": {"vr": "OW", "BulkDataURI": "http://127.0.0.1:1/x"}}]',
        b"null",
        b"[[], 1, null]",
    ],
)
def test_bombs_of_json(target, text):
    kind = 'multipart/related; type="application/dicom+json"; boundary=x'
    body = b"--x\r\nContent-Type: application/dicom+json\r\n\r\n" + text + b"\r\n--x--"

    answer = target.web("/studies", "POST", body, Content_Type=kind)

    assert answer.status in {400, 409, 413}
    assert target.web("/studies").status == 200


def test_a_thousand_idle_connections_keep_nobody_out(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # As it usually is for the server, which has to have more itself; so has this client.
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    idle = []
    try:
        with served(tmp_path, image()) as (client, _):
            for _ in range(1000):
                one = socket.create_connection((client.host, client.port), 60)
                idle.append(one)
                one.sendall(b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            for one in idle:
                assert one.recv(65_536).startswith(b"HTTP/1.1 200")
            before = time.monotonic()
            assert client.web("/studies").status == 200
            assert time.monotonic() - before < 10
            # None of them was given up for it.
            idle[0].sendall(b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle[0].recv(65_536).startswith(b"HTTP/1.1 200")
    finally:
        for one in idle:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_for_another_connection_the_longest_idle_one_goes(tmp_path):
    settings = WebSettings(max_connections=20, drain_timeout=1.0)
    asking = b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    storing = (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        b"Content-Type: application/dicom\r\n\r\n"
    )
    with (
        served(tmp_path, image(), settings=settings) as (client, _),
        contextlib.ExitStack() as stack,
    ):

        def answer(connection):
            stream = connection.makefile("rb")
            line, head = stream.readline(), {}
            while (header := stream.readline()) not in {b"\r\n", b""}:
                name, _, value = header.lower().partition(b":")
                head[name] = value
            stream.read(int(head.get(b"content-length", 0)))
            return line

        def opened(data, begins):
            made = socket.create_connection((client.host, client.port), 60)
            stack.enter_context(made).sendall(data)
            assert answer(made).startswith(begins)
            return made

        expecting = storing.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
        busy = [opened(expecting, b"HTTP/1.1 100") for _ in range(19)]
        for _ in range(100):
            last = opened(asking, b"HTTP/1.1 200")
        last.sendall(asking)
        assert answer(last).startswith(b"HTTP/1.1 200")
        busy.append(opened(expecting, b"HTTP/1.1 100"))
        # Where none is idle, it is told so.
        assert client.web("/studies").status == 503
        for one in busy:
            one.sendall(bytes(1000))
            assert answer(one).startswith(b"HTTP/1.1 409")
        assert client.web("/studies").status == 200


def test_idle_connections_are_let_go(target):
    idle = [socket.create_connection((target.host, target.port), 60) for _ in range(20)]
    for one in idle:
        one.sendall(b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for one in idle:
        with one:
            while one.recv(65_536):
                pass


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (b"GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\nX: ", b"x"),
        (HEAD + b"Content-Length: 100000\r\n\r\n--x\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
)
def test_who_sends_a_byte_now_and_then_is_let_go(target, head, byte):
    with socket.create_connection((target.host, target.port), 60) as connection:
        connection.sendall(head)
        connection.settimeout(0.1)
        deadline = time.monotonic() + 60
        answer = None
        while answer is None and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                try:
                    connection.sendall(byte)
                    answer = connection.recv(65_536)  # which is the pause between two bytes
                except (ConnectionResetError, BrokenPipeError):
                    answer = b""
    assert answer is not None
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert target.web("/studies").status == 200


def _nested(depth):
    body = b"hello"
    for level in range(depth):
        name = b"x" * (depth - level)
        kind = b'Content-Type: multipart/related; boundary="%s"\r\n\r\n' % (b"x" + name)
        body = b"--%s\r\n%s%s\r\n--%s--" % (name, kind, body, name)
    return body


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory):
    """A server with the limits that it has unless it is told others."""
    with served(tmp_path_factory.mktemp("archive"), image()) as (client, archive):
        client.archive = archive
        yield client


def test_a_hundred_thousand_parts(unlimited):
    before = time.monotonic()
    answer = unlimited.web("/studies", "POST", b"--x\r\n\r\n" * 100_000, Content_Type=STOW)

    assert answer.status == 413
    assert time.monotonic() - before < 30
    assert unlimited.web("/studies").status == 200


@pytest.mark.parametrize("body", [_nested(50), b"--x\r\n--xx\r\n--x\r\n--x--", b"--xx" * 10_000])
def test_boundaries_in_one_another(unlimited, body):
    assert unlimited.web("/studies", "POST", body, Content_Type=STOW).status in {400, 409, 413}
    assert unlimited.archive.counts().instances == 1


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"Content-Length: 10000000000\r\n\r\n--x\r\n\r\nhello",
        HEAD + b"Content-Length: 99\r\n\r\n--x\r\nContent-Length: 10000000000\r\n\r\nhello",
    ],
)
def test_a_length_that_never_comes_takes_nothing(unlimited, head):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB, on Linux
    raw(unlimited, head, wait=False)
    deadline = time.monotonic() + 60
    while unlimited.ask("/api/requests").json() and time.monotonic() < deadline:
        pass

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert unlimited.archive.store.file_system.names("incoming") == []
    assert unlimited.archive.counts().instances == 1


def test_nothing_is_left_of_what_is_cut(tmp_path):
    with served(tmp_path) as (client, archive):
        large = body_of(image(1, rows=500, columns=500))
        with socket.create_connection((client.host, client.port), 60) as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(large))
            connection.sendall(large[:-1000])
        # The next one comes only when that is over, as there is nothing else to wait for.
        deadline = time.monotonic() + 60
        while client.ask("/api/requests").json() and time.monotonic() < deadline:
            pass
        assert archive.counts().instances == 0
        assert archive.store.file_system.names("incoming") == []


def test_who_is_refused_over_and_over_leaves_time_for_others(tmp_path, monkeypatch):
    worked, feed = [], asgi._feed

    def timed(*arguments):
        began = time.monotonic()
        try:
            feed(*arguments)
        finally:
            worked.append(time.monotonic() - began)

    monkeypatch.setattr(asgi, "_feed", timed)
    with served(tmp_path) as (client, _):
        body = b"--x\r\n\r\n" * 30_000
        began = time.monotonic()
        answer = client.web("/studies", "POST", body, Content_Type=STOW)
        took = time.monotonic() - began

        assert answer.status == 413
        assert sum(worked) > 0
        assert took > 5 * sum(worked) or took > asgi._LONGEST_REFUSAL
        began = time.monotonic()
        assert client.web("/studies/1.2.3").status == 404  # which cost nothing
        assert time.monotonic() - began < asgi._LONGEST_REFUSAL


def test_of_each_object_it_is_said_whether_there_was_room(tmp_path):
    few, other = image(1), image(3)
    many = image(2, Rows=3000, Columns=2000, PixelData=bytes(12_000_000))
    with served(tmp_path) as (client, archive):
        with limited(resource.RLIMIT_FSIZE, 8 << 20):
            answer = client.web("/studies", "POST", body_of(few, many, other), Content_Type=STOW)
        assert answer.status == 202
        found = answer.json()
        assert [one["00081155"]["Value"] for one in found["00081199"]["Value"]] == [
            [str(few.SOPInstanceUID)],
            [str(other.SOPInstanceUID)],
        ]
        assert [one["00081197"]["Value"] for one in found["0008119A"]["Value"]] == [[0xA700]]
        assert archive.counts().instances == 2
        archive.settle()
        assert list((tmp_path / "incoming").iterdir()) == []

        with limited(resource.RLIMIT_FSIZE, 8 << 20):
            assert client.web("/studies", "POST", body_of(many), Content_Type=STOW).status == 507
        assert client.web("/studies", "POST", body_of(many), Content_Type=STOW).status == 200
