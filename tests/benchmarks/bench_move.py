"""500 small instances moved to `storescp` by our provider and by pynetdicom's, in turn.

`movescu` asks. Run it with ``python tests/benchmarks/bench_move.py``. Pynetdicom leaves Nagle's
algorithm on, and stalls for each instance on that account.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))
import pydicom
from kit.dcmtk import run
from kit.endpoints import running
from kit.scp import pynetdicom_scp, storescp
from pydicom.data import get_testdata_file
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelMove,
)

from dicom_actors import MoveTo

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 500
ROUNDS = 3
LOCAL = "127.0.0.1"


def make_files(folder: Path) -> list[Path]:
    """Copies of a CT image of 39 KB, each an instance of its own."""
    data_set = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    paths = []
    for number in range(COUNT):
        uid = pydicom.uid.UID(f"1.2.{number}")
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid
        paths.append(folder / f"{number}.dcm")
        data_set.save_as(paths[-1])
    return paths


def seconds_to_move(port: int, called: str) -> float:
    """How long `movescu` waits."""
    began = time.perf_counter()
    result = run(
        "movescu", "-S", "-aec", called, "-aem", "ARCHIVE", "-k", "QueryRetrieveLevel=STUDY",
        "-k", "StudyInstanceUID=1.2", LOCAL, port,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return time.perf_counter() - began


def ours(port: int, paths: list[Path]) -> float:
    """Our provider."""
    with running({"cmove": lambda event: MoveTo(LOCAL, port, "ARCHIVE", paths)}) as endpoint:
        return seconds_to_move(endpoint.port, "TEST")


def theirs(port: int, paths: list[Path]) -> float:
    """The provider of pynetdicom."""

    def move(event: Any) -> Iterator[Any]:
        contexts = [build_context(CTImageStorage, "1.2.840.10008.1.2.1")]
        yield LOCAL, port, {"contexts": contexts, "ae_title": "ARCHIVE"}
        yield len(paths)
        for path in paths:
            yield 0xFF00, pydicom.dcmread(path)

    entity = AE("TEST")
    entity.add_supported_context(StudyRootQueryRetrieveInformationModelMove)
    with pynetdicom_scp(entity, [(evt.EVT_C_MOVE, move)]) as provider:
        return seconds_to_move(provider, "TEST")


def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "stored").mkdir()
        paths = make_files(folder)
        figures: dict[str, list[float]] = {"ours": [], "pynetdicom": []}
        with storescp(folder / "stored") as port:
            for _ in range(ROUNDS):
                figures["ours"].append(ours(port, paths))
                figures["pynetdicom"].append(theirs(port, paths))
                assert len(list((folder / "stored").iterdir())) == COUNT
        for who, seconds in figures.items():
            median = statistics.median(seconds)
            print(f"{who:>12}: {median:.2f} s, {COUNT / median:.0f} instances/s")


if __name__ == "__main__":
    main()
