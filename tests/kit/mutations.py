"""Files with random edits through whole and partial reading, writing, JSON and back.

Run it with ``python tests/kit/mutations.py COUNT [--seed N]``: one line for each file that breaks
a law, with what makes it again, and exit code 1 if there was one. A few run in the suite.

The laws, for any bytes at all: nothing but a `DicomError` leaves the library; what is read is
written as the same bytes; parts are what the whole gives, restricted; what is written, as it was
or in another transfer syntax, is read as equal; JSON that is written is read, and is the same
again; with the compiled scan comes what comes without it; and none of it takes longer than its
length can explain.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import sys
import time
import traceback
import warnings
from pathlib import Path
from struct import pack
from typing import Any

import pydicom

sys.path.insert(0, str(Path(__file__).parents[1]))
from kit.native import IS_BUILT, switched

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.errors import DicomError

FOLDER = Path(pydicom.__file__).parent / "data"
MOST = 64 << 10
SECONDS = 5.0
"""Of CPU time, for one file of 64 KiB and all that is done with it."""

EXPLICIT, IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
PARTS = [
    b"\xfe\xff\x00\xe0",
    b"\xfe\xff\x0d\xe0",
    b"\xfe\xff\xdd\xe0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    *(vr.encode() for vr in ("SQ", "UN", "OB", "OW", "DS", "IS", "PN", "US", "AT", "FD", "??")),
    *(b"\x08\0\x05\0", b"\x10\0\x10\0", b"\xe0\x7f\x10\0", b"\x09\0\x10\0", b"\x02\0\x10\0"),
    *(b"\\", b"nan", b"1_0", b"\x1b$B", b"^=^", b"\xd9\xa1"),
]
KEYS = ["PatientID", "PatientName", "SOPInstanceUID", "Rows", "PixelData", "BeamSequence"]
STOPS = ["PatientID", "StudyInstanceUID", "Rows", "PixelData"]


class LawBrokenError(AssertionError):
    """Something that holds for all files does not for this one."""


def seeds() -> list[bytes]:
    """Real files of a moderate length, in an order that is always the same."""
    found = []
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file() and path.suffix in {"", ".dcm"} and path.stat().st_size <= MOST:
            found.append(path.read_bytes())
    return found


def elements_of(data: bytes) -> list[tuple[int, int]]:
    """Where the elements of a file start and end."""
    try:
        content = content_of(read_file(data))
    except DicomError:
        return []
    extents = [(at, content.extent_at(tag, at).following) for tag, at in content.index.items()]
    return [] if content.scope.reading.deflated else extents


def mutated(draw: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """Edit a file a few times."""
    made = bytearray(data)
    extents = elements_of(data)
    if extents and draw.random() < 0.6:
        return _moved(draw, data, extents, others)
    for _ in range(draw.choice((1, 1, 2, 3, 5, 9))):
        near = draw.random() < 0.7  # most of what matters stands in front
        at = draw.randrange(max(min(len(made), 3_000) if near else len(made), 1))
        match draw.randrange(8):
            case 0:
                made[at : at + 1] = bytes((draw.randrange(256),))
            case 1:
                del made[at : at + draw.choice((1, 2, 8, draw.randrange(1, 200)))]
            case 2:
                made[at:at] = draw.randbytes(draw.choice((1, 2, 8)))
            case 3:
                part = draw.choice(PARTS)
                made[at : at + len(part)] = part
            case 4:
                made[at:at] = draw.choice(PARTS) + pack("<I", draw.choice((0, 8, 0xFFFFFFFF)))
            case 5:
                other = draw.choice(others)
                start = draw.randrange(len(other))
                made[at:at] = other[start : start + draw.randrange(1, 400)]
            case 6:
                start = draw.randrange(max(len(made), 1))
                made[at:at] = made[start : start + draw.randrange(1, 200)]
            case _:
                del made[max(at, 132) :]
    return bytes(made)


def _moved(
    draw: random.Random, data: bytes, extents: list[tuple[int, int]], others: list[bytes]
) -> bytes:
    """Put whole elements elsewhere, twice or in from another file; change values, leave headers."""
    pieces = [bytearray(data[start:end]) for start, end in extents]
    for _ in range(draw.choice((1, 1, 2, 3, 6))):
        at = draw.randrange(len(pieces))
        match draw.randrange(5):
            case 0:
                pieces.insert(draw.randrange(len(pieces)), pieces[at])
            case 1:
                pieces.insert(draw.randrange(len(pieces)), pieces.pop(at))
            case 2:
                other = draw.choice(others)
                if found := elements_of(other):
                    start, end = draw.choice(found)
                    pieces.insert(at, bytearray(other[start:end]))
            case 3:
                pieces.insert(at, bytearray(draw.choice(PARTS[:3]) + bytes(4)))
            case _:
                piece = pieces[at]
                if len(piece) > 8:
                    part, place = draw.choice(PARTS), draw.randrange(8, len(piece))
                    piece[place : place + len(part)] = part[: len(piece) - place]
    return data[: extents[0][0]] + b"".join(pieces) + data[extents[-1][1] :]


def hold(name: str, *, holds: bool) -> None:
    """Fail unless a law holds."""
    if not holds:
        raise LawBrokenError(name)


def raw_values(ds: DataSet) -> dict[int, tuple[str, bytes]]:
    """What stands in the bytes for each element."""
    found = {}
    for element in ds.elements():
        raw = element.raw
        found[int(element.tag)] = (str(element.vr), b"" if raw is None else bytes(raw))
    return found


def check(data: bytes, draw: random.Random) -> str:
    """Check all laws of one file.

    Returns:
        Whether it was ``"read"`` or ``"refused"``.

    Raises:
        LawBrokenError: one does not hold. Any other exception breaks one, too.
    """
    if IS_BUILT:
        _check_native(data, draw)
    damaged = None
    with contextlib.suppress(DicomError):
        damaged = read_file(data, keep_damaged=True)
    try:
        ds = read_file(data)
    except DicomError:
        return "refused"
    hold("what is read is read where damage is kept", holds=damaged is not None)
    values = raw_values(ds)
    _check_parts(data, values, draw)
    _check_writing(ds, values)
    _check_json(ds)
    str(ds)
    ds.check()
    return "read"


def _check_parts(data: bytes, values: dict[int, tuple[str, bytes]], draw: random.Random) -> None:
    until, keys = draw.choice(STOPS), draw.sample(KEYS, draw.randrange(1, 4))
    stop, tags = to_tag(until), set(map(to_tag, keys))
    for source in (data, io.BytesIO(data)):
        found = raw_values(read_file(source, until=until))
        expected = {tag: value for tag, value in values.items() if tag < stop}
        hold(f"until {until}", holds=found == expected)
    for source in (data, io.BytesIO(data)):
        found = raw_values(read_file(source, keywords=keys))
        expected = {tag: value for tag, value in values.items() if tag in tags}
        hold(f"keywords {keys}", holds={t: v for t, v in found.items() if t in tags} == expected)


def _check_native(data: bytes, draw: random.Random) -> None:
    until, keys = draw.choice(STOPS), draw.sample(KEYS, draw.randrange(1, 4))
    for options in (
        {},
        {"keep_truncated": True},
        {"keep_damaged": True},
        {"until": until},
        {"keywords": keys},
        {"until": until, "keywords": keys},
    ):
        found = []
        for to in (False, True):
            with switched(to=to):
                found.append(_outcome(data, options))
        hold(f"the compiled scan finds the same, {options}", holds=found[0] == found[1])


def _outcome(data: bytes, options: dict[str, Any]) -> tuple[Any, ...]:
    """What reading gives: values, where elements stand, warnings; or the error."""
    try:
        ds = read_file(data, **options)
        found = raw_values(ds), dict(content_of(ds).index), [*map(str, ds.warnings)]
    except DicomError as error:
        return (type(error), str(error))
    return found, decoded(ds), [*map(str, ds.warnings)]


def decoded(ds: DataSet) -> list[Any]:
    """All values, each with its type; items in two ways, and the error at which they end."""
    found: list[Any] = []
    try:
        found += ((path, e.vr, _shown(e.value)) for path, e in ds.copy().walk())
        found += map(_shown, ds.copy().values())
        found += ((path, e.vr, _shown(e.value)) for path, e in ds.walk())
    except DicomError as error:
        found.append((type(error), str(error)))
    return found


def _shown(value: Any) -> Any:
    if isinstance(value, DataSet):
        return sorted(value)
    if isinstance(value, list):
        return type(value), [_shown(one) for one in value[:100]]
    if isinstance(value, memoryview):
        return memoryview, len(value)
    return type(value), repr(value), getattr(value, "text", None)


def _check_writing(ds: DataSet, values: dict[int, tuple[str, bytes]]) -> None:
    before = ds.to_bytes()
    hold("a copy is equal", holds=ds.copy() == ds)
    hold("what was looked at is written as it was read", holds=ds.to_bytes() == before)
    out = io.BytesIO()
    try:
        write_file(out, ds)
    except DicomError:
        out = io.BytesIO()
    if out.tell():
        again = read_file(out.getvalue())
        hold("a file that is written is read as the same", holds=raw_values(again) == values)
        hold("and equal", holds=again == ds)
    for syntax in (EXPLICIT, IMPLICIT, BIG_ENDIAN):
        try:
            data = ds.to_bytes(syntax)
        except DicomError:
            continue
        converted = DataSet.from_bytes(data, syntax)
        hold(
            f"{syntax} has the same elements",
            holds=list(converted) == list(ds),
        )


def _check_json(ds: DataSet) -> None:
    try:
        model = json.loads(ds.to_json(keep_number_text=True))
    except DicomError:
        return
    again = json.loads(DataSet.from_json(json.dumps(model)).to_json(keep_number_text=True))
    for found in (model, again):
        found.pop("00080005", None)  # put in where there is more than ASCII
    hold("JSON is the same again", holds=again == model)


def run(count: int, seed: int = 0) -> list[str]:
    """Check that many files.

    Returns:
        A line for each that breaks a law.
    """
    files, broken = seeds(), []
    outcomes: dict[str, int] = {}
    for number in range(seed, seed + count):
        draw = random.Random(number)
        data = mutated(draw, draw.choice(files), files)
        start = time.process_time()
        try:
            outcome = check(data, draw)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            broken.append(f"seed {number}: {type(error).__name__} at {where}: {error!s:.160}")
            outcome = "broken"
        if time.process_time() - start > SECONDS:
            broken.append(f"seed {number}: {time.process_time() - start:.1f} s")
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    broken.sort()
    return broken or ([] if outcomes.get("read") else ["nothing could be read"])


def main() -> int:
    """Run it for the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0, help="that of the first file")
    arguments = parser.parse_args()
    warnings.simplefilter("error")
    is_broken, step = False, 500
    for first in range(0, arguments.count, step):
        for line in run(min(step, arguments.count - first), arguments.seed + first):
            print(line, flush=True)
            is_broken = True
        print(f"{min(first + step, arguments.count)} files", file=sys.stderr, flush=True)
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
