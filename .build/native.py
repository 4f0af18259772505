"""Builds the compiled parts of the package, where there is a compiler.

`SOURCES` names them: a module, and the C file that it is made of. Another one is added there, and
falls back on Python in the same way: the code that imports it does without where it is missing, or
has another `REVISION`. Each is written for the limited API of CPython 3.11, so one build serves
every later version.

`DICOM_ACTORS_PURE=1` in the environment of the build leaves them out. So does the lack of a
compiler or of Python's headers: the package is complete without them, and no failure to compile
is a failure to install.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = {"dicom_actors/data/scan/_native": "dicom_actors/data/scan/_native.c"}
LIMIT = 120.0
"""Seconds that a compiler may take."""


class NativeBuildHook(BuildHookInterface[Any]):
    """Compiles into the wheel; for an editable install, beside the sources."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile what can be compiled, before a wheel is built."""
        is_editable = version == "editable"
        root = Path(self.root)
        self._folder = tempfile.TemporaryDirectory(prefix="dicom_actors_build_")
        made = {}
        for module, source in SOURCES.items():
            target = f"{module}.abi3.so"
            if is_editable:
                (root / target).unlink(missing_ok=True)
            built = Path(self._folder.name) / target.replace("/", ".")
            if self._compiles(root / source, built):
                if is_editable:
                    # Renamed into place: a process that has the old one goes on with it.
                    beside = (root / target).with_suffix(".new")
                    beside.write_bytes(built.read_bytes())
                    beside.replace(root / target)
                else:
                    made[str(built)] = target
        if made:
            build_data["force_include"].update(made)
            build_data["pure_python"] = False
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["tag"] = f"cp311-abi3-{platform}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave nothing behind."""
        self._folder.cleanup()

    def _compiles(self, source: Path, target: Path) -> bool:
        if os.environ.get("DICOM_ACTORS_PURE", "") not in {"", "0"}:
            return False
        if os.name != "posix" or sys.implementation.name != "cpython":
            return False
        compiler = shlex.split(os.environ.get("CC", "")) or ["cc"]
        shared = ["-shared"]
        if sys.platform == "darwin":
            shared = ["-bundle", "-undefined", "dynamic_lookup"]
        command = [
            *compiler,
            *("-O2", "-fPIC", "-fvisibility=hidden", *shared),
            *shlex.split(os.environ.get("CFLAGS", "")),
            *("-I", sysconfig.get_path("include"), str(source), "-o", str(target)),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            self.app.display_warning(f"{source.name} is left out: {said.strip()[-500:]}")
            return False
        return True
