"""What is large goes from files to sockets by the system, whoever reads it and however slowly."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
import threading

import pytest
import trustme
from kit.descriptors import open_below
from kit.waiting import until
from web.serving import file_of, image, served

from dicom_actors.archive.files import Location
from dicom_actors.web.socket_sender import SocketSender

STUDY = "/dicom-web/studies/1.2.3"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PIXELS = bytes(range(256)) * 8192
"""2 MiB: some of them are more than the buffers of sockets hold."""
COUNT = 5


def large(number):
    made = image(number)
    made.put("PixelData", "OW", PIXELS)
    return made


OBJECTS = [large(number) for number in range(1, COUNT + 1)]


@pytest.fixture(scope="module")
def served_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    with served(folder, *OBJECTS) as (client, archive):
        archive.settle()
        yield client, archive, folder


@pytest.fixture
def sendfile(monkeypatch):
    """Notes what the system is asked to send, and that a socket takes no more."""
    calls, is_full, real, writable = [], threading.Event(), os.sendfile, SocketSender.writable

    def noted(target, source, offset, count):
        calls.append(count)
        return real(target, source, offset, count)

    def waited_for(self):
        is_full.set()
        return writable(self)

    monkeypatch.setattr(os, "sendfile", noted)
    monkeypatch.setattr(SocketSender, "writable", waited_for)
    noted.calls, noted.is_full = calls, is_full
    return noted


REQUEST = (
    f"GET {STUDY} HTTP/1.1\r\nHost: localhost\r\nAccept: {PARTS}\r\nConnection: close\r\n\r\n"
).encode()


def asked(client):
    """A connection on which something was asked for, and nothing was read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect((client.host, client.port))
    connection.sendall(REQUEST)
    return connection


def rest_of(connection):
    """What comes until the end, and how long it was to be."""
    received = bytearray()
    while piece := connection.recv(1 << 16):
        received += piece
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    return int(re.search(rb"content-length: (\d+)", head.lower())[1]), body


def test_a_study_comes_whole_by_the_system(served_study, sendfile):
    client, _, _ = served_study

    parts = client.ask(STUDY, Accept=PARTS)

    assert [body for _, body in parts.parts()] == [file_of(one) for one in OBJECTS]
    assert int(parts.headers["content-length"]) == len(parts.body)
    assert sum(sendfile.calls) >= COUNT * len(PIXELS)


def test_a_range_of_an_instance_comes_by_the_system(served_study, sendfile):
    client, _, _ = served_study
    path = f"{STUDY}/series/1.2.3.1/instances/1.2.3.1.2"

    answer = client.ask(path, Accept="application/dicom; transfer-syntax=*", Range="bytes=1000-")

    assert answer.status == 206
    assert answer.body == file_of(OBJECTS[1])[1000:]
    assert sendfile.calls


def test_who_reads_slowly_gets_all(served_study, sendfile):
    client, _, folder = served_study
    with asked(client) as connection:
        assert sendfile.is_full.wait(60)
        length, body = rest_of(connection)

    assert len(body) == length
    assert all(file_of(one) in body for one in OBJECTS)
    until(lambda: not open_below(folder / "1.2.3"))


def test_others_are_answered_while_somebody_does_not_read(served_study, sendfile):
    client, _, _ = served_study
    with asked(client):
        assert sendfile.is_full.wait(60)
        assert client.ask("/dicom-web/studies").status == 200


def test_nothing_stays_open_for_who_has_gone(served_study, sendfile):
    client, _, folder = served_study
    with asked(client):
        assert sendfile.is_full.wait(60)
        assert open_below(folder / "1.2.3")

    until(lambda: not open_below(folder / "1.2.3"))
    until(lambda: not client.ask("/api/requests").json())


def test_what_is_encrypted_comes_whole(tmp_path, sendfile):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    own = ssl.create_default_context()
    authority.configure_trust(own)
    with (
        served(tmp_path, OBJECTS[0], context=context) as (client, _),
        socket.create_connection((client.host, client.port), 60) as plain,
        own.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(REQUEST)
        length, body = rest_of(connection)

    assert len(body) == length
    assert file_of(OBJECTS[0]) in body
    assert sendfile.calls == []


def test_a_file_that_is_cut_ends_that_response_alone(tmp_path, sendfile):
    with served(tmp_path, *OBJECTS) as (client, archive):
        archive.settle()
        with asked(client) as connection:
            assert sendfile.is_full.wait(60)
            for number in range(1, COUNT + 1):
                found = archive.find_instance(f"1.2.3.1.{number}")
                os.truncate(archive.store.path(Location.of(found.location)), 1000)
            length, body = rest_of(connection)

        assert len(body) < length
        assert client.ask("/dicom-web/studies").status == 200


def test_of_what_is_made_the_pixels_come_by_the_system_in_chunks(served_study, sendfile):
    client, _, _ = served_study
    syntax = "1.2.840.10008.1.2"

    parts = client.ask(STUDY, Accept=PARTS.replace("*", syntax))

    assert parts.headers["transfer-encoding"] == "chunked"
    assert [body for _, body in parts.parts()] == [file_of(one, syntax) for one in OBJECTS]
    assert sum(sendfile.calls) >= COUNT * len(PIXELS)


def test_who_knows_no_chunks_gets_all_until_the_end(served_study, sendfile):
    client, _, _ = served_study
    with socket.create_connection((client.host, client.port), 60) as connection:
        request = REQUEST.replace(b"HTTP/1.1", b"HTTP/1.0")
        connection.sendall(request.replace(b"syntax=*", b"syntax=1.2.840.10008.1.2"))
        received = bytearray()
        while piece := connection.recv(1 << 16):
            received += piece

    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert all(file_of(one, "1.2.840.10008.1.2") in body for one in OBJECTS)
    assert body.endswith(b"--\r\n")
    assert sendfile.calls


def test_a_system_that_sends_no_such_files_has_them_read(served_study, monkeypatch):
    client, _, _ = served_study

    def cannot(*_):
        raise OSError(errno.EINVAL, "not with this file")

    monkeypatch.setattr(os, "sendfile", cannot)

    parts = client.ask(STUDY, Accept=PARTS)

    assert [body for _, body in parts.parts()] == [file_of(one) for one in OBJECTS]


def test_the_headers_alone_take_no_file(served_study, sendfile):
    client, _, folder = served_study
    answer = client.ask(STUDY, "HEAD", Accept=PARTS)
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > COUNT * len(PIXELS)
    assert sendfile.calls == []
    assert not open_below(folder / "1.2.3")
