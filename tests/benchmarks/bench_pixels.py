"""Frames, pictures and transcoding, beside pydicom, pydcm and DCMTK, interleaved in one run.

Run: ``python tests/benchmarks/bench_pixels.py --pydcm PYTHON``, with an interpreter that has pydcm
(Python 3.12 or newer); without it those rows are left out, unless it can be imported here. Times
are in milliseconds, the best of all rounds; in brackets the median over rounds of the ratio to
ours. Programs (``dcm2pnm``, ``dcmcjpls``) are timed with their start, pydcm in a process that runs.

*of a data set* is of one that was read before, *of a file* with the reading. A frame of pydcm's is
always of a file.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.pixels import pixel_array

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.pixel_files import image_of

from dicom_actors import read_file, write_file
from dicom_actors.cli.pictures import write_picture
from dicom_actors.pixels import frame, read_frame, render, transcode

SYNTAXES = {
    "JPEGLosslessSV1": imagecodecs.jpeg_decode,
    "JPEGLSLossless": imagecodecs.jpegls_decode,
    "JPEG2000Lossless": imagecodecs.jpeg2k_decode,
    "HTJ2KLossless": imagecodecs.jpeg2k_decode,
    "RLELossless": None,
}
"""What decodes which; RLE has no codec of its own to compare with."""

JPEG_LS = "1.2.840.10008.1.2.4.80"


class Pydcm:
    """A process with pydcm, which times its calls itself."""

    def __init__(self, python: str) -> None:
        worker = Path(__file__).with_name("pydcm_worker.py")
        self._process = subprocess.Popen(
            [python, str(worker)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def timed(self, call: str, **arguments: object) -> float:
        """Return the milliseconds of a call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"call": call, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if isinstance(answer, str):
            raise TypeError(f"pydcm: {answer}")
        return answer

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def timed(call, calls=1):
    """Return what gives the milliseconds of a call, in the mean of some that follow each other.

    Short ones need several: after what another candidate freed, the first one pays for memory.
    """

    def run():
        start = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - start) * 1000 / calls

    return run


def show(title, rounds, **candidates):
    """Time candidates in turns and print a line; ours come first."""
    times = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            times[name].append(call())
    ours, *_ = times.values()
    parts = []
    for name, values in times.items():
        ratio = statistics.median(other / own for other, own in zip(values, ours, strict=True))
        shown = f"{name.replace('_', ' ')} {min(values):.3g}"
        parts.append(shown if values is ours else f"{shown} ({ratio:.2f})")
    print(f"{title}: " + ", ".join(parts), flush=True)


def pydicom_frame(data_set):
    data_set._pixel_array, data_set._pixel_id = None, {}
    return data_set.pixel_array


def ct_of(seed: int):
    """Return a CT of 512 x 512."""
    rows, columns = np.mgrid[:512, :512]
    noise = np.random.default_rng(seed).normal(0, 12, (512, 512))
    disc = np.hypot(rows - 256, columns - 256) < 200
    pixels = (np.where(disc, 40 + 30 * np.sin(rows / 30), -1000) + noise).astype(np.int16)
    return image_of(
        pixels,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID=f"1.2.3.{seed}",
        WindowCenter="40",
        WindowWidth="400",
    )


def frames(folder: Path, pydcm: Pydcm | None, rounds: int) -> None:
    """Frames as arrays; the goals: 5 times pydicom, 10 % over the codec, 2 ms of 315 MB."""
    path = folder / "ct.dcm"
    write_file(path, ct_of(0))
    ours, theirs = read_file(path), pydicom.dcmread(path)
    show(
        "native CT frame of a data set",
        rounds,
        ours=timed(lambda: frame(ours), 20),
        pydicom=timed(lambda: pydicom_frame(theirs), 20),
    )
    show_file("native CT frame of a file", path, pydcm, rounds, calls=5)
    for syntax, codec in SYNTAXES.items():
        made = folder / f"{syntax}.dcm"
        write_file(made, transcode(ours, syntax))
        a, b = read_file(made), pydicom.dcmread(made)
        raw = bytes(a.PixelData.fragments[0])
        alone = {"codec_alone": timed(lambda raw=raw, codec=codec: codec(raw), 3)} if codec else {}
        show(
            f"{syntax} of a data set",
            rounds,
            ours=timed(lambda a=a: frame(a), 3),
            **alone,
            pydicom=timed(lambda b=b: pydicom_frame(b), 3),
        )
        show_file(f"{syntax} of a file", made, pydcm, rounds)
    large = folder / "large.dcm"
    write_file(large, image_of(np.zeros((600, 512, 512), np.uint16), multi_frame=True))
    show_file("a frame of 315 MB", large, pydcm, rounds, number=300)
    large.unlink()


def show_file(title, path, pydcm, rounds, number=0, calls=1):
    theirs = {}
    if pydcm is not None:
        theirs["pydcm"] = lambda: pydcm.timed("frame", path=str(path), number=number)
    show(
        title,
        rounds,
        ours=timed(lambda: read_frame(path, number), calls),
        pydicom=timed(lambda: pixel_array(path, index=number), calls),
        **theirs,
    )


def pictures(folder: Path, rounds: int) -> None:
    """Pictures; the goals: PNG in 20 ms, JPEG in 5."""
    path = folder / "ct.dcm"
    ours = read_file(path)

    def by_dcmtk(program: str, option: str):
        command = [program, "+Wi", "1", option, str(path), str(folder / "judged")]
        return timed(lambda: subprocess.run(command, check=True))

    for suffix, program, option in (
        ("png", "dcm2pnm", "--write-png"),
        ("jpg", "dcmj2pnm", "--write-jpeg"),  # which writes JPEG, unlike dcm2pnm
    ):
        target = folder / f"ours.{suffix}"
        show(
            f"render a data set to {suffix}",
            rounds,
            ours=timed(lambda target=target: write_picture(render(ours), str(target))),
            ours_of_a_file=timed(lambda target=target: write_picture(render(path), str(target))),
            **{program: by_dcmtk(program, option)},
        )


def transcoding(folder: Path, pydcm: Pydcm | None, count: int, parts: int) -> None:
    """One file, then many with all processors, in parts that take turns."""
    path, target = folder / "ct.dcm", folder / "t.dcm"
    ours = read_file(path)
    theirs = {"dcmcjpls": timed(lambda: subprocess.run(["dcmcjpls", path, target], check=True))}
    if pydcm is not None:
        one = {"path": str(path), "target": str(target), "syntax": JPEG_LS}
        theirs["pydcm"] = lambda: pydcm.timed("transcode", **one)
    show(
        "transcode a CT to JPEG-LS",
        15,
        ours_proved=timed(lambda: write_file(target, transcode(ours, "JPEGLSLossless"))),
        **theirs,
    )
    source, made = folder / "source", folder / "made"
    source.mkdir()
    for number in range(count // parts):
        write_file(source / f"{number:04}.dcm", ct_of(number))
    command = [sys.executable, "-m", "dicom_actors", "transcode", str(source), str(made)]
    spread = f"ls {source} | xargs -P {os.cpu_count()} -I NAME dcmcjpls {source}/NAME {made}/NAME"

    def afresh(call):
        def run():
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
            took = call()
            assert len(os.listdir(made)) == count // parts
            return took

        return run

    command += ["--syntax", "JPEGLSLossless"]
    theirs = {"dcmcjpls": afresh(timed(lambda: subprocess.run(spread, shell=True, check=True)))}
    if pydcm is not None:
        tree = {"path": str(source), "target": str(made), "syntax": JPEG_LS}
        theirs["pydcm"] = afresh(lambda: pydcm.timed("transcode_tree", **tree))
    show(
        f"transcode {parts} times {count // parts} CT with {os.cpu_count()} processors",
        parts,
        ours_proved=afresh(
            timed(lambda: subprocess.run(command, check=True, stderr=subprocess.DEVNULL))
        ),
        **theirs,
    )


def main() -> None:
    """Run all of it, or a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pydcm", metavar="PYTHON", help="an interpreter that has pydcm")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--count", type=int, default=1000, help="how many CT are transcoded")
    parser.add_argument("--only", choices=("frames", "pictures", "transcoding"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    python = options.pydcm or (sys.executable if find_spec("pydcm") else None)
    pydcm = Pydcm(python) if python else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_file(folder / "ct.dcm", ct_of(0))
        if options.only in {None, "frames"}:
            frames(folder, pydcm, options.rounds)
        if options.only in {None, "pictures"}:
            pictures(folder, options.rounds)
        if options.only in {None, "transcoding"}:
            transcoding(folder, pydcm, options.count, 4)
    if pydcm is not None:
        pydcm.close()


if __name__ == "__main__":
    main()
