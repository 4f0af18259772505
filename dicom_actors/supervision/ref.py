"""What is known of an actor from outside: its reference, its life, and those who monitor it.

A `Life` is all about one incarnation that outlives its thread. Every way to die ends in
`Life.end`, which acts once, whoever comes first: the actor's own thread, or somebody who kills it
because that thread hangs. In this order the inbox is closed, actors that live in its care are
killed, the name is freed, callers are answered, the parent is told, and then those who monitor it.

Leaves to others: what callbacks do (`actor`), when to kill (`base_supervisor`), and messages to
actors of other kinds (`calls`).
"""

from __future__ import annotations

import threading
import weakref
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Generic,
    Literal,
    NamedTuple,
    Protocol,
    TypeVar,
    overload,
)

import pykka

from dicom_actors.supervision.delivery import Recipient, deliver
from dicom_actors.supervision.errors import (
    ActorCrashed,
    CallingSelfError,
    DisownedError,
    NoProcError,
)
from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.inbox import Envelope, Exit
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.threads import current_thread_of_actor

if TYPE_CHECKING:
    from dicom_actors.supervision.inbox import Inbox
    from dicom_actors.supervision.log import LogService
    from dicom_actors.supervision.system import System
    from dicom_actors.supervision.threads import ActorThread

__all__ = [
    "ChildDown",
    "Down",
    "KnowsAnswer",
    "Life",
    "Monitor",
    "SupervisedRef",
    "check_not_disowned",
]

_LEFT_BEHIND: Final = ExitReason("noproc", "it lives in the process that was forked")

A = TypeVar("A", bound=pykka.Actor)
Answer_co = TypeVar("Answer_co", covariant=True)


class KnowsAnswer(Protocol[Answer_co]):
    """A message whose class says what type its answer has.

    That is for type checkers: `__answer__` may stand below ``if TYPE_CHECKING:``.
    """

    def __answer__(self) -> Answer_co:
        """Give the type; it is never called."""


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

    def leave(self, message: Any) -> None:
        """Send a message that need not be heard at once; to the dead it is dropped.

        It wakes nobody: the actor has it with what comes next, and before that.
        """
        self.life.inbox.put_control(Envelope(message), in_turn=True, wakes=False)

    @overload  # type: ignore[override]  # mypy: an answer of a known type is none of Any
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | None = None
    ) -> Reply: ...

    @overload
    def ask(
        self,
        message: KnowsAnswer[Answer_co],
        *,
        block: Literal[True] = True,
        timeout: float | None = None,
    ) -> Answer_co: ...

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


class Down(NamedTuple):
    """The notice of an actor's death, exactly one for each `monitor`.

    Attributes:
        ref: who died.
        reason: why; `ExitReason.NOPROC` if it was dead when the monitor was set.
        handle: what `monitor` returned.
    """

    ref: SupervisedRef[Any]
    reason: ExitReason
    handle: Monitor


class ChildDown(NamedTuple):
    """What a supervisor hears when an actor ends that it has started."""

    ref: SupervisedRef[Any]
    reason: ExitReason


class Monitor:
    """A pending notice; made by `monitor`."""

    __slots__ = ("_recipient", "is_cancelled", "ref")

    def __init__(self, ref: SupervisedRef[Any], recipient: Recipient) -> None:
        self.ref: Final = ref
        self.is_cancelled = False
        self._recipient: Recipient | None = recipient

    def fire(self, reason: ExitReason, log: LogService | None) -> None:
        """Send the notice, unless it was sent or cancelled."""
        recipient, self._recipient = self._recipient, None
        if recipient is not None:
            deliver(recipient, Down(self.ref, reason, self), log, first=True)

    def cancel(self) -> None:
        """Never send the notice; one that waits in an inbox is not handled."""
        self.is_cancelled = True
        self._recipient = None


class Life:
    """What is known of one incarnation of an actor.

    Attributes:
        inbox: the actor's inbox.
        system: what it shares with its tree; None before it is started.
        name: its name in the registry; None if it has none.
        parent: the supervisor that started it; None for a root.
        owns_system: whether the system ends with it.
        thread: its thread, while that runs it.
        extra_arguments: what a dynamic supervisor puts before those of its children.
        spawns: whether children may still be spawned.
        ends_unnoticed: whether nothing follows from a normal end of its own accord, so that a
            supervisor that has not heard of its start need not hear of it at all.
        reason: why it ended; None while it lives.
        is_down: everybody was told of its end, or is being told.
        is_disowned: it was killed while its thread went on.
        last_message: when it last took a message, by its system's clock; None: never.
        current: the call that is being answered, or the start that is waited for.
    """

    __slots__ = (
        "__weakref__",
        "_deferred",
        "_dependents",
        "_lock",
        "_watchers",
        "current",
        "ends_unnoticed",
        "extra_arguments",
        "inbox",
        "is_disowned",
        "is_down",
        "last_message",
        "name",
        "owns_system",
        "parent",
        "reason",
        "spawns",
        "system",
        "thread",
    )

    def __init__(self, inbox: Inbox) -> None:
        self.inbox: Final = inbox
        self.system: System | None = None
        self.name: str | None = None
        self.parent: SupervisedRef[Any] | None = None
        self.owns_system = False
        self.thread: ActorThread | None = None
        self.reason: ExitReason | None = None
        self.is_down = False
        self.is_disowned = False
        self.current: Reply | None = None
        self.last_message: float | None = None
        self.extra_arguments: tuple[Any, ...] = ()
        self.spawns = True
        self.ends_unnoticed = False
        self._lock = threading.Lock()
        self._deferred: weakref.WeakSet[Reply] | None = None
        self._dependents: dict[SupervisedRef[Any], object] = {}  # and the notice of its start
        self._watchers: dict[Monitor, None] = {}

    def exit(self, reason: ExitReason) -> None:
        """End once the current message is handled; the actor itself wants to."""
        self.inbox.put_control(Exit(reason))

    def request_exit(self, reason: ExitReason) -> None:
        """Ask the actor to end once it has handled its current message."""
        self.ends_unnoticed = False  # whoever asks waits for that
        self.exit(reason)

    def watch(self, ref: SupervisedRef[Any], recipient: Recipient) -> Monitor:
        """Send one `Down` to `recipient` when this life, that of `ref`, is over."""
        handle = Monitor(ref, recipient)
        with self._lock:
            if not self.is_down:
                self._watchers[handle] = None
                return handle
        handle.fire(ExitReason.NOPROC, self._log)
        return handle

    def unwatch(self, handle: Monitor) -> bool:
        """Cancel a monitor; returns False if its notice was or is being sent."""
        with self._lock:
            was_pending = handle in self._watchers
            self._watchers.pop(handle, None)
        handle.cancel()
        return was_pending

    def take_care_of(self, ref: SupervisedRef[Any]) -> bool:
        """Let `ref` not outlive this life; returns False if this life is over."""
        with self._lock:
            if self.reason is None:
                self._dependents[ref] = None
            return self.reason is None

    def take_in(self, ref: SupervisedRef[Any], notice: object) -> bool:
        """Take care of a child that is spawned, and let this actor know by `notice`.

        It need not hear at once: the notice wakes nobody, but goes before what comes later.

        Returns:
            False if this actor is ending, or has ended.
        """
        with self._lock:
            if self.reason is not None or not self.spawns:
                return False
            self._dependents[ref] = notice
            return self.inbox.put_control(notice, wakes=False)

    def end_spawning(self) -> None:
        """Take nobody in from now on."""
        with self._lock:
            self.spawns = False

    def let_go(self, ref: SupervisedRef[Any]) -> object:
        """Forget a dependent that is dead; returns the notice of its start, if it was spawned."""
        with self._lock:
            return self._dependents.pop(ref, None)

    def defer(self) -> Reply:
        """Take the call that is being answered out of the loop's hands.

        Raises:
            RuntimeError: no call is being answered, or it was deferred before.
        """
        reply, self.current = self.current, None
        if reply is None:
            raise RuntimeError("there is no call whose answer could be deferred")
        with self._lock:
            if self._deferred is None:
                self._deferred = weakref.WeakSet()
            self._deferred.add(reply)
        if self.reason is not None:
            reply.fail(self._crash(self.reason))
        return reply

    def end(self, ref: SupervisedRef[Any], reason: ExitReason, *, disown: bool = False) -> bool:
        """End this life, that of `ref`, for everybody; returns False if it was over before.

        Args:
            ref: the actor's reference, which is not kept here.
            reason: why.
            disown: the actor's thread is left to itself and counted until it ends.
        """
        with self._lock:
            if self.reason is not None:
                return False
            self.reason = reason
            if disown and self.thread is not None and self.system is not None:
                self.is_disowned = True
                self.system.count_disowned(1)
            dependents = list(self._dependents)
            self._dependents.clear()
        self.inbox.close()
        for dependent in reversed(dependents):
            dependent.life.end(dependent, ExitReason.KILLED, disown=True)
        notice = self._sign_off(ref)
        self._answer(reason)
        self._tell(ref, reason, notice)
        if self.owns_system and self.system is not None:
            self.system.close()
        return True

    def leave_behind(self, *, disown: bool) -> None:
        """Be over, in a forked child: the life goes on in the parent alone, and tells nobody.

        Args:
            disown: this is the actor's thread.
        """
        if self.reason is not None:
            return
        self._lock = threading.Lock()
        self.reason = _LEFT_BEHIND
        self.is_down = True
        if disown and self.system is not None:
            self.is_disowned = True
            self.system.count_disowned(1)
        self.inbox.leave_behind()
        self._answer(_LEFT_BEHIND)

    def thread_ended(self) -> None:
        """Note that the actor's thread does nothing more."""
        if self.is_disowned and self.system is not None:
            self.system.count_disowned(-1)
        self.thread = None

    def _sign_off(self, ref: SupervisedRef[Any]) -> object:
        if self.name is not None and self.system is not None:
            self.system.registry.release(self.name, ref)
        ref.actor_stopped.set()
        if self.parent is not None:
            return self.parent.life.let_go(ref)
        if self.system is not None:
            self.system.remove_root(ref)
        return None

    def _answer(self, reason: ExitReason) -> None:
        with self._lock:
            waiting = list(self._deferred or ())
        if self.current is not None:
            waiting.append(self.current)
        for reply in waiting:
            reply.fail(self._crash(reason))

    def _crash(self, reason: ExitReason) -> ActorCrashed:
        return ActorCrashed(f"{self.inbox.owner} ended without an answer: {reason}", reason)

    def _tell(self, ref: SupervisedRef[Any], reason: ExitReason, notice: object) -> None:
        if self.parent is not None:
            inbox = self.parent.life.inbox
            is_unnoticed = notice is not None and self.ends_unnoticed and reason.kind == "normal"
            # So nothing is left of it, and nobody wakes up.
            if not (is_unnoticed and inbox.take_back(notice)):
                inbox.put_control(ChildDown(ref, reason))
        with self._lock:
            self.is_down = True
            watchers = list(self._watchers)
            self._watchers.clear()
        for watcher in watchers:
            watcher.fire(reason, self._log)

    @property
    def _log(self) -> LogService | None:
        return None if self.system is None else self.system.log


def check_not_disowned() -> SupervisedRef[Any] | None:
    """The actor whose thread this is, or None.

    Raises:
        DisownedError: it was killed.
    """
    thread = current_thread_of_actor()
    if thread is None:
        return None
    ref: SupervisedRef[Any] = thread.actor_ref
    if ref.life.is_disowned:
        raise DisownedError(f"{ref} was killed and can no longer act")
    return ref
