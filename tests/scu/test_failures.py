"""What the user learns of a failure: the words of its service, and what the peer pointed at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kit.fake_acceptor import FakeAcceptor, message

from dicom_actors.data import DataSet, Tag
from dicom_actors.dimse import Status, attribute_identifier_list, encode_response
from dicom_actors.errors import DimseFailure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dicom_actors.dimse import Command

MPPS = "1.2.840.10008.3.1.2.3.3"
FILM_BOX = "1.2.840.10008.5.1.1.2"
ATTRIBUTES = DataSet.from_keywords(PatientName="Doe")
TAGS = [Tag("PatientID"), Tag("PatientName")]


class Failing(FakeAcceptor):
    """Answers every request with one status."""

    def __init__(
        self, status: int, comment: str = "", more: Mapping[int, int | str | bytes] | None = None
    ) -> None:
        super().__init__()
        self.status = status
        self.comment = comment
        self.more = more

    def on_message(self, context_id: int, command: Command, data: bytes | None) -> Iterator[Any]:
        raw = encode_response(command, self.status, self.comment, more=self.more)
        yield message(context_id, raw)


def failure_of(peer: Failing, sop_class: str = MPPS) -> DimseFailure:
    with peer.connect() as assoc, pytest.raises(DimseFailure) as caught:
        assoc.n_create(sop_class, "1.2", ATTRIBUTES)
    return caught.value


def test_elements_of_the_response() -> None:
    tags = attribute_identifier_list(TAGS)
    failure = failure_of(Failing(0x0110, "why", {0x0901: tags, 0x0903: 17, 0x1005: tags}))
    assert failure.status == Status.PROCESSING_FAILURE
    assert failure.elements == {
        "OffendingElement": TAGS,
        "ErrorID": 17,
        "AttributeIdentifierList": TAGS,
    }


def test_a_response_with_nothing_more() -> None:
    assert failure_of(Failing(0xA700)).elements == {}


@pytest.mark.parametrize(
    ("sop_class", "status", "comment", "words"),
    [
        (MPPS, 0x0110, "", "step may no longer be updated"),
        (MPPS, 0x0110, "no", "step may no longer be updated (no)"),
        (FILM_BOX, 0x0110, "", "processing failure"),
        (FILM_BOX, 0xC616, "", "a film box that is not printed yet is in the way"),
        ("1.2.3.4", 0xC616, "", "a film box that is not printed yet is in the way (Print Manage"),
    ],
)
def test_words_of_the_service(sop_class: str, status: int, comment: str, words: str) -> None:
    assert failure_of(Failing(status, comment), sop_class).comment.startswith(words)
