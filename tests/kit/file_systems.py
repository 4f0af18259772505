"""Real file systems that are full, read-only or somewhere else, as far as this user may make them.

Root mounts a small one; anybody else takes what limits and permissions can do.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = 256 * 1024
"""Bytes of `small_disk`."""


class Disk:
    """A folder on a file system of its own, if that can be.

    Attributes:
        folder: where it is.
        is_mounted: whether it is one of its own; if not, no disk has room while it is `full`.
    """

    def __init__(self, folder: Path, *, is_mounted: bool) -> None:
        self.folder = folder
        self.is_mounted = is_mounted

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave no room on it for the length of the block."""
        if not self.is_mounted:
            with limited(resource.RLIMIT_FSIZE, 0):
                yield
            return
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield
        ballast.unlink()

    @contextlib.contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written to it for the length of the block."""
        if self.is_mounted:
            self._remount("ro")
            yield
            self._remount("rw")
        else:
            folders = [self.folder, *(p for p in self.folder.rglob("*") if p.is_dir())]
            for folder in folders:
                folder.chmod(0o500)
            yield
            for folder in folders:
                folder.chmod(0o700)

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.folder)], check=True)


@contextlib.contextmanager
def small_disk(size: int = SMALL) -> Iterator[Disk]:
    """A disk of so many bytes, for root; a mere folder for anybody else."""
    with tempfile.TemporaryDirectory() as name:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", name]
        is_mounted = os.geteuid() == 0 and (
            subprocess.run(command, capture_output=True, check=False).returncode == 0
        )
        try:
            yield Disk(Path(name), is_mounted=is_mounted)
        finally:
            if is_mounted:
                subprocess.run(["umount", "-l", name], check=True)


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing be written to a folder that nobody is writing to, whoever we are."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        yield
        folder.chmod(0o700)
        return
    subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def other_file_system(than: Path) -> Iterator[Path]:
    """A folder on another file system than that of `than`."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert os.stat(name).st_dev != than.stat().st_dev
        yield Path(name)


@contextlib.contextmanager
def limited(kind: int, value: int) -> Iterator[None]:
    """Lower a limit of this process for the length of the block."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def lowest_free_descriptor() -> int:
    """The number that the next open file would have."""
    number = os.dup(0)
    os.close(number)
    return number
