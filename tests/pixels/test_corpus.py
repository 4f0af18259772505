"""Every image of the wheels pydicom and pydicom-data, decoded by us and by pydicom.

First and last frame, as they are stored (no conversion of color). Equal, or listed with the
reason; what is listed must differ, so that the list cannot grow stale.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pydicom
import pytest
from kit.pixel_files import image_files
from pydicom.pixels import pixel_array

from dicom_actors import read_file
from dicom_actors.errors import DicomError
from dicom_actors.pixels import FrameReader

FILES = [pytest.param(path, id=path.name) for path in image_files()]

# Baseline and extended JPEG: the inverse cosine transform of libjpeg-turbo and of the judge's
# libjpeg round differently (ITU-T T.83 allows 1), and so do the ways to double subsampled colors.
BY_ROUNDING = {
    "JPGExtended.dcm": 1,
    "SC_jpeg_no_color_transform.dcm": 1,
    "SC_jpeg_no_color_transform_2.dcm": 1,
    "SC_rgb_dcmtk_+eb+cr.dcm": 1,
    "SC_rgb_dcmtk_+eb+cy+n1.dcm": 1,
    "SC_rgb_dcmtk_+eb+cy+np.dcm": 1,
    "SC_rgb_jpeg.dcm": 1,
    "SC_rgb_jpeg_app14_dcmd.dcm": 1,
    "SC_rgb_jpeg_lossy_gdcm.dcm": 1,
    "color3d_jpeg_baseline.dcm": 3,
    "examples_ybr_color.dcm": 1,
}
# What the judge cannot decode: a file without a transfer syntax, which is recognized; a file
# without the delimiter of its fragments; 12 bits that a codestream of 8 was declared to have.
OURS_ALONE = {
    "JPEG-lossy.dcm",
    "OT-PAL-8-face.dcm",
    "emri_small_jpeg_2k_lossless_too_short.dcm",
}
# What nobody can: no Bits Allocated; Number of Frames of "1A"; a codestream that is damaged.
NOBODY = {
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "badVR.dcm",
    "meta_missing_tsyntax.dcm",
    "nested_priv_SQ.dcm",
}


def judged(path, number):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path, force=True)
        return pixel_array(data_set, raw=True, index=number)


@pytest.mark.corpus
@pytest.mark.parametrize("path", FILES)
def test_frames_are_those_of_pydicom(path):
    if path.name in NOBODY:
        with pytest.raises(DicomError):
            FrameReader(path)[0]
        with pytest.raises(Exception, match=re.compile(".")):
            judged(path, 0)
        return
    reader = FrameReader(path)
    worst = 0
    for number in sorted({0, len(reader) - 1}):
        ours = reader[number]
        if path.name in OURS_ALONE:
            assert ours.shape[:2] == (reader.description.rows, reader.description.columns)
            with pytest.raises(Exception, match=re.compile(".")):
                judged(path, number)
            return
        theirs = judged(path, number)
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype.newbyteorder("<")
        if not np.array_equal(ours, theirs):
            worst = max(worst, int(np.abs(ours.astype(int) - theirs.astype(int)).max()))
    allowed = BY_ROUNDING.get(path.name, 0)
    assert worst <= allowed
    assert (worst > 0) == (allowed > 0)


@pytest.mark.corpus
def test_there_are_as_many_images_as_there_should_be():
    assert len(FILES) > 150
    assert {path.name for (path,) in (param.values for param in FILES)} >= {
        *BY_ROUNDING,
        *OURS_ALONE,
        *NOBODY,
    }


@pytest.mark.corpus
@pytest.mark.parametrize("path", FILES)
def test_a_file_gives_what_its_data_set_gives(path):
    if path.name in NOBODY:
        return
    by_file, by_data_set = FrameReader(path, rgb=True), FrameReader(read_file(path), rgb=True)

    assert np.array_equal(by_file[-1], by_data_set[len(by_data_set) - 1])
