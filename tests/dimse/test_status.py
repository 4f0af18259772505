"""Every status of the standard has a name, a class and words."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from dicom_actors.dimse import (
    STATUS_SERVICES,
    Status,
    StatusCategory,
    category_of,
    describe_status,
)


class Row(NamedTuple):
    """A row of the table of statuses: PS3.7 Annex C and the status tables of PS3.4.

    A row without a service holds for all. A code may be a range, which one name stands for.
    """

    code: str
    category: str
    service: str
    name: str
    related_fields: str

    @property
    def codes(self) -> range:
        first, _, last = self.code.partition("-")
        return range(int(first, 16), int(last or first, 16) + 1)


def read_rows() -> list[Row]:
    text = Path(__file__).with_name("dimse_status.tsv").read_text(encoding="utf-8")
    return [Row(*line.split("\t")) for line in text.splitlines()[1:]]


ROWS = read_rows()
ids = [f"{row.code} {row.service or 'general'}" for row in ROWS]


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 185
    assert len({(row.code, row.service) for row in ROWS}) == 185
    assert {row.service for row in ROWS} - {""} == set(STATUS_SERVICES)


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_each_has_a_name(row: Row) -> None:
    assert Status[row.name] in row.codes


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_each_is_of_its_class(row: Row) -> None:
    for code in row.codes:
        assert category_of(code) is StatusCategory[row.category.upper()]


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_each_has_words(row: Row) -> None:
    generic = {describe_status(0xB7F3)[7:], describe_status(0xC7F3)[7:], "failure"}
    status = Status[row.name]
    code, _, words = describe_status(status, row.service).partition(": ")
    assert code == f"{status:04X}H"
    if row.service or len(row.codes) == 1:
        assert words not in generic
    assert "_" not in words


def test_every_name_stands_for_a_row() -> None:
    assert set(Status.__members__) == {row.name for row in ROWS}


def test_names_of_one_code_are_one_status() -> None:
    assert Status.MPPS_MAY_NO_LONGER_BE_UPDATED is Status.PROCESSING_FAILURE
    assert Status.SUB_OPERATIONS_WITH_FAILURES is Status(0xB000)
    assert Status.UNABLE_TO_PROCESS + 5 == 0xC005


@pytest.mark.parametrize(
    ("status", "service", "words"),
    [
        (0x0000, "", "0000H: success"),
        (0x0110, "", "0110H: processing failure"),
        (
            0x0110,
            "Modality Performed Procedure Step",
            "0110H: step may no longer be updated",
        ),
        (0x0110, "Storage", "0110H: processing failure"),
        (0x0122, "", "0122H: SOP class not supported"),
        (0xA700, "", "A700H: out of resources"),
        (0xA7FF, "", "A7FFH: refused: out of resources"),
        (0xA702, "", "A702H: out of resources for the sub-operations"),
        (0xA702, "Storage", "A702H: refused: out of resources"),
        (0xA801, "", "A801H: move destination unknown"),
        (0xA8FF, "", "A8FFH: refused: move destination unknown"),
        (0xA999, "", "A999H: data set does not match SOP class"),
        (0xB000, "", "B000H: warning"),
        (0xB000, "Storage", "B000H: stored, with data elements coerced"),
        (
            0xB000,
            "Query/Retrieve C-MOVE",
            "B000H: sub-operations are done, with failures or warnings among them",
        ),
        (0xB123, "", "B123H: warning"),
        (0xC123, "", "C123H: cannot understand or process"),
        (0xC300, "", "C300H: may no longer be updated (Unified Procedure Step)"),
        (0xC300, "Unified Procedure Step", "C300H: may no longer be updated"),
        (0xC300, "Print Management", "C300H: cannot understand or process"),
        (0x9999, "", "9999H: failure"),
        (0xFFFF, "Storage", "FFFFH: failure"),
    ],
)
def test_words(status: int, service: str, words: str) -> None:
    assert describe_status(status, service) == words


def test_a_service_that_there_is_none_of() -> None:
    with pytest.raises(ValueError, match=r"expected one of Verification, .*, got 'Printing'"):
        describe_status(0xC600, "Printing")


def test_codes_without_a_name_are_taken_as_they_are() -> None:
    for code in (0x0200, 0x01FF, 0xA123, 0xD000, 0xFFFF):
        assert category_of(code) is StatusCategory.FAILURE
