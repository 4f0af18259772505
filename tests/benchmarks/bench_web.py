"""DICOMweb beside the plugin of Debian's Orthanc: what each kind of request costs.

::

    python tests/benchmarks/bench_web.py [--studies 100000] [--alone] [--images 600] [--times 9]

Both are processes of their own on this machine, and are asked the same by the same client, in turn.
Times are medians, after a first request that does not count; the first request of metadata is a row
of its own. Orthanc gets no more than 1,000 of the studies that are searched among.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.orthanc import orthanc
from kit.stored_instances import new_instance
from web.serving import file_of, image

from dicom_actors.archive import Archive
from dicom_actors.archive.index import Index

PIXELS = bytes(range(256)) * (512 * 512 * 2 // 256)
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
STUDY = "/dicom-web/studies/1.2.3"
SERIES = "/dicom-web/studies/1.2.1/series/1.2.1.1"
LARGE = "/dicom-web/studies/1.2.2/series/1.2.2.1/instances/1.2.2.1.1"
KIND = 'multipart/related; type="application/dicom"; boundary=x'
JSON = "application/dicom+json"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'
MOST_FOR_ORTHANC = 1000


def slice_of(number: int, study: str, frames: int | None = None):
    """A CT slice of half a megabyte, or many in one object."""
    made = image(number, study=study)
    made.Rows = made.Columns = 512
    if frames is not None:
        made.NumberOfFrames = frames
    made.put("PixelData", "OW", PIXELS * (frames or 1))
    return made


def body_of(files) -> bytes:
    parts = [b"--x\r\nContent-Type: application/dicom\r\n\r\n" + one + b"\r\n" for one in files]
    return b"".join([*parts, b"--x--"])


class Asker:
    """Asks one server; a connection is there before the time begins, as some end idle ones soon."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        # All into the same room: to put a body together takes longer than to receive it.
        self._room = memoryview(bytearray(1 << 20))
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str):
        """Ask; gives the seconds, and the bytes of the answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.close()
        self.connection.connect()
        before = time.perf_counter()
        self.connection.request(method, path, body, named)
        answer = self.connection.getresponse()
        length = 0
        while count := answer.readinto(self._room):
            length += count
        seconds = time.perf_counter() - before
        if answer.status != 200:
            raise OSError(f"{self.name} answers {answer.status} for {path}")
        return seconds, length

    def store(self, files) -> float:
        return self.ask("/dicom-web/studies", "POST", body_of(files), Content_Type=KIND)[0]


@contextlib.contextmanager
def served(folder: Path):
    """The command of this package, which serves a folder; gives its port."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = ["-m", "dicom_actors", "serve", "--store", str(folder)]
    with subprocess.Popen(
        [sys.executable, *command, "--port", "0", "--web-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    ) as process:
        try:
            for line in process.stdout:
                found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
                if found:
                    break
            else:
                raise OSError("it did not start")
            yield int(found[1])
        finally:
            process.terminate()
            process.stdout.read()


def fill(folder: Path, count: int) -> None:
    """Put studies into an index, without their files, many at once."""
    Archive.open(folder, durability="os").close()
    index = Index.open(folder / "index.sqlite", durability="os")
    for first in range(0, count, 256):
        numbers = range(first, min(first + 256, count))
        index.write(
            [
                new_instance(image(study=f"1.3.{number}", PatientName=f"Name{number}^First"))
                for number in numbers
            ]
        )
    index.close()


def row(name: str, times: dict[str, tuple[float, int]]) -> None:
    """Print what each took; above 1, Orthanc took so many times longer."""
    columns = "".join(
        f"{seconds * 1000:10.1f} ms {length / seconds / 1e6:7.0f} MB/s"
        for seconds, length in times.values()
    )
    both = [seconds for seconds, _ in times.values()]
    ratio = f"{both[1] / both[0]:8.1f}" if len(both) == 2 else ""
    print(f"{name:40}{columns}{ratio}", flush=True)


def compared(name: str, askers, path: str, times: int, **headers: str) -> None:
    """A row of requests in turn."""
    found: dict[str, list[tuple[float, int]]] = {}
    for turn in range(times + 1):
        for asker in askers:
            one = asker.ask(path, **headers)
            if turn:
                found.setdefault(asker.name, []).append(one)
    row(
        name,
        {
            name: (statistics.median(seconds for seconds, _ in several), several[0][1])
            for name, several in found.items()
        },
    )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--times", type=int, default=9)
    parser.add_argument("--alone", action="store_true", help="without Orthanc")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        own, other = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in "ab")
        fill(own, options.studies)
        askers = [Asker("dicom-actors", stack.enter_context(served(own)))]
        if not options.alone:
            settings = {"Plugins": [PLUGIN], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
            server = stack.enter_context(orthanc(other, **settings))
            askers.append(Asker("Orthanc", server._http_port))
            for number in range(min(options.studies, MOST_FOR_ORTHANC)):
                made = image(study=f"1.3.{number}", PatientName=f"Name{number}^First")
                server.request("POST", "/instances", file_of(made))
        print(" " * 40 + "".join(f"{asker.name:>25}" for asker in askers) + "   times")
        few = max(3, options.times // 3)

        stored: dict[str, list[float]] = {}
        for turn in range(few):
            files = [file_of(slice_of(number, f"1.4.{turn}")) for number in range(1, 101)]
            for asker in askers:
                stored.setdefault(asker.name, []).append(asker.store(files))
        total = sum(map(len, files))
        row(
            "STOW of 100 images of 0.5 MB",
            {name: (statistics.median(several), total) for name, several in stored.items()},
        )
        for asker in askers:
            for first in range(1, options.images + 1, 100):
                numbers = range(first, min(first + 100, options.images + 1))
                asker.store([file_of(slice_of(number, "1.2.1")) for number in numbers])
            for first in range(1, 301, 100):
                numbers = range(first, first + 100)
                asker.store([file_of(slice_of(number, "1.2.3")) for number in numbers])
            asker.store([file_of(slice_of(1, "1.2.2", 200))])
        name = f"metadata of {options.images} CT"
        first_times = {asker.name: asker.ask(f"{SERIES}/metadata", Accept=JSON) for asker in askers}
        row(f"{name}, the first time", first_times)
        compared(name, askers, f"{SERIES}/metadata", few, Accept=JSON)
        compared(f"{name}, gzip", askers, f"{SERIES}/metadata", few, Accept=JSON,
                 Accept_Encoding="gzip")  # fmt: skip
        compared("a frame of 105 MB", askers, f"{LARGE}/frames/150", few, Accept=OCTETS)
        compared("WADO-RS of a study of 300 CT", askers, STUDY, few, Accept=PARTS)
        compared("WADO-RS of an object of 105 MB", askers, LARGE, few, Accept=PARTS)
        ct = f"{STUDY}/series/1.2.3.1/instances/1.2.3.1.7"
        compared("rendered JPEG of a CT", askers, f"{ct}/rendered", options.times,
                 Accept="image/jpeg")  # fmt: skip
        compared("  of a frame of 105 MB", askers[:1], f"{LARGE}/frames/150/rendered",
                 options.times, Accept="image/jpeg")  # fmt: skip
        found = "/dicom-web/studies?limit=50"
        compared(f"50 of {options.studies} studies", askers, found, options.times, Accept=JSON)
        for text, path in (
            ("  the newest", f"{found}&sort=newest"),
            ("  by the beginning of a name", f"{found}&PatientName=Name19*"),
        ):
            compared(text, askers[:1], path, options.times, Accept=JSON)


if __name__ == "__main__":
    main()
