"""A disk that forgets what was not synchronized when its power is cut.

Files and folders have what is seen now, and what is safe. A file's bytes become safe by its own
synchronization, a name, or that it is gone, by that of its folder. At a cut all else is lost; or,
by a seed, some of it is not: a system may write what it likes at any time, in any order, so that
a name may be safe before the bytes are, which are zeros then.

Each call that changes or synchronizes anything is a step with a label, and the power can be cut
before any step. A synchronization can be left out by its label, as a bug would.
"""

from __future__ import annotations

import copy
import errno
import os
import random
import re
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from dicom_actors.archive.files.file_system import FileStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager


_LOWER = frozenset({"synchronize_all", "synchronize_folder", "synchronize", "write"})
"""Who is passed over when a synchronization is named after who asked for it."""


class PowerCut(BaseException):
    """The machine is off: whatever touches the disk raises this from now on."""


class _File:
    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)
        self.safe = bytes(data)


class _Folder:
    def __init__(self) -> None:
        self.entries: dict[str, _File | _Folder] = {}
        self.safe: dict[str, _File | _Folder] = {}


class ForgetfulDisk:
    """A `FileSystem` in memory.

    Attributes:
        steps: the labels of what was done, in order.
        cut_at: before which step the power is cut; None: never.
        left_out: synchronizations that are not done, by label.

    Args:
        is_synchronous: whether anything is synchronized; else it is the process alone that ends
            at a cut, and all that was written is there.
    """

    def __init__(self, *, is_synchronous: bool = True) -> None:
        self.is_synchronous = is_synchronous
        self.root = _Folder()
        self.steps: list[str] = []
        self.cut_at: int | None = None
        self.left_out: str | None = None
        self.is_off = False

    # --- the power ---------------------------------------------------------------------------

    def step(self, label: str) -> None:
        """Count a step; others than the disk may call it, too."""
        if self.is_off or self.cut_at == len(self.steps):
            self.is_off = True
            raise PowerCut(label)
        self.steps.append(label)

    def restart(self, seed: int | None = None) -> ForgetfulDisk:
        """What is there when the power is back; with a seed, some more by chance."""
        disk = ForgetfulDisk(is_synchronous=self.is_synchronous)
        if not self.is_synchronous:
            disk.root = copy.deepcopy(self.root)
            return disk
        disk.root = _what_is_left(self.root, None if seed is None else random.Random(seed), {})
        disk.left_out = self.left_out
        return disk

    def _synchronizes(self, what: str) -> bool:
        frame = sys._getframe(2)
        while frame.f_back and frame.f_code.co_name in _LOWER:
            frame = frame.f_back
        label = f"{what} in {frame.f_code.co_qualname}"
        self.step(label)
        return label != self.left_out

    # --- names -------------------------------------------------------------------------------

    def _find(self, name: str) -> _File | _Folder | None:
        found: _File | _Folder | None = self.root
        for part in filter(None, name.split("/")):
            if not isinstance(found, _Folder):
                return None
            found = found.entries.get(part)
        return found

    def _folder(self, name: str) -> _Folder:
        found = self._find(name)
        if not isinstance(found, _Folder):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found

    def _file(self, name: str) -> _File:
        found = self._find(name)
        if not isinstance(found, _File):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found

    def _place(self, name: str) -> tuple[dict[str, _File | _Folder], str]:
        folder, _, leaf = name.rpartition("/")
        return self._folder(folder).entries, leaf

    def files(self) -> dict[str, bytes]:
        """All files, by their names."""
        found: dict[str, bytes] = {}
        rest: list[tuple[str, _Folder]] = [("", self.root)]
        while rest:
            above, folder = rest.pop()
            for leaf, entry in folder.entries.items():
                if isinstance(entry, _Folder):
                    rest.append((f"{above}{leaf}/", entry))
                else:
                    found[above + leaf] = bytes(entry.data)
        return found

    def put_unsafe(self, name: str, data: bytes) -> None:
        """Put a file there as somebody else would, who synchronizes nothing."""
        folder = self.root
        for part in name.split("/")[:-1]:
            folder = folder.entries.setdefault(part, _Folder())  # type: ignore[assignment]
        folder.entries[name.rpartition("/")[2]] = file = _File()
        file.data += data

    # --- the interface -----------------------------------------------------------------------

    def create(self, name: str) -> _OpenFile:
        self.step(f"create {kind_of(name)}")
        entries, leaf = self._place(name)
        if leaf in entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        entries[leaf] = file = _File()
        return _OpenFile(self, name, file)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> memoryview:
        if self.is_off:
            raise PowerCut(name)
        data = bytes(self._file(name).data)
        return memoryview(data[offset:] if length is None else data[offset : offset + length])

    def open(self, name: str, offset: int = 0, length: int | None = None, **_: Any) -> memoryview:
        return self.read(name, offset, length)

    def size(self, name: str) -> int | None:
        found = self._find(name)
        return len(found.data) if isinstance(found, _File) else None

    def file_status(self, name: str) -> FileStatus | None:
        file = self._find(name)
        if not isinstance(file, _File):
            return None
        rest, found = [self.root], 0
        while rest:
            for entry in rest.pop().entries.values():
                found += entry is file
                if isinstance(entry, _Folder):
                    rest.append(entry)
        return FileStatus(len(file.data), 0.0, found, (0, id(file)))

    def names(self, folder: str) -> list[str]:
        if self.is_off:
            raise PowerCut(folder)
        found = self._find(folder)
        return sorted(found.entries) if isinstance(found, _Folder) else []

    def is_taken(self, name: str) -> bool:
        return self._find(name) is not None

    def has_folder(self, name: str) -> bool:
        return isinstance(self._find(name), _Folder)

    def make_folder(self, name: str) -> None:
        folder = self.root
        for part in name.split("/"):
            if part not in folder.entries:
                self.step("make folder")
                folder.entries[part] = _Folder()
            found = folder.entries[part]
            if not isinstance(found, _Folder):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
            folder = found

    def link(self, name: str, new_name: str) -> bool:
        self.step(f"link {kind_of(new_name)}")
        file = self._file(name)
        entries, leaf = self._place(new_name)
        if leaf in entries:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)
        entries[leaf] = file
        return True

    def rename(self, name: str, new_name: str) -> None:
        self.step(f"rename to {kind_of(new_name)}")
        file = self._file(name)
        old, leaf = self._place(name)
        new, new_leaf = self._place(new_name)
        del old[leaf]
        new[new_leaf] = file

    def remove(self, name: str) -> None:
        self.step(f"remove {kind_of(name)}")
        if isinstance(self._find(name), _File):
            entries, leaf = self._place(name)
            del entries[leaf]

    def remove_folder(self, name: str) -> bool:
        found = self._find(name)
        if isinstance(found, _Folder):
            if found.entries:
                return False
            self.step("remove folder")
            entries, leaf = self._place(name)
            del entries[leaf]
        return True

    def synchronize_folder(self, name: str) -> None:
        if self._synchronizes(f"synchronize the folder {folder_kind_of(name)}"):
            folder = self._folder(name)
            folder.safe = dict(folder.entries)

    def synchronize_all(self, files: Iterable[str], folders: Iterable[str]) -> None:
        for name in files:
            if self._synchronizes(f"synchronize {kind_of(name)}"):
                file = self._file(name)
                file.safe = bytes(file.data)
        for name in folders:
            self.synchronize_folder(name)

    def free_bytes(self) -> int:
        return 1 << 40

    def total_bytes(self) -> int:
        return 1 << 41

    def held(self) -> AbstractContextManager[ForgetfulDisk]:
        return nullcontext(self)


class _OpenFile:
    def __init__(self, disk: ForgetfulDisk, name: str, file: _File) -> None:
        self._disk, self._file = disk, file
        self._kind = kind_of(name)

    @property
    def length(self) -> int:
        return len(self._file.data)

    def append(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        for part in parts:
            self._disk.step(f"write {self._kind}")
            self._file.data += part

    def cut(self, length: int) -> None:
        self._disk.step(f"cut {self._kind}")
        del self._file.data[length:]

    def synchronize(self) -> None:
        if self._disk._synchronizes(f"synchronize {self._kind}"):
            self._file.safe = bytes(self._file.data)

    def content(self) -> memoryview:
        return memoryview(bytes(self._file.data))

    def is_in_place(self) -> bool:
        return True

    def close(self) -> None:
        pass


def kind_of(name: str) -> str:
    """Say of what kind a file is, by its name."""
    if name.startswith("journal/"):
        return "a journal"
    if name.startswith("incoming/"):
        return f"an incoming {name.rpartition('.')[2]}"
    return "a placed file"


def folder_kind_of(name: str) -> str:
    """Say of what kind a folder is, by its name."""
    if not name:
        return "of the archive"
    if name in ("journal", "incoming"):
        return name
    return "of a series" if re.search("/", name) else "of a study"


def _what_is_left(
    folder: _Folder, chance: random.Random | None, done: dict[int, _File | _Folder]
) -> _Folder:
    left = _Folder()
    for name in {**folder.safe, **folder.entries}:
        safe, now = folder.safe.get(name), folder.entries.get(name)
        kept = now if safe is not now and chance is not None and chance.random() < 0.5 else safe
        if isinstance(kept, _Folder):
            again: _File | _Folder = _what_is_left(kept, chance, done)
        elif kept is not None:
            again = done.get(id(kept)) or _File(_bytes_left(kept, chance))
            done[id(kept)] = again
        else:
            continue
        left.entries[name] = left.safe[name] = again
    return left


def _bytes_left(file: _File, chance: random.Random | None) -> bytes:
    if chance is None or bytes(file.data) == file.safe:
        return file.safe
    fate = chance.randrange(4)
    if fate == 0:
        return file.safe
    if fate == 1:
        return bytes(file.data)
    length = chance.randint(len(file.safe), max(len(file.safe), len(file.data)))
    if fate == 2:
        return bytes(file.data[:length])
    # The length is safe, the bytes behind the safe ones are not.
    return file.safe + bytes(length - len(file.safe))
