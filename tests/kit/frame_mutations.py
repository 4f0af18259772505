"""Frames that lie, through `frame`, `read_frame` and `transcode`.

Run it with ``python tests/kit/frame_mutations.py COUNT [--seed N] [--beside]``: one line for each
that breaks a law, with what makes it again, and exit code 1 if there was one. A few run in the
suite. With ``--beside`` codecs run in a `CodecProcess`; without, in a process that is watched, and
a codec that ends it costs a line and is passed over.

The laws, for any frames at all: nothing but a `DicomError` comes out; a frame that comes out has
the shape and type that the data set says; no more memory is taken than the limits explain, and
none of it takes longer than a frame may.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from functools import cache
from pathlib import Path
from struct import pack, pack_into

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from kit.pixel_files import image_of

from dicom_actors.codec_process import CodecProcess
from dicom_actors.data import EncapsulatedPixelData, read_file, write_file
from dicom_actors.errors import DicomError
from dicom_actors.pixels import CODECS, FrameReader, PixelLimits, frame, transcode

LIMITS = PixelLimits(max_frame_bytes=8 << 20, max_volume_bytes=16 << 20)
SECONDS = 5.0
"""Of CPU time, for one object and all that is done with it."""
MOST_MEMORY = 320 << 20
"""By how much the largest size of the process may grow: codecs work with more than a frame."""
STEP = 1000
"""How many objects a process looks at, before a fresh one."""

SYNTAXES = (
    "JPEGBaseline8Bit",
    "JPEGExtended12Bit",
    "JPEGLosslessSV1",
    "JPEGLSLossless",
    "JPEGLSNearLossless",
    "JPEG2000Lossless",
    "JPEG2000",
    "HTJ2KLossless",
    "HTJ2K",
    "JPEGXLLossless",
    "JPEGXL",
    "RLELossless",
    "EncapsulatedUncompressedExplicitVRLittleEndian",
    "DeflatedImageFrameCompression",
    "ExplicitVRLittleEndian",
)
TARGETS = ("ExplicitVRLittleEndian", "JPEGLSLossless", "RLELossless", "JPEG2000Lossless")
NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 24, 32, 64, 255, 4096, 65535)
SIZES = {
    "Rows": "US",
    "Columns": "US",
    "SamplesPerPixel": "US",
    "BitsAllocated": "US",
    "BitsStored": "US",
    "HighBit": "US",
    "PixelRepresentation": "US",
    "PlanarConfiguration": "US",
}
COLORS = ("MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "PALETTE COLOR", "X")


class LawBrokenError(AssertionError):
    """Something that holds for all frames does not for this one."""


@cache
def seeds():
    """Return objects in each transfer syntax: gray of 8 and 12 bits, color, several frames."""
    noise = np.random.default_rng(1)
    ramp = np.add.outer(np.arange(40) * 50, np.arange(36) * 40)
    gray = (ramp + noise.integers(0, 90, ramp.shape)).astype(np.uint16) & 0xFFF
    narrow = (gray >> 4).astype(np.uint8)
    color = np.stack([narrow, narrow[::-1], narrow[:, ::-1]], -1)
    sources = (
        image_of(narrow),
        image_of(color),
        image_of(np.stack([narrow, narrow + 1, narrow[::-1]]), multi_frame=True),
        image_of(gray, bits_stored=12),
        image_of((gray.astype(np.int16) - 2048), bits_stored=12),
    )
    made = []
    for name in SYNTAXES:
        for source in sources:
            try:
                made.append(transcode(source, name))
            except DicomError:  # that codec has no such samples
                continue
    return made


def mutated(draw):
    """Return an object of which some things are wrong."""
    made = draw.choice(seeds()).copy()
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        match draw.randrange(9):
            case 0 | 1 | 2 | 3:
                _change_frames(draw, made)
            case 4:
                keyword = draw.choice(list(SIZES))
                made.put(keyword, SIZES[keyword], draw.choice(NUMBERS))
            case 5:
                made.put("PhotometricInterpretation", "CS", draw.choice(COLORS))
            case 6:
                made.put("NumberOfFrames", "IS", draw.choice((1, 2, 3, 4, 100, 10**6, 2**31 - 1)))
            case 7:
                _change_tables(draw, made)
            case _:
                _make_bomb(draw, made)
    return made


def _fragments(made):
    value = made.get("PixelData")
    if isinstance(value, EncapsulatedPixelData):
        return [bytes(fragment) for fragment in value.fragments]
    return None


def _change_frames(draw, made):
    fragments = _fragments(made)
    if fragments is None:
        data = bytearray(made.PixelData)
        del data[draw.randrange(len(data) + 1) :]
        made.put("PixelData", "OW", bytes(data) + b"\0" * (len(data) & 1))
        return
    at = draw.randrange(len(fragments)) if fragments else 0
    match draw.randrange(5):
        case 0 if len(fragments) > 1:
            fragments.insert(at, fragments.pop())
        case 0 | 1 if fragments:
            fragments[at] = fragments[at][: draw.randrange(len(fragments[at]) + 1)]
        case 2:
            fragments.insert(at, draw.randbytes(draw.choice((0, 2, 64, 400))))
        case _ if fragments:
            fragments[at] = _changed(draw, fragments[at])
    table = made.PixelData.offset_table
    made.put("PixelData", "OB", EncapsulatedPixelData(fragments, table))


def _changed(draw, data):
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4, 30))):
        # What matters most stands in front.
        at = draw.randrange(max(min(len(made), draw.choice((120, len(made)))), 1))
        match draw.randrange(5):
            case 0 | 1:
                if made:
                    made[at] ^= 1 << draw.randrange(8)
            case 2:
                made[at : at + 2] = draw.choice((b"\xff\xff", b"\0\0", b"\xff\xd9", b"\xff\xda"))
            case 3:
                del made[at : at + draw.choice((1, 2, 17))]
            case _:
                made[at:at] = made[: draw.randrange(60)]
    return bytes(made)


def _change_tables(draw, made):
    fragments = _fragments(made)
    if fragments is None:
        return
    count = draw.choice((0, 1, 2, 3, 4, 1000))
    places = (0, 8, 100, 7, 1 << 31, 2**32 - 1)
    if draw.random() < 0.5:
        table = [draw.choice(places) for _ in range(count)]
        made.put("PixelData", "OB", EncapsulatedPixelData(fragments, table))
        return
    wide = (*places, 1 << 40, 1 << 63, 2**64 - 1)
    for tag in (0x7FE00001, 0x7FE00002):
        made.put(tag, "OV", pack(f"<{count}Q", *(draw.choice(wide) for _ in range(count))))


def _make_bomb(draw, made):
    """Claim a large frame, in the data set and in the codestream, too."""
    side = draw.choice((1000, 2040, 20_000, 65_535))
    made.Rows = made.Columns = side
    fragments = _fragments(made)
    if not fragments or draw.random() < 0.3:
        return
    data = bytearray(fragments[0])
    for marker in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7"):
        at = data.find(marker)
        if at >= 0 and at + 9 <= len(data):
            pack_into(">HH", data, at + 5, side, side)
    if data[:4] == b"\xff\x4f\xff\x51" and len(data) > 40:
        pack_into(">II", data, 8, side, side)
        if draw.random() < 0.7:
            pack_into(">II", data, 24, side, side)
    fragments[0] = bytes(data)
    made.put("PixelData", "OB", EncapsulatedPixelData(fragments, made.PixelData.offset_table))


def check(made, path, draw, codecs=CODECS):
    """Check all laws of one object.

    Returns:
        How many frames came out.

    Raises:
        LawBrokenError: one does not hold. Any other exception breaks one, too.
    """
    out = io.BytesIO()  # which is not synchronized with a disk
    try:
        write_file(out, made)
    except DicomError:
        return 0
    path.write_bytes(out.getbuffer())
    if draw.random() < 0.1:
        os.truncate(path, draw.randrange(os.stat(path).st_size + 1))
    came = 0
    for call in (_by_file, _by_data_set, _by_transcoding):
        try:
            came += call(path, draw, codecs)
        except DicomError:
            continue
    return came


def _hold_frame(array, description):
    if array.shape[:2] != (description.rows, description.columns):
        raise LawBrokenError(f"a frame of {array.shape} in place of {description.shape}")


def _by_file(path, draw, codecs):
    with FrameReader(path, rgb=draw.random() < 0.5, codecs=codecs, limits=LIMITS) as reader:
        for number in {0, len(reader) - 1}:
            _hold_frame(reader[number], reader.description)
        if draw.random() < 0.2:
            reader.volume()
    return 1


def _by_data_set(path, draw, codecs):
    data_set = read_file(path)
    description = FrameReader(data_set, codecs=codecs, limits=LIMITS).description
    number = draw.randrange(min(description.frames, 3))
    _hold_frame(frame(data_set, number, codecs=codecs, limits=LIMITS), description)
    return 1


def _by_transcoding(path, draw, codecs):
    made = transcode(read_file(path), draw.choice(TARGETS), codecs=codecs, limits=LIMITS)
    out = io.BytesIO()
    write_file(out, made)
    read_file(out.getvalue())
    return 1


def run(count, seed, folder, *, beside=None, started=lambda number: None, told=None):
    """Check that many objects.

    Args:
        count: how many.
        seed: of the first one.
        folder: where files may be.
        beside: a `CodecProcess`, if codecs are not to run here.
        started: is told of each seed before it is looked at.
        told: is told each line at once.

    Returns:
        A line for each that breaks a law.
    """
    codecs = CODECS if beside is None else beside.codecs
    broken, came, told_of = [], 0, 0
    seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(seed, seed + count):
        started(number)
        draw = random.Random(number)
        start = time.process_time()
        try:
            came += check(mutated(draw), Path(folder) / "mutated.dcm", draw, codecs)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            broken.append(f"seed {number}: {type(error).__name__} at {where}: {error!s:.160}")
        took = time.process_time() - start
        if took > SECONDS:
            broken.append(f"seed {number}: {took:.1f} s of processor time")
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if (most - before) << 10 > MOST_MEMORY:
            broken.append(f"seed {number}: {most - before >> 10} MiB more memory")
            before = most
        while told is not None and len(broken) > told_of:
            told(broken[told_of])
            told_of += 1
    return broken or ([] if came else ["no frame came out"])


def _work(count, seed, *, beside):
    """Look at some, in a process of its own; a line for each seed, and for each broken law."""
    warnings.simplefilter("error")

    def started(number):
        print(f"> {number}", flush=True)

    def tell(line):
        print(line, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        if beside:
            with CodecProcess(deadline=10, max_memory_bytes=1 << 30, max_processes=1) as process:
                run(count, seed, folder, beside=process, started=started, told=tell)
        else:
            run(count, seed, folder, started=started, told=tell)


def _watched(count, seed, *, beside):
    """Have a process look at some; returns lines, and how far it came."""
    command = [sys.executable, __file__, str(count), "--seed", str(seed), "--work"]
    done = subprocess.run(
        [*command, *(["--beside"] if beside else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    reached = [int(line[2:]) for line in lines if line.startswith("> ")]
    broken = [line for line in lines if not line.startswith("> ")]
    last = reached[-1] if reached else seed
    if done.returncode:
        broken.append(f"seed {last}: the process ended with {done.returncode}")
    return broken, last + 1


def main() -> int:
    """Run it for the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="that of the first one")
    parser.add_argument("--beside", action="store_true", help="run codecs in a CodecProcess")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        _work(options.count, options.seed, beside=options.beside)
        return 0
    is_broken, at, end = False, options.seed, options.seed + options.count
    while at < end:
        broken, at = _watched(min(STEP, end - at), at, beside=options.beside)
        for line in broken:
            print(line, flush=True)
            is_broken = True
        print(f"{at - options.seed} objects", file=sys.stderr, flush=True)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
