"""One folder to one peer that misbehaves: what arrives from us, and what from others."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.dcmtk import storescu
from kit.endpoints import running
from kit.gate import Gate
from kit.orthanc import orthanc
from pydicom.data import get_testdata_file

from dicom_actors import messages
from dicom_actors.cli.main import main
from dicom_actors.data import read_file, write_file

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT = str(get_testdata_file("CT_small.dcm"))
LIMIT = 60.0
COUNT = 6
BAD = "1.2.3.3"
"""The object that the peer does not like."""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    folder.mkdir()
    ds = read_file(CT)
    del ds["DataSetTrailingPadding"]  # which not all of the others send
    for number in range(1, COUNT + 1):
        ds.SOPInstanceUID = f"1.2.3.{number}"
        write_file(folder / f"{number}.dcm", ds)
    return folder


class Peer:
    """Takes all but one object, which it answers in its own way."""

    def __init__(self, manner: str) -> None:
        self.manner = manner
        self.stored: set[str] = set()
        self.gate = Gate()
        self.endpoint: Any = None

    def store(self, event: Any) -> int | None:
        if event.sop_instance_uid != BAD:
            self.stored.add(event.sop_instance_uid)
            return None
        if self.manner == "refuses":
            return 0xA700
        if self.manner == "hangs":
            self.gate()
        if self.manner == "vanishes":
            self.endpoint.ref.ask(messages.Suspend(), timeout=LIMIT)
        self.endpoint.ref.ask(messages.AbortAssociation(event.association.id), timeout=LIMIT)
        return None


def by_dcmtk(port: int, study: Path, tmp_path: Path) -> None:
    storescu(port, *sorted(study.iterdir()), options=("-td", "2", "-ta", "2"))


def by_pynetdicom(port: int, study: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pynetdicom", "storescu", "127.0.0.1", str(port), str(study)]
    limits = ("-td", "2", "-ta", "2")
    subprocess.run([*command, *limits], capture_output=True, check=False, timeout=LIMIT)


def by_orthanc(port: int, study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "orthanc"
    folder.mkdir(exist_ok=True)
    modality = {"AET": "ANY", "Host": "127.0.0.1", "Port": port, "Timeout": 2}
    with orthanc(folder, DicomModalities={"peer": modality}, DicomScuTimeout=2) as server:
        uploaded = [
            server.request("POST", "/instances", path.read_bytes())["ID"]
            for path in sorted(study.iterdir())
        ]
        wanted = {"Resources": uploaded, "Synchronous": True}
        with contextlib.suppress(OSError):  # which is how it tells that something failed
            server.request("POST", "/modalities/peer/store", wanted)


OTHERS: dict[str, Callable[[int, Path, Path], None]] = {
    "DCMTK": by_dcmtk,
    "pynetdicom": by_pynetdicom,
    "Orthanc": by_orthanc,
}


def arrived(manner: str, send: Callable[[int], None]) -> set[str]:
    peer = Peer(manner)
    with running({"cstore": peer.store}) as endpoint:
        peer.endpoint = endpoint
        send(endpoint.port)
        peer.gate.release()
    return peer.stored


@pytest.mark.parametrize("manner", ["aborts", "hangs", "refuses", "vanishes"])
def test_no_other_gets_more_across(
    manner: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = []

    def by_us(port: int) -> None:
        words = ["store", f"127.0.0.1:{port}", str(study), "--json", "--timeout", "2"]
        code.append(main([*words, "--retries", "1" if manner == "vanishes" else "3"]))

    ours = arrived(manner, by_us)
    results = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    every = {f"1.2.3.{number}" for number in range(1, COUNT + 1)}
    assert code == [1]
    # All files are told of, whatever became of them, and what is told is so.
    assert len(results) == COUNT
    assert {each["sop_instance_uid"] for each in results if each["stored"]} == ours
    assert all(each["comment"] for each in results if not each["stored"])
    if manner == "vanishes":
        assert ours == {"1.2.3.1", "1.2.3.2"}
    else:
        assert ours == every - {BAD}
    for name, send in OTHERS.items():
        theirs = arrived(manner, lambda port, send=send: send(port, study, tmp_path))
        assert theirs <= ours, name
        print(f"{manner}: {len(ours)} from us, {len(theirs)} from {name}")
