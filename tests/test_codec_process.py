"""Codecs in processes that may be killed."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from kit.pixel_files import image_of
from kit.waiting import until

from dicom_actors.codec_process import CodecProcess
from dicom_actors.errors import ConfigurationError, DecodeError, DicomError, EncodeError
from dicom_actors.pixels import frame, transcode

PIXELS = np.random.default_rng(1).integers(-1000, 3000, (40, 50)).astype(np.int16)


@pytest.fixture
def image():
    return image_of(PIXELS)


def pids(beside):
    return [worker._process.pid for worker in beside._idle]


@pytest.mark.parametrize("syntax", ["JPEGLSLossless", "RLELossless", "JPEG2000Lossless"])
def test_frames_are_the_same_beside(image, syntax, nothing_left):
    with CodecProcess() as beside:
        made = transcode(image, syntax, codecs=beside.codecs)
        array = frame(made, codecs=beside.codecs)

        assert np.array_equal(array, PIXELS)
        assert array.flags.writeable
        assert bytes(made.PixelData.fragments[0]) == bytes(
            transcode(image, syntax).PixelData.fragments[0]
        )
        assert len(pids(beside)) == 1


def test_a_process_that_dies_costs_one_frame(image, nothing_left):
    made = transcode(image, "JPEGLSLossless")
    with CodecProcess() as beside:
        frame(made, codecs=beside.codecs)
        (first,) = pids(beside)
        # Stopped, so that it dies while it has the frame and not before.
        os.kill(first, signal.SIGSTOP)
        failures = []

        def ask():
            try:
                frame(made, codecs=beside.codecs)
            except DecodeError as error:
                failures.append(str(error))

        asking = threading.Thread(target=ask)
        asking.start()
        while beside._idle and asking.is_alive():
            pass
        os.kill(first, signal.SIGKILL)
        asking.join(60)

        assert "died by signal 9" in failures[0]
        assert np.array_equal(frame(made, codecs=beside.codecs), PIXELS)
        assert pids(beside) != [first]


def test_one_that_died_while_idle_costs_nothing(image, nothing_left):
    made = transcode(image, "RLELossless")
    with CodecProcess() as beside:
        frame(made, codecs=beside.codecs)
        (first,) = pids(beside)
        os.kill(first, signal.SIGKILL)
        until(lambda: not beside._idle[0].is_alive)

        assert np.array_equal(frame(made, codecs=beside.codecs), PIXELS)


def test_one_that_hangs_is_killed_at_its_deadline(image, nothing_left):
    made = transcode(image, "RLELossless")
    with CodecProcess(deadline=60) as beside:
        frame(made, codecs=beside.codecs)
        os.kill(pids(beside)[0], signal.SIGSTOP)
        beside._deadline = 0.05
        with pytest.raises(DecodeError, match="took too long and was killed"):
            frame(made, codecs=beside.codecs)
        beside._deadline = 60
        assert np.array_equal(frame(made, codecs=beside.codecs), PIXELS)


def test_a_bad_frame_is_the_same_error_as_here(image, nothing_left):
    made = transcode(image, "JPEG2000Lossless")
    data = bytearray(made.PixelData.fragments[0])
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    del data[200:]
    from dicom_actors.data import EncapsulatedPixelData

    made.put("PixelData", "OB", EncapsulatedPixelData.of_frames([bytes(data)]))
    with CodecProcess() as beside, pytest.raises(DicomError):
        frame(made, codecs=beside.codecs)


def test_memory_is_limited(nothing_left):
    large = image_of(np.zeros((12_000, 12_000), np.uint16))
    made = transcode(large, "RLELossless")
    with CodecProcess(max_memory_bytes=700 << 20) as beside, pytest.raises(DecodeError):
        frame(made, codecs=beside.codecs)


def test_what_cannot_be_encoded_says_why(nothing_left):
    wide = image_of(np.zeros((4, 4), np.uint32))
    with CodecProcess() as beside, pytest.raises(EncodeError, match="Bits Allocated 8 or 16"):
        transcode(wide, "JPEGLSLossless", codecs=beside.codecs)


def test_threads_share_a_bounded_number(image, nothing_left):
    made = transcode(image, "RLELossless")
    with CodecProcess(max_processes=2) as beside:
        results = []

        def ask():
            results.append(np.array_equal(frame(made, codecs=beside.codecs), PIXELS))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert results == [True] * 6
        assert len(pids(beside)) <= 2


def test_after_closing_it_is_of_no_use(image, nothing_left):
    beside = CodecProcess()
    beside.close()
    with pytest.raises(DicomError, match="closed"):
        frame(transcode(image, "RLELossless"), codecs=beside.codecs)


@pytest.mark.parametrize("options", [{"deadline": 0}, {"max_processes": 0}])
def test_settings_are_checked(options):
    with pytest.raises(ConfigurationError):
        CodecProcess(**options)
