"""What is decoded or encoded anew is made as it is sent, a frame at a time."""

from __future__ import annotations

import http.client
import io
import re

import pytest
from kit.serving import serving
from web.serving import EXPLICIT, Client, file_of, image, served
from web.test_large_values import BIG, DEFLATED, IMPLICIT, RLE, Process

from dicom_actors import read_file, write_file
from dicom_actors.archive import Archive
from dicom_actors.pixels import transcode
from dicom_actors.web import exchange

JPEG_LS = "1.2.840.10008.1.2.4.80"
STUDY = "/dicom-web/studies/1.2.3"
INSTANCE = f"{STUDY}/series/1.2.3.1/instances/1.2.3.1.1"
FRAMES, ROWS, COLUMNS = 150, 1024, 1024
FRAME_BYTES = 2 * ROWS * COLUMNS
ROOM = 40 << 20
"""What a request may take; the frames of the object are eight times that."""


def compressed(syntax, *, frames, rows, columns):
    """An object whose frames are all the same, of which one is compressed."""
    one = transcode(image(frames=1, rows=rows, columns=columns), syntax)
    made = one.copy()
    made.put("PixelData", "OB", type(one.PixelData).of_frames(one.PixelData.fragments * frames))
    made.NumberOfFrames = frames
    buffer = io.BytesIO()
    write_file(buffer, made)
    return buffer.getvalue(), bytes(image(frames=1, rows=rows, columns=columns).PixelData)


@pytest.mark.parametrize("syntax", [JPEG_LS, RLE])
def test_a_server_holds_a_frame_or_two_of_300_mb(tmp_path, syntax):
    data, frame = compressed(syntax, frames=FRAMES, rows=ROWS, columns=COLUMNS)
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(data)
        archive.settle()
    with serving("--store", str(tmp_path), "--web-port", "0") as server:
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        client, process = Client("127.0.0.1", port), Process(server.pid)
        assert client.web("/studies").status == 200
        assert client.ask(f"{INSTANCE}/frames/1", Accept="application/octet-stream").body == frame
        for target, length in ((EXPLICIT, True), (DEFLATED, False)):
            accept = f"application/dicom; transfer-syntax={target}"
            process.begin()
            answer = client.ask(INSTANCE, Accept=accept)
            grown = process.grown()
            assert answer.status == 200
            assert ("content-length" in answer.headers) is length
            assert grown < ROOM, f"{target}: {grown >> 20} MB more"
            pixels = read_file(answer.body).PixelData
            assert len(pixels) == FRAMES * FRAME_BYTES
            assert pixels[-FRAME_BYTES:] == frame
            del answer, pixels
        assert server.stop() == 0


SOURCES = {
    syntax: transcode(image(frames=9, rows=300, columns=400), syntax) for syntax in (JPEG_LS, RLE)
} | {syntax: image(frames=9, rows=300, columns=400) for syntax in (EXPLICIT, BIG, DEFLATED)}


@pytest.mark.parametrize("source", SOURCES)
def test_it_is_what_the_whole_is(tmp_path, source):
    whole = file_of(SOURCES[source], source)
    with served(tmp_path, whole) as (client, archive):
        archive.settle()
        for target in {EXPLICIT, IMPLICIT, BIG, DEFLATED} - {source}:
            expected = file_of(transcode(read_file(whole), target), target)
            accept = f"application/dicom; transfer-syntax={target}"
            single = client.ask(INSTANCE, Accept=accept)
            assert single.body == expected
            assert single.type == accept
            kind = 'multipart/related; type="application/dicom"; transfer-syntax='
            several = client.ask(STUDY, Accept=kind + target)
            assert expected in several.body
            assert several.body.endswith(b"--\r\n")
            part = client.ask(INSTANCE, Accept=accept, Range="bytes=1000-700000")
            if target == DEFLATED:
                assert (part.status, part.body) == (200, expected)
            else:
                assert (part.status, part.body) == (206, expected[1000:700001])


def damaged(number):
    """Nine frames, of which one is damaged."""
    made = SOURCES[JPEG_LS].copy()
    fragments = [bytes(one) for one in made.PixelData.fragments]
    fragments[number] = fragments[number][:40] + bytes(len(fragments[number]) - 40)
    made.put("PixelData", "OB", type(made.PixelData).of_frames(fragments))
    return file_of(made, JPEG_LS)


@pytest.mark.parametrize("target", [EXPLICIT, DEFLATED])
def test_what_fails_at_once_is_told_by_the_status(tmp_path, target):
    with served(tmp_path, damaged(0)) as (client, _):
        answer = client.ask(INSTANCE, Accept=f"application/dicom; transfer-syntax={target}")

        assert (answer.status, answer.body) == (
            406,
            b"accept: it cannot be made in that transfer syntax\n",
        )


@pytest.mark.parametrize("is_multipart", [False, True])
@pytest.mark.parametrize("target", [EXPLICIT, DEFLATED])
def test_what_fails_later_is_cut_off(tmp_path, monkeypatch, caplog, target, is_multipart):
    monkeypatch.setattr(exchange, "PIECE", 1 << 16)
    monkeypatch.setattr(exchange, "_GATHERING", 0.0)
    accept = f"transfer-syntax={target}"
    kind = 'multipart/related; type="application/dicom"' if is_multipart else "application/dicom"
    with served(tmp_path, damaged(8)) as (client, _):
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            client.ask(INSTANCE, Accept=f"{kind}; {accept}")

        assert "a response of the web ended too soon: accept: it cannot be made" in caplog.text
        assert client.web("/studies").status == 200
