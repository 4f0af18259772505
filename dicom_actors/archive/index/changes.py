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
    "CommitmentAsked",
    "CommitmentReported",
    "Deleted",
    "Delivered",
    "Duplicates",
    "EventsTaken",
    "LateRouted",
    "Level",
    "Moved",
    "NewInstance",
    "OutboxPublished",
    "OutboxWanted",
    "Outcome",
    "Owed",
    "Postponed",
    "QueueChange",
    "QueueCommand",
    "Queued",
    "Record",
    "RecordChanged",
    "Refused",
    "Result",
    "Settled",
    "StoredInstance",
    "StudyTold",
    "Subscribed",
    "SubscribedToMatching",
    "SubscribersTold",
    "Unsubscribed",
    "WorkitemChange",
    "WorkitemChanged",
    "WorkitemCreated",
    "WorkitemRow",
    "WorklistSubscribed",
    "WorklistUnsubscribed",
]


class Duplicates(StrEnum):
    """What becomes of other bytes under the UID of an instance that is there."""

    KEEP_FIRST = "keep-first"
    """Nothing is written: the caller still has the bytes to get rid of."""
    REPLACE = "replace"
    """The row says what is new; the caller gets rid of the bytes that were there."""
    KEEP_BOTH = "keep-both"
    """The instance stays what it was; the new bytes are noted as another version of it."""


class Level(StrEnum):
    """Of what something is sent on."""

    INSTANCE = "instance"
    """Of each instance, as soon as it is there."""
    SERIES = "series"
    """Of a series, once its study is complete."""
    STUDY = "study"
    """Of a study, once it is complete."""


class Queued(NamedTuple):
    """An instance, or its series or study, is to be sent on.

    Attributes:
        route: the name of the route that says so.
        destination: the name of where to.
        level: when, and of what.
        priority: higher ones are sent first; those of one study keep their order all the same.
        is_whole: of a series or study: all of it at once, instead of each of its instances.
    """

    route: str
    destination: str
    level: Level = Level.INSTANCE
    priority: int = 0
    is_whole: bool = False


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
        queued: where it is to be sent on to.
        is_adopted: whether it is what a crash left: where it goes is known when it comes again.
        goes_by_age: whether it was found, with no saying what came before it: both are kept then,
            and of the two that is the current one which was received last, where `duplicates`
            replaces, else the first.
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
    queued: tuple[Queued, ...] = ()
    is_adopted: bool = False
    goes_by_age: bool = False


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
    """An instance is no more, nor is any other version of it.

    Attributes:
        sop_instance_uid: which instance.
        location: that version alone of which the bytes were there; nothing is changed if they are
            elsewhere by now, or if it is the instance itself and there are others. Empty: all.
    """

    sop_instance_uid: str
    location: str = ""


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


class RecordChanged(NamedTuple):
    """A data set becomes another one; `Result.CONFLICT`: it is not any more what was read.

    Attributes:
        kind: what it is.
        name: its name among those of that kind.
        before: the data set as it was read, encoded; None: there was none.
        data: as it will be.
    """

    kind: str
    name: str
    before: bytes | None
    data: bytes


class WorkitemRow(NamedTuple):
    """A unified procedure step.

    Attributes:
        uid: its SOP Instance UID.
        state: its Procedure Step State.
        patient_id: its Patient ID; a backslash, where that is several.
        starts: its Scheduled Procedure Step Start DateTime.
        ended: the time that it was over, as text that sorts; None: it is not.
        data: the workitem, encoded.
    """

    uid: str
    state: str
    patient_id: str
    starts: str
    ended: str | None
    data: bytes


class WorkitemCreated(NamedTuple):
    """A workitem is there.

    `Result.SAME`: there is one of that UID; `Result.FULL`: there are too many, none of which may
    go; `Result.CONFLICT`: subscriptions to what is created have changed.

    Attributes:
        row: the workitem.
        subscribed: who is subscribed to it: AE titles, and whether with a deletion lock.
        revision: of the subscriptions that say so; see `WorkitemReader.worklists`.
        events: what they are told: Event Type IDs, and the attributes as JSON.
        most: workitems; when there are more, the one that ended first goes.
    """

    row: WorkitemRow
    subscribed: tuple[tuple[str, bool], ...]
    revision: int
    events: tuple[tuple[int, str], ...]
    most: int


class WorkitemChanged(NamedTuple):
    """A workitem becomes another one; `Result.CONFLICT`: it is not any more what was read.

    Attributes:
        before: the workitem as it was read, encoded.
        row: as it will be.
        events: what those are told who are subscribed to it; see `WorkitemCreated`.
    """

    before: bytes
    row: WorkitemRow
    events: tuple[tuple[int, str], ...]


class Subscribed(NamedTuple):
    """An AE subscribes to a workitem, and is told its state.

    `Result.MISSING`: there is none; `Result.FULL`: there are too many who subscribe.

    Attributes:
        ae_title: who.
        uid: of the workitem.
        has_lock: whether it stays when it is over.
        most: who may subscribe to anything.
    """

    ae_title: str
    uid: str
    has_lock: bool
    most: int


class WorklistSubscribed(NamedTuple):
    """An AE subscribes to what is created; `Result.FULL`: there are too many who subscribe.

    Attributes:
        ae_title: who.
        has_lock: whether that stays when it is over.
        keys: what has to match, as JSON; what does now is another change's. None: all, and all
            that are there now.
        told_by: the workitem that an event is of which stands for the states of all; empty: these
            are not told.
        most: who may subscribe to anything.
    """

    ae_title: str
    has_lock: bool
    keys: str | None
    told_by: str
    most: int


class SubscribedToMatching(NamedTuple):
    """An AE subscribes to workitems that match its keys; nothing, if they are others by now.

    Attributes:
        ae_title: who.
        has_lock: see `WorklistSubscribed`.
        keys: see `WorklistSubscribed`.
        uids: of those that match.
        told_by: see `WorklistSubscribed`.
    """

    ae_title: str
    has_lock: bool
    keys: str
    uids: tuple[str, ...]
    told_by: str


class Unsubscribed(NamedTuple):
    """An AE is told of a workitem no more; `Result.MISSING`: it was not."""

    ae_title: str
    uid: str


class WorklistUnsubscribed(NamedTuple):
    """An AE subscribes to nothing that is created; `Result.MISSING`: it did not.

    Attributes:
        ae_title: who.
        is_matching: whether it is the subscription to what matches that ends.
        is_suspended: whether those to workitems stay; they do, too, where the one to what matches
            ends, and there is one to all.
    """

    ae_title: str
    is_matching: bool
    is_suspended: bool


class SubscribersTold(NamedTuple):
    """All who have subscribed to anything are told something; see `WorkitemCreated`."""

    uid: str
    type_id: int
    attributes: str


class EventsTaken(NamedTuple):
    """An AE was told its events up to a number.

    Attributes:
        ae_title: which.
        number: of the last one.
        is_exact: whether what was told beyond it is to be told again.
    """

    ae_title: str
    number: int
    is_exact: bool = False


class Delivered(NamedTuple):
    """A row of the queue is done."""

    id: int


class Refused(NamedTuple):
    """A row of the queue could not be sent.

    Attributes:
        id: which.
        error: why, in words.
        due: when it is tried again, in seconds since the epoch, and what came after it of its
            study; None: it is set aside, and the rest goes on.
        attempts: how many attempts that was.
    """

    id: int
    error: str
    due: float | None
    attempts: int = 1


class CommitmentAsked(NamedTuple):
    """Rows of the queue are sent, and storage commitment is asked for.

    Attributes:
        rows: pairs of a row, and the SOP Instance UID that it was sent as.
        transaction_uid: of the request.
        due: when to ask again, in seconds since the epoch.
    """

    rows: tuple[tuple[int, str], ...]
    transaction_uid: str
    due: float


class CommitmentReported(NamedTuple):
    """A destination has said what it keeps.

    Attributes:
        transaction_uid: of the request.
        kept: the SOP Instance UIDs that it keeps.
        failed: those that it does not, with the reasons in words.
        due: when these are sent again, in seconds since the epoch.
        most_attempts: after so many attempts one is set aside; None: never.
    """

    transaction_uid: str
    kept: frozenset[str]
    failed: tuple[tuple[str, str], ...] = ()
    due: float = 0.0
    most_attempts: int | None = None


class LateRouted(NamedTuple):
    """An instance that a crash had left came again; nothing if it was not left by one.

    Attributes:
        study_instance_uid: of its study.
        series_instance_uid: of its series.
        sop_instance_uid: its own.
        queued: where it is to be sent on to.
        received: seconds since the epoch.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    queued: tuple[Queued, ...]
    received: float


class DestinationTaken(NamedTuple):
    """A node wants to be the one that sends to a destination; `Result.MISSING`: another one is.

    Attributes:
        destination: its name; None: the engine, which is told what is in the outbox.
    """

    destination: str | None


class DestinationLeft(NamedTuple):
    """A node sends no more to a destination, for now: another one may.

    Attributes:
        destination: as for `DestinationTaken`.
    """

    destination: str | None


class QueueCommand(NamedTuple):
    """Somebody wants something of queues; `Outcome.rows` says of how many rows.

    Attributes:
        action: ``"pause"``, ``"resume"``, ``"retry"`` (what was set aside, and what waits for its
            time) or ``"drop"`` (what was set aside).
        destination: of which one; None: all.
    """

    action: str
    destination: str | None = None


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


class OutboxWanted(NamedTuple):
    """An engine wants to be told of what is changed from now on.

    Attributes:
        most: how many messages may wait; 0: it wants no more.
        when_full: what happens then: ``"refuse"`` objects, or ``"drop"`` the oldest messages.
    """

    most: int
    when_full: str = "refuse"


class OutboxPublished(NamedTuple):
    """The engine has messages.

    Attributes:
        ids: which.
    """

    ids: tuple[int, ...]


OutboxChange = OutboxWanted | OutboxPublished
QueueChange = (
    Delivered
    | Refused
    | CommitmentAsked
    | CommitmentReported
    | LateRouted
    | DestinationTaken
    | DestinationLeft
    | QueueCommand
)
CommitmentChange = Owed | Claimed | Postponed | Settled
WorkitemChange = (
    WorkitemCreated
    | WorkitemChanged
    | Subscribed
    | WorklistSubscribed
    | SubscribedToMatching
    | Unsubscribed
    | WorklistUnsubscribed
    | SubscribersTold
    | EventsTaken
)
Change = (
    NewInstance
    | Moved
    | Deleted
    | StudyTold
    | CommitmentChange
    | Record
    | RecordChanged
    | WorkitemChange
    | QueueChange
    | OutboxChange
)


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
    """A commitment, a record or a workitem is kept, or was removed."""
    CONFLICT = "conflict"
    """It is not any more what the change rests on; nothing was written."""
    FULL = "full"
    """There are too many; nothing was written."""
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
        queued: destinations that have something to do.
        rows: of how many rows something was wanted.
        told: AE titles that have an event of a workitem.
    """

    result: Result
    existing: StoredInstance | None = None
    others: tuple[str, ...] = ()
    queued: tuple[str, ...] = ()
    rows: int = 0
    told: tuple[str, ...] = ()
