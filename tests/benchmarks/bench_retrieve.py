"""How fast instances are sent for a C-GET, against DCMTK's `dcmqrscp` and pynetdicom.

Run it with ``python tests/benchmarks/bench_retrieve.py``. Each provider is a process of its own
and is asked for the same study by the same users, DCMTK's `getscu` (a process from its start to
its end, which drops what it gets) and ours (from `connect` to the release). All take turns in
every round, and the best round of each counts. Pynetdicom leaves Nagle's algorithm on, and stalls
for each instance on that account.
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
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
from data_inputs import ct
from kit.scp import dcmqrscp

from dicom_actors.data import DataSet, write_file
from dicom_actors.scu import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

STUDY = "1.2.3.77"
KEY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=STUDY)

OURS = """
import sys
from pathlib import Path
from dicom_actors import Endpoint, messages
paths = sorted(Path(sys.argv[1]).iterdir())
endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers={"cget": lambda event: paths})
print(endpoint.ask(messages.GetStatus()).port, flush=True)
sys.stdin.read()
"""

# An archive that has taken in the same files.
ARCHIVE = """
import sys, tempfile
from pathlib import Path
from dicom_actors import Endpoint, messages
from dicom_actors.archive import Archive
with tempfile.TemporaryDirectory() as folder, Archive.open(folder, durability="os") as archive:
    for path in sorted(Path(sys.argv[1]).iterdir()):
        archive.add(path)
    archive.settle()
    endpoint = Endpoint.start(0, host="127.0.0.1", event_handlers=archive.event_handlers())
    print(endpoint.ask(messages.GetStatus()).port, flush=True)
    sys.stdin.read()
    endpoint.stop()
"""

PYNETDICOM = """
import sys
from pathlib import Path
from pydicom import dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet
paths = sorted(Path(sys.argv[1]).iterdir())
def get(event):
    yield len(paths)
    for path in paths:
        yield 0xFF00, dcmread(path)
entity = AE("QRSCP")
entity.add_supported_context(StudyRootQueryRetrieveInformationModelGet)
for context in AllStoragePresentationContexts:
    entity.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_GET, get)])
print(server.socket.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def provider(code: str, folder: Path) -> Iterator[int]:
    """Run a provider in Python."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


@contextlib.contextmanager
def dcmtk(folder: Path, instances: Path) -> Iterator[int]:
    """Run `dcmqrscp`, with these instances in it."""
    with dcmqrscp(folder) as port:
        with connect("127.0.0.1", port, called="QRSCP") as association:
            assert all(result.status == 0 for result in association.store_many(instances))
        yield port


def get_with_getscu(port: int, count: int) -> None:
    command = ["getscu", "-v", "-S", "--ignore", "-pdu", "131072", "-aec", "QRSCP", "-k",
               "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}",
               "127.0.0.1", str(port)]  # fmt: skip
    environment = {**os.environ, "TCP_NODELAY": "1"}
    done = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert f"Completed Suboperations : {count}" in done.stdout + done.stderr


def get_with_ours(port: int, count: int) -> None:
    with connect("127.0.0.1", port, called="QRSCP") as association:
        assert sum(1 for _ in association.get(KEY)) == count


USERS = {"getscu": get_with_getscu, "ours": get_with_ours}


def make(folder: Path, count: int, length: int) -> None:
    """Write a study of that many instances of about that many bytes of pixels."""
    folder.mkdir()
    rows = int((length / 2) ** 0.5)
    for number in range(1, count + 1):
        data_set = ct(number)
        data_set.StudyInstanceUID = STUDY
        data_set.Rows = data_set.Columns = rows
        data_set.PixelData = bytes(rows * rows * 2)
        write_file(folder / f"{number:05}.dcm", data_set)


def measure(folder: Path, instances: Path, count: int, rounds: int) -> None:
    """Print the best time of each provider with each user, and the ratios."""
    with (
        provider(OURS, instances) as ours,
        provider(ARCHIVE, instances) as archive,
        provider(PYNETDICOM, instances) as pynetdicom,
        dcmtk(folder, instances) as dcmqrscp_port,
    ):
        ports = {
            "ours": ours,
            "archive": archive,
            "dcmqrscp": dcmqrscp_port,
            "pynetdicom": pynetdicom,
        }
        best = {(name, user): float("inf") for name in ports for user in USERS}
        for _ in range(rounds):
            for name, port in ports.items():
                for user, get in USERS.items():
                    start = time.perf_counter()
                    get(port, count)
                    best[name, user] = min(best[name, user], time.perf_counter() - start)
    for user in USERS:
        figures = "  ".join(f"{name} {1000 * best[name, user]:6.0f} ms" for name in ports)
        ratios = "  ".join(
            f"{name}/ours {best[name, user] / best['ours', user]:5.2f}"
            for name in ("archive", "dcmqrscp", "pynetdicom")
        )
        print(f"  with {user:7} {figures}   {ratios}", flush=True)


def main() -> None:
    """Measure small instances and large ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", type=int, default=500, help="instances of 20 KB")
    parser.add_argument("--large", type=int, default=50, help="instances of 5 MB")
    arguments = parser.parse_args()
    for count, length in ((arguments.small, 20_000), (arguments.large, 5_000_000)):
        with tempfile.TemporaryDirectory() as folder:
            instances = Path(folder, "instances")
            make(instances, count, length)
            print(f"{count} x {length // 1000} KB")
            measure(Path(folder), instances, count, arguments.rounds)


if __name__ == "__main__":
    main()
