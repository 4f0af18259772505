"""After `preload` nothing is read from the package's files, nor Python's, any more."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import dicom_actors

PACKAGE = Path(dicom_actors.__file__).parent
# Loaded by who uses coroutines, TLS, metrics, other processes, buckets, NATS, PostgreSQL, pixels or
# pydicom, before it begins.
BY_OTHERS = {
    *("asyncio", "resource", "concurrent", "multiprocessing", "pydicom", "obstore", "nats"),
    *("dicom_actors.tls", "dicom_actors.transport.tls", "dicom_actors.metrics.exposition"),
    *("dicom_actors.archive.index.postgresql", "dicom_actors.pixels"),
    *("dicom_actors.processes.handed_over", "dicom_actors.pixels.transcoding"),
}
# What `codec_process` imports late is there as soon as one was made, or belongs to its child.
NOT_OF_AN_ENDPOINT = {"cli", "testing", "scu", "codec_process.py"}

LOADED = """
import sys
from dicom_actors import Endpoint
from dicom_actors.data.forms.preloading import preload
preload()
print("\\n".join(sys.modules))
"""


def imports_inside_functions() -> dict[str, str]:
    """What the modules of an endpoint import in functions, and where."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in NOT_OF_AN_ENDPOINT:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.ImportFrom) and node.module is not None:
                    found[node.module] = str(path)
                elif isinstance(node, ast.Import):
                    found |= {alias.name: str(path) for alias in node.names}
    return found


def test_all_that_is_imported_where_it_is_needed_is_loaded() -> None:
    run = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    wanted = imports_inside_functions()
    assert "dicom_actors.data.dataset.checks" in wanted
    missing = {
        name: where
        for name, where in wanted.items()
        if name not in loaded and not {name, name.partition(".")[0]} & BY_OTHERS
    }
    assert missing == {}


WORKING = """
import sys
from dicom_actors.data import DataSet, TransferSyntax, uid_name
from dicom_actors.data.values.character_sets import SETS
from dicom_actors.data.forms.preloading import preload
preload()
opened = []
def audit(event, arguments):
    if event in {"open", "import"}:
        opened.append((event, *arguments[:1]))
sys.addaudithook(audit)
sets = [f"ISO_IR {number}" for number in SETS] + ["ISO_IR 192", "GB18030", "GBK", "ISO_IR 6"]
for name in sets:
    data_set = DataSet.from_keywords(SpecificCharacterSet=name, PatientName="A^B")
    data_set.put(0x00091001, "UN", b"1")
    data_set.put(0x00090010, "LO", "ACME 1.1")
    data = data_set.to_bytes("1.2.840.10008.1.2.1") + b"\\x10\\0\\x20\\0LO\\x04\\0\\xe4\\x1b$B"
    for syntax in TransferSyntax.all_known():
        if syntax.is_data_set_encoding and not syntax.is_deflated:
            found = DataSet.from_bytes(data, syntax.uid, keep_truncated=True)
            found.get("PatientID")
    print(str(found)[:10], found.to_json()[:1], found.check()[:1], uid_name("1.2"))
    DataSet.from_bytes(data_set.to_bytes("1.2.840.10008.1.2.1.99"), "1.2.840.10008.1.2.1.99")
for call in (
    lambda: data_set.NoSuchKeyword,
    lambda: data_set.value_for("PatientNam"),
    lambda: DataSet.from_bytes(b"x" * 20, "1.2.840.10008.1.2.1"),
):
    try:
        call()
    except Exception as error:
        str(error)
assert opened == [], opened
"""


def test_reading_printing_and_encoding_open_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WORKING], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
