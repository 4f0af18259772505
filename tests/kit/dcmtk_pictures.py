"""Pictures made by DCMTK."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["picture_by_dcmtk"]

_PROGRAMS = {"JPEG-LS": "dcml2pnm", "": "dcm2pnm", "RLE (PackBits)": "dcm2pnm"}


def picture_by_dcmtk(path: Path, codec: str, folder: Path, *options: str) -> np.ndarray | str:
    """Return the first frame of a file as DCMTK shows it, or why it does not."""
    program = _PROGRAMS.get(codec, "dcmj2pnm" if codec.startswith("JPEG") else "dcm2pnm")
    target = folder / "judged.png"
    target.unlink(missing_ok=True)
    done = subprocess.run(
        [program, "--write-png", *options, str(path), str(target)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )
    if done.returncode or not target.exists():
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no picture"
    with Image.open(target) as picture:
        return np.asarray(picture)
