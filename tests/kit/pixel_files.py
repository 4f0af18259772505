"""The images of the wheels pydicom and pydicom-data, and images made for a test."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom

from dicom_actors import DataSet, read_file
from dicom_actors.errors import DicomError

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def image_files() -> list[Path]:
    """Return every file of both wheels that has pixel data and is no directory."""
    spec = find_spec("data_store")
    assert spec is not None, "the wheel pydicom-data is missing"
    assert spec.origin is not None
    roots = (PYDICOM_FILES.parent, Path(spec.origin).parent)
    found = []
    for path in sorted(path for root in roots for path in root.rglob("*") if path.is_file()):
        try:
            data_set = read_file(path)
        except DicomError:
            continue
        if any(tag in data_set for tag in (0x7FE00008, 0x7FE00009, 0x7FE00010)):
            found.append(path)
    return found


def image_of(
    array: np.ndarray,
    *,
    bits_stored: int | None = None,
    bits_allocated: int | None = None,
    photometric: str | None = None,
    multi_frame: bool = False,
    **more: object,
) -> DataSet:
    """Return an image with native pixel data.

    Args:
        array: rows, columns[, samples]; with `multi_frame`, frames before these.
        bits_stored: all bits of the array if None.
        bits_allocated: likewise.
        photometric: MONOCHROME2 or RGB if None.
        multi_frame: see there.
        more: further attributes, by keyword.
    """
    shape = array.shape[1:] if multi_frame else array.shape
    samples = shape[2] if len(shape) == 3 else 1
    width = array.dtype.itemsize * 8
    allocated = width if bits_allocated is None else bits_allocated
    stored = allocated if bits_stored is None else bits_stored
    data_set = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        SOPInstanceUID="1.2.3.4",
        Rows=shape[0],
        Columns=shape[1],
        SamplesPerPixel=samples,
        BitsAllocated=allocated,
        BitsStored=stored,
        HighBit=stored - 1,
        PixelRepresentation=int(array.dtype.kind == "i"),
        PhotometricInterpretation=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
    )
    if samples > 1:
        data_set.PlanarConfiguration = 0
    if multi_frame:
        data_set.NumberOfFrames = array.shape[0]
    for keyword, value in more.items():
        data_set[keyword] = value
    if allocated == 1:
        data = np.packbits(array.reshape(-1), bitorder="little").tobytes()
    else:
        data = array.astype(array.dtype.newbyteorder("<")).tobytes()
    vr = "OW" if allocated > 8 else "OB"
    data_set.put("PixelData", vr, data + b"\0" * (len(data) & 1))
    return data_set
