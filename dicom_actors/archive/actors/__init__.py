"""The actors of an archive, a tree on `dicom_actors.supervision`.

::

    ArchiveSupervisor     one_for_one
    ├── index             IndexWriter: takes what waits, one transaction, then answers all
    ├── store             JournalStore: takes small objects, one synchronization, hands on to index
    ├── unpacker          Unpacker: brings objects to their places, and finishes what a crash left
    ├── studies           StudyWatcher: tells when a study is complete
    ├── disk              DiskWatch: tells how much room there is
    └── nodes             NodeKeeper: where several share an index, knows the others

Whoever keeps an object waits for the answer of `index`, which comes when the row is committed.
An actor that crashes fails what it was about; what it has handed on goes on. All that must
outlive one is in the `ArchiveKernel`: it takes no messages and runs nothing risky.

Way down: `supervisor` > `node_keeper` > `journal_store`, `unpacker`, `study_watcher`, `disk_watch`
> `index_writer` > `kernel`.
"""

from __future__ import annotations

from dicom_actors.archive.actors.index_writer import IndexRows, IndexWriter
from dicom_actors.archive.actors.journal_store import JournalStore, Keep
from dicom_actors.archive.actors.kernel import ArchiveKernel
from dicom_actors.archive.actors.study_watcher import (
    Acquired,
    Expected,
    HasEvidence,
    StudyWatcher,
)
from dicom_actors.archive.actors.supervisor import ArchiveSupervisor
from dicom_actors.archive.actors.unpacker import Unpacker

__all__ = [
    "Acquired",
    "ArchiveKernel",
    "ArchiveSupervisor",
    "Expected",
    "HasEvidence",
    "IndexRows",
    "IndexWriter",
    "JournalStore",
    "Keep",
    "StudyWatcher",
    "Unpacker",
]
