"""Objects for archives: small files with UIDs of their own; and a sudden end for an archive."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

from dicom_actors import DataSet, write_file
from dicom_actors.supervision import kill

if TYPE_CHECKING:
    from dicom_actors.archive import Archive

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def make_file(
    number: int, *, study: int = 1, series: int = 1, size: int = 64, fill: int = 0
) -> bytes:
    """Make a Part 10 file of instance `number`, with `size` bytes of pixel data."""
    ds = DataSet.from_keywords(
        SOPClassUID=SECONDARY_CAPTURE,
        SOPInstanceUID=uid_of(number, study, series),
        StudyInstanceUID=f"1.2.{study}",
        SeriesInstanceUID=f"1.2.{study}.{series}",
        Modality="OT",
        PatientID=f"P{study}",
        PatientName=f"Doe^Jane{study}",
        StudyDate="20260102",
        InstanceNumber=number,
    )
    ds.put("PixelData", "OB", bytes([(number + fill) % 256]) * size)
    buffer = io.BytesIO()
    write_file(buffer, ds)
    return buffer.getvalue()


def uid_of(number: int, study: int = 1, series: int = 1) -> str:
    """The SOP Instance UID of `make_file`."""
    return f"1.2.{study}.{series}.{number}"


def _actor_in(thread: threading.Thread) -> object:
    return getattr(thread, "actor_ref", None)


def abandon(archive: Archive) -> None:
    """End an archive as the end of its process does: nothing is finished."""
    keeper = archive._kernel.system.registry.lookup("nodes")
    kill(archive._supervisor)
    if keeper is not None:  # it may be about to connect
        threads = [one for one in threading.enumerate() if _actor_in(one) == keeper]
        kill(keeper)
        for thread in threads:
            thread.join()
    archive._kernel.system.close()
    archive._kernel.index.close()
    if archive._kernel.nodes is not None:
        archive._kernel.nodes.close()
    archive._lock.release()
