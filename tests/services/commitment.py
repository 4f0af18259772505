"""Storage commitment, push model, on both sides (PS3.4 J).

The provider is asked by N-ACTION whether it will keep certain instances. It answers Success at
once, looks for them in its own time, and reports what it found by N-EVENT-REPORT on an
association that it opens itself, in reversed roles.

    reporter = Reporter.start(class_of)
    service = StorageCommitment(reporter, peers={"MODALITY": ("10.0.0.7", 104)})
    Endpoint.start(event_handlers=service.event_handlers)

The user asks, and takes the reports on an endpoint of its own:

    commitments = Commitments()
    Endpoint.start(event_handlers=commitments.event_handlers)
    transaction = commitments.ask(association, {instance_uid: class_uid})
    ...
    commitments.wait(transaction)
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pykka

from dicom_actors import DataSet, DicomError, DimseFailure, Status, connect, generate_uid
from dicom_actors.errors import DataError
from dicom_actors.scu import ProposedContext

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_actors.scu import Association

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST = 1
"""The Action Type ID (PS3.4 J.3.2)."""
ALL_KEPT, SOME_NOT_KEPT = 1, 2
"""The Event Type IDs (PS3.4 J.3.3)."""

MAX_UNSENT = 1_000
"""Reports that are kept for peers that cannot be reached."""

_logger = logging.getLogger(__name__)


# --- the provider --------------------------------------------------------------------------


class Transaction(NamedTuple):
    """What somebody wants to be kept.

    Attributes:
        uid: Transaction UID.
        ae_title: who asks.
        address: the host and port to report to.
        instances: pairs of SOP Class UID and SOP Instance UID.
    """

    uid: str
    ae_title: str
    address: tuple[str, int]
    instances: list[tuple[str, str]]


class StorageCommitment:
    """The event handlers of a provider.

    Args:
        reporter: a `Reporter`.
        peers: host and port of each AE title that may ask, to which reports go.
    """

    def __init__(
        self, reporter: pykka.ActorRef[Reporter], peers: Mapping[str, tuple[str, int]]
    ) -> None:
        self._reporter = reporter
        self._peers = peers

    @property
    def event_handlers(self) -> dict[str, Callable[[Any], Any]]:
        """For the endpoint."""
        return {"naction": self.act}

    def act(self, event: Any) -> None:
        """Answer N-ACTION; the work is left to the reporter."""
        if event.sop_instance_uid != WELL_KNOWN_INSTANCE:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE)
        if event.action_type_id != REQUEST:
            raise DimseFailure(Status.NO_SUCH_ACTION_TYPE, ActionTypeID=event.action_type_id)
        uid, instances = _read(event.dataset)
        if not instances:
            raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, "no instances")
        ae_title = event.association.calling_ae_title
        address = self._peers.get(ae_title)
        if address is None:
            raise DimseFailure(Status.NOT_AUTHORIZED, "no address to report to")
        self._reporter.tell(Transaction(uid, ae_title, address, instances))


class Retry:
    """Tells a `Reporter` to try again what it could not send; a host application's timer may."""


class Reporter(pykka.ThreadingActor):
    """Looks for instances and reports, one transaction after the other.

    What cannot be sent is kept, and tried again with the next transaction or at a `Retry`.

    Args:
        class_of: tells the SOP Class UID of an instance that is kept, None of any other.
        calling: our own AE title.
    """

    use_daemon_thread = True

    def __init__(
        self, class_of: Callable[[str], str | None], *, calling: str = "COMMITMENT"
    ) -> None:
        super().__init__()
        self._class_of = class_of
        self._calling = calling
        self._unsent: list[tuple[Transaction, DataSet]] = []

    def on_receive(self, message: Any) -> None:
        """Look for what is in a transaction, and send the reports that there are."""
        if isinstance(message, Transaction):
            self._unsent.append((message, self._look(message)))
        unsent = [report for report in self._unsent if not self._is_sent(*report)]
        self._unsent = unsent[-MAX_UNSENT:]

    def _is_sent(self, transaction: Transaction, report: DataSet) -> bool:
        try:
            self._send(transaction, report)
        except DicomError as error:
            _logger.warning("no report to %s: %r", transaction.ae_title, error)
            return False
        return True

    def _look(self, transaction: Transaction) -> DataSet:
        kept, failed = [], []
        for class_uid, instance_uid in transaction.instances:
            reference = DataSet.from_keywords(
                ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=instance_uid
            )
            found = self._class_of(instance_uid)
            if found == class_uid:
                kept.append(reference)
                continue
            reference.FailureReason = int(
                Status.NO_SUCH_SOP_INSTANCE if found is None else Status.CLASS_INSTANCE_CONFLICT
            )
            failed.append(reference)
        report = DataSet.from_keywords(TransactionUID=transaction.uid)
        if kept:
            report.ReferencedSOPSequence = kept
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _send(self, transaction: Transaction, report: DataSet) -> None:
        event_type_id = SOME_NOT_KEPT if "FailedSOPSequence" in report else ALL_KEPT
        # Whoever asks for this association is the provider of the SOP class (PS3.7 D.3.3.4).
        context = ProposedContext(STORAGE_COMMITMENT, scu=False, scp=True)
        with connect(
            *transaction.address,
            called=transaction.ae_title,
            calling=self._calling,
            contexts=[context],
        ) as association:
            association.n_event_report(
                STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, event_type_id, report
            )


# --- the user ------------------------------------------------------------------------------


class Commitment(NamedTuple):
    """What the provider reported of a transaction.

    Attributes:
        kept: SOP Instance UIDs of what it will keep.
        failed: those of what it will not, with the Failure Reason.
    """

    kept: frozenset[str]
    failed: Mapping[str, int]


class Commitments:
    """What was asked for, and what was reported."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reported: dict[str, Commitment | None] = {}

    @property
    def event_handlers(self) -> dict[str, Callable[[Any], Any]]:
        """For the endpoint."""
        return {"nevent_report": self.report}

    def ask(self, association: Association, instances: Mapping[str, str]) -> str:
        """Ask for commitment.

        Args:
            association: with the provider.
            instances: SOP Class UIDs by SOP Instance UIDs.

        Returns:
            The Transaction UID.
        """
        uid = str(generate_uid())
        with self._changed:
            self._reported[uid] = None  # before the report can come
        references = [
            DataSet.from_keywords(ReferencedSOPClassUID=of, ReferencedSOPInstanceUID=instance)
            for instance, of in instances.items()
        ]
        association.n_action(
            STORAGE_COMMITMENT,
            WELL_KNOWN_INSTANCE,
            REQUEST,
            DataSet.from_keywords(TransactionUID=uid, ReferencedSOPSequence=references),
        )
        return uid

    def report(self, event: Any) -> None:
        """Answer N-EVENT-REPORT."""
        if event.event_type_id not in {ALL_KEPT, SOME_NOT_KEPT}:
            raise DimseFailure(Status.NO_SUCH_EVENT_TYPE, EventTypeID=event.event_type_id)
        uid, kept = _read(event.dataset)
        failed = (event.dataset or DataSet()).get("FailedSOPSequence") or ()
        commitment = Commitment(
            frozenset(instance for _, instance in kept),
            {item.get("ReferencedSOPInstanceUID"): item.get("FailureReason") for item in failed},
        )
        with self._changed:
            if uid not in self._reported:
                raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, "no such transaction")
            self._reported[uid] = commitment
            self._changed.notify_all()

    def wait(self, transaction: str, timeout: float | None = None) -> Commitment:
        """Wait for the report of a transaction.

        Raises:
            TimeoutError: none came within `timeout` seconds.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._reported[transaction] is not None, timeout)
            commitment = self._reported[transaction]
        if commitment is None:
            raise TimeoutError(f"no report of transaction {transaction}")
        return commitment


def _read(information: DataSet | None) -> tuple[str, list[tuple[str, str]]]:
    """Take the transaction, and the class and instance of each reference, from a data set.

    Raises:
        DimseFailure: it lacks some of that.
    """
    try:
        if information is None or not information.TransactionUID:
            raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, "no transaction")
        return information.TransactionUID, [
            (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
            for item in information.get("ReferencedSOPSequence") or ()
        ]
    except DataError as error:
        raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, str(error)) from error
