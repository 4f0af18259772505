"""The compiled scan: the same as the loops in Python, and never a byte beyond what it was given."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from struct import pack

import pytest
from kit.mutations import mutated, seeds
from kit.native import IS_BUILT, switched

from dicom_actors.data import read_file
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.scan import elements, native
from dicom_actors.data.scan.layout import EXPLICIT, ITEM
from dicom_actors.errors import DicomError

SOURCE = Path(native.__file__).with_name("_native.c")
INPUTS = Path(__file__).with_name("native_inputs.py")

built = pytest.mark.skipif(not IS_BUILT, reason="the package was installed without a compiler")


@built
def test_the_vrs_are_those_of_the_dictionary():
    assert native.index_usual is not None
    for code in range(1 << 16):
        data = pack("<HHHHI", 8, 8, code, 0, 0)
        pos, _ = native.index_usual(data, {}, 0, 12, -1, ITEM, True)
        expected = 8 if code in EXPLICIT.short else 12 if code in EXPLICIT.long else 0
        assert pos - (4 if expected == 8 and pos == 12 else 0) == expected, EXPLICIT.names.get(code)


@built
def test_it_is_used_and_can_be_left_out():
    data = pack("<HHHH", 0x10, 0x20, int.from_bytes(b"LO", "little"), 2) + b"AB"
    data = (
        bytes(128) + b"DICM" + pack("<HH2sH", 2, 0x10, b"UI", 20) + b"1.2.840.10008.1.2.1\0" + data
    )
    calls = []
    with switched(to=True):
        found = elements.index_usual
        assert found is native.index_usual

        def noted(*arguments):
            calls.append(arguments)
            return found(*arguments)

        elements.index_usual = noted
        assert read_file(data).PatientID == "AB"
    assert len(calls) == 1
    with switched(to=False):
        assert elements.index_usual is None
        assert read_file(data).PatientID == "AB"
    assert len(calls) == 1


@built
@pytest.mark.parametrize(
    "arguments",
    [
        (b"12345678", {}, -1, 8, -1, ITEM, True),
        ("text", {}, 0, 8, -1, ITEM, True),
        (b"12345678", [], 0, 8, -1, ITEM, True),
        (b"12345678",),
    ],
)
def test_wrong_arguments_are_an_error(arguments):
    assert native.index_usual is not None
    with pytest.raises((TypeError, ValueError)):
        native.index_usual(*arguments)


@built
def test_the_end_is_that_of_the_buffer_at_most():
    data = pack("<HH2sH", 8, 8, b"LO", 2) + b"AB" + pack("<HH2sH", 9, 8, b"OB", 0)
    index: dict[int, int] = {}
    assert native.index_usual(data, index, 0, 1 << 40, -1, ITEM, True) == (10, 0x00080008)
    assert index == {0x00080008: 0}
    assert native.index_usual(data, index, 1 << 40, 1 << 41, -1, ITEM, True) == (1 << 40, -1)


@pytest.mark.parametrize("seed", range(40))
def test_files_cut_short_anywhere_are_the_same(seed):
    draw = random.Random(seed)
    files = seeds()
    data = mutated(draw, draw.choice(files), files)
    for length in sorted(draw.randrange(len(data)) for _ in range(20)):
        found = []
        for to in (False, True):
            with switched(to=to):
                try:
                    ds = read_file(data[:length], keep_truncated=True)
                    found.append((dict(content_of(ds).index), [*map(str, ds.warnings)]))
                except DicomError as error:
                    found.append(str(error))
        assert found[0] == found[1]


@built
def test_it_reads_no_byte_behind_its_input():
    """What is behind is a page that must not be read: the process would end."""
    done = subprocess.run(
        [sys.executable, INPUTS, "guard"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@built
def test_under_the_address_sanitizer(tmp_path):
    compiler = shutil.which("cc")
    assert compiler is not None
    target = tmp_path / "_native.abi3.so"
    flags = ["-g", "-O1", "-fPIC", "-shared", "-fsanitize=address,undefined"]
    flags += ["-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"]
    include = sysconfig.get_path("include")
    subprocess.run([compiler, *flags, "-I", include, SOURCE, "-o", target], check=True, timeout=60)
    library = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    done = subprocess.run(
        [sys.executable, INPUTS, "heap", target],
        env={"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
