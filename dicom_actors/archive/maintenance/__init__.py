"""Work on an archive as a whole, while it serves or not.

`verify` looks whether each row has its file and each file its row; `reindex` gives rows to files
that have none; `adopt` takes in a folder, or lets it stay where it is; `backup` makes a copy that
can be opened; `rebuilding` makes an index anew that was lost. Each works on `Holdings`, which an
`Archive` is, and a `Visit` of one that another process keeps; each goes study by study or file by
file, and holds no snapshot of the index for long. ``dicom-actors archive`` is the way to them from
a command line.
"""

from __future__ import annotations

from dicom_actors.archive.maintenance.adopting import Adopted, adopt
from dicom_actors.archive.maintenance.backup import BackedUp, backup
from dicom_actors.archive.maintenance.reindexing import Reindexed, reindex
from dicom_actors.archive.maintenance.verifying import Problem, Verified, verify

__all__ = [
    "Adopted",
    "BackedUp",
    "Problem",
    "Reindexed",
    "Verified",
    "adopt",
    "backup",
    "reindex",
    "verify",
]
