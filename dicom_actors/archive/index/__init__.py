"""The index of an archive: what there is, and where, in one SQLite file.

The way through it: `description` makes, of a data set, what is kept of an instance; `Index.write`
puts what was received, moved or deleted into the file, all of it in one transaction; an
`IndexReader` answers from a snapshot. `attributes` says which attributes have columns of their
own, `folding` how these are compared, `headers` how everything else is kept, `queueing` what is to
be sent on, `workitems` unified procedure steps and who is told of them, `schema/` what the file
looks like and `migrating` how an older one becomes that. Files of objects, actors and the network
are left to others, and so is what a query means (`dicom_actors.archive.query`).

All SQL of the archive stands in here and in `query`, and none is made of anybody's values.
"""

from __future__ import annotations

from dicom_actors.archive.index.changes import (
    Change,
    Claimed,
    Commitment,
    CommitmentAsked,
    CommitmentReported,
    Deleted,
    Delivered,
    DestinationLeft,
    DestinationTaken,
    Duplicates,
    EventsTaken,
    LateRouted,
    Level,
    Moved,
    NewInstance,
    OutboxPublished,
    OutboxWanted,
    Outcome,
    Owed,
    Postponed,
    QueueCommand,
    Queued,
    Record,
    RecordChanged,
    Refused,
    Result,
    Settled,
    StoredInstance,
    StudyTold,
    Subscribed,
    SubscribedToMatching,
    SubscribersTold,
    Unsubscribed,
    WorkitemChanged,
    WorkitemCreated,
    WorkitemRow,
    WorklistSubscribed,
    WorklistUnsubscribed,
)
from dicom_actors.archive.index.description import Description, describe, describe_elements, is_uid
from dicom_actors.archive.index.index import Counts, Index
from dicom_actors.archive.index.outbox import OutboxMessage, OutboxStatus
from dicom_actors.archive.index.queueing import QueuedItem, QueueReader, QueueStatus
from dicom_actors.archive.index.reader import IndexReader
from dicom_actors.archive.index.workitems import WorklistSubscription

__all__ = [
    "Change",
    "Claimed",
    "Commitment",
    "CommitmentAsked",
    "CommitmentReported",
    "Counts",
    "Deleted",
    "Delivered",
    "Description",
    "DestinationLeft",
    "DestinationTaken",
    "Duplicates",
    "EventsTaken",
    "Index",
    "IndexReader",
    "LateRouted",
    "Level",
    "Moved",
    "NewInstance",
    "OutboxMessage",
    "OutboxPublished",
    "OutboxStatus",
    "OutboxWanted",
    "Outcome",
    "Owed",
    "Postponed",
    "QueueCommand",
    "QueueReader",
    "QueueStatus",
    "Queued",
    "QueuedItem",
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
    "WorkitemChanged",
    "WorkitemCreated",
    "WorkitemRow",
    "WorklistSubscribed",
    "WorklistSubscription",
    "WorklistUnsubscribed",
    "describe",
    "describe_elements",
    "is_uid",
]
