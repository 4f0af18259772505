"""What goes with a status: what handlers give, and what peers answered."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from dicom_actors.data import DataElement, DataSet, Tag
from dicom_actors.dimse import (
    Command,
    CommandElement,
    Status,
    StatusElements,
    decode_command,
    encode_command,
    encode_response,
    failure_elements,
    read_failure_elements,
    read_status_elements,
)
from dicom_actors.errors import DimseFailure, HandlerError

REQUEST = Command(b"", 0x0140, 7, "1.2.840.10008.3.1.2.3.3", "1.2.3", has_data_set=True)
PATIENT_ID = struct.pack("<HH", 0x0010, 0x0020)
PATIENT_NAME = struct.pack("<HH", 0x0010, 0x0010)

VALUES: dict[str, tuple[Any, int | str | bytes]] = {
    "00000002": ("1.2.3.4", "1.2.3.4"),
    "00000901": (["PatientName", 0x00100020], PATIENT_NAME + PATIENT_ID),
    "00000902": ("why", "why"),
    "00000903": (513, 513),
    "00001000": ("1.2.3.4.5", "1.2.3.4.5"),
    "00001002": (2, 2),
    "00001005": (["PatientID"], PATIENT_ID),
    "00001008": (3, 3),
}
BY_STATUS = {"00000903", "00001005"}


def related_fields() -> dict[int, set[str]]:
    """Return the elements that the standard has for each general status, as far as it has them."""
    text = Path(__file__).with_name("dimse_status.tsv").read_text(encoding="utf-8")
    found: dict[int, set[str]] = {}
    for line in text.splitlines()[1:]:
        _, _, service, name, fields = line.split("\t")
        if not service:
            found[Status[name]] = set(fields.split(",")) & set(VALUES)
    return found


RELATED = related_fields()


def answer(elements: StatusElements) -> DataSet:
    """The response that has these elements."""
    raw = encode_response(REQUEST, elements.status, elements.comment, more=elements.more)
    return decode_command(raw).elements


def data_set_of(status: int, tag: str, value: Any) -> DataSet:
    return DataSet.from_keywords(Status=status, **{Tag(int(tag, 16)).keyword: value})


@pytest.mark.parametrize("status", RELATED, ids=lambda status: f"{status:04X}")
def test_what_the_standard_has_for_a_status_is_taken(status: int) -> None:
    for tag in RELATED[status]:
        given, written = VALUES[tag]
        elements = read_status_elements(data_set_of(status, tag, given))
        assert elements.status == status
        if tag == "00000902":
            assert elements.comment == written
        else:
            assert elements.more == {int(tag, 16): written}
            failure = DimseFailure(status, "so", **{Tag(int(tag, 16)).keyword: given})
            assert failure_elements(failure) == elements._replace(comment="so")


@pytest.mark.parametrize("status", RELATED, ids=lambda status: f"{status:04X}")
def test_what_it_has_for_others_is_not(status: int) -> None:
    for tag in BY_STATUS - RELATED[status]:
        with pytest.raises(HandlerError, match=rf"expected status .*got {status:04X}H"):
            read_status_elements(data_set_of(status, tag, VALUES[tag][0]))


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.PENDING, Status.CANCEL])
def test_what_tells_of_a_fault_goes_with_faults(status: int) -> None:
    for tag in ("00000901", "00000902"):
        with pytest.raises(HandlerError, match="expected the status of a failure or a warning"):
            read_status_elements(data_set_of(status, tag, VALUES[tag][0]))


def test_any_fault_may_be_explained() -> None:
    given = DataSet.from_keywords(
        Status=Status.INVALID_ATTRIBUTE_VALUE, ErrorComment="why", OffendingElement="PatientID"
    )
    response = answer(read_status_elements(given))
    assert response.Status == 0x0106
    assert response.ErrorComment == "why"
    assert response.OffendingElement == Tag("PatientID")


def test_the_uid_of_a_new_instance() -> None:
    given = DataSet.from_keywords(Status=0, AffectedSOPInstanceUID="1.2.3.99")
    response = answer(read_status_elements(given))
    assert response.AffectedSOPInstanceUID == "1.2.3.99"
    assert response.AffectedSOPClassUID == REQUEST.sop_class_uid


def test_a_status_alone() -> None:
    assert read_status_elements(DataSet.from_keywords(Status=0xA7FF)) == (0xA7FF, "", {})
    assert failure_elements(DimseFailure(0xA7FF, "full")) == (0xA7FF, "full", {})


def test_empty_elements_say_nothing() -> None:
    given = DataSet.from_keywords(Status=0xC000, ErrorComment=None, OffendingElement=None)
    assert read_status_elements(given) == (0xC000, "", {})


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({}, r"expected a Status \(0000,0900\), got None"),
        ({"Status": None}, "expected a Status"),
        ({"Status": [1, 2]}, r"got \[1, 2\]"),
        ({"Status": 0xC000, "ErrorComment": "x" * 65}, "expected 64 characters at most, got 65"),
        ({"Status": 0xC000, "ErrorComment": ["a", "b"]}, "expected one text, got several values"),
        ({"Status": 0x0110, "ErrorID": [1, 2]}, r"ErrorID \(0000,0903\): expected a number of 0"),
        ({"Status": 0, "AffectedSOPInstanceUID": "1.x"}, r"expected a UID, got '1\.x'"),
        ({"Status": 0, "AffectedSOPInstanceUID": ["1.2", "1.3"]}, "expected a UID"),
        ({"Status": 0, "MessageID": 3}, r"expected Status, .*got \(0000,0110\)"),
        ({"Status": 0, "NumberOfFailedSuboperations": 3}, r"got \(0000,1022\)"),
        ({"Status": 0, "RequestedSOPInstanceUID": "1.2"}, r"got \(0000,1001\)"),
        ({"Status": 0, "PatientID": "1"}, r"got \(0010,0020\)"),
    ],
)
def test_what_is_no_answer(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(HandlerError, match=message):
        read_status_elements(DataSet.from_keywords(**elements))


def test_bytes_that_are_no_value() -> None:
    given = DataSet.from_bytes(
        encode_command({CommandElement.STATUS: b"\x10"}, has_data_set=False),
        transfer_syntax="1.2.840.10008.1.2",
    )
    with pytest.raises(HandlerError, match="status elements"):
        read_status_elements(given)


def test_comments_of_64_characters() -> None:
    given = DataSet.from_keywords(Status=0xC000, ErrorComment="x" * 64)
    assert answer(read_status_elements(given)).ErrorComment == "x" * 64


def test_the_comment_of_a_failure_is_cut() -> None:
    elements = failure_elements(
        DimseFailure(Status.CANNOT_UNDERSTAND, "x" * 100, OffendingElement=[(0x10, 0x20)])
    )
    response = answer(elements)
    assert response.ErrorComment == "x" * 64
    assert response.OffendingElement == Tag("PatientID")


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("OffendingElements", "PatientID", "'OffendingElements' is not a keyword.*close to it"),
        ("OffendingElement", ["PatientsID"], "OffendingElement .*'PatientsID' is not a keyword"),
        ("OffendingElement", -1, "a tag is 0 to 0xFFFFFFFF"),
        ("OffendingElement", 1.5, "a data element is named by"),
        ("ErrorComment", "why", "ErrorComment is given by its place"),
        ("Status", 0, "Status is given by its place"),
        ("PatientID", "1", r"got \(0010,0020\)"),
        ("ErrorID", 1, "ErrorID .*expected status 0110H beside it, got C000H"),
        ("EventTypeID", -1, "expected a number of 0 to 65535, got -1"),
        ("EventTypeID", True, "expected a number of 0 to 65535, got True"),
        ("AffectedSOPClassUID", "CT", "expected a UID, got 'CT'"),
    ],
)
def test_a_failure_with_what_is_no_answer(keyword: str, value: Any, message: str) -> None:
    with pytest.raises(HandlerError, match=message):
        failure_elements(DimseFailure(Status.CANNOT_UNDERSTAND, "why", **{keyword: value}))


def response_with(more: dict[int, int | str | bytes]) -> Command:
    return decode_command(encode_response(REQUEST, 0x0110, "why", more=more))


def test_what_a_peer_says_of_its_failure() -> None:
    assert read_failure_elements(response_with({})) == {}
    assert read_failure_elements(
        response_with({0x0901: PATIENT_NAME + PATIENT_ID, 0x0903: 17, 0x1005: PATIENT_ID})
    ) == {
        "OffendingElement": [Tag("PatientName"), Tag("PatientID")],
        "ErrorID": 17,
        "AttributeIdentifierList": [Tag("PatientID")],
    }


def test_what_cannot_be_read_of_it_is_left_out() -> None:
    damaged = response_with({0x0901: PATIENT_ID + b"\0", 0x0903: b"\1", 0x1005: PATIENT_ID})
    assert read_failure_elements(damaged)["AttributeIdentifierList"] == [Tag("PatientID")]
    assert "ErrorID" not in read_failure_elements(damaged)
    assert read_failure_elements(response_with({0x0903: b"", 0x0901: b""})) == {}


def test_what_is_read_can_be_raised_again() -> None:
    elements = read_failure_elements(response_with({0x0901: PATIENT_ID, 0x0903: 17}))
    again = failure_elements(DimseFailure(0x0110, "why", **elements))
    assert again.more == {0x0901: PATIENT_ID, 0x0903: 17}


def test_elements_of_a_data_set_that_was_put_together_by_tags() -> None:
    given = DataSet.from_elements(
        [
            DataElement(Tag(0x00000900), "US", [0x0120]),
            DataElement(Tag(0x00001005), "AT", [Tag("PatientID"), Tag("PatientName")]),
        ]
    )
    assert read_status_elements(given).more == {0x1005: PATIENT_ID + PATIENT_NAME}
