"""Commands as another user, who is nobody in particular: what the system keeps from others."""

from __future__ import annotations

import subprocess
import sys

LIMIT = 60.0
"""Seconds that a command may take before the test fails."""

NOBODY = 65534

BECOME = f"""
import contextlib, importlib.readers, importlib.resources, os, pkgutil, sqlite3
import concurrent.futures.thread, encodings.idna, dicom_actors
# Whoever installed this may keep it to himself: what is needed is loaded before.
for name in ("actors", "archive", "data", "flow", "metrics", "scu", "supervision", "cli.serve"):
    package = importlib.import_module("dicom_actors." + name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), package.__name__ + "."):
        importlib.import_module(module.name)
for name in ("archive_tools", "control", "main", "serve_archive", "watching"):
    importlib.import_module("dicom_actors.cli." + name)
importlib.import_module("dicom_actors.data.forms.preloading").preload()
os.environ["HOME"] = "/"
with contextlib.redirect_stdout(None):
    importlib.import_module("dicom_actors.cli.main").main(["serve", "--check-config"])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""
"""Python that makes the process that of a user who may not do everything, as root may."""


def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``dicom-actors`` as another user, to its end."""
    program = f"{BECOME}\nfrom dicom_actors.cli.main import main\nraise SystemExit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )
