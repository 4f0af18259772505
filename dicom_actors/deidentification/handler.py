"""A step in front of an endpoint's handlers: what they are given, or give, is de-identified.

This module knows nothing of endpoints: an event is whatever has a data set. So it fits before
any function that takes events, the archive's included.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import is_dataclass, replace
from functools import cached_property
from inspect import isasyncgenfunction, iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.data.dictionary import is_valid_uid
from dicom_actors.data.files.atomic_file import sync_directory
from dicom_actors.deidentification.deidentifier import Deidentifier
from dicom_actors.errors import HandlerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["DeidentifiedEvent", "deidentifying", "deidentifying_results"]


def deidentifying(
    store: Callable[[Any], Any], deidentifier: Deidentifier | None = None
) -> Callable[[Any], Any]:
    """Make a ``cstore`` handler that hands data sets on without what identifies the patient.

    Args:
        store: a handler, or a coroutine function that is one. Its event has the clean `dataset`,
            `sop_instance_uid` and `command`, and `save` writes the clean file. What the peer
            called the instance is not there.
        deidentifier: what cleans them; None: the basic profile with a key that nobody knows and
            that lasts as long as this handler.

    Returns:
        The handler. An object that cannot be cleaned raises `NotCleanError`, and so is refused.

    Raises:
        TypeError: `store` cannot be called.
    """
    if not callable(store):
        raise TypeError(f"expected a callable, got {type(store).__name__}")
    cleaner = deidentifier or Deidentifier(salt=os.urandom(32))
    if iscoroutinefunction(store):

        async def handle_later(event: Any) -> Any:
            return await store(DeidentifiedEvent(event, cleaner))

        return handle_later

    def handle(event: Any) -> Any:
        return store(DeidentifiedEvent(event, cleaner))

    return handle


def deidentifying_results(
    retrieve: Callable[[Any], Any], deidentifier: Deidentifier
) -> Callable[[Any], Any]:
    """Make a ``cget`` or ``cmove`` handler that hands out instances without the patient.

    Args:
        retrieve: a handler that returns instances (data sets, paths or files as bytes), with
            their number before them or not, one `MoveTo` or several, or a status. What the peer
            asks for are the UIDs and identifiers of the originals.
        deidentifier: what cleans the instances; where they are given out again, its key has to be
            the same one, so that UIDs are.

    Returns:
        The handler. Instances are cleaned one by one as they are sent. One that cannot be cleaned
        raises `NotCleanError`, and ends the retrieval with a failure: it is not sent.

    Raises:
        TypeError: `retrieve` cannot be called, or is a coroutine function or an async generator.
    """
    if not callable(retrieve) or iscoroutinefunction(retrieve) or isasyncgenfunction(retrieve):
        raise TypeError("expected a function that returns instances")

    def clean(instances: Iterable[Any]) -> Iterator[Any]:
        for instance in instances:
            if _is_move(instance):
                yield replace(instance, instances=counted(instance.instances))
                continue
            data_set = instance if isinstance(instance, DataSet) else read_file(instance)
            yield deidentifier.deidentify(data_set)

    def counted(instances: Any) -> Any:
        # Their number may stand before them.
        if isinstance(instances, tuple) and len(instances) == 2 and isinstance(instances[0], int):
            return instances[0], clean(instances[1])
        return clean(instances)

    def handle(event: Any) -> Any:
        found = retrieve(event)
        if found is None or isinstance(found, int):
            return found
        if _is_move(found):
            return replace(found, instances=counted(found.instances))
        return counted(found)

    return handle


def _is_move(found: Any) -> bool:
    return is_dataclass(found) and not isinstance(found, type)


class DeidentifiedEvent:
    """An event whose data set has been cleaned; all else is the event's.

    Args:
        event: the event.
        deidentifier: what cleans it.
    """

    def __init__(self, event: Any, deidentifier: Deidentifier) -> None:
        self._event = event
        self._deidentifier = deidentifier
        self.dataset: DataSet = deidentifier.deidentify(event.dataset)
        self.sop_class_uid: str = event.sop_class_uid
        self.sop_instance_uid: str = str(self.dataset.get("SOPInstanceUID") or "")
        self.study_instance_uid: str = str(self.dataset.get("StudyInstanceUID") or "")
        self.series_instance_uid: str = str(self.dataset.get("SeriesInstanceUID") or "")
        self.transfer_syntax = self.dataset.transfer_syntax
        self.message_id: int = event.message_id
        self.association = event.association

    def __repr__(self) -> str:
        return f"<DeidentifiedEvent of {self._event!r}>"

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the outcome any more."""
        return bool(self._event.is_cancelled)

    @cached_property
    def command(self) -> DataSet:
        """The command set, with the instance that is stored now."""
        command: DataSet = self._event.command.copy()
        command["AffectedSOPInstanceUID"] = self.sop_instance_uid
        return command

    @cached_property
    def data(self) -> memoryview:
        """The clean data set's bytes, in `transfer_syntax`."""
        return memoryview(self.dataset.to_bytes())

    @property
    def length(self) -> int:
        """Bytes of the clean data set."""
        return len(self.data)

    def save(
        self, directory: str | os.PathLike[str], name: str | os.PathLike[str] | None = None
    ) -> Path:
        """Write the clean data set as a file that is whole and on the disk when this returns.

        Args:
            directory: where to; made if it is not there.
            name: the name below `directory`; None: the new SOP Instance UID with ``.dcm``.

        Returns:
            The file's path.

        Raises:
            HandlerError: nobody waits for the outcome any more; nothing was written.
            OSError: the file could not be written; nothing is left behind.
            ValueError: `name` leads out of `directory`.
        """
        if self.is_cancelled:
            raise HandlerError("save: the request is settled, nobody waits for this object")
        root = Path(directory)
        uid = self.sop_instance_uid
        if name is None:
            safe = uid if is_valid_uid(uid) else hashlib.sha256(uid.encode()).hexdigest()
            name = f"{safe}.dcm"
        path = root / name
        below = path.relative_to(root)
        if ".." in below.parts or not below.parts:
            raise ValueError(f"expected a name below the directory, got {os.fspath(name)!r}")
        _make_folders(path.parent)
        write_file(path, self.dataset)
        return path


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it, so that their names are on the disk."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_directory(each.parent)
