"""DICOMweb: what each kind of request costs, from a client on the same machine.

::

    python tests/benchmarks/bench_web.py [--studies 100000]

Medians of several requests, each after a first one that does not count; the first request of
metadata, which makes them, is a row of its own.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from web.serving import file_of, image

from dicom_actors.archive import Archive
from dicom_actors.web import WebServer

PIXELS = bytes(range(256)) * (512 * 512 * 2 // 256)


def slice_of(number: int, study: str, frames: int | None = None):
    """A CT slice of half a megabyte, or many in one object."""
    made = image(number, study=study)
    made.Rows = made.Columns = 512
    if frames is not None:
        made.NumberOfFrames = frames
    made.put("PixelData", "OW", PIXELS * (frames or 1))
    return made


SERIES = "/dicom-web/studies/1.2.1/series/1.2.1.1"
LARGE = "/dicom-web/studies/1.2.2/series/1.2.2.1/instances/1.2.2.1.1"


class Asker:
    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        before = time.perf_counter()
        self.connection.request(method, path, body, named)
        answer = self.connection.getresponse()
        length = len(answer.read())
        seconds = time.perf_counter() - before
        assert answer.status == 200, (path, answer.status)
        return seconds, length

    def median(self, path: str, times: int = 9, **headers: str):
        self.ask(path, **headers)
        found = [self.ask(path, **headers) for _ in range(times)]
        return statistics.median(seconds for seconds, _ in found), found[0][1]


def row(name: str, seconds: float, length: int) -> None:
    rate = length / seconds / 1e6
    print(f"{name:48} {seconds * 1000:10.1f} ms {length / 1e6:10.2f} MB {rate:10.0f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Archive.open(folder, durability="os") as archive,
        WebServer.start(archive, port=0) as server,
    ):
        asker = Asker(int(server.url.rpartition(":")[2].strip("/")))
        for number in range(1, 601):
            archive.add(slice_of(number, "1.2.1"))
        archive.add(slice_of(1, "1.2.2", 200))
        archive.settle()
        row("metadata of 600 images, the first time", *asker.ask(f"{SERIES}/metadata"))
        row("  again", *asker.median(f"{SERIES}/metadata"))
        row("  gzip", *asker.median(f"{SERIES}/metadata", Accept_Encoding="gzip"))
        row("a frame of 0.5 MB, of 105 MB", *asker.median(f"{LARGE}/frames/150"))
        row("a picture of it, JPEG", *asker.median(f"{LARGE}/frames/150/rendered"))
        row("a series of 600 images of 0.5 MB", *asker.median(SERIES, 3))
        row("an instance of 105 MB", *asker.median(LARGE, 3))
        parts = b"".join(
            b"--x\r\nContent-Type: application/dicom\r\n\r\n"
            + file_of(slice_of(number, "1.2.3"))
            + b"\r\n"
            for number in range(100)
        )
        kind = 'multipart/related; type="application/dicom"; boundary=x'
        body = parts + b"--x--"
        seconds, _ = asker.ask("/dicom-web/studies", "POST", body, Content_Type=kind)
        row("store 100 images of 0.5 MB", seconds, len(body))
        for number in range(options.studies):
            archive.add(image(study=f"1.3.{number}", PatientName=f"Name{number}^First"))
        found = "/dicom-web/studies?limit=50"
        row(f"50 of {options.studies} studies", *asker.median(found))
        row("  the newest", *asker.median(f"{found}&sort=newest"))
        row("  by a prefix of a name", *asker.median(f"{found}&PatientName=Name19*"))


if __name__ == "__main__":
    main()
