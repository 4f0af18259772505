"""The modality worklist: what is scheduled, and who asks for it by C-FIND.

Items come from a folder that others write to, and from `Worklist.put`; those are in the index,
and so survive the end of the program.

Standard: PS3.4 K.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure, Query, Status
from dicom_actors.archive.services.combining import Service
from dicom_actors.archive.services.records import Records
from dicom_actors.archive.services.worklist_folder import WorklistFolder
from dicom_actors.errors import ArchiveError, DataError, DecodeError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from dicom_actors.archive.index import Change, IndexReader, Outcome

__all__ = ["MODALITY_WORKLIST", "Worklist"]

MODALITY_WORKLIST: Final = "1.2.840.10008.5.1.4.31"


class Worklist(Service):
    """Scheduled procedure steps; any thread may use it.

    Args:
        reader: lends a snapshot of the index.
        write: puts changes into it; they are durable when it returns.
        folder: where others put items; None: nowhere.
        max_matches: answers to one query; one more ends it with A700H.
        ignore_accents: whether letters of names match with and without their accents.
    """

    def __init__(
        self,
        reader: Callable[[], AbstractContextManager[IndexReader]],
        write: Callable[[Sequence[Change]], list[Outcome]],
        folder: str | os.PathLike[str] | None = None,
        *,
        max_matches: int = 10_000,
        ignore_accents: bool = True,
    ) -> None:
        self._records = Records("worklist", reader, write)
        self._folder = None if folder is None else WorklistFolder(folder)
        self._lock = threading.Lock()
        self._max_matches = max_matches
        self._ignore_accents = ignore_accents

    def put(self, item: DataSet | Mapping[str, Any]) -> str:
        """Schedule a step, in place of the one of the same Scheduled Procedure Step ID.

        Args:
            item: a worklist item (PS3.4 K.6.1.2.2), or its keywords and values.

        Returns:
            The ID of its step.

        Raises:
            ValueError: it has not one step with an ID.
            TypeError: it is neither a data set nor a mapping.
            ArchiveError: the index cannot be written.
        """
        if not isinstance(item, DataSet | Mapping):
            raise TypeError(f"item: expected a DataSet or a mapping, got {type(item).__name__}")
        made = item.copy() if isinstance(item, DataSet) else DataSet.from_keywords(**item)
        try:
            steps: Any = made.get("ScheduledProcedureStepSequence") or ()
            step_id = str(steps[0].get("ScheduledProcedureStepID") or "") if len(steps) == 1 else ""
        except DataError:
            step_id = ""
        if not step_id:
            raise ValueError("expected one scheduled procedure step with an ID")
        self._records.put(step_id, made)
        return step_id

    def remove(self, step_id: str) -> None:
        """Take a step that was put off the list; it need not be on it.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._records.remove(step_id)

    def items(self) -> list[DataSet]:
        """All that is scheduled: what was put, and what is in the folder. Do not change them.

        Raises:
            ArchiveError: the index cannot be read.
        """
        found = self._records.all()
        if self._folder is not None:
            with self._lock:
                found.extend(self._folder.items())
        return found

    # --- the service -----------------------------------------------------------------------

    def handlers(self) -> Mapping[str, Callable[[Any], Any]]:
        """The event handlers."""
        return {"cfind": self.find}

    def serves(self, sop_class_uid: str) -> bool:
        """Whether it is the worklist."""
        return sop_class_uid == MODALITY_WORKLIST

    def find(self, event: Any) -> Iterator[DataSet]:
        """Answer C-FIND, match by match.

        Raises:
            DimseFailure: C000H, a key is none that can be matched; A700H, there are too many
                matches, or the index cannot be read.
        """
        try:
            query = Query(event.dataset, ignore_accents=self._ignore_accents)
            items = self.items()
        except DecodeError as error:
            tag = {} if error.tag is None else {"OffendingElement": [error.tag]}
            raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error)[:64], **tag) from error
        except ArchiveError as error:
            raise DimseFailure(Status.OUT_OF_RESOURCES, f"the index: {error.reason}") from error
        return self._answers(query, items)

    def _answers(self, query: Query, items: list[DataSet]) -> Iterator[DataSet]:
        for count, answer in enumerate(_select(query, items)):
            if count == self._max_matches:
                raise DimseFailure(Status.OUT_OF_RESOURCES, f"more than {count} matches")
            yield answer


def _select(query: Query, items: list[DataSet]) -> Iterator[DataSet]:
    for item in items:
        try:
            if query.matches(item):
                yield query.answer(item)
        except DecodeError:  # an item with a value that nobody can read matches nothing
            continue
