"""What an archive tells its subscribers: messages to any pykka actor (`Archive.subscribe`).

Each is sent once what it tells of is committed. A subscriber that is dead is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DiskSpace",
    "InstanceDeleted",
    "InstanceStored",
    "InstancesQueued",
    "StudyChanged",
    "StudyComplete",
    "StudyUpdated",
    "WorkitemsTold",
]


@dataclass(frozen=True, slots=True)
class InstanceStored:
    """An instance is in the archive.

    Attributes:
        study_instance_uid: of its study.
        series_instance_uid: of its series.
        sop_instance_uid: its own.
        size: bytes of its file.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    size: int


@dataclass(frozen=True, slots=True)
class InstanceDeleted:
    """An instance is no more in the archive."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class InstancesQueued:
    """There is something to send on, or somebody wants something of queues.

    Attributes:
        destinations: the names of those that have something to do.
    """

    destinations: frozenset[str]


@dataclass(frozen=True, slots=True)
class StudyChanged:
    """Instances came to a study, or went; one for all of a transaction."""

    study_instance_uid: str


@dataclass(frozen=True, slots=True)
class StudyComplete:
    """A study is there, as far as can be known; told once for a study.

    No association is open that has sent to it, as far as the archive knows the endpoint
    (`Archive.attach`).

    Attributes:
        study_instance_uid: which.
        reason: why it counts as complete: that nothing came for a while, or what the evidence was.
    """

    study_instance_uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class StudyUpdated:
    """Instances came to a study after it was complete, and it is so again."""

    study_instance_uid: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkitemsTold:
    """Who has subscribed to workitems is told something; what, is in the index.

    Attributes:
        ae_titles: of those who are.
    """

    ae_titles: frozenset[str]


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The room on the disk became another one.

    Attributes:
        state: ``"enough"``, ``"low"``, ``"full"`` (objects are refused), or ``"absent"`` (the
            folder cannot be reached).
        free_bytes: how many there are.
    """

    state: str
    free_bytes: int
