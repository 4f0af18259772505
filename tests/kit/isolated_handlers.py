"""Event handlers for processes of their own: what they do is said by the data set."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

from dicom_actors import DataSet, DimseFailure, MoveTo, Reject, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class LocalError(Exception):
    """One that cannot be pickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


def store(event: Any) -> Any:
    """Do what Patient Comments say."""
    what = str(event.dataset.get("PatientComments") or "save")
    if what == "save":
        return event.save(os.environ["ISOLATED_FOLDER"])
    if what == "segfault":
        ctypes.string_at(0)
    if what == "hang":  # in C, with the interpreter's lock
        ctypes.PyDLL(None).sleep(1000)
    if what == "loop":
        while True:
            pass
    if what == "until cancelled":
        while not event.is_cancelled:
            pass
    if what == "exit":
        os._exit(7)
    if what == "SystemExit":
        sys.exit("no")
    if what == "recursion":
        return store(event)
    if what == "local":
        raise LocalError(1, 2)
    if what == "failure":
        raise DimseFailure(
            Status.CANNOT_UNDERSTAND, "bad element", OffendingElement=["PatientComments"]
        )
    if what == "full":
        raise OSError(28, "No space left on device")
    if what == "nonsense":
        return "x" * 3, object
    if what == "facts":
        facts = (
            event.association.calling_ae_title,
            event.command.AffectedSOPInstanceUID,
            event.sop_class_uid,
            event.study_instance_uid,
            event.length,
            bytes(event.data[-4:]),
            event.file_header[128:132],
            event.transfer_syntax.uid,
            os.getpid(),
        )
        return DimseFailure(Status.SUCCESS, ascii(facts)) and _status_with(facts)
    return Status(int(what, 16))


def _status_with(facts: tuple[Any, ...]) -> DataSet:
    path = os.path.join(os.environ["ISOLATED_FOLDER"], "facts")
    with open(path, "w", encoding="ascii") as file:
        file.write(ascii(facts))
    return DataSet.from_keywords(Status=0)


async def store_later(event: Any) -> Any:
    """The same as a coroutine function."""
    await asyncio.sleep(0)
    return store(event)


def find(event: Any) -> Iterator[DataSet]:
    """Give matches without end, and say so in a file when it is closed; or crash at one."""
    at = int(event.dataset.get("InstanceNumber") or 0)
    number = 0
    try:
        while number != at or not at:
            number += 1
            yield DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.{number}")
        os._exit(1)
    finally:
        path = os.path.join(os.environ["ISOLATED_FOLDER"], "closed")
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{number}\n")


async def find_later(event: Any) -> AsyncIterator[DataSet]:
    """Give three matches."""
    for number in range(3):
        await asyncio.sleep(0)
        yield DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.{number}")


def get(event: Any) -> Iterator[str]:
    """Give the files of the folder."""
    folder = os.environ["ISOLATED_FOLDER"]
    for name in sorted(os.listdir(folder)):
        yield os.path.join(folder, name)


def move(event: Any) -> MoveTo:
    """Send them to the port that is the destination's name."""
    return MoveTo("127.0.0.1", int(event.destination), "ANY", (1, get(event)))


def validate(request: Any) -> Any:
    """Take one caller."""
    if request.calling_ae_title == "HANG":
        ctypes.PyDLL(None).sleep(1000)
    return None if request.calling_ae_title == "ME" else Reject.CALLING_AE_TITLE_NOT_RECOGNIZED


class Counting:
    """A handler with a state of its own."""

    def __init__(self, start: int) -> None:
        self.count = start

    def __call__(self, event: Any) -> int:
        """Answer with a warning that counts."""
        self.count += 1
        return 0xB000 + self.count


def deliver(delivery: Any) -> None:
    """Do with a delivery what Patient Comments of its first data set say; else save it."""
    what = str(delivery.data_set.get("PatientComments") or "save")
    if what == "segfault":
        ctypes.string_at(0)
    if what == "hang":
        ctypes.PyDLL(None).sleep(1000)
    if what == "raise":
        raise LocalError(1, 2)
    delivery.save(os.environ["ISOLATED_FOLDER"])
