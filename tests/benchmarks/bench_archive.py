"""How fast an archive keeps, finds and starts, beside Orthanc and beside our endpoint alone.

Run it with ``python tests/benchmarks/bench_archive.py`` (``--only small``, ``--instances 1000000``,
``--rounds``). Ratios of one run are what counts, the servers taking turns within each round; each
turn has a new folder and a new process. Folders are below ``--folder``: rates of what is durable
are those of its disk. They are removed at the end of the run alone: where thousands of files were
removed a moment ago, ext4 is slow to make new ones for minutes (it gives no inode again that
was freed a moment ago, and looks at all of them each time), and the next turn would pay for it.

- ``large``: C-STORE of 0.5 MB on four associations, ``durability="os"``: Orthanc with its SQLite
  index as it comes, our endpoint with a handler that saves alone, and an archive;
- ``small``: C-STORE of 9 KB on 16 associations, durable: a file for each, synchronized by our
  endpoint alone, and an archive;
- ``insert``: rows written, and bytes of the index for each;
- ``growth``: the same up to ``--instances``: the last 10,000 beside the first; then a start after
  SIGKILL;
- ``find``: C-FIND by a name's prefix among ``--studies``.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
from bench_receive import _elements
from kit.orthanc import orthanc
from kit.scp import free_port, wait_for_port
from plain_user import Contents, UserProcess, store

from dicom_actors import DataSet
from dicom_actors.archive.index import Index, NewInstance, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROW_GROUP = 256
_EXPLICIT = "1.2.840.10008.1.2.1"


# --- servers ------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(kind: str, folder: Path) -> Iterator[int]:
    """Run a server with a new folder for the length of the block; gives its port.

    Args:
        kind: ``orthanc``; or ``save`` or ``archive``, with ``-os`` or ``-disk`` behind.
        folder: where its folder is made; it is left there.
    """
    home = tempfile.mkdtemp(dir=folder)
    if kind == "orthanc":
        with orthanc(Path(home), OverwriteInstances=False) as server:
            yield server.dicom_port
        return
    port = free_port()
    command = [sys.executable, __file__, "--serve", kind, str(port), home]
    process = subprocess.Popen(command)
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(30)


def run_server(kind: str, port: int, folder: str) -> None:
    """Run one of ours until the process is killed."""
    from dicom_actors import Endpoint, EndpointConfig
    from dicom_actors.archive import Archive

    sys.setswitchinterval(0.001)
    name, _, durability = kind.partition("-")
    if name == "archive":
        archive = Archive.open(folder, durability=durability)
        config = EndpointConfig(**archive.endpoint_settings())
        handlers = archive.event_handlers()
    else:
        is_durable = durability == "disk"

        def save(event: Any) -> None:
            event.save(folder, is_durable=is_durable)

        config = EndpointConfig(spool_directory=folder, spool_bytes=64 * 1024)
        handlers = {"cstore": save}
    Endpoint.start(port, host="127.0.0.1", event_handlers=handlers, config=config)
    signal.pause()


# --- rows of the table --------------------------------------------------------------------------


def storing(
    kinds: tuple[str, ...], contents: Contents, count: int, peers: int, options: Any
) -> dict[str, list[float]]:
    """Objects a second of each server, round by round."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = list(kinds)
    with UserProcess() as user:
        for _ in range(options.rounds):
            order.append(order.pop(0))
            for kind in order:
                with serving(kind, options.folder) as port:
                    user.call(store, port, contents, peers * 2, peers)  # threads, and warm code
                    timing = user.call(store, port, contents, count, peers)
                rates[kind].append(count / timing.seconds)
    return rates


def print_rates(title: str, rates: dict[str, list[float]], base: str) -> None:
    """Print a row."""
    print(title)
    for kind, values in rates.items():
        ratios = [one / other for one, other in zip(rates[base], values, strict=True)]
        print(
            f"  {kind:<14} {statistics.median(values):8.0f}/s"
            f"   {base} is {statistics.median(ratios):.2f} times that"
        )


def contents_of(side: int) -> Contents:
    """An object as `bench_receive` sends it, whose image is as large as it says.

    Args:
        side: its rows and columns, of two bytes each.
    """
    data_set = DataSet.from_bytes(_elements(), _EXPLICIT)
    data_set.Rows = data_set.Columns = side
    return Contents(data_set.to_bytes(_EXPLICIT), side * side * 2)


def large(options: argparse.Namespace) -> None:
    """C-STORE of 0.5 MB."""
    contents = contents_of(512)
    rates = storing(("orthanc", "save-os", "archive-os"), contents, options.objects, 4, options)
    print_rates("C-STORE 0.5 MB, 4 associations, durability os", rates, "archive-os")


def small(options: argparse.Namespace) -> None:
    """C-STORE of 9 KB, durable."""
    contents = contents_of(36)
    rates = storing(("save-disk", "archive-disk"), contents, options.small, 16, options)
    print_rates("C-STORE 9 KB, 16 associations, durable", rates, "archive-disk")


def rows(count: int, studies: int | None = None) -> Iterator[list[NewInstance]]:
    """Rows of generated instances, in groups."""
    template = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID="1.2.3",
        StudyInstanceUID="1.2",
        SeriesInstanceUID="1.2.1",
        Modality="CT",
        PatientID="P",
        PatientName="Doe^Jane",
        PatientBirthDate="19700102",
        PatientSex="F",
        StudyDate="20260102",
        StudyTime="101112",
        StudyDescription="CT of the thorax",
        AccessionNumber="A1",
        SeriesDescription="thin",
        SeriesNumber=1,
        InstanceNumber=1,
        SliceLocation=1.5,
        ImagePositionPatient=[1.0, 2.0, 3.0],
        Rows=512,
        Columns=512,
    )
    group: list[NewInstance] = []
    for number in range(count):
        study = number if studies is not None else number // 500
        series = number // 100
        ds = template.copy()
        ds.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{study}"
        ds.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{study}.{series}"
        ds.SOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{study}.{series}.{number}"
        ds.PatientID = f"P{study}"
        ds.PatientName = f"{_name(study)}^Jane"
        ds.InstanceNumber = number % 100 + 1
        ds.ImagePositionPatient = [1.0, 2.0, float(number)]
        described = describe(DataSet.from_bytes(ds.to_bytes(_EXPLICIT), _EXPLICIT))  # as received
        location = f"{ds.StudyInstanceUID}/{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm"
        group.append(
            NewInstance(
                described, "1.2.840.10008.1.2.1", location, 9000, number.to_bytes(32), 300, 1.0
            )
        )
        if len(group) == _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def _name(number: int) -> str:
    letters = ""
    for _ in range(5):
        number, digit = divmod(number * 31 + 7, 26)
        letters += chr(ord("A") + digit)
    return letters


def insert(options: argparse.Namespace) -> None:
    """Rows a second, and bytes of each."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "index.sqlite"
        groups = list(rows(20_000))
        index = Index.open(path)
        begun = time.perf_counter()
        for group in groups:
            index.write(group)
        seconds = time.perf_counter() - begun
        index.close()
        size = path.stat().st_size / 20_000
    print(f"insert: {20_000 / seconds:.0f} rows/s, {size:.0f} bytes a row")


def growth(options: argparse.Namespace) -> None:
    """Rows a second at the beginning and at the end; a start with all of them."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "index.sqlite"
        index = Index.open(path, durability="os")
        rates: list[float] = []
        spent = done = 0
        for group in rows(options.instances):
            begun = time.perf_counter()
            index.write(group)
            spent += time.perf_counter() - begun
            done += len(group)
            if done >= 10_000:
                rates.append(done / spent)
                spent = done = 0
        index.close()
        ends = statistics.median(rates[-3:]) / statistics.median(rates[:3])
        print(
            f"growth to {options.instances}: {statistics.median(rates[:3]):.0f} rows/s, then"
            f" {statistics.median(rates[-3:]):.0f}, {ends:.2f} times; least {min(rates):.0f};"
            f" {path.stat().st_size / options.instances:.0f} bytes a row"
        )
        start(Path(folder), options)


def start(folder: Path, options: argparse.Namespace) -> None:
    """How long a start takes after SIGKILL under load."""
    contents = contents_of(36)
    for is_second in (False, True):
        port = free_port()
        command = [sys.executable, __file__, "--serve", "archive-disk", str(port), str(folder)]
        begun = time.perf_counter()
        process = subprocess.Popen(command)
        try:
            wait_for_port(port, process)
            seconds = time.perf_counter() - begun
            with UserProcess() as user:
                user.call(store, port, contents, 160, 16)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        if is_second:
            print(f"start after SIGKILL with {options.instances} instances: {seconds:.2f} s")


def find(options: argparse.Namespace) -> None:
    """C-FIND by a prefix, without the network."""
    from dicom_actors.archive.query import Model
    from dicom_actors.archive.query import find as answer

    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        index = Index.open(Path(folder) / "index.sqlite", durability="os")
        for group in rows(options.studies, options.studies):
            index.write(group)
        times, matches = [], []
        for number in range(200):
            prefix = _name(number * 37)[:4]
            keys = DataSet.from_keywords(
                QueryRetrieveLevel="STUDY", PatientName=f"{prefix}*", StudyInstanceUID=None
            )
            begun = time.perf_counter()
            found = list(answer(index, keys, Model.STUDY_ROOT))
            times.append(time.perf_counter() - begun)
            matches.append(len(found))
        index.close()
    print(
        f"find by prefix among {options.studies} studies: {statistics.median(times) * 1e3:.2f} ms,"
        f" {statistics.median(matches):.0f} matches at the median"
    )


ROWS: dict[str, Callable[[argparse.Namespace], None]] = {
    "large": large,
    "small": small,
    "insert": insert,
    "growth": growth,
    "find": find,
}


def main() -> None:
    """Run it."""
    if sys.argv[1:2] == ["--serve"]:
        run_server(sys.argv[2], int(sys.argv[3]), sys.argv[4])
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(ROWS), help="rows, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, default=1_000, help="of 0.5 MB")
    parser.add_argument("--small", type=int, default=8_000, help="objects of 9 KB")
    parser.add_argument("--instances", type=int, default=200_000, help="for `growth`")
    parser.add_argument("--studies", type=int, default=100_000, help="for `find`")
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.folder = Path(folder)
        for name in options.only.split(","):
            ROWS[name](options)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
