"""Rejections and aborts in numbers and in words."""

from __future__ import annotations

import pytest

from dicom_actors.pdu import ABORT_REASONS, Reject, describe_abort, describe_reject

# PS3.8 table 9-21 without its reserved values: the reasons of each source.
LEGAL = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}


def test_every_legal_rejection_has_a_name_and_no_other():
    assert {reject.value for reject in Reject} == {
        (result, source, reason)
        for result in (1, 2)
        for source, reasons in LEGAL.items()
        for reason in reasons
    }


@pytest.mark.parametrize(
    ("reject", "numbers"),
    [
        (Reject.NO_REASON, (1, 1, 1)),
        (Reject.APPLICATION_CONTEXT_NOT_SUPPORTED, (1, 1, 2)),
        (Reject.CALLING_AE_TITLE_NOT_RECOGNIZED, (1, 1, 3)),
        (Reject.CALLED_AE_TITLE_NOT_RECOGNIZED, (1, 1, 7)),
        (Reject.ACSE_NO_REASON, (1, 2, 1)),
        (Reject.ACSE_NO_REASON_TRANSIENT, (2, 2, 1)),
        (Reject.PROTOCOL_VERSION_NOT_SUPPORTED, (1, 2, 2)),
        (Reject.TEMPORARY_CONGESTION, (2, 3, 1)),
        (Reject.LOCAL_LIMIT_EXCEEDED, (2, 3, 2)),
    ],
)
def test_the_plain_names(reject, numbers):
    assert (reject.result, reject.source, reject.reason) == numbers


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (
            (1, 1, 7),
            "rejected permanently by the service user: called AE title not recognized (1/1/7)",
        ),
        (
            (2, 3, 2),
            "rejected for now by the service provider (presentation): local limit exceeded (2/3/2)",
        ),
        (
            (1, 2, 9),
            "rejected permanently by the service provider (ACSE): reserved reason 9 (1/2/9)",
        ),
        ((0, 9, 1), "rejected with result 0 by source 9: reserved reason 1 (0/9/1)"),
    ],
)
def test_rejections_in_words(numbers, words):
    assert describe_reject(*numbers) == words


def test_a_rejection_of_ours_in_words():
    assert Reject.NO_REASON.sentence == (
        "rejected permanently by the service user: no reason given (1/1/1)"
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0, 0), "aborted by the service user"),
        ((0, 5), "aborted by the service user"),
        ((2, 6), "aborted by the service provider: invalid PDU parameter value (2/6)"),
        ((2, 3), "aborted by the service provider: reserved reason 3 (2/3)"),
        ((1, 2), "aborted by source 1: unexpected PDU (1/2)"),
    ],
)
def test_aborts_in_words(numbers, words):
    assert describe_abort(*numbers) == words


def test_the_reserved_abort_reason_is_none():
    assert set(ABORT_REASONS) == {0, 1, 2, 4, 5, 6}
