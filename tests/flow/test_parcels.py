"""What leaves, of a large object: a piece at a time, whatever steps there are."""

from __future__ import annotations

import hashlib
import tracemalloc

import pytest
from web.serving import EXPLICIT, file_of, image

from dicom_actors import read_file, read_large, write_file
from dicom_actors.archive import Archive
from dicom_actors.deidentification import Deidentifier
from dicom_actors.flow.parcels import FileParcel, Parcel, write_below
from dicom_actors.flow.steps import Deidentify, Edit, Transcode
from dicom_actors.scu import OutgoingObject

IMPLICIT, BIG, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
JPEG_LS = "1.2.840.10008.1.2.4.80"
FRAMES = 80
ROOM = 12 << 20
"""What may be in memory at a time; the object is four times that."""


@pytest.fixture(scope="module")
def frame():
    return bytes(image(rows=512, columns=640).PixelData)


@pytest.fixture(scope="module")
def large(tmp_path_factory, frame):
    one = image(rows=512, columns=640, NumberOfFrames=FRAMES, BurnedInAnnotation="NO")
    front = file_of(one)[: -len(frame) - 4]
    path = tmp_path_factory.mktemp("large") / "one.dcm"
    with path.open("wb") as file:
        file.write(front + (FRAMES * len(frame)).to_bytes(4, "little"))
        file.writelines([frame] * FRAMES)
    return path


def digest_of(pixels):
    return hashlib.sha256(pixels).hexdigest()


STEPS = {
    "none": [],
    "edit": [Edit({"InstitutionName": "Here"})],
    "deidentify": [Deidentify(Deidentifier(salt="a secret"))],
    "implicit": [Transcode(IMPLICIT)],
    "edit, deidentify, transcode": [
        Edit({"StudyDescription": None}),
        Deidentify(Deidentifier(salt="a secret")),
        Transcode(BIG),
    ],
    "compress": [Transcode(JPEG_LS)],
}


@pytest.mark.parametrize("source", [EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("steps", STEPS)
def test_a_large_object_is_never_in_memory_whole(tmp_path, large, frame, steps, source):
    path = tmp_path / "source.dcm"
    write_file(path, read_large(large), transfer_syntax=source)
    with Archive.open(tmp_path / "archive", durability="os") as archive:
        archive.add(path)
        archive.settle()
        (instance,) = archive.instances()
        parcel = Parcel(archive, instance, STEPS[steps])
        tracemalloc.start()
        try:
            written = write_below(tmp_path / "target", parcel)
            uids = parcel.uids()
            sent = parcel.outgoing()
            if not isinstance(sent, OutgoingObject):
                assert sent.fetch("PixelData").unread is not None
            again = write_below(tmp_path / "again", FileParcel(written, instance, uids))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert most < ROOM, f"{most >> 20} MB"
    assert again.read_bytes() == written.read_bytes()
    found = read_file(written)
    assert found.SOPInstanceUID == uids[2]
    if steps != "compress":
        assert digest_of(found.PixelData) == digest_of(frame * FRAMES)
    else:
        assert len(found.frames()) == FRAMES
