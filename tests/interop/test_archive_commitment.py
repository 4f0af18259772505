"""Storage commitment of an archive, asked for by pynetdicom, which waits on its association."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from kit.endpoints import LIMIT, running
from kit.scp import pynetdicom_scp
from kit.stored_instances import CT, data_set
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from dicom_actors.archive import Archive
from dicom_actors.archive.services import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

INSTANCE = "1.2.840.10008.1.20.1.1"


@pytest.fixture
def peers() -> dict[str, Peer]:
    return {}


@pytest.fixture
def archive(tmp_path: Path, peers: dict[str, Peer]) -> Iterator[Archive]:
    with Archive.open(tmp_path / "archive", durability="os", peers=peers) as archive:
        archive.add(data_set(instance=1))
        yield archive


def request(transaction: str, *instances: str) -> pydicom.Dataset:
    wanted = pydicom.Dataset()
    wanted.TransactionUID = transaction
    wanted.ReferencedSOPSequence = []
    for instance in instances:
        item = pydicom.Dataset()
        item.ReferencedSOPClassUID = CT
        item.ReferencedSOPInstanceUID = instance
        wanted.ReferencedSOPSequence.append(item)
    return wanted


def reporting(reports: queue.Queue[Any]) -> list[Any]:
    def report(event: Any) -> tuple[int, None]:
        reports.put((event.event_type, event.event_information))
        return 0x0000, None

    return [(evt.EVT_N_EVENT_REPORT, report)]


def ask(association: Any, wanted: pydicom.Dataset) -> int:
    """Ask, while pynetdicom does not look for requests of the peer; see `associate`."""
    take = association.dimse.get_msg

    def get_msg(block: bool = False) -> Any:
        return take(block=True) if block else (None, None)

    association.dimse.get_msg = get_msg
    try:
        status, _ = association.send_n_action(wanted, 1, StorageCommitmentPushModel, INSTANCE)
    finally:
        association.dimse.get_msg = take
    return int(status.Status)


def release(association: Any) -> None:
    """Release; pynetdicom waits for its own thread without a limit, even if that has ended."""
    thread = threading.Thread(target=association.release, daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert not thread.is_alive(), "pynetdicom does not come to release"


@pytest.mark.parametrize("roles", [None, (True, False), (True, True)])
def test_the_report_comes_on_the_association_that_is_open(
    archive: Archive, roles: tuple[bool, bool] | None
) -> None:
    reports: queue.Queue[Any] = queue.Queue()
    ae = AE("STRANGER")
    ae.add_requested_context(StorageCommitmentPushModel)
    negotiation = []
    if roles is not None:
        negotiation.append(
            build_role(StorageCommitmentPushModel, scu_role=roles[0], scp_role=roles[1])
        )
    with running(archive.event_handlers()) as endpoint:
        association = ae.associate(
            "127.0.0.1", endpoint.port, evt_handlers=reporting(reports), ext_neg=negotiation
        )
        assert association.is_established
        for transaction in ("1.2.9.1", "1.2.9.2"):
            assert ask(association, request(transaction, "1.2.1.1.1.1", "1.2.9")) == 0x0000
            event_type, information = reports.get(timeout=LIMIT)
            assert (event_type, information.TransactionUID) == (2, transaction)
            (kept,) = information.ReferencedSOPSequence
            (failed,) = information.FailedSOPSequence
            assert kept.ReferencedSOPInstanceUID == "1.2.1.1.1.1"
            assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.9", 0x0112)
        release(association)
        assert association.is_released
    assert reports.empty()


def test_who_releases_at_once_is_told_on_a_new_association(
    archive: Archive, peers: dict[str, Peer]
) -> None:
    reports: queue.Queue[Any] = queue.Queue()
    listening = AE("USER")
    listening.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    asking = AE("USER")
    asking.add_requested_context(StorageCommitmentPushModel)
    with pynetdicom_scp(listening, reporting(reports)) as port:
        peers["USER"] = Peer("127.0.0.1", port)
        with running(archive.event_handlers()) as endpoint:
            association = asking.associate("127.0.0.1", endpoint.port)
            assert association.is_established
            assert ask(association, request("1.2.9.1", "1.2.1.1.1.1")) == 0x0000
            release(association)
            event_type, information = reports.get(timeout=LIMIT)
    assert (event_type, information.TransactionUID) == (1, "1.2.9.1")
    assert reports.empty()
