"""A journal of what is stored, so that the same work goes on where it ended.

A text file: the peer in the first line, then one line of JSON for each object that the peer has.
An object is the same one if it has the same SOP Instance UID, and a file if it has the same path,
length and time of change as well. A line is written when the peer has answered, so that an object
whose line is missing, or cut off by a crash, is only sent once more.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Self

from dicom_actors.errors import ConfigurationError
from dicom_actors.storage.results import STORED_BEFORE, StoreResult

if TYPE_CHECKING:
    from types import TracebackType

    from dicom_actors.storage.outgoing import OutgoingObject

__all__ = ["Journal"]


class _Key(NamedTuple):
    """What makes an object the same one; the last three are None for what is no file."""

    sop_instance_uid: str
    path: str | None = None
    length: int | None = None
    changed: int | None = None


class Journal:
    """Reads what is stored already, and notes what is stored.

    Args:
        path: the file; it need not be there yet.
        peer: who has the objects, in words.

    Raises:
        ConfigurationError: the file is no journal, or that of another peer.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str], peer: str) -> None:
        self._path = Path(path)
        self._statuses: dict[_Key, int] = {}
        self._keys: dict[str, _Key] = {}
        # What is no text is no journal either, and is told so by its first line.
        exists = self._path.exists()
        text = self._path.read_text(encoding="utf-8", errors="replace") if exists else ""
        self._read(text, peer)
        self._file: IO[str] = self._path.open("a", encoding="utf-8")
        if not text:
            self._write({"journal": "dicom-actors store", "peer": peer})
        elif not text.endswith("\n"):
            self._file.write("\n")  # behind a line that was cut off

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """How many objects are stored."""
        return len(self._statuses)

    def look_up(self, found: OutgoingObject) -> OutgoingObject | StoreResult:
        """Give the result of an object that is stored already; any other as it is."""
        key = _key_of(found)
        status = self._statuses.get(key)
        if status is not None:
            comment = f"{STORED_BEFORE}, as {self._path} says"
            return StoreResult(status, found.sop_instance_uid, found.source, comment)
        if key.path is not None:
            # As it was when it was looked at: it may change while it is sent.
            self._keys[str(found.source)] = key
        return found

    def add(self, result: StoreResult) -> None:
        """Note a result, if the peer has the object and it is not noted yet."""
        key = None
        if isinstance(result.source, str | os.PathLike):
            key = self._keys.pop(str(result.source), None)
        elif result.sop_instance_uid:
            key = _Key(result.sop_instance_uid)
        if key is None or not result or key in self._statuses:
            return
        assert result.status is not None
        self._statuses[key] = result.status
        self._write({**key._asdict(), "status": result.status})

    def _read(self, text: str, peer: str) -> None:
        first, *lines = text.splitlines() or [""]
        if text:
            heading = _decoded(first)
            if heading.get("journal") != "dicom-actors store":
                raise ConfigurationError(
                    f"{self._path}: expected a journal of store, got other text"
                )
            if heading.get("peer") != peer:
                raise ConfigurationError(
                    f"{self._path}: it is the journal of {heading.get('peer')}, not of {peer}"
                )
        for line in lines:
            entry = _decoded(line)
            status = entry.pop("status", None)
            if isinstance(status, int) and entry.keys() == set(_Key._fields):
                self._statuses[_Key(**entry)] = status

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(f"{json.dumps(entry)}\n")
        self._file.flush()


def _decoded(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _key_of(found: OutgoingObject) -> _Key:
    source = found.source
    if not isinstance(source, str | os.PathLike):
        return _Key(found.sop_instance_uid)
    path = Path(source).absolute()
    try:
        state = path.stat()
    except OSError:
        return _Key(found.sop_instance_uid, str(path))
    return _Key(found.sop_instance_uid, str(path), state.st_size, state.st_mtime_ns)
