"""The dynamic supervisor: any number of children, known by their references.

They come and go at run time, in no order. Stopping one of them holds up nothing else.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from dicom_actors.supervision.base_supervisor import BaseSupervisor, check_spec
from dicom_actors.supervision.children import Child, ChildCounts, ChildInfo, ChildState, count
from dicom_actors.supervision.errors import (
    ChildNotFound,
    ChildStartError,
    MaxChildren,
    SpecError,
)
from dicom_actors.supervision.exits import IGNORE, ExitReason, Stop
from dicom_actors.supervision.ref import SupervisedRef
from dicom_actors.supervision.reports import ReachedMaxIntensity, Started
from dicom_actors.supervision.shutdown import ask_to_end, seconds_to_end
from dicom_actors.supervision.spec import check_count

if TYPE_CHECKING:
    from dicom_actors.supervision.administration import Administer
    from dicom_actors.supervision.spec import ChildSpec

__all__ = ["DynamicSupervisor"]

logger = logging.getLogger(__name__)


class _TimeIsUp(NamedTuple):
    """A child was asked to end, and its time for that is over."""

    ref: SupervisedRef[Any]


class DynamicSupervisor(BaseSupervisor):
    """Starts children on request and restarts each on its own.

    Args:
        intensity: restarts within `period` seconds; one more, and the supervisor ends its
            children and itself, with reason ``shutdown``. Children with a budget do not count.
        period: seconds.
        max_children: how many there may be, those being restarted included; None: no limit.
        extra_arguments: positional arguments that go before each child's own.

    Raises:
        SpecError: a setting is wrong; the message names it.
    """

    operations: ClassVar = frozenset(
        {"count_children", "get_childspec", "start_child", "terminate_child", "which_children"}
    )

    def __init__(
        self,
        *,
        intensity: int = 3,
        period: float = 5.0,
        max_children: int | None = None,
        extra_arguments: tuple[Any, ...] = (),
    ) -> None:
        if max_children is not None:
            check_count("max_children", max_children)
        super().__init__(intensity, period)
        self._max_children = max_children
        self._extra_arguments = extra_arguments
        self._children: dict[SupervisedRef[Any], Child] = {}  # by its last reference

    def child_given_up(self, spec: ChildSpec, reason: ExitReason) -> None:
        """A child with a budget was restarted too often and is no longer there.

        Runs in the supervisor's thread; what it raises is logged and goes no further.

        Args:
            spec: its spec.
            reason: why it ended, or did not start, for the last time.
        """

    # --- administration --------------------------------------------------------------------

    def start_child(self, spec: ChildSpec) -> Any:
        """Start one more child; see `administration.start_child`.

        What this raises is an answer in `handle_call`; elsewhere it ends the supervisor, unless
        it is caught.
        """
        check_spec(spec)
        if spec.significant:
            raise SpecError(f"significant: child {spec.id!r}, but its supervisor is dynamic")
        if self._max_children is not None and len(self._children) >= self._max_children:
            raise MaxChildren(f"{self} has its maximum of {self._max_children} children")
        child = Child(spec)
        outcome = self._launch(child, self._extra_arguments)
        if outcome is not IGNORE:
            self._runs(child, outcome)
        return outcome

    def terminate_child(self, ref: SupervisedRef[Any]) -> None:
        """End a child without waiting for it.

        Raises:
            ChildNotFound: there is no such child.
        """
        child = self._find(ref)
        if child.state is ChildState.RESTARTING:
            self._forget(child)
        elif child.state is ChildState.RUNNING:
            child.state = ChildState.STOPPING
            seconds = seconds_to_end(child.spec)
            if seconds is not None:
                child.kill_timer = self.system.timers.send_after(
                    seconds, self._inbox.put_control, _TimeIsUp(ref)
                )
            ask_to_end(child)

    def which_children(self) -> list[ChildInfo]:
        """All children, the newest first."""
        return [child.info() for child in reversed(self._children.values())]

    def count_children(self) -> ChildCounts:
        """How many children there are."""
        return count(self._children.values())

    def get_childspec(self, ref: SupervisedRef[Any]) -> ChildSpec:
        """The spec of a child."""
        return self._find(ref).spec

    def _administer(self, message: Administer) -> Any:
        if message.operation == "terminate_child":
            self._find(*message.arguments).callers.append(self.defer_reply())
        return super()._administer(message)

    def _find(self, ref: SupervisedRef[Any]) -> Child:
        child = self._children.get(ref) if isinstance(ref, SupervisedRef) else None
        if child is None:
            raise ChildNotFound(f"{self} has no child {ref}")
        return child

    # --- end and restart -------------------------------------------------------------------

    def _handle_control(self, message: Any) -> Any:
        if isinstance(message, _TimeIsUp):
            message.ref.life.end(message.ref, ExitReason.KILLED, disown=True)
            return None
        return super()._handle_control(message)

    def _child_down(self, ref: SupervisedRef[Any], reason: ExitReason) -> None:
        child = self._children.get(ref)
        if child is None:
            self._ignore_stranger(ref)
        elif child.state is ChildState.STOPPING:
            self._report_end(child, ref, reason)
            self._forget(child)
        else:
            self._report_death(child, ref, reason)
            child.is_off()
            child.last_reason = reason
            if child.spec.restart.applies_after(reason):
                self._restart(child)
            else:
                self._forget(child)

    def _restart(self, child: Child) -> None:
        if not (child.window or self._window).add(self.system.clock.monotonic()):
            self._report(ReachedMaxIntensity, child, None, child.last_reason)
            self._forget(child)
            if child.window is None:
                raise Stop(ExitReason.SHUTDOWN)
            self._give_up(child)
            return
        child.restarts += 1
        try:
            outcome = self._launch(child, self._extra_arguments)
        except ChildStartError as error:
            self._retry_later(child, error)
            return
        self._forget(child)
        if outcome is not IGNORE:
            self._runs(child, outcome)

    def _give_up(self, child: Child) -> None:
        try:
            self.child_given_up(child.spec, child.last_reason)
        except BaseException:  # one child's end is not to be the end of the others
            logger.exception("%s: child_given_up raised for child %r", self, child.spec.id)

    def _runs(self, child: Child, ref: SupervisedRef[Any]) -> None:
        child.runs_as(ref)
        self._children[ref] = child
        self._report(Started, child, ref, None)

    def _forget(self, child: Child) -> None:
        """Take a child out, and answer those who wait for that."""
        if child.last_ref is not None:
            del self._children[child.last_ref]
        child.is_off()
        if child.kill_timer is not None:
            child.kill_timer.cancel()
            child.kill_timer = None
        for caller in child.callers:
            caller.set(None)
        child.callers.clear()

    def _stop_all(self) -> None:
        children = list(self._children.values())
        self._stop_and_report(children)
        for child in children:
            self._forget(child)
