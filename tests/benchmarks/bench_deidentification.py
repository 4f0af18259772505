"""De-identification of CT files, ours beside dicognito, dicom-anonymizer and deid.

    pip install dicognito dicom-anonymizer deid
    python tests/benchmarks/bench_deidentification.py [--files 200]

Those that are not installed are left out. Each reads a file, cleans it and writes it, one core,
ten files of a series in a row by turns, no two files alike; the best and the median of the rounds
are given, as milliseconds of processor time a file and as a ratio to ours. Then what each leaves
behind, as our verifier finds it in the results for a file with identifiers planted in odd places;
and how many files a second the command does on all cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

from pydicom.data import get_testdata_file

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.deidentification import Deidentifier, Verifier

Cleaner = Callable[[Path, Path], None]
BATCH = 10


def ours() -> Cleaner:
    deidentifier = Deidentifier(salt=b"a key for this run only")

    def clean(source: Path, target: Path) -> None:
        target.write_bytes(b"".join(deidentifier.clean_file(read_file(source)).pieces))

    return clean


def dicognito() -> Cleaner:
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    anonymizer = Anonymizer()

    def clean(source: Path, target: Path) -> None:
        data_set = dcmread(source)
        anonymizer.anonymize(data_set)
        data_set.save_as(target)

    return clean


def dicom_anonymizer() -> Cleaner:
    from dicomanonymizer import anonymize_dicom_file

    return lambda source, target: anonymize_dicom_file(str(source), str(target))


def deid() -> Cleaner:
    from deid.config import DeidRecipe
    from deid.dicom import get_identifiers, replace_identifiers

    recipe = DeidRecipe()

    def clean(source: Path, target: Path) -> None:
        files = [str(source)]
        (cleaned,) = replace_identifiers(
            dicom_files=files, deid=recipe, ids=get_identifiers(files), save=False
        )
        cleaned.save_as(target)

    return clean


def cleaners() -> dict[str, Cleaner]:
    found = {}
    for make in (ours, dicognito, dicom_anonymizer, deid):
        name = make.__name__.replace("_", "-")
        try:
            found[name] = make()
        except ImportError as error:
            print(f"{name} is not here: {error}")
    return found


def series(folder: Path, files: int) -> list[Path]:
    """Make CTs of a series: what differs from one to the next does, pixels too."""
    folder.mkdir()
    data_set = read_file(str(get_testdata_file("CT_small.dcm")))
    pixels = bytes(data_set.PixelData)
    made = []
    for number in range(files):
        data_set.SOPInstanceUID = f"1.2.3.4.5.{number + 1}"
        data_set.InstanceNumber = number + 1
        data_set.ContentTime = f"{100000 + number}"
        data_set.SliceLocation = f"{number * 1.25:.3f}"
        data_set.ImagePositionPatient = ["-158.1", "-179.0", f"{number * 1.25:.3f}"]
        data_set.PixelData = pixels[2 * number :] + pixels[: 2 * number]
        made.append(folder / f"{number}.dcm")
        write_file(made[-1], data_set)
    return made


def planted(folder: Path) -> Path:
    """A CT with identifiers in odd places."""
    data_set = read_file(str(get_testdata_file("CT_small.dcm")))
    data_set.PatientName, data_set.PatientID = "Quxworth^Zelda", "MRN-774411"
    data_set.PatientBirthDate = "19570314"
    data_set.ImageComments = "Zelda Quxworth, born 14.03.1957"
    data_set.ProtocolName = "Quxworth head"
    data_set.ReferencedStudySequence = [{"PatientName": "Quxworth^Zelda", "StudyDate": "20040119"}]
    data_set.RequestAttributesSequence = [{"ScheduledProcedureStepDescription": "MRN-774411"}]
    data_set.put(0x60004000, "LT", "Quxworth")
    data_set.put(0x00110010, "LO", "ACME 1.1")
    data_set.put(0x00111001, "OB", b"\x01\x02Quxworth\x03")
    data_set.put(0x00111002, "UN", b"MRN-774411")
    data_set.put(0x00111003, "SQ", [DataSet.from_keywords(PatientID="MRN-774411")])
    path = folder / "planted.dcm"
    write_file(path, data_set, preamble=b"Quxworth".ljust(128, b"\0"))
    return path


@contextlib.contextmanager
def quiet():
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        compare(folder, options.rounds)
        all_cores(folder, options.files)
    finally:
        shutil.rmtree(folder)


def compare(folder: Path, rounds: int) -> None:
    sources = series(folder / "series", BATCH * (rounds + 1))
    found = cleaners()
    times: dict[str, list[float]] = {name: [] for name in found}
    with quiet():
        for number in range(rounds + 1):
            for name, clean in found.items():
                start = time.process_time()
                for at in range(BATCH):
                    clean(sources[BATCH * number + at], folder / f"{at}.dcm")
                if number:  # the first one reads tables
                    times[name].append((time.process_time() - start) / BATCH)
    best = min(times["ours"])
    middle = statistics.median(times["ours"])
    print(f"{'a CT of 39 KB, one core':<28}{'best ms':>9}{'median':>9}{'ratio':>8}{'median':>8}")
    for name, taken in times.items():
        low, mid = min(taken), statistics.median(taken)
        print(f"{name:<28}{low * 1e3:9.2f}{mid * 1e3:9.2f}{low / best:8.1f}{mid / middle:8.1f}")
    dirty = planted(folder)
    verifier = Verifier()
    verifier.learn(dirty.read_bytes())
    print("\nleft behind, as the verifier finds it:")
    for name, clean in found.items():
        target = folder / "clean.dcm"
        target.unlink(missing_ok=True)
        with quiet():
            clean(dirty, target)
        left = verifier.search(target.read_bytes())
        print(f"{name}: {len(left)}")
        for finding in left:
            print(f"    {finding}")


def all_cores(folder: Path, files: int) -> None:
    source = folder / "many"
    series(source, files)
    words = ["deidentify", str(source), "-o", str(folder / "result"), "--report", os.devnull]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dicom_actors", *words], check=True, capture_output=True)
    taken = time.perf_counter() - start
    print(
        f"\nthe command, {os.cpu_count()} cores: {files / taken:.0f} files a second, start and all"
    )


if __name__ == "__main__":
    main()
