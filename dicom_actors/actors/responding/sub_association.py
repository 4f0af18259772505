"""An association to a destination of a C-MOVE, in a thread of its own. PS3.4 C.4.2.2.

Whoever hands over instances never waits for the destination but when it wants to, and may give
all of it up at any moment, from any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.errors import AssociationError, AssociationRejected
from dicom_actors.scu.session import Session
from dicom_actors.scu.storing import store_all
from dicom_actors.storage.plan import Chunk
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    from dicom_actors.actors.kernel.circuit_breakers import CircuitBreakers
    from dicom_actors.scu.settings import Settings
    from dicom_actors.scu.storing import MoveOriginator
    from dicom_actors.storage.contexts import ProposedContext
    from dicom_actors.storage.outgoing import OutgoingObject
    from dicom_actors.supervision import LogService

__all__ = ["SubAssociation", "Task"]

_logger = logging.getLogger(__name__)


_Report = Callable[[StoreResult], None]


class Task(NamedTuple):
    """An instance to be stored.

    Attributes:
        found: the instance; or the result, if it cannot be sent.
        contexts: the presentation contexts for it, and for others that follow.
    """

    found: OutgoingObject | StoreResult
    contexts: dict[ProposedContext, None]


class SubAssociation:
    """See the module. It is asked for when there is something to be stored.

    Args:
        settings: the destination.
        originator: the C-MOVE that this is done for.
        breakers: are told whether the destination could be reached.
        log: where it is told what went wrong.

    Attributes:
        lost: why nothing more can be stored, in words for the peer; empty as long as it can.
    """

    def __init__(
        self,
        settings: Settings,
        originator: MoveOriginator,
        breakers: CircuitBreakers,
        log: LogService,
    ) -> None:
        self._log = log
        self._settings = settings
        self._originator = originator
        self._breakers = breakers
        self._tasks: SimpleQueue[tuple[Task, _Report] | None] = SimpleQueue()
        self._session: Session | None = None
        self._thread: Thread | None = None
        self._is_interrupted = False
        self.lost = ""

    # --- in the thread of whoever hands over ----------------------------------------------------

    def begin(self) -> None:
        """Find out whether the destination may be tried; see `lost` for the answer."""
        seconds = self._breakers.begin(self._key)
        if seconds:
            self.lost = f"{self._settings.called}: not tried again for {max(1, round(seconds))} s"

    def store(self, task: Task, report: _Report) -> None:
        """Have an instance stored, when the result of the last one was reported.

        Args:
            task: the instance.
            report: is called with its result, in the thread of this object.
        """
        self._tasks.put((task, report))
        if self._thread is None:
            self._session = Session(self._settings, task.contexts, is_automatic=True)
            if self._is_interrupted:
                return
            name = f"C-MOVE to {self._settings.called}"
            thread = Thread(target=self._run, name=name, daemon=True)
            thread.start()
            self._thread = thread

    def finish(self) -> None:
        """Release the association when what was handed over is done."""
        self._tasks.put(None)

    def join(self, seconds: float) -> None:
        """Wait for the end, `seconds` at most."""
        if self._thread is not None:
            self._thread.join(seconds)

    def interrupt(self) -> None:
        """End all of it at once. May be called in any thread."""
        self._is_interrupted = True
        self._tasks.put(None)
        if self._session is not None:
            self._session.interrupt()

    # --- in the thread of this object -----------------------------------------------------------

    @property
    def _key(self) -> tuple[str, int, str]:
        return self._settings.host, self._settings.port, self._settings.called

    def _run(self) -> None:
        assert self._session is not None
        while (order := self._tasks.get()) is not None:
            task, report = order
            report(self._store(task, self._session))
        if self._is_interrupted:
            self._session.abort()
            return
        try:
            self._session.release()
        except AssociationError as error:
            # Everything that was asked for is answered; only the farewell is missing.
            text = "not released in good order: %s"
            self._log.write(_logger, logging.WARNING, text, error)

    def _store(self, task: Task, session: Session) -> StoreResult:
        """Store one; its result says that it failed, if anything goes wrong."""
        found = task.found
        result = StoreResult(None, found.sop_instance_uid, found.source, "not sent")
        try:
            if session.acceptance is None:
                self._open(session)
            chunks = (Chunk((found,), task.contexts),)
            for stored in store_all(session, chunks, self._originator):
                result = stored
        except AssociationError as error:
            self.lost = self._in_words(error)
            self._log.write(_logger, logging.WARNING, "C-MOVE: %s", error)
        except Exception as error:  # noqa: BLE001 - it ends one destination, and is told
            # What is wrong with the settings for one destination is not the others' to suffer.
            self.lost = f"{self._settings.called}: {type(error).__name__}"
            text, peer = "C-MOVE to %s", self._settings.peer
            self._log.write(_logger, logging.ERROR, text, peer, exc_info=error)
        return result

    def _open(self, session: Session) -> None:
        try:
            session.open()
        except AssociationError:
            if not self._is_interrupted:
                self._breakers.failed(self._key)
            raise
        self._breakers.succeeded(self._key)

    def _in_words(self, error: AssociationError) -> str:
        """Say what happened, without the address, which is not the requester's to know."""
        settings = self._settings
        words = str(error)
        if isinstance(error, AssociationRejected):
            words = words.rpartition(": ")[2]  # the reason; there is little room
        for address in (settings.peer, settings.address):
            words = words.removeprefix(f"{address}: ")
        return f"{settings.called}: {words[:1].lower()}{words[1:]}"
