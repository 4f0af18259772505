"""How fast C-FIND is answered, against pynetdicom and DCMTK's `dcmqrscp` as providers.

Run it with ``python tests/benchmarks/bench_find.py``. Every provider is a process of its own and
answers the same query with the same 1,000 matches (`dcmqrscp`: 500) of 15 attributes each, made by
the handler from a dict for each match, or prepared before. The providers take turns in every
round, and the best round of each counts. The first client only counts PDUs, so that it is no
limit; the second is DCMTK's `findscu`, from its start to its end.

Then: how long our provider takes to end a query of 100,000 matches that is cancelled in the
middle, and how much its memory grows under 1,000,000 matches that are read slowly.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

sys.path.insert(0, str(Path(__file__).parent.parent))
from kit.finder import STUDY_ROOT, Counter
from kit.peer import Peer
from kit.scp import dcmtk_scp, free_port

from dicom_actors import DataSet, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 300.0
DCMTK_STUDIES = 500
"""What `dcmqrscp` can hold at most; it is asked for no more matches than that."""


def row(number: int) -> dict[str, Any]:
    """The attributes of a match."""
    return {
        "StudyDate": "20261124",
        "StudyTime": f"{number % 24:02}3000",
        "AccessionNumber": f"A{number:07}",
        "QueryRetrieveLevel": "STUDY",
        "ReferringPhysicianName": "Grey^Meredith",
        "StudyDescription": "CT of the abdomen with contrast",
        "PatientName": f"Doe^John^{number}",
        "PatientID": f"P{number:07}",
        "PatientBirthDate": "19700101",
        "PatientSex": "O",
        "PatientAge": "056Y",
        "PatientWeight": 72.5,
        "AdditionalPatientHistory": "none to speak of",
        "StudyInstanceUID": f"1.2.826.0.1.3680043.2.1125.{number}",
        "StudyID": str(number),
    }


QUERY = DataSet.from_keywords(
    **{keyword: "STUDY" if keyword == "QueryRetrieveLevel" else None for keyword in row(0)}
)

OURS = """
import sys
sys.path[:0] = [{kit!r}, {here!r}]
from bench_find import row
from dicom_actors import DataSet, Endpoint, EndpointConfig, messages
rows = [row(number) for number in range({count})]
prepared = [DataSet.from_keywords(**one) for one in rows]

def find(event):
    if event.message_id == 1:
        return (DataSet.from_keywords(**one) for one in rows)
    if event.message_id == 2:
        return prepared
    if event.message_id == 4:
        return find_later(event)
    return (prepared[number % {count}] for number in range({long}))

async def find_later(event):
    for one in rows:
        yield DataSet.from_keywords(**one)

ref = Endpoint.start(
    0, host="127.0.0.1", event_handlers={{"cfind": find}}, config=EndpointConfig({settings})
)
print(ref.ask(messages.GetStatus()).port, flush=True)
sys.stdin.read()
ref.stop()
"""

PYNETDICOM = """
import sys
sys.path[:0] = [{kit!r}, {here!r}]
from bench_find import row
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

def made(values):
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set

rows = [row(number) for number in range({count})]
prepared = [made(one) for one in rows]

def find(event):
    if event.request.MessageID == 1:
        for one in rows:
            yield 0xFF00, made(one)
    else:
        for one in prepared:
            yield 0xFF00, one

ae = AE()
ae.maximum_pdu_size = 0
ae.add_supported_context({model!r})
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
print(server.socket.getsockname()[1], flush=True)
sys.stdin.read()
server.shutdown()
"""


class Process:
    """A provider in Python, as a process of its own."""

    def __init__(self, script: str, count: int, long: int = 0, **settings: Any) -> None:
        here = Path(__file__).parent
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        source = script.format(
            kit=str(here.parent),
            here=str(here),
            count=count,
            long=long,
            model=STUDY_ROOT,
            settings=given,
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.process.communicate(timeout=30)
        finally:
            self.process.kill()

    def resident(self) -> int:
        """Its resident bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


@contextlib.contextmanager
def dcmqrscp(folder: Path, count: int) -> Iterator[int]:
    """DCMTK's `dcmqrscp` with as many studies of one small object each."""
    store, objects = folder / "qr", folder / "objects"
    store.mkdir()
    objects.mkdir()
    for number in range(count):
        values = row(number)
        del values["QueryRetrieveLevel"]
        data_set = DataSet.from_keywords(
            **values,
            SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            SOPInstanceUID=f"1.2.826.0.1.3680043.2.1125.{number}.1.1",
            SeriesInstanceUID=f"1.2.826.0.1.3680043.2.1125.{number}.1",
            Modality="CT",
            SeriesNumber=1,
            InstanceNumber=1,
        )
        write_file(objects / f"{number}.dcm", data_set)
    config = folder / "dcmqrscp.cfg"
    config.write_text(
        "NetworkTCPPort = 0\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
        "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQRSCP {store} RW ({count + 1}, 1024mb) ANY\nAETable END\n"
    )
    port = free_port()
    with dcmtk_scp("dcmqrscp", "-c", config, port, port=port):
        command = ["storescu", "-aec", "QRSCP", "+sd", "127.0.0.1", str(port), str(objects)]
        subprocess.run(command, check=True, timeout=LIMIT)
        yield port


def count(port: int, called: str, message_id: int, expected: int) -> float:
    """Ask, and count the matches; seconds."""
    client = Counter(port, called, LIMIT)
    start = time.perf_counter()
    client.find(message_id, QUERY)
    *matches, final = client.statuses()
    seconds = time.perf_counter() - start
    client.close()
    assert (len(matches), final) == (expected, 0), (called, len(matches), hex(final))
    return seconds


def findscu(port: int, called: str, message_id: int, expected: int) -> float:
    """The same with DCMTK's program, which always asks with Message ID 1."""
    keys = [part for keyword in row(0) for part in ("-k", keyword)]
    level = ["-k", "QueryRetrieveLevel=STUDY"]
    command = ["findscu", "-q", "-S", "-pdu", "131072", "-aec", called, *keys, *level]
    start = time.perf_counter()
    subprocess.run(
        [*command, "127.0.0.1", str(port)],
        check=True,
        timeout=LIMIT,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    return time.perf_counter() - start


def compare(matches: int, rounds: int) -> None:
    """Print the rates, and their ratios to pynetdicom's."""
    studies = min(matches, DCMTK_STUDIES)
    with (
        tempfile.TemporaryDirectory() as folder,
        dcmqrscp(Path(folder), studies) as qr_port,
        Process(OURS, matches) as ours,
        Process(PYNETDICOM, matches) as theirs,
    ):
        providers = {
            "ours": (ours.port, "ANY", matches),
            "pynetdicom": (theirs.port, "ANY", matches),
            "dcmqrscp": (qr_port, "QRSCP", studies),
        }
        candidates = {
            "counter, made": (count, 1, providers),
            "counter, prepared": (count, 2, providers),
            "counter, async": (count, 4, ("ours",)),
            "findscu, made": (findscu, 1, providers),
        }
        best: dict[tuple[str, str], float] = {}
        for _ in range(rounds):
            for name, (measure, message_id, asked) in candidates.items():
                for provider in asked:
                    port, called, expected = providers[provider]
                    rate = expected / measure(port, called, message_id, expected)
                    best[name, provider] = max(best.get((name, provider), rate), rate)
        for name, (_, _, asked) in candidates.items():
            base = best.get((name, "pynetdicom"), best["counter, made", "pynetdicom"])
            figures = "  ".join(
                f"{one} {best[name, one]:7,.0f}/s ({best[name, one] / base:4.1f})" for one in asked
            )
            print(f"{name:18} {figures}")


def cancel_in_the_middle() -> None:
    """Print how long after a C-CANCEL the final response takes, 50,000 matches into a query."""
    with Process(OURS, 1_000, 100_000) as ours:
        client = Counter(ours.port)
        client.find(3)
        statuses = client.statuses()
        for _ in range(50_000):
            next(statuses)
        start = time.perf_counter()
        client.cancel(3)
        *rest, final = statuses
        seconds = time.perf_counter() - start
        assert final == 0xFE00, hex(final)
        print(f"cancel: FE00H after {1000 * seconds:.1f} ms, {len(rest):,} matches on their way")
        client.close()


def read_slowly(matches: int = 1_000_000) -> None:
    """Print how much our memory grows while a slow reader takes all matches."""
    with Process(OURS, 1_000, matches) as ours:
        count(ours.port, "ANY", 2, 1_000)
        before = highest = ours.resident()
        client = Counter(ours.port, limit=LIMIT)
        client.find(3)
        number = status = 0
        start = time.perf_counter()
        with Peer.associated(ours.port) as other:
            for number, status in enumerate(client.statuses()):  # noqa: B007 - looked at below
                if number % 10_000 == 0:
                    # The reader reads nothing while somebody else is served.
                    assert all(other.echo() == 0 for _ in range(100))
                    highest = max(highest, ours.resident())
        seconds = time.perf_counter() - start
        assert (number, status) == (matches, 0), (number, hex(status))
        grown = (highest - before) / (1 << 20)
        print(f"{matches:,} matches in {seconds:.0f} s: {grown:.1f} MiB more than before")
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--matches", type=int, default=1_000)
    parser.add_argument("--only-rates", action="store_true")
    arguments = parser.parse_args()
    compare(arguments.matches, arguments.rounds)
    if not arguments.only_rates:
        cancel_in_the_middle()
        read_slowly()


if __name__ == "__main__":
    main()
