"""pynetdicom and DCMTK's `dcmprscu` print by our endpoint (PS3.4 H)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.normalized_user import associated, made
from pydicom.data import get_testdata_file
from pydicom.tag import Tag
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    Printer,
    PrinterInstance,
)

from dicom_actors import DataSet, DimseFailure, Status, events, generate_uid

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]


class PrintServer:
    """A provider of basic grayscale print management, as far as the test goes (PS3.4 H)."""

    def __init__(self) -> None:
        self.boxes: dict[str, DataSet] = {}
        self.printed: list[tuple[str, list[bytes]]] = []

    @property
    def handlers(self) -> dict[str, Any]:
        names = ("ncreate", "nset", "nget", "ndelete", "naction")
        return {name: getattr(self, name) for name in names}

    def nget(self, event: Any) -> DataSet:
        if event.sop_instance_uid != PrinterInstance:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE)
        return DataSet.from_keywords(PrinterStatus="NORMAL", PrinterStatusInfo="NORMAL")

    def ncreate(self, event: Any) -> DataSet:
        made = DataSet() if event.dataset is None else event.dataset.copy()
        self.boxes[event.sop_instance_uid] = made
        if event.sop_class_uid == BasicFilmBox:
            columns, rows = map(int, made.ImageDisplayFormat.split("\\")[1].split(","))
            images = [str(generate_uid()) for _ in range(columns * rows)]
            self.boxes.update((uid, DataSet()) for uid in images)
            made.ReferencedImageBoxSequence = [
                DataSet.from_keywords(
                    ReferencedSOPClassUID=str(BasicGrayscaleImageBox), ReferencedSOPInstanceUID=uid
                )
                for uid in images
            ]
        return made

    def nset(self, event: Any) -> None:
        self.boxes[event.sop_instance_uid] = event.dataset.copy()

    def naction(self, event: Any) -> None:
        film = self.boxes[event.sop_instance_uid]
        images = [
            self.boxes[reference.ReferencedSOPInstanceUID].BasicGrayscaleImageSequence[0]
            for reference in film.ReferencedImageBoxSequence
        ]
        self.printed.append((event.sop_instance_uid, [bytes(i.PixelData) for i in images]))

    def ndelete(self, event: Any) -> None:
        box = self.boxes.pop(event.sop_instance_uid)
        for reference in box.get("ReferencedImageBoxSequence") or ():
            del self.boxes[reference.ReferencedSOPInstanceUID]


def test_printing_with_the_meta_sop_class() -> None:
    server = PrintServer()
    meta = BasicGrayscalePrintManagementMeta
    with running(server.handlers) as endpoint, associated(endpoint.port, meta) as peer:
        status, printer = peer.send_n_get(
            [Tag("PrinterStatus")], Printer, PrinterInstance, meta_uid=meta
        )
        assert (status.Status, printer.PrinterStatus) == (0, "NORMAL")
        session = made(NumberOfCopies=1, MediumType="PAPER")
        status, _ = peer.send_n_create(session, BasicFilmSession, "1.2.1", meta_uid=meta)
        assert status.Status == 0
        film = made(
            ImageDisplayFormat="STANDARD\\2,1",
            ReferencedFilmSessionSequence=[
                made(ReferencedSOPClassUID=BasicFilmSession, ReferencedSOPInstanceUID="1.2.1")
            ],
        )
        status, film = peer.send_n_create(film, BasicFilmBox, "1.2.2", meta_uid=meta)
        assert status.Status == 0
        images = [bytes(range(256)) * 4096, bytes(1 << 20)]  # of 1 MiB each
        for reference, pixels in zip(film.ReferencedImageBoxSequence, images, strict=True):
            assert reference.ReferencedSOPClassUID == BasicGrayscaleImageBox
            image = made(Rows=1024, Columns=1024, BitsAllocated=8, BitsStored=8, HighBit=7,
                         SamplesPerPixel=1, PixelRepresentation=0,
                         PhotometricInterpretation="MONOCHROME2")  # fmt: skip
            image.add_new("PixelData", "OB", pixels)
            box = made(ImageBoxPosition=1, BasicGrayscaleImageSequence=[image])
            status, _ = peer.send_n_set(
                box, BasicGrayscaleImageBox, reference.ReferencedSOPInstanceUID, meta_uid=meta
            )
            assert status.Status == 0
        status, _ = peer.send_n_action(None, 1, BasicFilmBox, "1.2.2", meta_uid=meta)
        assert status.Status == 0
        assert server.printed == [("1.2.2", images)]
        for sop_class, uid in ((BasicFilmBox, "1.2.2"), (BasicFilmSession, "1.2.1")):
            assert peer.send_n_delete(sop_class, uid, meta_uid=meta).Status == 0
        assert server.boxes == {}


DCMPSTAT = """\
[[GENERAL]]
[APPLICATION]
LogDirectory = {folder}
[PRINT]
Directory = {folder}
MinPrintResolution = 128\\128
MaxPrintResolution = 1024\\1024
[DATABASE]
Directory = {folder}
[[COMMUNICATION]]
[US]
Type = PRINTER
Aetitle = TEST
Hostname = 127.0.0.1
Port = {port}
MaxPDU = 16384
DisplayFormat = 2\\1
FilmSizeID = 8INX10IN
MediumType = PAPER
"""
"""The configuration of DCMTK's print programs."""


def test_dcmprscu_prints_two_images_on_a_film(tmp_path: Path) -> None:
    server = PrintServer()
    with running(server.handlers) as endpoint:
        config = tmp_path / "dcmpstat.cfg"
        config.write_text(DCMPSTAT.format(folder=tmp_path, port=endpoint.port))
        images = [get_testdata_file(name) for name in ("CT_small.dcm", "MR_small.dcm")]
        done = run("dcmpsprt", "-c", config, "-p", "US", "--layout", 2, 1, *images)
        assert done.returncode == 0, done.stderr
        (job,) = tmp_path.glob("SP_*.dcm")
        done = run("dcmprscu", "-v", "-c", config, "-p", "US", "--copies", 2, job)
        assert done.returncode == 0, done.stderr
        closed = endpoint.wait_for(events.AssociationClosed)
        assert closed[0].reason == "released"
    ((_, printed),) = server.printed
    # Rendered to 128 by 128 pixels of 12 bits each, as Implicit VR Little Endian has them.
    assert [len(pixels) for pixels in printed] == [2 * 128 * 128] * 2
    hardcopies = [pydicom.dcmread(path) for path in tmp_path.glob("HG_*.dcm")]
    assert {bytes(one.PixelData) for one in hardcopies} == set(printed)
    assert server.boxes == {}
