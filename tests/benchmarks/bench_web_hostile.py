"""What senders by DIMSE notice of hostile clients of the web, at the same `serve`.

::

    python tests/benchmarks/bench_web_hostile.py [--seconds 5] [--rounds 3] [--senders 2]

For each kind of client, rounds in turn without and with them; printed is the rate of senders with
them, in parts of the rate without, as the median of the rounds. Clients are a process of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from web.serving import file_of, image

from dicom_actors import connect

HEAD = (
    b"POST /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n"
    b'Content-Type: multipart/related; type="%s"; boundary=x\r\n'
)
DICOM, JSON = HEAD % b"application/dicom", HEAD % b"application/dicom+json"
BOMB = b"--x\r\nContent-Type: application/dicom+json\r\n\r\n" + b"[" * 900_000 + b"\r\n--x--"


def held(port: int, first: bytes, more: bytes, count: int) -> None:
    """So many connections, each of which gets some more bytes each second."""
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    there = []
    while True:
        while len(there) < count:
            one = socket.create_connection(("127.0.0.1", port), 60)
            one.sendall(first)
            there.append(one)
        time.sleep(1)
        for one in list(there):
            try:
                one.sendall(more)
            except OSError:
                one.close()
                there.remove(one)


def repeated(port: int, request: bytes) -> None:
    """One client, which sends its request again as soon as it is answered."""
    while True:
        with socket.create_connection(("127.0.0.1", port), 60) as one, contextlib.suppress(OSError):
            one.sendall(request)
            while one.recv(65_536):
                pass


def _with_length(head: bytes, body: bytes) -> bytes:
    return head + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


PORTS = ("--port", "0", "--web-port", "0")
GET = b"GET /page.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
KINDS = {
    "1000 that idle": (held, (GET, b"", 1000)),
    "200 with slow headers": (held, (b"GET / HTTP/1.1\r\nX: ", b"x", 200)),
    "200 with slow bodies": (held, (DICOM + b"Content-Length: 9000\r\n\r\n", b"x", 200)),
    "200 of 10 GB": (held, (DICOM + b"Content-Length: 10000000000\r\n\r\n--x\r\n\r\n", b"x", 200)),
    "100,000 parts": (repeated, (_with_length(DICOM, b"--x\r\n\r\n" * 100_000),)),
    "bombs of JSON": (repeated, (_with_length(JSON, BOMB),)),
}


@contextlib.contextmanager
def served(folder: str):
    """`serve`; gives the ports of DIMSE and of the web."""
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "dicom_actors", "serve", "--store", folder, *PORTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said = ""
            for line in process.stdout:
                said += line
                web = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
                dimse = re.search(r"port (\d+)|:(\d+) ", said)
                if web and dimse:
                    break
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield int(dimse[1] or dimse[2]), int(web[1])
        finally:
            process.terminate()


def rate(port: int, seconds: float, senders: int, names) -> float:
    """Objects of half a megabyte in a second."""
    counts = [0] * senders
    until = time.monotonic() + seconds

    def send(at: int) -> None:
        made = image(1, rows=1, columns=1)
        made.put("PixelData", "OW", bytes(512 * 1024))
        with connect("127.0.0.1", port, called="ANY") as association:
            while time.monotonic() < until:
                made.SOPInstanceUID = f"1.2.3.1.{next(names)}"
                assert association.store(file_of(made))
                counts[at] += 1

    threads = [threading.Thread(target=send, args=(at,)) for at in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    """Run it."""
    from itertools import count

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--senders", type=int, default=2)
    options = parser.parse_args()
    names = count(1)
    with tempfile.TemporaryDirectory() as folder, served(folder) as (port, web):
        rate(port, 1.0, options.senders, names)
        for name, (target, arguments) in KINDS.items():
            ratios, alone = [], []
            for _ in range(options.rounds):
                before = rate(port, options.seconds, options.senders, names)
                process = multiprocessing.Process(target=target, args=(web, *arguments))
                process.start()
                time.sleep(2)  # until they are all there
                ratios.append(rate(port, options.seconds, options.senders, names) / before)
                alone.append(before)
                process.kill()
                process.join()
            print(
                f"{name:24}{statistics.median(ratios):6.2f} of"
                f" {statistics.median(alone):6.0f} objects a second",
                flush=True,
            )


if __name__ == "__main__":
    main()
