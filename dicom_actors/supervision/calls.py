"""What one does to an actor: ask it, tell it, monitor it, end it.

`call`, `send_request` and `cast` hold for every kind of pykka actor, the rest for supervised ones.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.supervision.delivery import put_plain
from dicom_actors.supervision.errors import (
    DisownedError,
    InboxFull,
    NoProcError,
    SupervisionError,
)
from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.log import write_inline
from dicom_actors.supervision.ref import SupervisedRef, check_not_disowned
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.threads import as_nobody, current_thread_of_actor

if TYPE_CHECKING:
    from dicom_actors.supervision.delivery import Recipient
    from dicom_actors.supervision.log import LogService
    from dicom_actors.supervision.ref import Monitor

__all__ = [
    "announce",
    "call",
    "cast",
    "demonitor",
    "kill",
    "monitor",
    "request_exit",
    "send_request",
]

logger = logging.getLogger(__name__)


def call(ref: pykka.ActorRef[Any], message: Any, timeout: float | None = 5.0) -> Any:
    """Ask an actor and wait for its answer.

    Args:
        ref: a supervised actor, or any pykka actor.
        message: the message; `handle_call` gets it.
        timeout: seconds; None: as long as the actor lives.

    Raises:
        NoProcError: the actor is dead, or died before it came to the message; at once.
        ActorCrashed: it died while it was answering; at once.
        InboxFull: its inbox is at its limit; at once.
        CallTimeout: no answer in time. The actor goes on; its late answer reaches nobody.
        CallingSelfError: an actor would have waited for itself.
        DisownedError: this is the thread of an actor that was killed.
        CallError: what the actor answered.
    """
    if isinstance(ref, SupervisedRef):
        return ref.ask(message, timeout=timeout)
    try:
        return send_request(ref, message).get(timeout=timeout)
    except SupervisionError:
        raise
    except pykka.ActorDeadError as error:  # as pykka answers what waits in a dead actor's inbox
        raise NoProcError(str(error)) from error


def send_request(ref: pykka.ActorRef[Any], message: Any) -> Reply:
    """Ask an actor, without waiting for anything.

    Args:
        ref: a supervised actor, or any pykka actor.
        message: the message; `handle_call` gets it.

    Returns:
        A future of the answer, or of what `call` would raise.

    Raises:
        DisownedError: this is the thread of an actor that was killed.
    """
    if isinstance(ref, SupervisedRef):
        return ref.ask(message, block=False)
    check_not_disowned()
    reply = Reply(keeps_frames=True)  # what a plain actor raises as an answer, it does not log
    try:
        put_plain(ref, message, reply)
    except pykka.ActorDeadError as error:
        reply.fail(NoProcError(str(error)))
    except BaseException as error:  # noqa: BLE001 - the answer is that error
        reply.fail(error)
    return reply


def cast(ref: pykka.ActorRef[Any], message: Any) -> bool:
    """Send a message; never raises and never waits.

    Args:
        ref: a supervised actor, or any pykka actor.
        message: the message; `handle_cast` gets it.

    Returns:
        False if it was dropped, since the actor is dead, its inbox is full or raised, or this is
        the thread of an actor that was killed.
    """
    fault: BaseException | None = None
    try:
        if isinstance(ref, SupervisedRef):
            ref.tell(message)
        else:
            check_not_disowned()
            put_plain(ref, message)
    except (pykka.ActorDeadError, DisownedError):
        level, text = logging.DEBUG, "to or from the dead, %s: %s is dropped"
    except InboxFull:
        level, text = logging.WARNING, "the inbox of %s is full: %s is dropped"
    except BaseException as error:  # noqa: BLE001 - of an inbox that is not ours
        level, text, fault = logging.ERROR, "the inbox of %s raised: %s is dropped", error
    else:
        return True
    log = _log_at_hand(ref)
    write = write_inline if log is None else log.write
    write(logger, level, text, ref, type(message).__name__, exc_info=fault)
    return False


def announce(ref: pykka.ActorRef[Any], message: Any) -> bool:
    """Do what `cast` does, also in the thread of an actor that was killed.

    For news of what actors share: they are true whoever brings them.
    """
    with as_nobody():
        return cast(ref, message)


def _log_at_hand(ref: pykka.ActorRef[Any]) -> LogService | None:
    """The log of the receiver's system, or of the sender's."""
    thread = current_thread_of_actor()
    for at_hand in (ref, None if thread is None else thread.actor_ref):
        if isinstance(at_hand, SupervisedRef) and at_hand.life.system is not None:
            return at_hand.life.system.log
    return None


def monitor(ref: pykka.ActorRef[Any], watcher: Recipient | None = None) -> Monitor:
    """Be told when an actor ends, whatever ends it: exactly one `Down` comes.

    It comes at once, with `ExitReason.NOPROC`, if the actor is dead. The actor's supervisor is
    always told before.

    Args:
        ref: a supervised actor.
        watcher: a supervised actor gets the `Down` in `handle_info`, before other messages; a
            plain pykka actor as a tell, unless its inbox is full; a future as its value; a
            function is called with it, in the thread that ends the actor, and must return at
            once. None: the actor in whose thread this is called.

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
