"""Looks at a running endpoint, its archive and its disk, and judges whether objects can be stored.

Whoever asks waits, with a limit; the endpoint does not.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import events, messages
from dicom_actors.errors import ArchiveError, DicomError
from dicom_actors.metrics.tally import Tally
from dicom_actors.supervision import (
    ChildSpec,
    SupervisedActor,
    SupervisionError,
    Supervisor,
    System,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from dicom_actors.archive import ActorInfo, Archive, QueueStatus, Stats
    from dicom_actors.archive.index import OutboxStatus
    from dicom_actors.messages import AssociationInfo, EndpointStatus
    from dicom_actors.supervision import SupervisedRef

__all__ = ["Condition", "Observer"]

_TIMEOUT: Final = 5.0
"""Seconds for the endpoint to answer."""

_PATIENCE: Final = 10.0
_PROBE_BYTES: Final = 4096

_KINDS: Final = (
    events.AssociationOpened,
    events.AssociationClosed,
    events.RequestCompleted,
    events.ActorCrashed,
    events.ActorRestarted,
    events.LimitReached,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """How everything is.

    Attributes:
        status: the endpoint; None: it does not answer.
        associations: those that are open.
        stats: the archive; None: there is none, or it cannot say.
        actors: the archive's.
        free_bytes: room on the disk; None: nobody knows.
        disk: ``"enough"``, ``"low"``, ``"full"`` or ``"absent"``.
        problems: why objects cannot be stored now, each in a line; none if they can.
        queues: what waits to be sent on, by destination.
        outbox: what waits for an engine; None: nobody has ever wanted events.
    """

    status: EndpointStatus | None
    associations: tuple[AssociationInfo, ...]
    stats: Stats | None
    actors: tuple[ActorInfo, ...]
    free_bytes: int | None
    disk: str
    problems: tuple[str, ...]
    queues: tuple[QueueStatus, ...] = ()
    outbox: OutboxStatus | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether associations are accepted, and objects can be stored."""
        return not self.problems


class _Counting(SupervisedActor):
    """Brings events to the tally.

    Args:
        endpoint: whose.
        tally: where to.
    """

    def __init__(self, endpoint: SupervisedRef[Any], tally: Tally) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._tally = tally

    def init(self) -> None:
        """Subscribe. Runs in its own thread."""
        with contextlib.suppress(pykka.ActorDeadError, pykka.Timeout):
            self._endpoint.ask(messages.Subscribe(self.actor_ref, kinds=_KINDS), timeout=_TIMEOUT)

    def handle_cast(self, message: Any) -> None:
        """Count an event. Runs in its own thread."""
        self._tally.count(message)


class Observer:
    """See the module. Any thread may use it.

    Args:
        endpoint: the endpoint.
        archive: its archive; None: it has none.
        folder: where objects are kept; None: the archive's folder.
        dropped_lines: how many lines of the log were dropped so far.
    """

    def __init__(
        self,
        endpoint: SupervisedRef[Any],
        archive: Archive | None = None,
        folder: str | os.PathLike[str] | None = None,
        dropped_lines: Callable[[], int] = int,
    ) -> None:
        self.endpoint: Final = endpoint
        self.archive: Final = archive
        self.tally: Final = Tally()
        self.started: Final = time.time()
        self.dropped_lines: Final = dropped_lines
        if folder is None and archive is not None:
            folder = archive.folder
        self._folder: Final = None if folder is None else Path(folder)
        self._lock: Final = threading.Lock()
        self._look: Future[Condition] | None = None
        self.system: Final = System()
        self._supervisor: Final = Supervisor.start(
            [ChildSpec("tally", (_Counting, (endpoint, self.tally), {}))],
            intensity=1_000,
            period=60.0,
            system=self.system,
        )

    def close(self) -> None:
        """Count no more; a second time does nothing."""
        if self._supervisor.is_alive():
            self._supervisor.stop()
            self.system.close()

    def look(self, timeout: float = _PATIENCE) -> Condition:
        """Look at everything; takes some milliseconds, and writes a file that is gone at once.

        Args:
            timeout: seconds after which a disk or an index that does not answer is a problem.
        """
        with self._lock:
            if self._look is None or self._look.done():
                self._look = Future()
                threading.Thread(
                    target=self._keep, args=(self._look,), name="observer", daemon=True
                ).start()
            look = self._look
        try:
            return look.result(timeout)
        except TimeoutError:
            problem = f"the disk or the index did not answer within {timeout:g} s"
        except (DicomError, SupervisionError, OSError, RuntimeError) as error:
            problem = f"{type(error).__name__}: {error}"
        return Condition(None, (), None, (), None, "absent", (problem,))

    def _keep(self, look: Future[Condition]) -> None:
        try:
            look.set_result(self._look_now())
        except BaseException as error:  # noqa: BLE001 - for whoever asked
            look.set_exception(error)

    def _look_now(self) -> Condition:
        problems: list[str] = []
        status, associations = self._look_at_endpoint(problems)
        free, disk = self._look_at_disk(problems)
        stats, actors, queues, outbox = self._look_at_archive(problems)
        if stats is not None:
            free, disk = stats.free_bytes, stats.disk
            if disk == "full":
                problems.append("the disk is nearly full: objects are refused")
        return Condition(
            status,
            associations,
            stats,
            actors,
            free,
            disk,
            tuple(dict.fromkeys(problems)),
            queues,
            outbox,
        )

    def _look_at_endpoint(
        self, problems: list[str]
    ) -> tuple[EndpointStatus | None, tuple[AssociationInfo, ...]]:
        try:
            status = self.endpoint.ask(messages.GetStatus(), timeout=_TIMEOUT)
            associations = self.endpoint.ask(messages.ListAssociations(), timeout=_TIMEOUT)
        except (pykka.ActorDeadError, pykka.Timeout, SupervisionError, DicomError) as error:
            problems.append(f"the endpoint does not answer: {type(error).__name__}")
            return None, ()
        if status.state != "running":
            problems.append(f"the endpoint is {status.state}: no associations are accepted")
        return status, associations

    def _look_at_disk(self, problems: list[str]) -> tuple[int | None, str]:
        if self._folder is None:
            return None, "enough"
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError as error:
            problems.append(f"the folder cannot be reached: {error.strerror}")
            return None, "absent"
        try:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as file:
                file.write(bytes(_PROBE_BYTES))
        except OSError as error:
            problems.append(f"the folder cannot be written: {error.strerror}")
            return free, "full"
        return free, "enough"

    def _look_at_archive(
        self, problems: list[str]
    ) -> tuple[Stats | None, tuple[ActorInfo, ...], tuple[QueueStatus, ...], OutboxStatus | None]:
        archive = self.archive
        if archive is None:
            return None, (), (), None
        actors = archive.actors()
        problems += [
            f"the archive's {actor.name} is {actor.state}"
            for actor in actors
            if actor.state != "running"
        ]
        try:
            archive.check_index()
            with archive.reader() as reader:
                outbox = reader.outbox.status()
            known = outbox if outbox.identity else None
            return archive.stats(), actors, tuple(archive.queues()), known
        except (ArchiveError, OSError) as error:
            problems.append(f"the index cannot be used: {error}")
            return None, actors, (), None
