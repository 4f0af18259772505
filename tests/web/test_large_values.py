"""Large objects are not read whole, and what is given of them is what it would be if they were."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from kit.serving import serving
from web.serving import EXPLICIT, Client, file_of, image

from dicom_actors import DataSet, read_large, write_file
from dicom_actors.archive import Archive
from dicom_actors.data.files import large_value
from dicom_actors.web import DicomWeb, Request, WebSettings
from dicom_actors.web import holdings as held_module

IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"
STUDY = "/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1"
LENGTH = 100_000


def plain(**more):
    made = image(rows=200, columns=LENGTH // 400, **more)
    made.put("IconImageSequence", "SQ", [DataSet.from_keywords(PixelData=b"\1\2" * 4000)])
    made.put(0x00091001, "OB", b"\3" * 5000)
    made.put(0x00090010, "LO", "SOMEBODY")
    return made


def bytewise():
    made = plain(BitsAllocated=8, BitsStored=8, HighBit=7)
    made.put("Columns", "US", LENGTH // 200)
    made.put("PixelData", "OB", bytes(range(200)) * (LENGTH // 200))
    return made


def with_more_behind():
    made = plain()
    made.put("DataSetTrailingPadding", "OB", b"\0" * 300)
    return made


def document():
    made = plain()
    del made["PixelData"]
    made.put("EncapsulatedDocument", "OB", b"%PDF-" + b"x" * LENGTH + b"\n")
    made.put("DigitalSignaturesSequence", "SQ", [DataSet.from_keywords(MACIDNumber=1)])
    return made


def spectrum():
    made = plain()
    del made["PixelData"]
    made.put("SpectroscopyData", "OF", b"\0\0\x80\x3f" * (LENGTH // 4))
    return made


def of_floats():
    made = plain(BitsAllocated=32)
    del made["PixelData"]
    made.put("FloatPixelData", "OF", b"\0\0\x80\x3f" * (LENGTH // 4))
    return made


def two_large_ones():
    made = plain()
    made.put("EncapsulatedDocument", "OB", b"x" * LENGTH)
    return made


def compressed(frames=3):
    made = image(frames=frames)
    fragments = [bytes([number]) * (LENGTH + 2 * number) for number in range(frames)]
    items = b"".join(
        b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in fragments
    )
    value = b"\xfe\xff\x00\xe0\0\0\0\0" + items + b"\xfe\xff\xdd\xe0\0\0\0\0"
    del made["PixelData"]
    made.put("DataSetTrailingPadding", "OB", b"\0" * 300)
    whole = file_of(made).replace(EXPLICIT.encode() + b"\0", RLE.encode() + b"\0")
    at = whole.index(b"\xfc\xff\xfc\xffOB")
    return whole[:at] + b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + value + whole[at:]


OBJECTS = {
    "explicit": file_of(plain()),
    "implicit": file_of(plain(), IMPLICIT),
    "big endian": file_of(plain(), BIG),
    "deflated": file_of(plain(), DEFLATED),
    "of 8 bits": file_of(bytewise()),
    "of 8 bits, implicit": file_of(bytewise(), IMPLICIT),
    "with more behind": file_of(with_more_behind()),
    "with more behind, implicit": file_of(with_more_behind(), IMPLICIT),
    "document": file_of(document()),
    "document, implicit": file_of(document(), IMPLICIT),
    "spectrum": file_of(spectrum()),
    "floats, implicit": file_of(of_floats(), IMPLICIT),
    "two large ones": file_of(two_large_ones()),
    "compressed": compressed(),
    "small": file_of(image()),
}
TAKEN_APART = set(OBJECTS) - {"two large ones", "small"}


def answer(application, path, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = application.begin(Request("GET", path, "http://here", (), named))
    body = b"".join(found.body)
    boundary = re.search(r"boundary=(\w+)", found.headers.get("content-type", ""))
    if boundary:
        body = body.replace(boundary[1].encode(), b"boundary")
    return found.status, body


def everything(application):
    """All that there is to ask of an instance."""
    status, body = answer(application, f"{STUDY}/metadata")
    assert status == 200
    yield json.loads(body)
    for uri in sorted(re.findall(r'"BulkDataURI": "http://here([^"]*)"', body.decode())):
        for headers in (
            {},
            {"accept": "application/octet-stream"},
            {"accept": "application/octet-stream", "range": "bytes=70000-"},
        ):
            yield uri, headers, answer(application, uri, **headers)
    for frames in ("1", "1,1"):
        yield frames, answer(application, f"{STUDY}/frames/{frames}")
    for tag in ("7FE00010", "00080018", "00091001", "00420011", "00882000/0/7FE00010", "nonsense"):
        yield tag, answer(application, f"{STUDY}/bulkdata/{tag}")
    for syntax in (EXPLICIT, IMPLICIT, BIG, DEFLATED):
        accept = f"application/dicom; transfer-syntax={syntax}"
        yield syntax, answer(application, STUDY, accept=accept)
        yield syntax, answer(application, STUDY, accept=accept, range="bytes=100-90000")
        both = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
        yield syntax, answer(application, STUDY, accept=both)


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_is_taken_apart_says_the_same(tmp_path, monkeypatch, kind):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(OBJECTS[kind])
        archive.settle()
        application = DicomWeb(archive, WebSettings(metadata_bytes=0, cache_bytes=0))
        monkeypatch.setattr(large_value, "LARGE", 1 << 40)
        whole = list(everything(application))
        monkeypatch.setattr(large_value, "LARGE", LENGTH // 2)
        monkeypatch.setattr(held_module, "_AS_WANTED", 1)
        read, read_large = [], held_module.read_large
        monkeypatch.setattr(
            held_module, "read_large", lambda *of: read.append(read_large(*of)) or read[-1]
        )

        apart = list(everything(application))

        for one, other in zip(whole, apart, strict=True):
            assert one == other
        assert read
        is_apart = {any(ds.fetch(tag).unread is not None for tag in ds) for ds in read}
        assert is_apart == {kind in TAKEN_APART}
        application.close()


def test_where_frames_are_is_looked_for_where_the_index_does_not_know(tmp_path, monkeypatch):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(OBJECTS["compressed"])
        archive.settle()
        application = DicomWeb(archive, WebSettings(metadata_bytes=0, cache_bytes=0))
        before = list(everything(application))
        monkeypatch.setattr(large_value, "LARGE", LENGTH // 2)
        real = held_module.Held.instance
        monkeypatch.setattr(
            held_module.Held, "instance", lambda *of: real(*of)._replace(pixel_data=None)
        )
        assert list(everything(application)) == before
        application.close()


# --- memory ----------------------------------------------------------------------------------

LARGE = 300 << 20
ROOM = 40 << 20
"""What a request for something of a large object may take, besides."""


def large_file(folder):
    """A file with pixel data of 300 MB, most of which no disk has."""
    front = file_of(image(rows=1, columns=1))
    at = front.index(b"\xe0\x7f\x10\x00OW\0\0")
    path = folder / "large.dcm"
    with path.open("wb") as file:
        file.write(front[: at + 8] + LARGE.to_bytes(4, "little") + b"first")
        file.seek(at + 12 + LARGE - 4)
        file.write(b"last")
    return path, at + 12 + LARGE


class Process:
    """What the system says of a process."""

    def __init__(self, pid):
        self._proc = Path(f"/proc/{pid}")

    def begin(self):
        (self._proc / "clear_refs").write_text("5")
        self._before = self._status("VmRSS")

    def grown(self):
        return self._status("VmHWM") - self._before

    def _status(self, name):
        text = (self._proc / "status").read_text()
        return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024


def test_of_300_mb_a_server_holds_what_it_sends(tmp_path):
    store = tmp_path / "archive"
    path, size = large_file(tmp_path)
    with Archive.open(store, durability="os") as archive:
        archive.add(path)
        archive.settle()
    with serving("--store", str(store), "--web-port", "0") as server:
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        client, process = Client("127.0.0.1", port), Process(server.pid)
        octets = "application/octet-stream"
        assert client.web("/studies").status == 200
        asked = [
            (f"{STUDY}/metadata", {}, None),
            (f"{STUDY}/bulkdata/7FE00010", {"Accept": octets}, LARGE),
            (f"{STUDY}/bulkdata/7FE00010", {"Accept": octets, "Range": "bytes=-4"}, 4),
            (f"{STUDY}/bulkdata/7FE00010", {}, None),
            (f"{STUDY}/bulkdata/00080018", {"Accept": octets}, 10),
            (STUDY, {"Accept": f"application/dicom; transfer-syntax={EXPLICIT}"}, size),
            (STUDY, {"Accept": f"application/dicom; transfer-syntax={IMPLICIT}"}, None),
            (STUDY, {"Accept": f"application/dicom; transfer-syntax={BIG}"}, None),
            (
                STUDY,
                {"Accept": f'multipart/related; type="application/dicom"; transfer-syntax={BIG}'},
                None,
            ),
            (STUDY, {"Accept": f"application/dicom; transfer-syntax={DEFLATED}"}, None),
        ]
        for where, headers, length in asked:
            process.begin()
            body = client.web(where, **headers).body
            grown = process.grown()
            assert grown < ROOM, f"{where} {headers}: {grown >> 20} MB more"
            assert length in {None, len(body)}
            if len(body) > LARGE:
                is_swapped = BIG in headers.get("Accept", "")
                assert (b"ifsr\0t" if is_swapped else b"first\0") in body[:2000]
                assert (b"alts" if is_swapped else b"last") in body[-100:]
            del body
        assert server.stop() == 0


FRAMES, ROWS, COLUMNS = 150, 1024, 1024


def of_many_frames(folder, syntax):
    """A file with a frame 150 times, which is 300 MB; and the frame."""
    one = image(frames=1, rows=ROWS, columns=COLUMNS)
    frame = bytes(one.PixelData)
    one.put("NumberOfFrames", "IS", FRAMES)
    front = file_of(one)[: -len(frame) - 4]
    plain, path = folder / "plain.dcm", folder / "large.dcm"
    with plain.open("wb") as file:
        file.write(front + (FRAMES * len(frame)).to_bytes(4, "little"))
        file.writelines([frame] * FRAMES)
    write_file(path, read_large(plain), transfer_syntax=syntax)
    plain.unlink()
    return path, frame


@pytest.mark.parametrize("syntax", [EXPLICIT, BIG, DEFLATED])
def test_of_300_mb_a_server_holds_a_frame_or_two_in_whatever_form_they_are(tmp_path, syntax):
    store = tmp_path / "archive"
    path, frame = of_many_frames(tmp_path, syntax)
    with Archive.open(store, durability="os") as archive:
        archive.add(path)
        archive.settle()
    path.unlink()
    with serving("--store", str(store), "--web-port", "0") as server:
        server.wait_for("DICOMweb on http://127.0.0.1:")
        port = int(re.search(r"DICOMweb on http://127.0.0.1:(\d+)/", server.output)[1])
        client, process = Client("127.0.0.1", port), Process(server.pid)
        octets, picture = "application/octet-stream", "image/jpeg"
        assert client.web(f"{STUDY}/frames/1/rendered", Accept=picture, viewport="9,9").body
        asked = [
            (f"{STUDY}/frames/1", octets, frame),
            (f"{STUDY}/frames/{FRAMES}", octets, frame),
            (f"{STUDY}/frames/1,{FRAMES}", None, None),
            (f"{STUDY}/frames/{FRAMES}/rendered", picture, None),
            (f"{STUDY}/rendered", picture, None),
            (f"{STUDY}/thumbnail", picture, None),
            (f"{STUDY}/metadata", None, None),
            ("/studies/1.2.3/media", None, None),
            ("/studies/1.2.3/media?deidentified=true", None, None),
        ]
        for where, accept, expected in asked:
            process.begin()
            answer = client.web(where, **({"Accept": accept} if accept else {}))
            grown = process.grown()
            assert answer.status == 200, where
            assert grown < ROOM, f"{where}: {grown >> 20} MB more"
            assert expected in {None, answer.body}
            if "," in where:
                assert [body for _, body in answer.parts()] == [frame, frame]
            del answer
        assert server.stop() == 0
