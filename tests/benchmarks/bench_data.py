"""How fast data sets are read and written, against pydicom and, where installed, dicomsdl.

Run it with ``python tests/benchmarks/bench_data.py``; ``--files N`` sets the number of CT files.
The candidates take turns in every round, and the best round of each counts, so that another
load on the machine meets all alike; the clock is that of the process. Printed are milliseconds and
ratios to pydicom. Reading is timed twice, without and with the compiled scan, if there is one, each
with the goal for it. ``pip install dicomsdl==0.109.4`` for its column.
"""

from __future__ import annotations

import argparse
import gc
import io
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from struct import pack

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from data_inputs import MATCH, ct, write_inputs
from kit import native

from dicom_actors.data import DataSet, read_file, write_file

try:
    import dicomsdl
except ImportError:
    dicomsdl = None

FRAME_LENGTH = 512 * 512 * 2
KEYWORDS = [
    "SOPInstanceUID",
    "StudyDate",
    "Modality",
    "Manufacturer",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "Rows",
    "Columns",
]


def select_ours(paths):
    for path in paths:
        ds = read_file(path, keywords=KEYWORDS)
        for keyword in KEYWORDS:
            ds[keyword]


def select_pydicom(paths):
    for path in paths:
        ds = pydicom.dcmread(path, specific_tags=KEYWORDS, stop_before_pixels=True)
        for keyword in KEYWORDS:
            ds[keyword].value  # noqa: B018


def select_dicomsdl(paths):
    for path in paths:
        ds = dicomsdl.open(str(path), 0x00280012)
        ds.getValues(KEYWORDS)


def header_ours(paths):
    for path in paths:
        read_file(path, until="PixelData")


def header_pydicom(paths):
    for path in paths:
        pydicom.dcmread(path, stop_before_pixels=True)


def header_dicomsdl(paths):
    for path in paths:
        dicomsdl.open(str(path), 0x7FE00010)


def lazy_ours(paths):
    for path in paths:
        read_file(path)


def lazy_pydicom(paths):
    for path in paths:
        pydicom.dcmread(path)


def lazy_dicomsdl(paths):
    for path in paths:
        dicomsdl.open(str(path))


def touch_ours(paths):
    for path in paths:
        for _, element in read_file(path).walk():
            element.value  # noqa: B018


def touch_values_ours(paths):
    for path in paths:
        stack = [read_file(path)]
        while stack:
            for value in stack.pop().values():
                if (
                    type(value) is not str
                    and isinstance(value, list)
                    and value
                    and hasattr(value[0], "elements")
                ):
                    stack += value


def touch_pydicom(paths):
    for path in paths:
        for element in pydicom.dcmread(path).iterall():
            element.value  # noqa: B018


def touch_dicomsdl(paths):
    sequence = dicomsdl.VR.SQ

    def walk(ds):
        for element in ds:
            if element.vr() == sequence:
                for item in element.toSequence():
                    walk(item)
            else:
                element.value()

    for path in paths:
        walk(dicomsdl.open(str(path)))


def _loaded(paths, read):
    return [read(path) for path in paths]


def write_ours(paths):
    return [lambda ds=ds: write_file(io.BytesIO(), ds) for ds in _loaded(paths, read_file)]


def write_pydicom(paths):
    return [lambda ds=ds: ds.save_as(io.BytesIO()) for ds in _loaded(paths, pydicom.dcmread)]


def write_bound(paths):
    """No writer: the bytes of each file put into memory once, which is the least a write is."""
    loaded = _loaded(paths, Path.read_bytes)
    return [lambda raw=raw: io.BytesIO().write(raw) for raw in loaded]


def write_dicomsdl(paths):
    loaded = _loaded(paths, lambda path: dicomsdl.open(str(path)))
    return [ds.saveToMemory for ds in loaded]


def rewriting_ours(edit):
    """Writing of data sets of which every value was touched, and then what `edit` says."""

    def prepare(paths):
        loaded = _loaded(paths, touched_ours)
        for ds in loaded:
            edit(ds)
        return [lambda ds=ds: write_file(io.BytesIO(), ds) for ds in loaded]

    return prepare


def rewriting_pydicom(edit):
    """The same by pydicom."""

    def prepare(paths):
        loaded = _loaded(paths, touched_pydicom)
        for ds in loaded:
            edit(ds)
        return [lambda ds=ds: ds.save_as(io.BytesIO()) for ds in loaded]

    return prepare


def rewriting(edit):
    return rewriting_ours(edit), rewriting_pydicom(edit)


def edit_nothing(ds):
    """What was decoded is written as it was read."""


def edit_patient(ds):
    ds.PatientID = "NEW"


def edit_frame(ds):
    ds.PerFrameFunctionalGroupsSequence[500].MREchoSequence[0].EffectiveEchoTime = 4.7


def edit_contour(ds):
    ds.ROIContourSequence[10].ContourSequence[60].ContourNumber = 9999


IMPLICIT = "1.2.840.10008.1.2"


def made_ours():
    return DataSet.from_keywords(**MATCH)


def made_pydicom():
    ds = pydicom.Dataset()
    for keyword, value in MATCH.items():
        setattr(ds, keyword, value)
    return ds


def encoded_pydicom(ds):
    out = DicomBytesIO()
    out.is_little_endian = out.is_implicit_VR = True
    write_dataset(out, ds)
    return out.getvalue()


def make_ours(paths):
    return [made_ours for _ in paths]


def make_pydicom(paths):
    return [made_pydicom for _ in paths]


def encode_ours(paths):
    loaded = _loaded(paths, lambda _: made_ours())
    return [lambda ds=ds: ds.to_bytes(IMPLICIT) for ds in loaded]


def encode_pydicom(paths):
    loaded = _loaded(paths, lambda _: made_pydicom())
    return [lambda ds=ds: encoded_pydicom(ds) for ds in loaded]


def match_ours(paths):
    return [lambda: made_ours().to_bytes(IMPLICIT) for _ in paths]


def match_pydicom(paths):
    return [lambda: encoded_pydicom(made_pydicom()) for _ in paths]


def peak_bytes(read):
    """The most memory that Python objects took at a time while something was read and kept."""
    gc.collect()
    tracemalloc.start()
    kept = read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return peak


def touched_ours(path):
    ds = read_file(path)
    for _, element in ds.walk():
        element.value  # noqa: B018
    return ds


def touched_pydicom(path):
    ds = pydicom.dcmread(path)
    for element in ds.iterall():
        element.value  # noqa: B018
    return ds


def report_memory(inputs):
    print(f"\n{'peak memory, MB':38}{'ours':>10} {'pydicom':>10}")
    for name, read, judge in (
        ("read", read_file, pydicom.dcmread),
        ("read, every value touched", touched_ours, touched_pydicom),
    ):
        for which in ("mr", "rt"):
            path = inputs[which][0]
            ours, peer = (peak_bytes(lambda f=f: f(path)) for f in (read, judge))  # noqa: B023
            print(f"{name + ', ' + which:38}{ours / 1e6:10.2f} {peer / 1e6:10.2f}", flush=True)


def write_multi_frame(path, frames=600):
    """A file of `frames` times 512 KB; on disk it is a hole, so that it takes no room."""
    with path.open("wb") as out:
        ds = ct(1)
        ds.NumberOfFrames = frames
        del ds.PixelData
        write_file(out, ds)
        out.write(pack("<HH2s2xI", 0x7FE0, 0x0010, b"OW", frames * FRAME_LENGTH))
        out.truncate(out.tell() + frames * FRAME_LENGTH)


def pages_touched(path, number):
    """The bytes of a file that a new process has in memory after it took one frame."""
    code = (
        "import sys; from dicom_actors.data import read_file;"
        f"ds = read_file(sys.argv[1], mapped=True); bytes(ds.frames()[{number}]);"
        "maps = open('/proc/self/smaps').read().partition(sys.argv[1])[2];"
        "print(int(maps.partition('Rss:')[2].split()[0]) * 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def report_one_frame(folder, rounds):
    path = folder / "multi_frame.dcm"
    write_multi_frame(path)

    def ours():
        bytes(read_file(path, mapped=True).frames()[299])

    def peer():
        ds = pydicom.dcmread(path, defer_size=1 << 20)
        start = 299 * FRAME_LENGTH
        ds.PixelData[start : start + FRAME_LENGTH]

    def sdl():
        dicomsdl.open(str(path)).getDataElement("PixelData").value()

    print(f"\none frame of a file of {path.stat().st_size / 1e6:.0f} MB")
    runs = [ours, peer] + ([sdl] if dicomsdl is not None else [])
    report("opened and one frame taken", measure(runs, min(rounds, 3)), 1, 1)
    if sys.platform == "linux":
        print(f"  of the file in memory after that: {pages_touched(path, 299) / 1e6:.2f} MB")


READS = {
    "12 keywords of each CT": (select_ours, select_pydicom, select_dicomsdl, "ct", (16, 28)),
    "header of each CT": (header_ours, header_pydicom, header_dicomsdl, "ct", (9, 25)),
    "touch every value, CT": (touch_ours, touch_pydicom, touch_dicomsdl, "ct", (6, 12)),
    "touch every value, MR": (touch_ours, touch_pydicom, touch_dicomsdl, "mr", (6.6, 12)),
    "same, by values(), MR": (touch_values_ours, touch_pydicom, touch_dicomsdl, "mr", (6.6, 12)),
    "touch every value, RTSTRUCT": (touch_ours, touch_pydicom, touch_dicomsdl, "rt", (9.4, 20)),
    "same, by values(), RTSTRUCT": (
        touch_values_ours,
        touch_pydicom,
        touch_dicomsdl,
        "rt",
        (9.4, 20),
    ),
    "lazy read, MR": (lazy_ours, lazy_pydicom, lazy_dicomsdl, "mr", (1, 1)),
    "lazy read, RTSTRUCT": (lazy_ours, lazy_pydicom, lazy_dicomsdl, "rt", (1, 1)),
}
WRITES = {
    "write CT as read": (write_ours, write_pydicom, write_dicomsdl, "ct", 12),
    "write MR as read": (write_ours, write_pydicom, write_dicomsdl, "mr, again", 10),
    "bytes of MR copied, no writer": (write_bound, write_pydicom, None, "mr, again", 10),
    "write CT, touched": (*rewriting(edit_nothing), None, "ct", 40),
    "write MR, touched": (*rewriting(edit_nothing), None, "mr", 70),
    "write RTSTRUCT, touched": (*rewriting(edit_nothing), None, "rt", 60),
    "write CT, touched and edited": (*rewriting(edit_patient), None, "ct", 12),
    "write MR, touched and edited": (*rewriting(edit_patient), None, "mr", 10),
    "write MR, one item edited": (*rewriting(edit_frame), None, "mr", 30),
    "write RTSTRUCT, one item edited": (*rewriting(edit_contour), None, "rt", 30),
    "match of C-FIND made": (make_ours, make_pydicom, None, "ct", 8),
    "match of C-FIND encoded": (encode_ours, encode_pydicom, None, "ct", 10),
    "match of C-FIND, both": (match_ours, match_pydicom, None, "ct", 10),
}


def measure(candidates, rounds):
    """The best time of each candidate in seconds; they take turns."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for number, run in enumerate(candidates):
            start = time.process_time()
            run()
            best[number] = min(best[number], time.process_time() - start)
    return best


def report(name, best, goal, count):
    ours, judge, *rest = best
    sdl = f"{rest[0] / count * 1e3:10.3f} {judge / rest[0]:7.1f}x" if rest else ""
    print(
        f"{name:38}{ours / count * 1e3:10.3f} {judge / count * 1e3:10.3f}"
        f" {judge / ours:7.1f}x (goal {goal}x) {sdl}",
        flush=True,
    )


def report_both(name, runs, rounds, goals, count):
    """Report reading without and with the compiled scan."""
    ours, *others = runs
    ways = (False, True) if native.IS_BUILT else (False,)

    def in_one_way(is_on):
        native.switch(is_on=is_on)
        ours()

    best = measure([*(lambda is_on=is_on: in_one_way(is_on) for is_on in ways), *others], rounds)
    rest = best[len(ways) :]
    for is_on, goal in zip(ways, goals, strict=False):
        label = f"{name}, compiled" if is_on else name
        report(label, [best[is_on], *(rest[:1] if is_on else rest)], goal, count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100, help="CT files to read")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of a line's name")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, arguments.files)
        inputs = {
            "ct": sorted((folder / "ct").iterdir()),
            "mr": [folder / "mr.dcm"],
            # What takes a fraction of a millisecond is done several times.
            "mr, again": [folder / "mr.dcm"] * 10,
            "rt": [folder / "rtstruct.dcm"],
        }
        print(f"{'milliseconds for each file':38}{'ours':>10} {'pydicom':>10}{'':24}dicomsdl")
        for line, (*functions, which, goal) in READS.items():
            if arguments.only in line:
                paths = inputs[which]
                runs = [lambda f=f, p=paths: f(p) for f in _present(functions)]
                report_both(line, runs, arguments.rounds, goal, len(paths))
        for line, (*functions, which, goal) in WRITES.items():
            if arguments.only in line:
                paths = inputs[which][:20]
                prepared = [function(paths) for function in _present(functions)]
                runs = [lambda w=w: [run() for run in w] for w in prepared]
                report(line, measure(runs, arguments.rounds), goal, len(paths))
        if arguments.only in "peak memory":
            report_memory(inputs)
        if arguments.only in "one frame":
            report_one_frame(folder, arguments.rounds)


def _present(functions):
    ours, judge, sdl = functions
    return [ours, judge] + ([sdl] if sdl is not None and dicomsdl is not None else [])


if __name__ == "__main__":
    main()
