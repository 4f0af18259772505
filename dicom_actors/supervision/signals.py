"""What actors do to each other beside sending messages: monitor, ask to end, kill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.ref import SupervisedRef
from dicom_actors.supervision.threads import check_not_disowned

if TYPE_CHECKING:
    import pykka

    from dicom_actors.supervision.delivery import Recipient
    from dicom_actors.supervision.life import Monitor

__all__ = ["demonitor", "kill", "monitor", "request_exit"]


def monitor(ref: pykka.ActorRef[Any], watcher: Recipient | None = None) -> Monitor:
    """Be told when an actor ends, whatever ends it: exactly one `Down` comes.

    It comes at once, with `ExitReason.NOPROC`, if the actor is dead. The actor's supervisor is
    always told before.

    Args:
        ref: a supervised actor.
        watcher: a supervised actor gets the `Down` in `handle_info`, before other messages; a
            plain pykka actor as a tell; a future as its value; a function is called with it,
            in the thread that ends the actor, and must return at once. None: the actor in
            whose thread this is called.

    Returns:
        The handle, which is also in the `Down`, for `demonitor`.

    Raises:
        TypeError: `ref` is not that of a supervised actor.
        ValueError: there is no watcher.
    """
    target = _supervised(ref)
    if watcher is None:
        watcher = check_not_disowned()
    if watcher is None:
        raise ValueError("watcher: needed outside the thread of a supervised actor")
    return target.life.watch(target, watcher)


def demonitor(handle: Monitor) -> bool:
    """End a monitor: no `Down` of it is handled from now on.

    Returns:
        True if the `Down` was still to come; False if it was or is being sent, which a
        supervised actor then does not handle.
    """
    return handle.ref.life.unwatch(handle)


def request_exit(ref: pykka.ActorRef[Any], reason: Any = ExitReason.SHUTDOWN) -> None:
    """Ask an actor to end with `reason` after its current message; does not wait.

    Raises:
        TypeError: `ref` is not that of a supervised actor.
    """
    _supervised(ref).life.request_exit(ExitReason.of(reason))


def kill(ref: pykka.ActorRef[Any]) -> bool:
    """End an actor at once, for everybody but its own thread.

    Its inbox is closed, its callers are answered, its name is free, its children are killed,
    and everybody hears of it with reason `ExitReason.KILLED`. A thread cannot be killed in
    Python: if a callback runs, it is left to run out, disowned. What it sends or answers from
    then on is refused, its `is_disowned` is true, and `System.disowned` counts it until it
    ends. `terminate` is not called.

    Returns:
        False if the actor was dead.

    Raises:
        TypeError: `ref` is not that of a supervised actor.
    """
    target = _supervised(ref)
    return target.life.end(target, ExitReason.KILLED, disown=True)


def _supervised(ref: pykka.ActorRef[Any]) -> SupervisedRef[Any]:
    if not isinstance(ref, SupervisedRef):
        raise TypeError(f"expected the reference of a SupervisedActor, got {ref!r}")
    return ref
