"""Storage commitment of `services.commitment`: pynetdicom on either side, and both of ours."""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.endpoints import LIMIT, running
from kit.pynetdicom_user import associate
from kit.scp import free_port, pynetdicom_scp
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]
from services.commitment import (
    WELL_KNOWN_INSTANCE,
    Commitment,
    Commitments,
    Reporter,
    Retry,
    StorageCommitment,
)

from dicom_actors import DataSet, DimseFailure, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
KEPT = {"1.2.3.1": CT, "1.2.3.2": CT, "1.2.3.3": MR}
NO_SUCH_INSTANCE, CLASS_INSTANCE_CONFLICT = 0x0112, 0x0119


@contextlib.contextmanager
def provider(**peers: int) -> Iterator[tuple[int, Any]]:
    """The service on an endpoint: its port, and its reporter."""
    reporter = Reporter.start(KEPT.get, calling="KEEPER")
    addresses = {name: ("127.0.0.1", port) for name, port in peers.items()}
    try:
        with running(StorageCommitment(reporter, addresses).event_handlers) as endpoint:
            yield endpoint.port, reporter
    finally:
        reporter.stop(timeout=LIMIT)


def request(transaction: str, instances: dict[str, str]) -> pydicom.Dataset:
    """What a pynetdicom user asks for."""
    ds = pydicom.Dataset()
    ds.TransactionUID = transaction
    ds.ReferencedSOPSequence = []
    for instance, sop_class in instances.items():
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID = sop_class
        item.ReferencedSOPInstanceUID = instance
        ds.ReferencedSOPSequence.append(item)
    return ds


def ask(port: int, ds: pydicom.Dataset | None, action: int = 1, calling: str = "USER") -> int:
    """Ask as pynetdicom does; the status."""
    ae = AE(calling)
    ae.add_requested_context(StorageCommitmentPushModel)
    association = associate(ae, port)
    status, _ = association.send_n_action(
        ds, action, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
    )
    association.release()
    return int(status.Status)


def listen(reports: queue.Queue[Any]) -> Any:
    """A pynetdicom user's own endpoint, which takes the reports."""

    def report(event: Any) -> tuple[int, None]:
        title = event.assoc.requestor.ae_title
        reports.put((title, event.event_type, event.event_information))
        return 0x0000, None

    ae = AE("USER")
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    return pynetdicom_scp(ae, [(evt.EVT_N_EVENT_REPORT, report)])


def test_pynetdicom_asks_and_gets_reports_on_another_association() -> None:
    reports: queue.Queue[Any] = queue.Queue()
    with listen(reports) as port, provider(USER=port) as (provider_port, _):
        assert ask(provider_port, request("1.2.9.1", KEPT)) == 0x0000
        title, event_type, report = reports.get(timeout=LIMIT)
        assert (title, event_type, report.TransactionUID) == ("KEEPER", 1, "1.2.9.1")
        assert report.ReferencedSOPSequence == request("1.2.9.1", KEPT).ReferencedSOPSequence
        assert "FailedSOPSequence" not in report

        wanted = {"1.2.3.1": CT, "1.2.3.3": CT, "1.2.3.4": CT}
        assert ask(provider_port, request("1.2.9.2", wanted)) == 0x0000
        _, event_type, report = reports.get(timeout=LIMIT)
        assert (event_type, report.TransactionUID) == (2, "1.2.9.2")
        assert [i.ReferencedSOPInstanceUID for i in report.ReferencedSOPSequence] == ["1.2.3.1"]
        assert [
            (i.ReferencedSOPInstanceUID, i.FailureReason) for i in report.FailedSOPSequence
        ] == [
            ("1.2.3.3", CLASS_INSTANCE_CONFLICT),
            ("1.2.3.4", NO_SUCH_INSTANCE),
        ]


def test_what_cannot_be_asked_for() -> None:
    with provider(USER=free_port()) as (port, _):
        assert ask(port, request("1.2.9.1", KEPT), action=2) == 0x0123
        assert ask(port, request("1.2.9.1", {})) == 0x0115
        assert ask(port, request("", KEPT)) == 0x0115
        assert ask(port, request("1.2.9.1", KEPT), calling="STRANGER") == 0x0124
        incomplete = request("1.2.9.1", KEPT)
        del incomplete.ReferencedSOPSequence[1].ReferencedSOPClassUID
        assert ask(port, incomplete) == 0x0115
        with connect("127.0.0.1", port, calling="USER") as association:
            with pytest.raises(DimseFailure) as caught:
                association.n_action(StorageCommitmentPushModel, "1.2.3", 1)
        assert caught.value.status == 0x0112


def test_a_user_that_cannot_be_reached_gets_its_report_later() -> None:
    """Its endpoint refuses the first association for the report, and takes the second."""
    commitments = Commitments()
    refused = threading.Event()

    def validate(association_request: Any) -> bool:
        was_refused = refused.is_set()
        refused.set()
        return was_refused

    handlers = {**commitments.event_handlers, "association_validator": validate}
    with running(handlers) as user, provider(USER=user.port) as (port, reporter):
        with connect("127.0.0.1", port, calling="USER") as association:
            transaction = commitments.ask(association, {"1.2.3.1": CT})
        assert refused.wait(LIMIT)
        with pytest.raises(TimeoutError, match=transaction):
            commitments.wait(transaction, timeout=0)
        reporter.tell(Retry())
        assert commitments.wait(transaction, LIMIT) == Commitment(frozenset({"1.2.3.1"}), {})


def test_both_sides_are_ours() -> None:
    commitments = Commitments()
    with running(commitments.event_handlers) as user, provider(USER=user.port) as (port, _):
        with connect("127.0.0.1", port, calling="USER") as association:
            first = commitments.ask(association, KEPT)
            second = commitments.ask(association, {"1.2.3.1": MR, "1.2.3.9": MR})
        assert commitments.wait(first, LIMIT) == Commitment(frozenset(KEPT), {})
        assert commitments.wait(second, LIMIT) == Commitment(
            frozenset(), {"1.2.3.1": CLASS_INSTANCE_CONFLICT, "1.2.3.9": NO_SUCH_INSTANCE}
        )


def test_pynetdicom_reports_to_us() -> None:
    commitments = Commitments()
    transactions: queue.Queue[Any] = queue.Queue()

    def act(event: Any) -> tuple[int, None]:
        transactions.put(event.action_information)
        return 0x0000, None

    keeper = AE("KEEPER")
    keeper.add_supported_context(StorageCommitmentPushModel)
    keeper.add_requested_context(StorageCommitmentPushModel)
    with pynetdicom_scp(keeper, [(evt.EVT_N_ACTION, act)]) as port:
        with running(commitments.event_handlers) as user:
            with connect("127.0.0.1", port, calling="USER") as association:
                transaction = commitments.ask(association, KEPT)
            asked = transactions.get(timeout=LIMIT)
            assert asked == request(transaction, KEPT)
            role = build_role(StorageCommitmentPushModel, scp_role=True)
            reporting = associate(keeper, user.port, ext_neg=[role])

            def report(ds: pydicom.Dataset, event_type: int = 1) -> int:
                status, _ = reporting.send_n_event_report(
                    ds, event_type, StorageCommitmentPushModel, WELL_KNOWN_INSTANCE
                )
                return int(status.Status)

            assert report(asked, event_type=3) == 0x0113
            assert report(request("1.2.9.9", KEPT)) == 0x0115
            assert report(asked) == 0x0000
            reporting.release()
        assert commitments.wait(transaction, LIMIT).kept == frozenset(KEPT)


def test_a_user_is_no_provider() -> None:
    with running(Commitments().event_handlers) as user:
        with connect("127.0.0.1", user.port) as association:
            with pytest.raises(DimseFailure) as caught:
                association.n_action(StorageCommitmentPushModel, WELL_KNOWN_INSTANCE, 1, DataSet())
            assert caught.value.status == 0x0211
