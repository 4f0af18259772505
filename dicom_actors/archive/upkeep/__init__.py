"""What keeps the files of an archive and its index of one mind.

`intake` makes of an object what the index is told of it, `large_files` without reading all of a
large one, and `pixel_data` finds its frames;
`unpacking` brings objects to their places, those that a crash left included; `removing` takes
files away that have no row any more; `study_watch` says when a study is complete. Each can break
off anywhere and be done again. None of it knows an actor: what it asks of the index is in `Rows`.
"""

from __future__ import annotations

from dicom_actors.archive.upkeep.intake import Intake, describe_at, describe_file
from dicom_actors.archive.upkeep.large_files import read_hollow
from dicom_actors.archive.upkeep.pixel_data import FrameRanges
from dicom_actors.archive.upkeep.removing import Removing
from dicom_actors.archive.upkeep.rows import Rows
from dicom_actors.archive.upkeep.study_watch import Senders, StudyWatch
from dicom_actors.archive.upkeep.unpacking import Recovered, Unpacking

__all__ = [
    "FrameRanges",
    "Intake",
    "Recovered",
    "Removing",
    "Rows",
    "Senders",
    "StudyWatch",
    "Unpacking",
    "describe_at",
    "describe_file",
    "read_hollow",
]
