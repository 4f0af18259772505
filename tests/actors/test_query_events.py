"""Identifiers as handlers see them: levels, matching, destinations."""

from __future__ import annotations

from typing import Any

import pytest
from kit.endpoints import running

from dicom_actors import DataSet, DimseFailure, connect

pytestmark = pytest.mark.usefixtures("nothing_left")

STUDIES = [
    DataSet.from_keywords(PatientName="Doe^Jane", StudyInstanceUID="1.2.1", StudyDate="20260102"),
    DataSet.from_keywords(PatientName="Doe^John", StudyInstanceUID="1.2.2", StudyDate="20260203"),
    DataSet.from_keywords(PatientName="Roe^Jane", StudyInstanceUID="1.2.3", StudyDate="20260304"),
]


def find(event: Any) -> Any:
    return event.query.select(STUDIES)


def test_a_handler_answers_with_what_matches() -> None:
    query = DataSet.from_keywords(
        QueryRetrieveLevel="STUDY", PatientName="DOE*", StudyDate="20260201-", StudyInstanceUID=None
    )
    with running({"cfind": find}) as endpoint, connect("127.0.0.1", endpoint.port) as association:
        (match,) = association.find(query)
    assert match == DataSet.from_keywords(
        QueryRetrieveLevel="STUDY",
        PatientName="Doe^John",
        StudyDate="20260203",
        StudyInstanceUID="1.2.2",
    )


def test_a_key_that_means_nothing_is_answered_so() -> None:
    query = DataSet.from_keywords(QueryRetrieveLevel="STUDY")
    query.put("StudyDate", "DA", ["yesterday"])
    with running({"cfind": find}) as endpoint, connect("127.0.0.1", endpoint.port) as association:
        with pytest.raises(DimseFailure) as failure:
            list(association.find(query, check=False))
        association.echo()
    assert failure.value.status == 0xC000
    assert failure.value.elements == {"OffendingElement": [0x00080020]}
