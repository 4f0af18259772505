"""Frames, pictures and transcoding, beside pydicom and DCMTK, interleaved in one run.

Run: ``python tests/benchmarks/bench_pixels.py``. Times are the best of several, in milliseconds.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.pixel_files import image_of

from dicom_actors import read_file, write_file
from dicom_actors.pixels import frame, read_frame, render, transcode

ROUNDS = 15
FAST = {"compress_level": 1, "compress_type": 3}
"""How ``image`` and the web server write PNG."""


def best_of(calls):
    """Return the best time of each call, in milliseconds, taken in turns."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], (time.perf_counter() - start) * 1000)
    return best


def show(title, calls):
    times = best_of(calls)
    print(f"{title}: " + ", ".join(f"{name} {value:.2f}" for name, value in times.items()))


def pydicom_frame(data_set):
    data_set._pixel_array, data_set._pixel_id = None, {}
    return data_set.pixel_array


def run(folder: Path) -> None:
    rows, columns = np.mgrid[:512, :512]
    noise = np.random.default_rng(0).normal(0, 12, (512, 512))
    disc = np.hypot(rows - 256, columns - 256) < 200
    pixels = (np.where(disc, 40 + 30 * np.sin(rows / 30), -1000) + noise).astype(np.int16)
    plain = image_of(pixels, WindowCenter="40", WindowWidth="400")
    path = folder / "ct.dcm"
    write_file(path, plain)
    ours, theirs = read_file(path), pydicom.dcmread(path)
    show(
        "native CT frame",
        {"ours": lambda: frame(ours), "pydicom": lambda: pydicom_frame(theirs)},
    )
    for syntax, codec in (
        ("JPEGLSLossless", imagecodecs.jpegls_decode),
        ("JPEGLosslessSV1", imagecodecs.jpeg_decode),
        ("JPEG2000Lossless", imagecodecs.jpeg2k_decode),
    ):
        made = folder / f"{syntax}.dcm"
        write_file(made, transcode(ours, syntax))
        a, b = read_file(made), pydicom.dcmread(made)
        raw = bytes(a.PixelData.fragments[0])
        show(
            syntax,
            {
                "ours": lambda a=a: frame(a),
                "codec alone": lambda raw=raw, codec=codec: codec(raw),
                "pydicom": lambda b=b: pydicom_frame(b),
            },
        )
    many = np.zeros((600, 512, 512), np.uint16)
    large = folder / "large.dcm"
    write_file(large, image_of(many, multi_frame=True))
    show("a frame of 315 MB", {"ours": lambda: read_frame(large, 300)})
    target = folder / "judged.png"
    show(
        "render and write",
        {
            "PNG": lambda: render(ours).save(
                io.BytesIO(), "PNG", compress_level=1, compress_type=3
            ),
            "JPEG": lambda: render(ours).save(io.BytesIO(), "JPEG"),
            "dcm2pnm (PNG)": lambda: subprocess.run(
                ["dcm2pnm", "+Wi", "1", "--write-png", path, target], check=True
            ),
        },
    )
    show(
        "transcode to JPEG-LS",
        {
            "ours, proved": lambda: transcode(ours, "JPEGLSLossless"),
            "dcmcjpls": lambda: subprocess.run(["dcmcjpls", path, folder / "t.dcm"], check=True),
        },
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        run(Path(name))
