"""Objects that are sent in a transfer syntax that the peer accepts, where theirs is not."""

from __future__ import annotations

import numpy as np
import pytest
from kit.pixel_files import image_of

from dicom_actors import Endpoint, EndpointConfig, MoveTo, Status, connect, messages, write_file
from dicom_actors.codec_process import CodecProcess
from dicom_actors.errors import RetrievalIncomplete
from dicom_actors.pixels import Transcoder, frame, transcode, transcode_to_one_of

PIXELS = np.random.default_rng(1).integers(0, 4096, (20, 30)).astype(np.uint16)
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.fixture
def compressed():
    return transcode(image_of(PIXELS, bits_stored=12), "JPEG2000Lossless")


@pytest.fixture
def start():
    started = []

    def begin(syntaxes=None, to_send=None, **handlers):
        config = EndpointConfig(transfer_syntaxes=syntaxes, transcode=to_send)
        endpoint = Endpoint.start(port=0, event_handlers=handlers, config=config)
        started.append(endpoint)
        return endpoint.ask(messages.GetStatus()).port

    yield begin
    for endpoint in started:
        endpoint.stop()


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_LS])
def test_a_compressed_object_is_stored_in_what_is_accepted(start, compressed, syntax):
    kept = []

    def store(event):
        kept.append((event.dataset.transfer_syntax.uid, frame(event.dataset)))

    port = start([syntax], cstore=store)
    with connect("127.0.0.1", port, called="ANY") as association:
        refused = association.store(compressed)
        assert refused.status is None
        assert "accepts no" in refused.comment
        assert association.store(compressed, transcode=True, check=True)
    ((used, array),) = kept
    assert used == syntax
    assert np.array_equal(array, PIXELS)


def test_a_lossy_syntax_is_none_that_it_is_sent_in(start, compressed):
    port = start([JPEG], cstore=lambda event: Status.SUCCESS)
    with connect("127.0.0.1", port, called="ANY") as association:
        result = association.store(compressed, transcode=True)
    assert not result
    assert result.status is None


def test_many_from_files(start, compressed, tmp_path):
    kept = []
    for number in range(3):
        compressed.SOPInstanceUID = f"1.2.3.{number}"
        write_file(tmp_path / f"{number}.dcm", compressed)
    port = start([EXPLICIT], cstore=lambda event: kept.append(frame(event.dataset)))
    with connect("127.0.0.1", port, called="ANY") as association:
        results = list(association.store_many(tmp_path, transcode=True))
    assert all(results)
    assert len(kept) == 3
    assert all(np.array_equal(array, PIXELS) for array in kept)


@pytest.mark.parametrize("is_on", [True, False])
def test_c_get_sends_in_what_is_accepted(start, compressed, is_on):
    to_send = transcode_to_one_of if is_on else None
    port = start(cget=lambda event: [compressed], to_send=to_send)
    query = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.3.4"}
    with connect("127.0.0.1", port, called="ANY") as association:
        operation = association.get(
            query,
            sop_classes=[compressed.SOPClassUID],
            transfer_syntaxes=[EXPLICIT],
            on_warning="ignore",
        )
        try:
            found = list(operation)
        except Exception:
            assert not is_on
            return
    assert is_on
    assert np.array_equal(frame(found[0]), PIXELS)
    assert found[0].transfer_syntax.uid == EXPLICIT


@pytest.mark.parametrize(
    ("accepted", "how"),
    [(EXPLICIT, transcode_to_one_of), (JPEG_LS, Transcoder()), (EXPLICIT, None)],
)
def test_c_move_sends_in_what_is_accepted(start, compressed, accepted, how):
    kept = []
    destination = start([accepted], cstore=lambda event: kept.append(event.dataset.copy()))

    def move(event):
        return MoveTo("127.0.0.1", destination, "DEST", [compressed])

    port = start(cmove=move, to_send=how)
    query = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.3.4"}
    with connect("127.0.0.1", port, called="ANY") as association:
        if how is None:
            with pytest.raises(RetrievalIncomplete, match="1 failed"):
                list(association.move(query, "DEST"))
            assert kept == []
            return
        *_, last = association.move(query, "DEST")
    assert (last.completed, last.failed) == (1, 0)
    (found,) = kept
    assert found.transfer_syntax.uid == accepted
    assert found.SOPInstanceUID == compressed.SOPInstanceUID
    assert np.array_equal(frame(found), PIXELS)


def test_lossy_on_wish_it_is_another_instance_and_always_the_same_one(start):
    kept = []

    def store(event):
        kept.append((event.sop_instance_uid, event.dataset.copy()))

    port = start([JPEG], cstore=store)
    grey = image_of((PIXELS >> 4).astype(np.uint8))
    for transcoder in (Transcoder(is_lossy=True), Transcoder(is_lossy=True)):
        with connect("127.0.0.1", port, called="ANY") as association:
            result = association.store(grey, transcode=transcoder, check=True)
        assert result.sop_instance_uid == "1.2.3.4"  # which is what was to be stored
    (first, one), (second, _) = kept
    assert first == second == one.SOPInstanceUID != "1.2.3.4"
    assert one.transfer_syntax.uid == JPEG
    assert one.LossyImageCompression == "01"
    assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert np.abs(frame(one).astype(int) - (PIXELS >> 4)).max() < 64


def test_lossy_where_no_other_is_accepted_alone(start, compressed):
    kept = []
    port = start([EXPLICIT, JPEG], cstore=lambda event: kept.append(event.dataset.copy()))
    with connect("127.0.0.1", port, called="ANY") as association:
        assert association.store(compressed, transcode=Transcoder(is_lossy=True), check=True)
    assert kept[0].transfer_syntax.uid == EXPLICIT
    assert kept[0].SOPInstanceUID == "1.2.3.4"
    assert "LossyImageCompression" not in kept[0]


@pytest.mark.parametrize("service", ["cget", "cmove"])
def test_lossy_retrieval_on_wish(start, service):
    grey = image_of((PIXELS >> 4).astype(np.uint8))
    kept = []
    destination = start([JPEG], cstore=lambda event: kept.append(event.dataset.copy()))
    query = {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.2.3.4"}
    with CodecProcess() as beside:
        how = Transcoder(is_lossy=True, codecs=beside.codecs)
        port = start(
            cget=lambda event: [grey],
            cmove=lambda event: MoveTo("127.0.0.1", destination, "DEST", [grey]),
            to_send=how,
        )
        with connect("127.0.0.1", port, called="ANY") as association:
            if service == "cget":
                classes = [grey.SOPClassUID]
                got = association.get(query, sop_classes=classes, transfer_syntaxes=[JPEG])
                kept += got
            else:
                *_, last = association.move(query, "DEST")
                assert (last.completed, last.failed) == (1, 0)
    (found,) = kept
    assert found.LossyImageCompression == "01"
    assert found.SOPInstanceUID != "1.2.3.4"
