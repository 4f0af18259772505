"""References to actors, and what can be done with them: ask, tell, monitor, end.

`call`, `send_request` and `cast` hold for every kind of pykka actor, the rest for supervised ones.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

import pykka

from dicom_actors.supervision.delivery import put_plain
from dicom_actors.supervision.errors import (
    CallingSelfError,
    DisownedError,
    InboxFull,
    NoProcError,
    SupervisionError,
)
from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.inbox import Envelope
from dicom_actors.supervision.log import write_inline
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.threads import check_not_disowned, current_thread_of_actor

if TYPE_CHECKING:
    from dicom_actors.supervision.delivery import Recipient
    from dicom_actors.supervision.life import Life, Monitor
    from dicom_actors.supervision.log import LogService

__all__ = [
    "SupervisedRef",
    "call",
    "cast",
    "demonitor",
    "kill",
    "monitor",
    "request_exit",
    "send_request",
]

logger = logging.getLogger(__name__)

A = TypeVar("A", bound=pykka.Actor)


class SupervisedRef(pykka.ActorRef[A], Generic[A]):
    """pykka's reference, with promises: no message to the dead is left without an answer.

    Attributes:
        life: what is known of the actor; for the supervision package itself.
    """

    def __init__(self, actor: A, life: Life) -> None:
        super().__init__(actor)
        self.life: Final = life
        self._put = life.inbox.put

    @property
    def reason(self) -> ExitReason | None:
        """Why the actor ended; None while it lives."""
        return self.life.reason

    @property
    def queue_length(self) -> int:
        """How many messages wait in its inbox."""
        return self.life.inbox.qsize()

    @property
    def last_message(self) -> float | None:
        """When it last took a message, by its system's clock; None if it never did."""
        return self.life.last_message

    def is_alive(self) -> bool:
        """Whether the actor has not ended; it may be ending, or hang."""
        return self.life.reason is None

    def notify(self, message: Any, *, first: bool = False) -> None:
        """Put a message of the system's into the inbox; to the dead it is dropped.

        Args:
            message: the message, for `handle_info`.
            first: put it before all messages that wait.
        """
        inbox = self.life.inbox
        if first:
            inbox.put_control(message)
        else:
            inbox.put_info(message)

    def tell(self, message: Any) -> None:
        """Send a message without waiting for anything.

        Raises:
            NoProcError: the actor is dead.
            InboxFull: its inbox is at its limit.
            DisownedError: this is the thread of an actor that was killed.
        """
        check_not_disowned()
        if not self._put(Envelope(message)):
            raise NoProcError(f"{self.life.inbox.owner} is dead")

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | None = None
    ) -> Reply: ...

    @overload
    def ask(self, message: Any, *, block: Literal[True], timeout: float | None = None) -> Any: ...

    @overload
    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any: ...

    def ask(self, message: Any, *, block: bool = True, timeout: float | None = None) -> Any:
        """Send a message and wait for the answer, or for a future of it.

        Args:
            message: the message.
            block: wait; otherwise a future is returned at once.
            timeout: seconds to wait; None: as long as the actor lives.

        Raises:
            CallTimeout: no answer in time.
            NoProcError: the actor is dead, or died before it came to the message.
            ActorCrashed: it died while it was answering.
            CallingSelfError: an actor would have waited for itself.
            DisownedError: this is the thread of an actor that was killed.
        """
        sender = check_not_disowned()
        if block and sender is self:
            raise CallingSelfError(f"{self} would wait for its own answer")
        reply = Reply()
        self._put(Envelope(message, reply))
        if not block:
            return reply
        try:
            return reply.get(timeout=timeout)
        finally:
            del reply  # which has the exception, which has this frame: no cycle

    @overload
    def stop(self, *, block: Literal[True], timeout: float | None = None) -> bool: ...

    @overload
    def stop(
        self, *, block: Literal[False], timeout: float | None = None
    ) -> pykka.Future[bool]: ...

    @overload
    def stop(
        self, *, block: bool = True, timeout: float | None = None
    ) -> bool | pykka.Future[bool]: ...

    def stop(
        self, *, block: bool = True, timeout: float | None = None
    ) -> bool | pykka.Future[bool]:
        """Ask the actor to end with reason ``shutdown``, and wait until it is down.

        The request goes before all messages that wait.

        Args:
            block: wait until the actor's cleanup is done and everybody was told; otherwise a
                future of that is returned.
            timeout: seconds to wait; None: as long as it takes.

        Returns:
            True if the actor was alive, False if it was down.

        Raises:
            CallTimeout: it is not down in time. It still ends.
            CallingSelfError: an actor would have waited for its own end.
        """
        if block and check_not_disowned() is self:
            raise CallingSelfError(f"{self} would wait for its own end")
        down = Reply()
        was_alive = not self.life.is_down
        self.life.watch(self, down)
        self.life.request_exit(ExitReason.SHUTDOWN)
        is_stopped = down.map(lambda _down: was_alive)
        return is_stopped.get(timeout=timeout) if block else is_stopped


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
    except Exception as error:  # noqa: BLE001 - the answer is that error
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
    fault: Exception | None = None
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
    except Exception as error:  # noqa: BLE001 - of an inbox that is not ours
        level, text, fault = logging.ERROR, "the inbox of %s raised: %s is dropped", error
    else:
        return True
    log = _log_at_hand(ref)
    write = write_inline if log is None else log.write
    write(logger, level, text, ref, type(message).__name__, exc_info=fault)
    return False


def _log_at_hand(ref: pykka.ActorRef[Any]) -> LogService | None:
    """The log of the receiver's system, or of the sender's."""
    if not isinstance(ref, SupervisedRef):
        thread = current_thread_of_actor()
        sender = None if thread is None else thread.actor_ref
        if sender is None:
            return None
        ref = sender
    system = ref.life.system
    return None if system is None else system.log


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
