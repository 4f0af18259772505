"""What handlers may return, and what a refusal of it says."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit.endpoints import running
from kit.peer import CT_IMAGE

from dicom_actors import Accept, DataSet, DimseFailure, Status, connect
from dicom_actors.actors.handlers.outcomes import (
    outcome_of,
    outcome_of_failure,
    outcome_of_shortage,
)
from dicom_actors.errors import AssociationRejected, HandlerError

N_SERVICES = ("ncreate", "nset", "nget", "ndelete", "naction", "nevent_report")
SERVICES = ("cstore", "cecho", "cfind", "cget", "cmove", *N_SERVICES)
EVENT: Any = SimpleNamespace(sop_instance_uid="1.2", action_type_id=1, event_type_id=1)
OBJECT = DataSet.from_keywords(SOPClassUID=CT_IMAGE, SOPInstanceUID="1.2.3", PatientID="7")
CONTEXT: Any = None  # looked at for data sets alone


def outcome(service: str, result: object) -> Any:
    return outcome_of(service, result, EVENT, CONTEXT)


@pytest.mark.parametrize("result", ["kept/1.dcm", Path("kept/1.dcm"), "", Path()])
def test_a_path_says_where_an_object_is(result: object) -> None:
    assert outcome("cstore", result).status == 0
    for service in ("cecho", *N_SERVICES):
        with pytest.raises(HandlerError, match=f"from the {service} handler, got"):
            outcome(service, result)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "result",
    [
        Status.PENDING,
        0xFF00,
        Status.PENDING_WITH_WARNING,
        0xFF01,
        DataSet.from_keywords(Status=0xFF00),
        DataSet.from_keywords(Status=0xFF01),
    ],
)
def test_no_final_response_says_that_more_follow(result: object, service: str) -> None:
    with pytest.raises(HandlerError, match=r"final status.*FF0[01]H, which says that more"):
        outcome(service, result)


@pytest.mark.parametrize("service", SERVICES)
def test_nor_does_a_failure_that_is_raised(service: str) -> None:
    with pytest.raises(HandlerError, match="FF00H"):
        outcome_of_failure(service, DimseFailure(Status.PENDING), {})


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("cstore", "None, a final status, a data set with Status, or the path of the file"),
        ("cecho", "None, a final status or a data set with Status"),
        ("cfind", "None, a final status or a data set with Status, or data sets to be sent"),
        ("nget", "None, a final status, a data set, or a final status and a data set"),
    ],
)
@pytest.mark.parametrize(
    ("result", "got"), [(1.5, "float"), (False, "bool"), (b"x", "bytes"), (0x1_0000, "10000H")]
)
def test_a_refusal_says_what_may_be_returned(
    result: object, got: str, service: str, expected: str
) -> None:
    with pytest.raises(HandlerError) as caught:
        outcome(service, result)
    assert str(caught.value) == f"expected {expected} from the {service} handler, got {got}"


@pytest.mark.parametrize("number", [24, 23, 28, 12])
def test_a_shortage_is_a_reason_to_refuse_an_object(number: int) -> None:
    shortage = outcome_of_shortage("cstore", OSError(number, "no more"))
    assert shortage is not None
    assert (shortage.status, shortage.comment) == (0xA700, "no more")
    assert outcome_of_shortage("cfind", OSError(number, "no more")) is None


@pytest.mark.parametrize("fault", [OSError(2, "no such file"), ValueError(28), OSError()])
def test_nothing_else_is(fault: BaseException) -> None:
    assert outcome_of_shortage("cstore", fault) is None


@pytest.mark.parametrize("response", ["x", object(), b"x" * 70_000])
def test_an_identity_response_that_cannot_be_sent_crashes_nothing(response: Any) -> None:
    with running({"association_validator": lambda request: Accept(response)}) as endpoint:
        with pytest.raises(AssociationRejected) as rejected:
            connect("127.0.0.1", endpoint.port, called="TEST", user_identity="jane")
        assert (rejected.value.result, rejected.value.source, rejected.value.reason) == (2, 2, 1)
        assert endpoint.status().restarts == 0


class Untold:
    """Cannot be told."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("failure", "status", "comment"),
    [
        (DimseFailure(-1), 0x0110, "handler failed: HandlerError"),
        (DimseFailure(0x10000), 0x0110, "handler failed: HandlerError"),
        (DimseFailure(0x10000, ErrorID=1), 0x0110, "handler failed: HandlerError"),
        (DimseFailure(0xC000, b"x"), 0xC000, "b'x'"),  # type: ignore[arg-type]
        (DimseFailure(0xC000, OSError("no")), 0xC000, "no"),  # type: ignore[arg-type]
        (DimseFailure(0xC000, None), 0xC000, ""),  # type: ignore[arg-type]
    ],
)
def test_what_is_raised_need_not_be_right(failure: DimseFailure, status: int, comment: str) -> None:
    def store(event: Any) -> None:
        raise failure

    def untold(event: Any) -> None:
        error = DimseFailure(0xC000)
        error.comment = Untold()  # type: ignore[assignment]
        raise error

    with running({"cstore": store, "cecho": untold}) as endpoint:
        peer = connect("127.0.0.1", endpoint.port, called="TEST")
        with peer as association:
            result = association.store(OBJECT)
            assert (result.status, result.comment) == (status, comment)
            with pytest.raises(DimseFailure, match="SystemExit"):
                association.echo()
        assert endpoint.status().restarts == 0


class Named(type):
    """Has no name for who asks."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit


class Nameless(Exception, metaclass=Named):
    """Cannot be told by its name."""


class Unreadable(OSError):
    """Cannot be read."""

    @property
    def errno(self) -> int:  # type: ignore[override]
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fault", "status", "comment"),
    [
        (Nameless(), 0x0110, "handler failed: HandlerError"),
        (Unreadable(28, "no more"), 0x0110, "handler failed: HandlerError"),
        (OSError(28, 5), 0xA700, "5"),
        (OSError(28, Untold()), 0x0110, "handler failed: HandlerError"),
    ],
)
def test_what_is_in_a_fault_passes_no_boundary(
    fault: BaseException, status: int, comment: str
) -> None:
    def store(event: Any) -> None:
        raise fault

    with running({"cstore": store}) as endpoint:
        with connect("127.0.0.1", endpoint.port, called="TEST") as association:
            for _ in range(2):
                result = association.store(OBJECT)
                assert (result.status, result.comment) == (status, comment)
        assert endpoint.status().restarts == 0
