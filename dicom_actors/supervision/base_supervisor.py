"""What static and dynamic supervisors have in common: start children, report, end them.

Children are ended each by its own shutdown value, and all of those given at the same time. None
can hold its supervisor up for longer than its spec allows: the time is told by the system's
timers, and a child that is not down by then is killed.

Leaves to others: which child is restarted when (`supervisor`, `dynamic_supervisor`).
"""

from __future__ import annotations

import abc
import logging
import queue
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from dicom_actors.supervision.actor import SupervisedActor
from dicom_actors.supervision.children import Administer, ChildState
from dicom_actors.supervision.errors import ChildStartError, SpecError, UnknownMessage
from dicom_actors.supervision.exits import IGNORE, ExitReason, Ignore, Stop, note_origin
from dicom_actors.supervision.ref import ChildDown, Down, SupervisedRef
from dicom_actors.supervision.reports import ChildTerminated, Report, ShutdownError, StartError
from dicom_actors.supervision.spec import BRUTAL_KILL, ChildSpec, Restart, RestartWindow
from dicom_actors.supervision.threads import current_thread_of_actor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.supervision.children import Child
    from dicom_actors.supervision.system import System

__all__ = ["BaseSupervisor"]

logger = logging.getLogger(__name__)


class _TryAgain:
    """A supervisor's message to itself, behind all that wait: start this child again."""

    __slots__ = ("child",)

    def __init__(self, child: Child) -> None:
        self.child = child


class BaseSupervisor(SupervisedActor, abc.ABC):
    """An actor with children; they never outlive it.

    Subclasses of the two kinds of supervisor may have callbacks of their own. News of children
    never passes through them; `handle_call` must give unknown messages to ``super()`` for the
    administration to work. When the supervisor ends, its children are ended before `terminate`.
    """

    operations: ClassVar[frozenset[str]]

    def __init__(self, intensity: int, period: float) -> None:
        self._window = RestartWindow(intensity, period)
        super().__init__()

    # --- what the two kinds do in their own way --------------------------------------------

    @abc.abstractmethod
    def _child_down(self, ref: SupervisedRef[Any], reason: ExitReason) -> None:
        """Act on the end of an actor that was started here."""

    @abc.abstractmethod
    def _restart(self, child: Child) -> None:
        """Start a child again that ended, or whose latest start failed."""

    @abc.abstractmethod
    def _stop_all(self) -> None:
        """End all children."""

    # --- callbacks -------------------------------------------------------------------------

    def handle_call(self, message: Any) -> Any:
        """Answer the administration."""
        if isinstance(message, Administer):
            if message.operation not in self.operations:
                raise UnknownMessage(f"{self} has no {message.operation}")
            return self._administer(message)
        return super().handle_call(message)

    def before_children_end(self, reason: ExitReason) -> None:
        """Prepare for the end of all children, which comes next; `terminate` follows it.

        Not called when the supervisor was killed, or its `init` failed.
        """

    def _administer(self, message: Administer) -> Any:
        return getattr(self, message.operation)(*message.arguments)

    def _handle_control(self, message: Any) -> Any:
        if isinstance(message, ChildDown):
            self._child_down(message.ref, message.reason)
            return None
        if isinstance(message, _TryAgain):
            if message.child.retry is message:  # not stopped, deleted or started since
                self._restart(message.child)
            return None
        return super()._handle_control(message)

    def _begin(self) -> Any:
        try:
            step = super()._begin()
        except BaseException:
            self._stop_all()
            raise
        if step is IGNORE or isinstance(step, Stop):
            self._stop_all()
        return step

    def _finish(self, reason: ExitReason) -> ExitReason:
        self.before_children_end(reason)
        self._stop_all()
        return super()._finish(reason)

    # --- children --------------------------------------------------------------------------

    def _launch(self, child: Child, extra: tuple[Any, ...] = ()) -> SupervisedRef[Any] | Ignore:
        """Start a child's actor.

        Raises:
            ChildStartError: it did not start, which is reported.
        """
        try:
            return self._adopt(child.spec, extra)
        except BaseException as cause:
            note_origin(cause, f"the start of child {child.spec.id!r}")
            self._report(StartError, child, None, ExitReason.error(cause))
            raise ChildStartError(
                f"{self}: child {child.spec.id!r} did not start: {cause!r}", child.spec.id
            ) from cause

    def _adopt(self, spec: ChildSpec, extra: tuple[Any, ...]) -> SupervisedRef[Any] | Ignore:
        thread = current_thread_of_actor()
        if thread is None or thread.actor_ref is not self._ref:
            raise RuntimeError(f"{self} can start children in its own thread alone")
        thread.is_adopting = True
        try:
            outcome = spec.launch(extra)
        finally:
            thread.is_adopting = False
        if isinstance(outcome, Ignore):
            return outcome
        if not isinstance(outcome, SupervisedRef) or outcome.life.parent is not self._ref:
            raise SpecError(
                "start: expected the reference of a SupervisedActor that it has started,"
                f" got {outcome!r}"
            )
        return outcome

    def _retry_later(self, child: Child, error: ChildStartError) -> None:
        """Start a child again, whose start has failed, when all that waits is handled."""
        child.last_reason = ExitReason.of(error.__cause__)
        retry = _TryAgain(child)
        child.is_off(ChildState.RESTARTING, retry)
        self._inbox.put_control(retry, in_turn=True)

    def _stop_and_report(self, children: Iterable[Child]) -> None:
        """End children together, and report those that ended in another way than asked for."""
        for child, reason in stop_children(children, self.system):
            self._report_end(child, child.ref, reason)
            child.is_off()

    def _report_end(self, child: Child, ref: SupervisedRef[Any] | None, reason: ExitReason) -> None:
        if not is_expected(child.spec, reason):
            self._report(ShutdownError, child, ref, reason)

    def _report_death(self, child: Child, ref: SupervisedRef[Any], reason: ExitReason) -> None:
        """Report that a child ended by itself, if that is worth a report."""
        if not reason.is_normal or child.spec.restart.applies_after(reason):
            self._report(ChildTerminated, child, ref, reason)

    def _report(
        self,
        kind: type[Report],
        child: Child,
        ref: SupervisedRef[Any] | None,
        reason: ExitReason | None,
    ) -> None:
        self.system.report(kind(self._ref, child.spec.id, ref, reason, child.restarts))

    def _ignore_stranger(self, ref: SupervisedRef[Any]) -> None:
        text = "%s: %s ended, which is not a child, or no longer"
        self.system.log.write(logger, logging.DEBUG, text, self, ref)


def check_spec(spec: object) -> None:
    """Raise `SpecError` unless `spec` is a `ChildSpec`."""
    if not isinstance(spec, ChildSpec):
        raise SpecError(f"children: expected a ChildSpec, got {spec!r}")


class _TimeIsUp(NamedTuple):
    ref: SupervisedRef[Any]


def seconds_to_end(spec: ChildSpec) -> float | None:
    """How long a child may take to end once it was asked; None: it is not timed."""
    return spec.shutdown if isinstance(spec.shutdown, int | float) else None


def ask_to_end(child: Child) -> None:
    """Ask a running child to end, or kill it if that is its way."""
    if child.ref is None:
        return
    if child.spec.shutdown is BRUTAL_KILL:
        child.ref.life.end(child.ref, ExitReason.KILLED, disown=True)
    else:
        child.ref.life.request_exit(ExitReason.SHUTDOWN)


def stop_children(children: Iterable[Child], system: System) -> list[tuple[Child, ExitReason]]:
    """End children and wait until all are down.

    Args:
        children: those without an actor are passed over.
        system: tells the time.

    Returns:
        Each child that was running, with the reason for which it ended.
    """
    mailbox: queue.SimpleQueue[Down | _TimeIsUp] = queue.SimpleQueue()
    running = [(child, child.ref) for child in children if child.ref is not None]
    timers = []
    for child, ref in running:
        ref.life.watch(ref, mailbox.put)
        seconds = seconds_to_end(child.spec)
        if child.kill_timer is not None:  # it was asked before, and that time counts
            child.kill_timer.cancel()
            due = child.kill_timer.due
            timers.append(system.timers.send_at(due, mailbox.put, _TimeIsUp(ref)))
        elif seconds is not None:
            timers.append(system.timers.send_after(seconds, mailbox.put, _TimeIsUp(ref)))
        ask_to_end(child)
    waiting = len(running)
    while waiting:
        notice = mailbox.get()
        if isinstance(notice, Down):
            waiting -= 1
        else:
            notice.ref.life.end(notice.ref, ExitReason.KILLED, disown=True)
    for timer in timers:
        timer.cancel()
    return [(child, ref.life.reason or ExitReason.NOPROC) for child, ref in running]


def is_expected(spec: ChildSpec, reason: ExitReason) -> bool:
    """Whether a child that was asked to end did so as its spec says."""
    if spec.shutdown is BRUTAL_KILL and reason == ExitReason.KILLED:
        return True
    if spec.shutdown is not BRUTAL_KILL and reason == ExitReason.SHUTDOWN:
        return True
    return reason.is_normal and spec.restart is not Restart.PERMANENT
