"""What may be asked of an index in a transaction, and what comes of it."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dicom_actors.archive.index.description import Description

__all__ = [
    "Change",
    "Claimed",
    "Commitment",
    "Deleted",
    "Duplicates",
    "Moved",
    "NewInstance",
    "Outcome",
    "Owed",
    "Postponed",
    "Record",
    "Result",
    "Settled",
    "StoredInstance",
    "StudyTold",
]


class Duplicates(StrEnum):
    """What becomes of other bytes under the UID of an instance that is there."""

    KEEP_FIRST = "keep-first"
    """Nothing is written: the caller still has the bytes to get rid of."""
    REPLACE = "replace"
    """The row says what is new; the caller gets rid of the bytes that were there."""
    KEEP_BOTH = "keep-both"
    """The instance stays what it was; the new bytes are noted as another version of it."""


class NewInstance(NamedTuple):
    """An instance was received, and its bytes are where they can stay.

    Attributes:
        description: what is kept of its data set.
        transfer_syntax_uid: how it is encoded.
        location: where it is, as the store of files understands it.
        size: bytes of the file.
        checksum: of these bytes.
        header_length: bytes in front of the data set in it.
        received: seconds since the epoch.
        pixel_data: where its frames are, in a form of the caller's own.
        duplicates: what to do if there are other bytes of that UID.
        is_arrival: whether it has come just now, so that its study changes by it; else it was
            there before, and its row was lost.
    """

    description: Description
    transfer_syntax_uid: str
    location: str
    size: int
    checksum: bytes
    header_length: int = 0
    received: float = 0.0
    pixel_data: bytes | None = None
    duplicates: Duplicates = Duplicates.KEEP_FIRST
    is_arrival: bool = True


class Moved(NamedTuple):
    """The bytes of an instance, or of another version of it, are in another place.

    Attributes:
        sop_instance_uid: which instance.
        old: where they were; nothing is changed if they are not there any more.
        new: where they are.
        header_length: bytes in front of the data set; None: as before.
        size: bytes of the file; None: as before.
    """

    sop_instance_uid: str
    old: str
    new: str
    header_length: int | None = None
    size: int | None = None


class Deleted(NamedTuple):
    """An instance is no more, nor is any other version of it."""

    sop_instance_uid: str


class StudyTold(NamedTuple):
    """Whoever wants to know is told that a study is complete; nothing if it has changed since.

    Attributes:
        study_instance_uid: which study.
        revision: what it is told of; see `IndexReader.pending_studies`.
        reason: why it counts as complete.
    """

    study_instance_uid: str
    revision: int
    reason: str


class Owed(NamedTuple):
    """Storage commitment was asked for.

    Attributes:
        transaction_uid: of the request.
        ae_title: who asked, and is to be told.
        instances: pairs of SOP Class UID and SOP Instance UID.
        due: when to tell, in seconds since the epoch.
    """

    transaction_uid: str
    ae_title: str
    instances: tuple[tuple[str, str], ...]
    due: float


class Postponed(NamedTuple):
    """Who is to be told of a commitment was not there.

    Attributes:
        number: the commitment's.
        due: when to try again.
    """

    number: int
    due: float


class Claimed(NamedTuple):
    """Who is to be told of a commitment is about to be, unless somebody else has begun to.

    Attributes:
        number: the commitment's.
        due: when it was to be told, as it was read.
        until: when others may try, if nobody has by then.
    """

    number: int
    due: float
    until: float


class Settled(NamedTuple):
    """Nothing is owed any more for the commitment of that number."""

    number: int


class Record(NamedTuple):
    """A data set that is kept by a name, in place of the one of that name.

    Attributes:
        kind: what it is.
        name: its name among those of that kind.
        data: the data set, encoded; None: it is no more.
    """

    kind: str
    name: str
    data: bytes | None


class Commitment(NamedTuple):
    """Storage commitment that is owed.

    Attributes:
        number: its own.
        transaction_uid: of the request.
        ae_title: who is to be told.
        instances: pairs of SOP Class UID and SOP Instance UID.
        attempts: how often that was tried.
        due: when to try, in seconds since the epoch.
    """

    number: int
    transaction_uid: str
    ae_title: str
    instances: list[tuple[str, str]]
    attempts: int
    due: float


Change = NewInstance | Moved | Deleted | StudyTold | Owed | Claimed | Postponed | Settled | Record


class Result(Enum):
    """What came of a change."""

    NEW = "new"
    """The instance is in the index."""
    SAME = "same"
    """It was there, with the same checksum; nothing was written."""
    DIFFERENT = "different"
    """It was there, with another checksum; `Duplicates` says what was done."""
    MOVED = "moved"
    DELETED = "deleted"
    MISSING = "missing"
    """There was nothing to move or to delete."""
    NOTED = "noted"
    """A commitment or a record is kept, or was removed."""
    COMPLETE = "complete"
    """A study is told of for the first time."""
    UPDATED = "updated"
    """A study that was told of has changed since, and is told of again."""


class StoredInstance(NamedTuple):
    """An instance as the index has it.

    Attributes:
        study_instance_uid: of its study.
        series_instance_uid: of its series.
        sop_instance_uid: its own.
        sop_class_uid: what it is.
        transfer_syntax_uid: how it is encoded.
        location: where its bytes are.
        size: bytes of the file.
        checksum: of these bytes.
        header_length: bytes in front of the data set in it.
        received: seconds since the epoch.
        pixel_data: where pixel data and frames are, as it was given.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    location: str
    size: int
    checksum: bytes
    header_length: int
    received: float
    pixel_data: bytes | None


class Outcome(NamedTuple):
    """What came of one change.

    Attributes:
        result: in a word.
        existing: the instance as it was before; None if it was not there.
        others: locations of other versions that a deletion leaves without a row.
    """

    result: Result
    existing: StoredInstance | None = None
    others: tuple[str, ...] = ()
