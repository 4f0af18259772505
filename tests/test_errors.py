"""Errors say what they should, also when they have crossed a process."""

from __future__ import annotations

import pickle

import pytest

from dicom_actors import Tag, errors

SAMPLES = [
    errors.DicomError("x"),
    errors.DecodeError("x", offset=5, tag=0x00100010, path=("A[0]", "B")),
    errors.EncodeError("x", tag=0x00100010, path=("A",)),
    errors.ElementNotFoundError("x", tag=1, keyword="K"),
    errors.RemoteProtocolError("x", abort_reason=4),
    errors.InvalidPduError("x", offset=3, abort_reason=5),
    errors.AssociationRejected("x", result=1, source=2, reason=1),
    errors.AssociationAborted("x", source=2, reason=6),
    errors.AssociationTimeout("x"),
    errors.TransportError("x"),
    errors.DimseFailure(0xA700, "full"),
    errors.DimseFailure(0x0110, ErrorID=3, OffendingElement=[Tag("PatientID")]),
    errors.HandlerError("x"),
    errors.WorkerError("x"),
    errors.ArchiveError("x", "full"),
    errors.ConfigurationError("x"),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling(error: errors.DicomError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_the_drawn_tree_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        assert name in errors.__doc__
        assert issubclass(getattr(errors, name), errors.DicomError)


def test_where_python_has_the_word_an_error_is_that_too() -> None:
    for kind, word in (
        (errors.DecodeError, ValueError),
        (errors.EncodeError, ValueError),
        (errors.ElementNotFoundError, KeyError),
        (errors.AssociationTimeout, TimeoutError),
        (errors.TransportError, OSError),
        (errors.ConfigurationError, ValueError),
    ):
        assert issubclass(kind, word)


def test_a_decode_error_says_where() -> None:
    error = errors.DecodeError("bad", offset=9, tag=0x00100010, path=("A[0]", "B"))
    assert str(error) == "bad [tag (0010,0010), in A[0] > B, at byte 9]"
