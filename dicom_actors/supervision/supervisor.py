"""The static supervisor: children with ids, in an order, restarted by a strategy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from dicom_actors.supervision.base_supervisor import BaseSupervisor, check_spec
from dicom_actors.supervision.children import Child, ChildCounts, ChildInfo, ChildState, count
from dicom_actors.supervision.errors import (
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartError,
    SpecError,
)
from dicom_actors.supervision.exits import IGNORE, ExitReason, Stop
from dicom_actors.supervision.reports import ReachedMaxIntensity, Started
from dicom_actors.supervision.spec import (
    AutoShutdown,
    ChildSpec,
    Restart,
    Strategy,
    check_member,
    is_hashable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.supervision.ref import SupervisedRef

__all__ = ["Supervisor"]


class Supervisor(BaseSupervisor):
    """Starts children in order, restarts them by a strategy, and ends them in reverse order.

    A subclass may build its children in `init`, by ``return self.start_children(*specs)``.

    Args:
        children: the specs, in the order in which they are started.
        strategy: who is stopped and started when a child has to be restarted.
        intensity: restarts within `period` seconds; one more, and the supervisor ends its
            children and itself, with reason ``shutdown``.
        period: seconds.
        auto_shutdown: whether the end of significant children ends the supervisor.

    Raises:
        SpecError: a setting or spec is wrong; the message names the field.
    """

    operations: ClassVar = frozenset(
        {
            "count_children",
            "delete_child",
            "get_childspec",
            "restart_child",
            "start_child",
            "terminate_child",
            "which_children",
        }
    )

    def __init__(
        self,
        children: Iterable[ChildSpec] = (),
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: int = 3,
        period: float = 5.0,
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        check_member("strategy", strategy, Strategy)
        check_member("auto_shutdown", auto_shutdown, AutoShutdown)
        super().__init__(intensity, period)
        self._strategy = strategy
        self._auto_shutdown = auto_shutdown
        self._children: dict[Any, Child] = {}  # by id, in the order of their start
        self._by_ref: dict[SupervisedRef[Any], Child] = {}
        self._specs: tuple[ChildSpec, ...] = tuple(children)
        self._check_specs(self._specs)

    def init(self) -> Any:
        """Start the children that were given."""
        specs, self._specs = self._specs, ()  # from here on, `_children` has what is to be kept
        return self.start_children(*specs)

    # --- administration --------------------------------------------------------------------

    def start_children(self, *specs: ChildSpec) -> None:
        """Start children in order; for `init`.

        Raises:
            SpecError: a spec is wrong; nothing was started.
            ChildStartError: a child did not start. Out of `init`, the end of those before it
                follows.
        """
        self._check_specs(specs)
        for spec in specs:
            self.start_child(spec)

    def start_child(self, spec: ChildSpec) -> Any:
        """Start one more child; see `children.start_child`."""
        self._check_specs([spec])
        known = self._children.get(spec.id)
        if known is not None:
            if known.ref is not None:
                raise ChildAlreadyStarted(f"{self}: child {spec.id!r} is running", known.ref)
            raise ChildAlreadyPresent(f"{self}: child {spec.id!r} is {known.state.value}")
        child = Child(spec)
        outcome = self._start(child)
        if outcome is not IGNORE or spec.restart is not Restart.TEMPORARY:
            self._children[spec.id] = child
        return outcome

    def terminate_child(self, child_id: Any) -> None:
        """End a child and keep its spec; see `children.terminate_child`."""
        self._stop_one(self._find(child_id))

    def restart_child(self, child_id: Any) -> Any:
        """Start a stopped child again; see `children.restart_child`."""
        child = self._find_stopped(child_id)
        return self._start(child)

    def delete_child(self, child_id: Any) -> None:
        """Forget a stopped child; see `children.delete_child`."""
        del self._children[self._find_stopped(child_id).spec.id]

    def which_children(self) -> list[ChildInfo]:
        """All children, the newest first."""
        return [child.info() for child in reversed(self._children.values())]

    def count_children(self) -> ChildCounts:
        """How many children there are."""
        return count(self._children.values())

    def get_childspec(self, child_id: Any) -> ChildSpec:
        """The spec of a child."""
        return self._find(child_id).spec

    def _find(self, child_id: Any) -> Child:
        child = self._children.get(child_id) if is_hashable(child_id) else None
        if child is None:
            raise ChildNotFound(f"{self} has no child {child_id!r}")
        return child

    def _find_stopped(self, child_id: Any) -> Child:
        child = self._find(child_id)
        if child.state is ChildState.RESTARTING:
            raise ChildRestarting(f"{self}: child {child_id!r} is being restarted")
        if child.ref is not None:
            raise ChildRunning(f"{self}: child {child_id!r} is running")
        return child

    def _check_specs(self, specs: Iterable[ChildSpec]) -> None:
        ids = set()
        for spec in specs:
            check_spec(spec)
            if spec.id in ids:
                raise SpecError(f"id: {spec.id!r} is there twice")
            ids.add(spec.id)
            if spec.significant and self._auto_shutdown is AutoShutdown.NEVER:
                raise SpecError(f"significant: child {spec.id!r}, but auto_shutdown is never")
            if spec.budget is not None:
                raise SpecError(f"budget: child {spec.id!r}, but its supervisor is not dynamic")

    # --- start and stop --------------------------------------------------------------------

    def _start(self, child: Child) -> Any:
        outcome = self._launch(child)
        if outcome is IGNORE:
            child.is_off()
        else:
            child.runs_as(outcome)
            self._by_ref[outcome] = child
            self._report(Started, child, outcome, None)
        return outcome

    def _stop_one(self, child: Child) -> None:
        if child.ref is not None:
            del self._by_ref[child.ref]
        self._stop_and_report([child])
        self._retire(child)

    def _stop_all(self) -> None:
        for child in reversed(list(self._children.values())):
            self._stop_one(child)

    def _retire(self, child: Child) -> None:
        """Note that a child has no actor, and will have none unless somebody asks for it."""
        child.is_off()
        if child.spec.restart is Restart.TEMPORARY:
            del self._children[child.spec.id]

    # --- restart ---------------------------------------------------------------------------

    def _child_down(self, ref: SupervisedRef[Any], reason: ExitReason) -> None:
        child = self._by_ref.pop(ref, None)
        if child is None:
            self._ignore_stranger(ref)
            return
        self._report_death(child, ref, reason)
        child.is_off()
        child.last_reason = reason
        if child.spec.restart.applies_after(reason):
            self._restart(child)
        else:
            self._retire(child)
            self._check_auto_shutdown(child)

    def _restart(self, child: Child) -> None:
        """Restart a child, and by the strategy others with it; counts as one restart."""
        if not self._window.add(self.system.clock.monotonic()):
            self._report(ReachedMaxIntensity, child, None, child.last_reason)
            raise Stop(ExitReason.SHUTDOWN)
        victims = self._victims(child)
        for victim in reversed(victims):
            self._stop_one(victim)
        for victim in victims:
            if victim.spec.id in self._children:  # a temporary one is gone
                victim.restarts += 1
                try:
                    self._start(victim)
                except ChildStartError as error:
                    self._retry_later(victim, error)
                    return

    def _victims(self, child: Child) -> list[Child]:
        if self._strategy is Strategy.ONE_FOR_ONE:
            return [child]
        children = list(self._children.values())
        if self._strategy is Strategy.ONE_FOR_ALL:
            return children
        return children[children.index(child) :]

    def _check_auto_shutdown(self, ended: Child) -> None:
        """End the supervisor if the end of a significant child asks for it."""
        if not ended.spec.significant:
            return
        is_last = not any(
            child.spec.significant and child.state is not ChildState.STOPPED
            for child in self._children.values()
        )
        if is_last or self._auto_shutdown is AutoShutdown.ANY_SIGNIFICANT:
            raise Stop(ExitReason.SHUTDOWN)
