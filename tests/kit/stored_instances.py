"""Data sets of instances, as small as the index takes them."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from dicom_actors import DataSet
from dicom_actors.archive.index import NewInstance, describe

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def data_set(
    patient: int = 1, study: int = 1, series: int = 1, instance: int = 1, **values: Any
) -> DataSet:
    """An instance of a patient's study's series."""
    start = f"1.2.{patient}.{study}"
    return DataSet.from_keywords(
        **{
            "SOPClassUID": CT,
            "SOPInstanceUID": f"{start}.{series}.{instance}",
            "StudyInstanceUID": start,
            "SeriesInstanceUID": f"{start}.{series}",
            "PatientID": f"P{patient}",
            "PatientName": f"Doe^Patient {patient}",
            "Modality": "CT",
            "InstanceNumber": instance,
            **values,
        }
    )


def new_instance(data_set: DataSet, content: bytes = b"bytes", **settings: Any) -> NewInstance:
    """The instance of a data set, with some bytes."""
    described = describe(data_set)
    made = NewInstance(
        described,
        EXPLICIT,
        "{}/{}/{}.dcm".format(*described[:3]),
        len(content),
        sha256(content).digest()[:16],
    )
    return made._replace(**settings)
