"""A data set with a patient, for what removes one."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from dicom_actors import DataSet, write_file

KEY = b"a key for tests only"


def file_of(data_set: DataSet, **options: Any) -> bytes:
    """Return the bytes of a file."""
    buffer = BytesIO()
    write_file(buffer, data_set, **options)
    return buffer.getvalue()


def patient(**values: Any) -> DataSet:
    """Make an instance of a patient."""
    return DataSet.from_keywords(
        **{
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
            "SOPInstanceUID": "1.2.3.4.5.1",
            "StudyInstanceUID": "1.2.3.4.5.2",
            "SeriesInstanceUID": "1.2.3.4.5.3",
            "StudyDate": "20040119",
            "Modality": "CT",
            "PatientName": "Quxworth^Zelda",
            "PatientID": "MRN-774411",
            "PatientBirthDate": "19570314",
            **values,
        }
    )
