"""Storage commitment, push model: the archive says what it really has, and says it once.

A request is written into the index before it is answered, so that neither a crash nor a power cut
makes it forgotten. `CommitmentReports` looks for the instances, reports by N-EVENT-REPORT, and
forgets the request when the report was taken; until then it tries again, less and less often. Who
calls it, and when, is left to `CommitmentReporter`.

The report goes on the association of the request if that is still open a moment after, else, and
whenever nobody answers it there, on one of its own to the peer of that AE title. Where no such
peer is configured, and none is after some hours, there is no way to tell it: that is logged, and
what it is owed is forgotten. Where several processes keep an archive each reports what it was asked
for, as it has the association; the others do so when it has not for a while.

An instance counts as kept if it has its row, which is written after its bytes are safe, and its
bytes are there.

Standard: PS3.4 J.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import DataSet, DicomError, DimseFailure, Status, connect
from dicom_actors.archive.index import Claimed, Owed, Postponed, Result, Settled, is_uid
from dicom_actors.archive.services.combining import Service
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.scu import ProposedContext
from dicom_actors.supervision import Continue, SupervisedActor, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pykka

    from dicom_actors.archive.index import Change, Commitment, Outcome
    from dicom_actors.archive.services.peers import Peer
    from dicom_actors.archive.services.query_retrieve import Holdings

__all__ = [
    "CommitmentReporter",
    "CommitmentReports",
    "OpenRequests",
    "ReportNow",
    "StorageCommitment",
]

logger = logging.getLogger(__name__)

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
WELL_KNOWN_INSTANCE: Final = "1.2.840.10008.1.20.1.1"
REQUEST: Final = 1
"""The Action Type ID (PS3.4 J.3.2)."""
ALL_KEPT, SOME_NOT_KEPT = 1, 2
"""The Event Type IDs (PS3.4 J.3.3)."""

MAX_INSTANCES: Final = 100_000
"""Instances of one request."""
MAX_OWED: Final = 10_000
"""Requests that are not reported yet."""

_OURS_FOR: Final = 30.0
"""Seconds that a process has to begin to report what it was asked for, before others do."""
_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 3_600.0
_TRIES_FOR_NOBODY: Final = 10
"""So often, over some hours, it is looked whether a peer is configured meanwhile."""
_AT_A_TIME: Final = 16
_CLAIMED_FOR: Final = 300.0
"""Seconds after which a report is another one's to make, if whoever began to is gone."""
_MOST_OPEN: Final = 1_000
"""Requests whose association is remembered; older ones are reported on a new one."""
_BREATH: Final = 0.25
"""Seconds from the request to its report, in which it is answered, and those who do not wait for a
report release the association."""
_ANSWER_TIMEOUT: Final = 10.0
"""Seconds that a peer has to answer a report on the association of its request; one that does not
listen there will not after any longer."""

Write = "Callable[[Sequence[Change]], list[Outcome]]"


class OpenRequests:
    """On which associations requests have come, as far as these may be open. Any thread may use it.

    They are gone with the process; the requests themselves are in the index.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # With what reports, and when; the times rise.
        self._open: OrderedDict[tuple[str, str], tuple[Any, float]] = OrderedDict()

    def put(self, ae_title: str, transaction_uid: str, reporter: Any, due: float) -> None:
        """Note what reports on the association of a request, and when it is to."""
        with self._lock:
            self._open[ae_title, transaction_uid] = reporter, due
            while len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)

    def due(self, now: float) -> list[tuple[str, str]]:
        """AE titles and transactions of the requests that are to be reported by now."""
        with self._lock:
            return [request for request, (_, due) in self._open.items() if due <= now]

    def next_due(self) -> float | None:
        """When the next one is to be reported; None: there is none."""
        with self._lock:
            return min((due for _, due in self._open.values()), default=None)

    def take(self, ae_title: str, transaction_uid: str) -> Any:
        """Give what reports on the association of a request, once; None: it is not open."""
        with self._lock:
            reporter, _ = self._open.pop((ae_title, transaction_uid), (None, 0.0))
        return reporter if reporter is not None and reporter.is_open else None


class StorageCommitment(Service):
    """The service: takes requests.

    Args:
        holdings: the archive.
        write: puts changes into its index; they are durable when it returns.
        now: gives the time, in seconds since the epoch.
        wake: is called when there is something to report.
        requests: where it is noted on which association a request came.
        on_request: is called with the SOP Instance UIDs of a request, once it is taken.
        is_alone: whether no other process keeps the archive, too.
    """

    def __init__(
        self,
        holdings: Holdings,
        write: Callable[[Sequence[Change]], list[Outcome]],
        now: Callable[[], float],
        wake: Callable[[], object],
        requests: OpenRequests,
        on_request: Callable[[Sequence[str]], object] | None = None,
        *,
        is_alone: bool = True,
    ) -> None:
        self._ours_for = 0.0 if is_alone else _OURS_FOR
        self._on_request = on_request
        self._holdings = holdings
        self._write = write
        self._now = now
        self._wake = wake
        self._requests = requests

    def handlers(self) -> Mapping[str, Callable[[Any], Any]]:
        """The event handlers."""
        return {"naction": self.act}

    def serves(self, sop_class_uid: str) -> bool:
        """Whether it is storage commitment."""
        return sop_class_uid == STORAGE_COMMITMENT

    def act(self, event: Any) -> None:
        """Answer N-ACTION.

        Raises:
            DimseFailure: it is no request that can be met; the status says why.
        """
        if event.sop_instance_uid != WELL_KNOWN_INSTANCE:
            raise DimseFailure(Status.NO_SUCH_SOP_INSTANCE)
        if event.action_type_id != REQUEST:
            raise DimseFailure(Status.NO_SUCH_ACTION_TYPE, ActionTypeID=event.action_type_id)
        uid, instances = _read(event.dataset)
        ae_title = event.calling_ae_title
        try:
            with self._holdings.reader() as reader:
                count, _ = reader.next_owed()
            if count >= MAX_OWED:
                raise DimseFailure(Status.RESOURCE_LIMITATION, "too much is owed already")
            due = self._now() + _BREATH
            (outcome,) = self._write([Owed(uid, ae_title, instances, due + self._ours_for)])
        except ArchiveError as error:
            raise DimseFailure(Status.RESOURCE_LIMITATION, f"the index: {error.reason}") from error
        if outcome.result is Result.SAME:
            raise DimseFailure(Status.DUPLICATE_TRANSACTION_UID, "it is owed already")
        self._requests.put(ae_title, uid, event.event_reporter(), due)
        if self._on_request is not None:
            self._on_request([instance for _, instance in instances])
        self._wake()


def _read(information: DataSet | None) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Take the transaction, and the class and instance of each reference, from a data set."""
    try:
        uid = "" if information is None else str(information.get("TransactionUID") or "")
        if information is None or not is_uid(uid):
            found = f"expected a UID as Transaction UID, got {uid[:20] or 'none'}"
            raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, found)
        items = information.get("ReferencedSOPSequence") or ()
        if not 0 < len(items) <= MAX_INSTANCES:
            raise DimseFailure(
                Status.INVALID_ARGUMENT_VALUE, f"expected 1 to {MAX_INSTANCES} instances"
            )
        return uid, tuple(
            (str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)) for item in items
        )
    except (DataError, AttributeError) as error:
        raise DimseFailure(Status.INVALID_ARGUMENT_VALUE, str(error)[:64]) from error


# --- reports -------------------------------------------------------------------------------


class CommitmentReports:
    """Reports what is owed.

    Args:
        holdings: the archive.
        write: as for `StorageCommitment`.
        peers: whom to tell, by AE title; looked into at each report.
        now: gives the time.
        requests: says on which association a request came.
        calling: our AE title, where the peer has none for us.
        is_for_all: whether also that is reported which is owed for another process, or by one
            that is gone.
    """

    def __init__(
        self,
        holdings: Holdings,
        write: Callable[[Sequence[Change]], list[Outcome]],
        peers: Mapping[str, Peer],
        now: Callable[[], float],
        requests: OpenRequests,
        calling: str = "DICOM_ACTORS",
        *,
        is_for_all: bool = True,
    ) -> None:
        self._is_for_all = is_for_all
        self._holdings = holdings
        self._write = write
        self._peers = peers
        self._now = now
        self._requests = requests
        self._calling = calling

    def work(self) -> float | None:
        """Report what is due, some of it.

        Returns:
            When there is more to do, in seconds since the epoch; None: nothing is owed.

        Raises:
            ArchiveError: the index cannot be read or written.
        """
        if self._holdings.is_rebuilding:  # what has no row yet is kept all the same
            return self._now() + _FIRST_PAUSE
        for commitment in self._due():
            claim = Claimed(commitment.number, commitment.due, self._now() + _CLAIMED_FOR)
            (claimed,) = self._write([claim])
            if claimed.result is Result.MISSING:
                # Another one that shares the index reports it.
                self._requests.take(commitment.ae_title, commitment.transaction_uid)
                continue
            report = self.report(commitment)
            try:
                if not (self._send_there(commitment, report) or self._is_nobody(commitment)):
                    self._send(commitment, report)
            except DicomError as error:
                pause = min(_FIRST_PAUSE * 2.0 ** min(commitment.attempts, 32), _LONGEST_PAUSE)
                self._write([Postponed(commitment.number, self._now() + pause)])
                logger.warning(
                    "no report of storage commitment to %s, again in %d s: %s",
                    commitment.ae_title,
                    pause,
                    error,
                )
            else:
                self._write([Settled(commitment.number)])
        following = [self._requests.next_due()]
        if self._is_for_all:
            with self._holdings.reader() as reader:
                following.append(reader.next_owed()[1])
        return min((due for due in following if due is not None), default=None)

    def _due(self) -> list[Commitment]:
        """Give what is to be reported, some of it: what came here, and what nobody else has."""
        now = self._now()
        found: dict[int, Commitment] = {}
        with self._holdings.reader() as reader:
            for request in self._requests.due(now)[:_AT_A_TIME]:
                commitment = reader.owed_for(*request)
                if commitment is None:
                    self._requests.take(*request)
                else:
                    found[commitment.number] = commitment
            if self._is_for_all:
                found |= {one.number: one for one in reader.owed(now, _AT_A_TIME)}
        return list(found.values())

    def report(self, commitment: Commitment) -> DataSet:
        """Make the event information: what is kept, and what is not for which reason.

        Raises:
            ArchiveError: the index cannot be read.
        """
        kept, failed = [], []
        for class_uid, instance_uid in commitment.instances:
            reference = DataSet.from_keywords(
                ReferencedSOPClassUID=class_uid, ReferencedSOPInstanceUID=instance_uid
            )
            reason = self._reason_against(class_uid, instance_uid)
            if reason is None:
                kept.append(reference)
            else:
                reference.FailureReason = int(reason)
                failed.append(reference)
        report = DataSet.from_keywords(TransactionUID=commitment.transaction_uid)
        if kept:
            report.ReferencedSOPSequence = kept
        if failed:
            report.FailedSOPSequence = failed
        return report

    def _reason_against(self, class_uid: str, instance_uid: str) -> Status | None:
        """Why an instance is not kept (PS3.3 C.14.1.1); None: it is."""
        with self._holdings.reader() as reader:
            found = reader.location_of(instance_uid)
        if found is None:
            return Status.NO_SUCH_SOP_INSTANCE
        if found.sop_class_uid != class_uid:
            return Status.CLASS_INSTANCE_CONFLICT
        try:
            is_whole = self._holdings.is_whole(found)
        except OSError:
            is_whole = False
        return None if is_whole else Status.PROCESSING_FAILURE

    def _send_there(self, commitment: Commitment, report: DataSet) -> bool:
        """Report on the association of the request; returns whether the peer has taken it."""
        reporter = self._requests.take(commitment.ae_title, commitment.transaction_uid)
        if reporter is None:
            return False
        try:
            reporter(_event_type_of(report), report, timeout=_ANSWER_TIMEOUT)
        except DicomError as error:
            text = "storage commitment of %s, on the association that it was asked on: %s"
            logger.info(text, commitment.ae_title, error)
            return False
        return True

    def _is_nobody(self, commitment: Commitment) -> bool:
        """Whether there is no way to tell a peer, and was none for long."""
        if commitment.ae_title in self._peers or commitment.attempts < _TRIES_FOR_NOBODY:
            return False
        text = "%s is not told of its storage commitment: no peer of that AE title is configured"
        logger.warning(text, commitment.ae_title)
        return True

    def _send(self, commitment: Commitment, report: DataSet) -> None:
        peer = self._peers.get(commitment.ae_title)
        if peer is None:
            raise DimseFailure(Status.NOT_AUTHORIZED, "nobody of that AE title is configured")
        address, settings = peer.connection(commitment.ae_title, self._calling)
        # Whoever asks for this association is the provider of the SOP class (PS3.7 D.3.3.4).
        context = ProposedContext(STORAGE_COMMITMENT, scu=False, scp=True)
        with connect(*address, contexts=[context], **settings) as association:
            association.n_event_report(
                STORAGE_COMMITMENT, WELL_KNOWN_INSTANCE, _event_type_of(report), report
            )


def _event_type_of(report: DataSet) -> int:
    return SOME_NOT_KEPT if "FailedSOPSequence" in report else ALL_KEPT


class ReportNow(NamedTuple):
    """To the CommitmentReporter, a cast: there is something to report."""


class _TryAgain(NamedTuple):
    """To itself, by a timer."""


class CommitmentReporter(SupervisedActor):
    """Reports in a thread of its own; what is owed it finds in the index, after a crash, too.

    Args:
        reports: what to do.
        now: gives the time, in seconds since the epoch.
    """

    def __init__(self, reports: CommitmentReports, now: Callable[[], float]) -> None:
        super().__init__()
        self._reports = reports
        self._now = now
        self._timer_due: float | None = None

    @staticmethod
    def wake(ref: pykka.ActorRef[Any]) -> None:
        """Tell a reporter that there is something to report."""
        cast(ref, ReportNow())

    def init(self) -> Any:
        """Look for what is owed. Runs in the CommitmentReporter's thread."""
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002
        """Look for what is owed. Runs in the CommitmentReporter's thread."""
        self._report()

    def handle_cast(self, message: Any) -> Any:
        """Report. Runs in the CommitmentReporter's thread."""
        if not isinstance(message, ReportNow):
            return super().handle_cast(message)
        self._report()
        return None

    def handle_info(self, message: Any) -> Any:
        """Try again. Runs in the CommitmentReporter's thread."""
        if not isinstance(message, _TryAgain):
            return super().handle_info(message)
        self._timer_due = None
        self._report()
        return None

    def _report(self) -> None:
        try:
            due = self._reports.work()
        except ArchiveError as error:
            logger.warning("storage commitment has to wait: %s", error)
            due = self._now() + _FIRST_PAUSE
        if due is not None and (self._timer_due is None or due < self._timer_due):
            self._timer_due = due
            pause = max(due - self._now(), 0.0)
            self.system.timers.send_after(pause, self.actor_ref, _TryAgain())
