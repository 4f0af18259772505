"""Orthanc sends to our endpoint."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from kit.endpoints import running
from kit.orthanc import orthanc
from pydicom.data import get_testdata_file

from dicom_actors import events

pytestmark = pytest.mark.interop

NAMES = ("CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "rtplan.dcm", "SC_rgb_rle.dcm")


def test_orthanc_echoes_and_stores(tmp_path: Path) -> None:
    paths = [Path(str(get_testdata_file(name))) for name in NAMES]
    kept = tmp_path / "kept"
    with running({"cstore": lambda event: event.save(kept) and None}) as endpoint:
        (tmp_path / "orthanc").mkdir()
        modalities = {"us": ["TEST", "127.0.0.1", endpoint.port]}
        with orthanc(tmp_path / "orthanc", DicomModalities=modalities) as sender:
            sender.request("POST", "/modalities/us/echo", {})
            instances = [
                sender.request("POST", "/instances", path.read_bytes())["ID"] for path in paths
            ]
            for instance in instances:
                sender.request("POST", "/modalities/us/store", instance.encode())
        closed = endpoint.wait_for(events.AssociationClosed, 2)
        assert {c.association.calling_ae_title for c in closed} == {"ORTHANC"}
    for path in paths:
        sent = pydicom.dcmread(path)
        received = pydicom.dcmread(kept / f"{sent.SOPInstanceUID}.dcm")
        assert received.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
        assert received.PatientID == sent.PatientID
        assert received.get("PixelData") == sent.get("PixelData")
