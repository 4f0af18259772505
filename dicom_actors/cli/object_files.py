"""Where objects that came from a peer are kept: ``<study>/<series>/<instance>.dcm``.

A name is a valid UID or a hash, never another text of the peer (PS3.5 9.1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.actors import file_name_for

if TYPE_CHECKING:
    from dicom_actors.data import DataSet

__all__ = ["object_name", "object_name_of"]


def object_name(data_set: DataSet, sop_instance_uid: str) -> Path:
    """Return the name of an object below the folder for all of them.

    Args:
        data_set: its data set.
        sop_instance_uid: the one that the peer gave it in the message.
    """
    study = str(data_set.get("StudyInstanceUID") or "")
    series = str(data_set.get("SeriesInstanceUID") or "")
    return Path(object_name_of(study, series, sop_instance_uid))


def object_name_of(study: str, series: str, instance: str) -> str:
    """Return the name of an object with these UIDs below the folder for all of them."""
    return f"{file_name_for(study)}/{file_name_for(series)}/{file_name_for(instance)}.dcm"
