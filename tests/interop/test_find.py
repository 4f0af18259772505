"""DCMTK's and pynetdicom's users ask our endpoint for matches."""

from __future__ import annotations

from typing import Any

import pydicom
import pytest
from kit.dcmtk import run
from kit.endpoints import running
from kit.pynetdicom_user import associate
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ModalityWorklistInformationFind,
    StudyRootQueryRetrieveInformationModelFind,
)

from dicom_actors import DataSet

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

PEOPLE = ("Carmack^John", "Kernighan^Brian", "Torvalds^Linus", "Van Rossum^Guido", "Valim^José")


def find(event: Any) -> Any:
    for number, name in enumerate(PEOPLE, start=1):
        yield DataSet.from_keywords(
            QueryRetrieveLevel=event.level, PatientName=name, PatientID=str(number)
        )


@pytest.mark.parametrize("option", ["-xe", "-xi", "-xb", "-xd"])
def test_findscu_lists_all(option: str) -> None:
    with running({"cfind": find}) as endpoint:
        result = run(
            "findscu", "-v", "-S", option, "-aec", "TEST", "-k", "QueryRetrieveLevel=STUDY",
            "-k", "PatientName", "-k", "PatientID", "127.0.0.1", endpoint.port,
        )  # fmt: skip
        report = result.stdout + result.stderr
        assert result.returncode == 0, report
        assert "Kernighan^Brian" in report
        assert report.count("Find Response: ") + report.count("Response: ") >= len(PEOPLE)


@pytest.mark.parametrize(
    "uid", [StudyRootQueryRetrieveInformationModelFind, ModalityWorklistInformationFind]
)
def test_pynetdicom_asks_for_studies_and_a_worklist(uid: str) -> None:
    with running({"cfind": find}) as endpoint:
        ae = AE()
        ae.add_requested_context(uid)
        association = associate(ae, endpoint.port)
        query = pydicom.Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.PatientName = ""
        answers = list(association.send_c_find(query, uid))
        assert [status.Status for status, _ in answers] == [0xFF00] * 5 + [0x0000]
        assert [str(match.PatientName) for _, match in answers[:-1]] == list(PEOPLE)
        association.release()
