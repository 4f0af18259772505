"""The dynamic supervisor: any number of children, known by their references.

They come and go at run time, in no order. Stopping one of them holds up nothing else.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from dicom_actors.supervision.actor import SupervisedActor
from dicom_actors.supervision.base_supervisor import (
    BaseSupervisor,
    ask_to_end,
    check_spec,
    seconds_to_end,
)
from dicom_actors.supervision.children import Child, ChildCounts, ChildInfo, ChildState, count
from dicom_actors.supervision.errors import (
    ChildNotFound,
    ChildStartError,
    MaxChildren,
    NoProcError,
    SpecError,
)
from dicom_actors.supervision.exits import IGNORE, ExitReason, Stop, note_origin
from dicom_actors.supervision.ref import SupervisedRef, check_not_disowned
from dicom_actors.supervision.reports import ReachedMaxIntensity, Started, StartError
from dicom_actors.supervision.spec import Restart, check_count

if TYPE_CHECKING:
    from dicom_actors.supervision.children import Administer
    from dicom_actors.supervision.spec import ChildSpec

__all__ = ["DynamicSupervisor", "respecify_child", "spawn_child"]

logger = logging.getLogger(__name__)


class _TimeIsUp(NamedTuple):
    """A child was asked to end, and its time for that is over."""

    ref: SupervisedRef[Any]


class _Spawned(NamedTuple):
    """A child was started elsewhere; see `spawn_child`."""

    ref: SupervisedRef[Any]
    spec: ChildSpec


class _Respecified(NamedTuple):
    """A child has another spec from now on; see `respecify_child`."""

    ref: SupervisedRef[Any]
    spec: ChildSpec


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
        self._extra_arguments = self._life.extra_arguments = extra_arguments
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
        """Start one more child; see `children.start_child`.

        What this raises is an answer in `handle_call`; elsewhere it ends the supervisor, unless
        it is caught.
        """
        _check_dynamic(spec)
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
        if isinstance(message, _Spawned | _Respecified):
            self._change(message)
            return None
        return super()._handle_control(message)

    def _change(self, message: _Spawned | _Respecified) -> None:
        if isinstance(message, _Spawned):
            self._knows(Child(message.spec), message.ref)
        elif message.ref in self._children:
            self._children[message.ref].take(message.spec)

    def _child_down(self, ref: SupervisedRef[Any], reason: ExitReason) -> None:
        child = self._children.get(ref)
        if child is None:
            self._ignore_stranger(ref)
        elif child.state is ChildState.STOPPING:
            self._report_end(child, ref, reason)
            self._forget(child)
        else:
            if reason.detail is not IGNORE:  # whose init nobody waited for
                self._report_death(child, ref, reason)
            child.is_off()
            child.last_reason = reason
            if reason.detail is IGNORE:
                self._forget(child)
            elif child.spec.restart.applies_after(reason):
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
        except BaseException as fault:  # noqa: BLE001 - one child's end is not that of the others
            text = "%s: child_given_up raised for child %r"
            self.system.log.write(logger, logging.ERROR, text, self, child.spec.id, exc_info=fault)

    def _runs(self, child: Child, ref: SupervisedRef[Any]) -> None:
        self._knows(child, ref)
        self._report(Started, child, ref, None)

    def _knows(self, child: Child, ref: SupervisedRef[Any]) -> None:
        child.runs_as(ref)
        self._children[ref] = child

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
        self._life.end_spawning()
        for message in self._inbox.take_control(_Spawned, _Respecified):
            self._change(message)
        children = list(self._children.values())
        self._stop_and_report(children)
        for child in children:
            self._forget(child)


def spawn_child(supervisor: SupervisedRef[Any], spec: ChildSpec) -> SupervisedRef[Any]:
    """Start a child of a dynamic supervisor from any thread, and wait for nothing.

    The actor is made in this thread; its `init` runs in its own thread, while this returns. The
    supervisor has been told by then, so the child is restarted, stopped, reported and shown like
    all others. An `init` that fails is a crash of the child, one that ignores drops it.
    ``max_children`` does not apply.

    Args:
        supervisor: the supervisor.
        spec: the child's spec, whose ``start`` is ``(class, args, kwargs)``, or the class's
            ``start``, or a `functools.partial` of that; ``system`` and ``timeout`` are not for
            an actor that nobody waits for.

    Returns:
        The child's reference.

    Raises:
        NoProcError: the supervisor is ending, or has ended; there is no child.
        ChildStartError: the actor could not be made, its name is taken, or there is no thread
            for it. The cause is chained.
        SpecError: the spec does not fit.
        TypeError: that is no dynamic supervisor.
        DisownedError: this is the thread of an actor that was killed.
    """
    check_not_disowned()
    life = _dynamic(supervisor).life
    _check_dynamic(spec)
    actor_class, args, kwargs = _parts_of(spec)
    try:
        ref = actor_class.spawn(
            supervisor,
            functools.partial(_Spawned, spec=spec),
            functools.partial(_report_start, supervisor, spec),
            *life.extra_arguments,
            *args,
            ends_unnoticed=spec.restart is not Restart.PERMANENT,
            **kwargs,
        )
    except BaseException as cause:
        note_origin(cause, f"the start of child {spec.id!r}")
        if life.system is not None:
            life.system.report(StartError(supervisor, spec.id, None, ExitReason.error(cause), 0))
        raise ChildStartError(
            f"{supervisor}: child {spec.id!r} did not start: {cause!r}", spec.id
        ) from cause
    if ref is None:
        raise NoProcError(f"{supervisor} is dead: child {spec.id!r} was not started")
    return ref


def _report_start(supervisor: SupervisedRef[Any], spec: ChildSpec, ref: SupervisedRef[Any]) -> None:
    if (system := supervisor.life.system) is not None:
        system.report(Started(supervisor, spec.id, ref, None, 0))


def respecify_child(
    supervisor: SupervisedRef[Any], child: SupervisedRef[Any], spec: ChildSpec
) -> None:
    """Let a child of a dynamic supervisor be known under another spec, from any thread.

    Its id, restart, shutdown and budget are those of `spec` for everything that the supervisor
    hears from now on. Nothing happens if it has no such child, or has ended.

    Args:
        supervisor: the supervisor.
        child: the child's reference.
        spec: the spec; a budget that is a tuple begins anew, a `RestartWindow` goes on.

    Raises:
        SpecError: the spec does not fit.
        TypeError: that is no dynamic supervisor.
    """
    life = _dynamic(supervisor).life
    _check_dynamic(spec)
    life.inbox.put_control(_Respecified(child, spec), wakes=False)


def _dynamic(supervisor: object) -> SupervisedRef[Any]:
    if not isinstance(supervisor, SupervisedRef) or not issubclass(
        supervisor.actor_class, DynamicSupervisor
    ):
        raise TypeError(f"expected the reference of a DynamicSupervisor, got {supervisor!r}")
    return supervisor


def _check_dynamic(spec: ChildSpec) -> None:
    check_spec(spec)
    if spec.significant:
        raise SpecError(f"significant: child {spec.id!r}, but its supervisor is dynamic")


def _parts_of(spec: ChildSpec) -> tuple[type[SupervisedActor], tuple[Any, ...], dict[str, Any]]:
    """The class and the arguments behind a spec's ``start``."""
    start: Any = spec.start
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    if isinstance(start, tuple):
        actor_class, args, kwargs = start
        start = actor_class.start
    elif isinstance(start, functools.partial):
        start, args, kwargs = start.func, start.args, start.keywords
    if getattr(start, "__func__", None) is not vars(SupervisedActor)["start"].__func__:
        raise SpecError(
            "start: expected (class, args, kwargs) or the start of a SupervisedActor,"
            f" for a child that nobody waits for, got {spec.start!r}"
        )
    if not kwargs.keys().isdisjoint({"system", "timeout"}):
        raise SpecError(f"start: nobody waits for this child, it takes no {', '.join(kwargs)}")
    return start.__self__, args, kwargs
