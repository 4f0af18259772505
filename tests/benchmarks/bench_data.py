"""How fast data sets are read and written, against pydicom and, where installed, dicomsdl.

Run it with ``python tests/benchmarks/bench_data.py``; ``--files N`` sets the number of CT files.
The candidates take turns in every round, and the best round of each counts, so that another
load on the machine meets all alike. Printed are milliseconds and ratios to pydicom.
``pip install dicomsdl==0.109.4`` for the third column.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from pathlib import Path

import pydicom

sys.path.insert(0, str(Path(__file__).parent))
from data_inputs import write_inputs

from dicom_actors.data import read_file, write_file

try:
    import dicomsdl
except ImportError:
    dicomsdl = None

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


def write_dicomsdl(paths):
    loaded = _loaded(paths, lambda path: dicomsdl.open(str(path)))
    return [ds.saveToMemory for ds in loaded]


def rewrite_ours(paths):
    loaded = _loaded(paths, read_file)
    for ds in loaded:
        for _, element in ds.walk():
            element.value  # noqa: B018
        ds.PatientID = "NEW"
    return [lambda ds=ds: write_file(io.BytesIO(), ds) for ds in loaded]


def rewrite_pydicom(paths):
    loaded = _loaded(paths, pydicom.dcmread)
    for ds in loaded:
        for element in ds.iterall():
            element.value  # noqa: B018
        ds.PatientID = "NEW"
    return [lambda ds=ds: ds.save_as(io.BytesIO()) for ds in loaded]


def build_ours(paths):
    built = []
    for ds in _loaded(paths, read_file):
        new = type(ds)()
        new.merge(ds.copy())
        for item_holder in (new,):
            item_holder.file_meta = ds.file_meta
        built.append(new)
    return [lambda ds=ds: write_file(io.BytesIO(), ds) for ds in built]


READS = {
    "12 keywords of each CT": (select_ours, select_pydicom, select_dicomsdl, "ct", 20),
    "header of each CT": (header_ours, header_pydicom, header_dicomsdl, "ct", 15),
    "touch every value, CT": (touch_ours, touch_pydicom, touch_dicomsdl, "ct", 6),
    "touch every value, MR": (touch_ours, touch_pydicom, touch_dicomsdl, "mr", 9),
    "same, by values(), MR": (touch_values_ours, touch_pydicom, touch_dicomsdl, "mr", 9),
    "touch every value, RTSTRUCT": (touch_ours, touch_pydicom, touch_dicomsdl, "rt", 9),
    "lazy read, MR": (lazy_ours, lazy_pydicom, lazy_dicomsdl, "mr", 1),
    "lazy read, RTSTRUCT": (lazy_ours, lazy_pydicom, lazy_dicomsdl, "rt", 1),
}
WRITES = {
    "write CT as read": (write_ours, write_pydicom, write_dicomsdl, "ct", 12),
    "write MR as read": (write_ours, write_pydicom, write_dicomsdl, "mr", 10),
    "write CT, touched and edited": (rewrite_ours, rewrite_pydicom, None, "ct", 12),
    "write MR, touched and edited": (rewrite_ours, rewrite_pydicom, None, "mr", 10),
}


def measure(candidates, rounds):
    """The best time of each candidate in seconds; they take turns."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for number, run in enumerate(candidates):
            start = time.perf_counter()
            run()
            best[number] = min(best[number], time.perf_counter() - start)
    return best


def report(name, best, goal, count):
    ours, judge, *rest = best
    sdl = f"{rest[0] / count * 1e3:10.3f} {judge / rest[0]:7.1f}x" if rest else ""
    print(
        f"{name:32}{ours / count * 1e3:10.3f} {judge / count * 1e3:10.3f}"
        f" {judge / ours:7.1f}x (goal {goal}x) {sdl}",
        flush=True,
    )


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
            "rt": [folder / "rtstruct.dcm"],
        }
        print(f"{'milliseconds for each file':32}{'ours':>10} {'pydicom':>10}{'':24}dicomsdl")
        for line, (*functions, which, goal) in READS.items():
            if arguments.only in line:
                paths = inputs[which]
                runs = [lambda f=f, p=paths: f(p) for f in _present(functions)]
                report(line, measure(runs, arguments.rounds), goal, len(paths))
        for line, (*functions, which, goal) in WRITES.items():
            if arguments.only in line:
                paths = inputs[which][:20]
                prepared = [function(paths) for function in _present(functions)]
                runs = [lambda w=w: [run() for run in w] for w in prepared]
                report(line, measure(runs, arguments.rounds), goal, len(paths))


def _present(functions):
    ours, judge, sdl = functions
    return [ours, judge] + ([sdl] if sdl is not None and dicomsdl is not None else [])


if __name__ == "__main__":
    main()
