"""Flow: what an archive receives goes on."""

from __future__ import annotations

import contextlib
import functools
import logging
import random
import shutil
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from dicom_actors import DataSet, Status
from dicom_actors.archive.files import OUTGOING
from dicom_actors.archive.index import CommitmentReported, DestinationLeft
from dicom_actors.errors import ArchiveError, ConfigurationError, DimseFailure, shown
from dicom_actors.flow.destination import Destination, LookAgain, Swap
from dicom_actors.flow.kernel import FlowKernel
from dicom_actors.flow.routes import Route, Router, Send
from dicom_actors.supervision import ChildSpec, ChildType, Supervisor, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dicom_actors.archive import Archive, QueueStatus
    from dicom_actors.flow.senders import DimsePeer, WebPeer
    from dicom_actors.flow.settings import DestinationSettings

__all__ = ["DestinationStatus", "Flow", "queue_only"]

logger = logging.getLogger(__name__)

_COMMITMENT: Final = "1.2.840.10008.1.20.1"
_NOT_KEPT_PAUSE: Final = 60.0
"""Seconds after which what is not committed is sent again."""
_MOST_SENT: Final = 5
_SHUTDOWN: Final = 10.0
_RESTARTS: Final = 1_000
_PERIOD: Final = 60.0


class DestinationStatus(NamedTuple):
    """How a destination is.

    Attributes:
        name: its name.
        state: what it does now, in a few words.
        is_connected: whether there is an association with it.
        breaker: ``"closed"``: it is worked for; ``"open"``: it could not be reached, and is left
            alone for a while; ``"half open"``: one row is tried.
        last_error: what is wrong now; empty: nothing.
        queue: its queue; None: nothing ever came.
    """

    name: str
    state: str
    is_connected: bool
    breaker: str
    last_error: str
    queue: QueueStatus | None


class Flow:
    """The routes of an archive, and the actors of their destinations; made by `Flow.start`.

    Any thread may use it. It is also a context manager, which closes it.
    """

    def __init__(self, archive: Archive, kernel: FlowKernel) -> None:
        self._archive = archive
        self._kernel = kernel

    @classmethod
    def start(
        cls,
        archive: Archive,
        routes: Iterable[Route],
        *,
        peers: Mapping[str, DimsePeer | WebPeer] | None = None,
        destinations: Mapping[str, DestinationSettings] | None = None,
        calling: str = "DICOM_ACTORS",
        now: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> Self:
        """Send on what an archive receives from now on, and what waits in its queue.

        Args:
            archive: the archive; it is not closed with the flow, and ends the flow when it is.
            routes: the routes; all that hold for an object are gone.
            peers: who may be sent to, by name.
            destinations: how it is sent to destinations, by their names.
            calling: our AE title, where a peer has none for us.
            now: gives the time, in seconds since the epoch; that of the archive.
            chance: what pauses are made irregular by.

        Raises:
            ConfigurationError: routes, peers and destinations do not fit together.
            ArchiveError: the archive's actors cannot be started.
        """
        if not hasattr(archive, "folder"):
            raise ConfigurationError(f"archive: expected an Archive, got {shown(archive)}")
        if isinstance(routes, str | Route) or not isinstance(routes, Iterable):
            raise ConfigurationError(f"routes: expected a list of them, got {shown(routes)}")
        router = Router(list(routes))
        outgoing = archive.folder / OUTGOING
        _clear(outgoing, archive.store.nodes())
        outgoing /= archive.store.node
        kernel = FlowKernel(
            archive,
            router,
            peers or {},
            destinations or {},
            calling,
            now,
            chance or random.Random(),  # noqa: S311 - of pauses
            functools.partial(_take_report, archive, now),
            outgoing,
        )
        archive.route_with(router)
        archive.supervise(
            ChildSpec(
                "flow",
                functools.partial(FlowSupervisor.start, kernel, name="flow"),
                type=ChildType.SUPERVISOR,
            )
        )
        return cls(archive, kernel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Send no more, and queue no more; what is queued stays. A second time does nothing."""
        self._archive.route_with(None)
        for record in self._kernel.records.values():
            if record.sender is not None:
                record.sender.close()
        self._archive.supervise_not("flow")

    # --- how it is -------------------------------------------------------------------------

    def destinations(self) -> list[DestinationStatus]:
        """How the destinations are, and their queues.

        Raises:
            ArchiveError: the index cannot be read.
        """
        queues = {queue.destination: queue for queue in self._archive.queues()}
        return [
            DestinationStatus(
                name,
                record.state,
                record.is_connected,
                record.breaker,
                record.last_error,
                queues.get(name),
            )
            for name, record in self._kernel.records.items()
        ]

    # --- what somebody wants ---------------------------------------------------------------

    def pause(self, destination: str | None = None) -> None:
        """Send no more to a destination, or to any; that is remembered over restarts.

        Raises:
            ArchiveError: the index cannot be written.
        """
        self._change("pause", destination)

    def resume(self, destination: str | None = None) -> None:
        """Send again; as `pause`."""
        self._change("resume", destination)

    def retry(self, destination: str | None = None) -> int:
        """Try again now what was set aside, and what waits for its time; as `pause`.

        Returns:
            How many rows were set aside.
        """
        return self._change("retry", destination)

    def drop(self, destination: str | None = None) -> int:
        """Forget what was set aside; as `pause`.

        Returns:
            How many rows that were.
        """
        return self._change("drop", destination)

    def _change(self, action: str, destination: str | None) -> int:
        rows = self._archive.change_queues(action, destination)
        self.look_again(destination)
        return rows or 0

    def look_again(self, destination: str | None = None) -> None:
        """Have destinations look at their queues, and try at once."""
        for name in self._kernel.records if destination is None else (destination,):
            self._tell(name, LookAgain())

    def swap(self, name: str, peer: DimsePeer | WebPeer) -> None:
        """Have a peer be another one, from the next object on.

        Raises:
            KeyError: there is no such peer.
        """
        self._kernel.swap(name, peer)
        for destination, end in self._kernel.router.ends.items():
            if isinstance(end, Send) and end.peer == name:
                self._tell(destination, Swap())

    def _tell(self, destination: str, message: Any) -> None:
        ref = self._archive.system.registry.lookup(_actor_name(destination))
        if ref is not None:  # else it looks when it starts
            cast(ref, message)

    # --- commitment ------------------------------------------------------------------------

    def event_handlers(self) -> dict[str, Any]:
        """The handlers that an endpoint needs besides those of the archive.

        They take the reports of storage commitment that peers send on associations of their own.
        """
        return {"nevent_report": functools.partial(_answer_report, self._archive, self._kernel.now)}


class FlowSupervisor(Supervisor):
    """The supervisor of the destinations; a child of the archive's.

    Args:
        kernel: what outlives them.
    """

    def __init__(self, kernel: FlowKernel) -> None:
        super().__init__(
            [
                ChildSpec(
                    name,
                    functools.partial(Destination.start, kernel, name, name=_actor_name(name)),
                    shutdown=_SHUTDOWN,
                )
                for name in kernel.records
            ],
            intensity=_RESTARTS,
            period=_PERIOD,
        )
        self._kernel = kernel

    def terminate(self, reason: Any) -> None:
        """End what is left of those that had to be killed. Runs in the supervisor's thread."""
        del reason
        left = []
        for name, record in self._kernel.records.items():
            if record.sender is not None:
                record.sender.close()
            if record.is_ours:
                left.append(DestinationLeft(name))
        if left:
            with contextlib.suppress(ArchiveError):  # then it is so when the node is gone
                self._kernel.archive.rows.write(left)


def queue_only(
    archive: Archive, routes: Iterable[Route], *, now: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Have what an archive receives queued for its destinations; another process sends it.

    Args:
        archive: a member of the archive that the other process has open, or one that shares its
            index.
        routes: the same as there.
        now: gives the time, in seconds since the epoch.

    Returns:
        The handlers that an endpoint needs besides those of the archive; see
        `Flow.event_handlers`.
    """
    archive.route_with(Router(list(routes)))
    return {"nevent_report": functools.partial(_answer_report, archive, now)}


def _clear(outgoing: Path, nodes: set[str]) -> None:
    """Remove what programs were given by processes that were killed; that of other nodes stays."""
    with contextlib.suppress(OSError):  # then there is none
        for path in outgoing.iterdir():
            if path.name not in nodes:
                shutil.rmtree(path, ignore_errors=True)


def _actor_name(destination: str) -> str:
    return f"destination {destination}"


def _answer_report(archive: Archive, now: Callable[[], float], event: Any) -> None:
    """Answer N-EVENT-REPORT; runs in the thread of the association."""
    if event.sop_class_uid != _COMMITMENT:
        raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "only storage commitment is awaited")
    try:
        _take_report(archive, now, event.dataset or DataSet())
    except ArchiveError as error:
        raise DimseFailure(Status.PROCESSING_FAILURE, f"the index: {error.reason}") from error


def _take_report(archive: Archive, now: Callable[[], float], report: DataSet) -> None:
    """Note what a destination keeps (PS3.4 J.3.3); raises ArchiveError."""
    uid = str(report.get("TransactionUID") or "")
    kept = frozenset(
        str(item.get("ReferencedSOPInstanceUID") or "")
        for item in report.get("ReferencedSOPSequence") or ()
    )
    failed = tuple(
        (
            str(item.get("ReferencedSOPInstanceUID") or ""),
            f"not committed, Failure Reason {int(item.get('FailureReason') or 0):04X}H",
        )
        for item in report.get("FailedSOPSequence") or ()
    )
    if uid:
        archive.rows.write(
            [CommitmentReported(uid, kept, failed, now() + _NOT_KEPT_PAUSE, _MOST_SENT)]
        )
