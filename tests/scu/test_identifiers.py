"""What a query is asked with: dicts of keywords, and values that can match something."""

from __future__ import annotations

import datetime as dt

import pytest
from kit.fake_acceptor import EXPLICIT, FakeAcceptor

from dicom_actors.data import DataSet
from dicom_actors.scu.identifiers import to_identifier


def made(**keywords) -> DataSet:
    return to_identifier(keywords, check="all")


def test_a_dict_of_keywords_is_an_identifier() -> None:
    given = {
        "QueryRetrieveLevel": "STUDY",
        "PatientName": "DOE*",
        "StudyInstanceUID": None,
        "ScheduledProcedureStepSequence": {"Modality": "CT"},
        "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": ""}],
    }
    identifier = to_identifier(given, check="all")
    assert identifier == DataSet.from_keywords(
        QueryRetrieveLevel="STUDY",
        PatientName="DOE*",
        StudyInstanceUID=None,
        ScheduledProcedureStepSequence=[DataSet.from_keywords(Modality="CT")],
        ReferencedStudySequence=[DataSet.from_keywords(ReferencedSOPInstanceUID=None)],
    )
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        assert list(assoc.find(given)) == []
        list(assoc.move({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1"}, "DEST"))
    assert peer.messages[0][2] == identifier.to_bytes(EXPLICIT)


@pytest.mark.parametrize("given", ["PatientName=DOE*", None, [("PatientName", "X")], 7])
def test_anything_else_is_told_how(given) -> None:
    with FakeAcceptor().connect() as assoc:
        with pytest.raises(TypeError, match="expected a data set or a dict of keywords, as in"):
            assoc.find(given)


def test_a_keyword_that_there_is_not_is_told_with_near_ones() -> None:
    with pytest.raises(KeyError, match="close to it: PatientName"):
        made(PatientNmae="X")


RIGHT = {
    "StudyDate": ["20040119", "20040119-", "-20040119", "20040119-20040219", "*", "", None],
    "StudyTime": ["10", "1030", "103000.123456", "10-11", "-1130", "1030-"],
    "AcquisitionDateTime": [
        *("2004", "20040119103000.5", "20040119-20040120", "20040119+0100", "-20040119"),
        "20040119103000+0100-20040120103000+0100",
    ],
    "PatientAge": ["035Y"],
    "StudyInstanceUID": ["1.2.3", "*", "1.2.?", ["1.2", "1.3"]],
    "PatientName": ["*", "DOE^J?", "2004-01-19"],
    "Modality": ["*", "CT"],
}
WRONG = {
    "StudyDate": ["2004-01-19", "2004.01.19", "200401", "today", "20040119 20040219", "2004*"],
    "StudyTime": ["10:30", "1030:00", "now"],
    "AcquisitionDateTime": ["2004-01-19T10:30:00"],
    "PatientAge": ["35", "35Y"],
    "StudyInstanceUID": ["1.2-*", "hello", ["1.2", "x"]],
}


@pytest.mark.parametrize(
    ("keyword", "value"), [(key, value) for key, values in RIGHT.items() for value in values]
)
def test_what_can_match_is_asked(keyword, value) -> None:
    made(**{keyword: value})


@pytest.mark.parametrize(
    ("keyword", "value"), [(key, value) for key, values in WRONG.items() for value in values]
)
def test_what_can_match_nothing_is_refused(keyword, value) -> None:
    with pytest.raises(ValueError, match=f"{keyword}: expected .*can match nothing"):
        made(**{keyword: value})
    with pytest.raises(ValueError, match="can match nothing"):
        made(ReferencedStudySequence={keyword: value})


def test_the_right_form_is_told() -> None:
    with pytest.raises(ValueError, match="; 20040119 would be right"):
        made(StudyDate="2004-01-19")


def test_dates_may_be_dates() -> None:
    identifier = made(StudyDate=dt.date(2004, 1, 19))
    assert identifier.to_bytes(EXPLICIT).endswith(b"DA\x08\x0020040119")


def test_who_wants_to_may_ask_it_anyway() -> None:
    peer = FakeAcceptor()
    with peer.connect() as assoc:
        odd = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyDate="yesterday")
        with pytest.raises(ValueError, match="can match nothing"):
            assoc.find(odd)
        assert list(assoc.find(odd, check=False)) == []
        # What a query found need not be right in all that it has.
        assert list(assoc.get(DataSet.from_keywords(**dict(RETRIEVED)))) == []


RETRIEVED = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "StudyDate": "2004.01.19"}
