"""The actor that can be supervised: OTP's gen_server on pykka's `ThreadingActor`.

This is the only module that touches pykka's private names: `_create_actor_inbox`,
`_create_future`, `_actor_ref`, `_start_actor_loop` and `_actor_loop`. It replaces pykka's loop
by one that sees every way to end, BaseException included.

Leaves to others: what is known of an actor from outside (`ref`), children
(`supervisor`, `dynamic_supervisor`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import pykka

from dicom_actors.supervision.errors import (
    ActorCrashed,
    CallError,
    DisownedError,
    StartTimeout,
    UnknownMessage,
)
from dicom_actors.supervision.exits import IGNORE, Continue, ExitReason, Ignore, Stop, note_origin
from dicom_actors.supervision.inbox import CLOSED, IDLE, Envelope, Exit, Inbox, Info
from dicom_actors.supervision.ref import Down, Life, SupervisedRef, check_not_disowned
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.socket_inbox import SocketReady
from dicom_actors.supervision.system import System
from dicom_actors.supervision.threads import current_thread_of_actor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SupervisedActor"]

logger = logging.getLogger(__name__)


_TIMED_OUT: Final = object()
"""What a start is answered with when its time is up."""


class SupervisedActor(pykka.ThreadingActor):
    """An actor whose start is synchronous and whose end is always told.

    Subclasses implement the callbacks that they need. All of them run in the actor's own
    thread, one at a time; an exception in any of them, SystemExit and the like included, ends
    this actor and nothing else. Each may raise `Stop`, and `init`, `handle_continue`,
    `handle_cast`, `handle_info` and `handle_idle` may return `Stop` or `Continue`.
    """

    use_daemon_thread: ClassVar[bool] = True

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        """Runs in the thread that starts the actor; only store arguments here."""
        super().__init__()
        self._inbox.owner = f"{type(self).__name__} ({self.actor_urn})"
        self._life = Life(self._inbox)
        self._ref: SupervisedRef[Any] = self.make_ref(self._life)
        self._actor_ref = self._ref

    # --- callbacks -------------------------------------------------------------------------

    def create_inbox(self) -> Inbox:
        """The inbox to use; runs in the starter's thread, within ``super().__init__()``."""
        return Inbox()

    def make_ref(self, life: Life) -> SupervisedRef[Any]:
        """The reference to use; runs in the starter's thread, within ``super().__init__()``.

        Args:
            life: what the reference is made with, as ``SupervisedRef(self, life)`` is.
        """
        return SupervisedRef(self, life)

    def init(self) -> Any:
        """Begin; `start` waits for it.

        Returns:
            None to go on; `Continue(term)` to go on with `handle_continue`; `IGNORE` to decline
            without being an error; `Stop(reason)` to fail. `terminate` is not called unless
            this succeeded.
        """

    def handle_continue(self, term: Any) -> Any:
        """Go on after `Continue(term)`, before any message."""
        self._warn("%s: nothing handles the continuation %s", self, type(term).__name__)

    def handle_call(self, message: Any) -> Any:
        """Answer an ask.

        Returns:
            The answer. After `defer_reply` what is returned is ignored.

        Raises:
            CallError: the answer is that error, and the actor goes on. Any other exception
                ends the actor, and the caller gets `ActorCrashed`.
        """
        raise UnknownMessage(f"{self} does not know {type(message).__name__}")

    def handle_cast(self, message: Any) -> Any:
        """Handle a tell."""
        self._warn("%s does not know %s", self, type(message).__name__)

    def handle_info(self, message: Any) -> Any:
        """Handle what the system sends: `Down`, `SocketReady` and the messages of timers."""
        self._warn("%s does not know %s", self, type(message).__name__)

    def handle_idle(self) -> Any:
        """Nothing came for as long as the inbox has patience; see `Inbox.patience`."""

    def terminate(self, reason: ExitReason) -> None:
        """Clean up; called once at the end, unless the actor was killed or `init` failed.

        No guarantee: a thread that hangs never comes here. Cleanup that must happen belongs
        to whoever owns the resource or monitors the actor.
        """

    # --- for use in callbacks --------------------------------------------------------------

    @property
    def actor_ref(self) -> SupervisedRef[Self]:
        """The actor's reference."""
        return self._ref

    @property
    def system(self) -> System:
        """The surroundings that the actor shares with its tree; there from `init` on."""
        if self._life.system is None:
            raise RuntimeError(f"{self} was not started: it has no system yet")
        return self._life.system

    @property
    def is_disowned(self) -> bool:
        """Whether the actor was killed while its thread, which asks this, went on."""
        return self._life.is_disowned

    def exit(self, reason: Any = ExitReason.NORMAL) -> None:
        """End with `reason` when the current callback is done, before any other message."""
        self._life.exit(ExitReason.of(reason))

    def stop(self) -> None:
        """End with reason ``shutdown`` when the current callback is done."""
        self.exit(ExitReason.SHUTDOWN)

    def defer_reply(self) -> Reply:
        """Keep the caller of `handle_call` waiting, until ``set`` or ``fail`` of the result.

        If the actor ends before, the caller gets `ActorCrashed`.
        """
        return self._life.defer()

    # --- start -----------------------------------------------------------------------------

    @classmethod
    def start(
        cls,
        *args: Any,
        system: System | None = None,
        name: str | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> SupervisedRef[Self]:
        """Start an actor and wait until its `init` is done.

        Args:
            *args: for ``__init__``.
            system: the surroundings; None: those of the actor in whose thread this is called,
                or new ones that end with the actor.
            name: a name that no live actor of the system may have.
            timeout: seconds that `init` may take, by the system's clock; None: no limit.
            **kwargs: for ``__init__``.

        Returns:
            The reference; or `IGNORE`, if that is what `init` returned.

        Raises:
            AlreadyStarted: the name is taken.
            StartTimeout: `init` took too long; the actor was killed.
            ActorCrashed: `init` stopped, or raised what is no Exception, or was killed.
            Exception: whatever `__init__` or `init` raised.
        """
        starter = check_not_disowned()
        if system is None and starter is not None:
            system = starter.life.system
        own_system = System() if system is None else None
        system = system or own_system or System()
        if name is not None:
            system.registry.check_free(name)
        actor = cls(*args, **kwargs)
        life = actor._life
        life.system, life.owns_system = system, own_system is not None
        if name is not None:
            system.registry.claim(name, actor._ref)
            life.name = name
        thread = current_thread_of_actor()
        if thread is not None and thread.is_adopting:
            life.parent = thread.actor_ref
        outcome = actor._run(timeout)
        # What is raised is what the actor's life ended with: it must not keep that alive by this
        # frame, or both would be there until the garbage collector comes.
        del actor, life, thread
        try:
            if isinstance(outcome, BaseException):
                raise outcome
            ref: SupervisedRef[Self] = outcome
            return ref
        finally:
            del outcome

    @classmethod
    def spawn(
        cls,
        parent: SupervisedRef[Any],
        notice: Callable[[SupervisedRef[Any]], object],
        report: Callable[[SupervisedRef[Any]], object],
        *args: Any,
        name: str | None = None,
        ends_unnoticed: bool = False,
        **kwargs: Any,
    ) -> SupervisedRef[Self] | None:
        """Start an actor as a child of `parent` without waiting; for `spawn_child`.

        Args:
            parent: the supervisor.
            notice: makes what the supervisor is told, before the actor begins.
            report: is called after that, and before the actor begins.
            *args: for ``__init__``.
            name: a name that no live actor of the system may have.
            ends_unnoticed: see `Life`.
            **kwargs: for ``__init__``.

        Returns:
            The reference; None if the supervisor is ending or has ended.

        Raises:
            AlreadyStarted: the name is taken.
            RuntimeError: no thread can be started.
            Exception: whatever `__init__` raised.
        """
        system = parent.life.system
        if system is None:
            return None
        actor = cls(*args, **kwargs)
        ref, life = actor._ref, actor._life
        life.system, life.parent = system, parent
        life.ends_unnoticed = ends_unnoticed
        if name is not None:
            system.registry.claim(name, ref)
            life.name = name
        try:
            thread = system.threads.take(ref, daemon=cls.use_daemon_thread)
        except BaseException as exception:
            life.end(ref, ExitReason.error(exception))
            raise
        if not parent.life.take_in(ref, notice(ref)):
            system.threads.give_back(thread)
            life.end(ref, ExitReason.KILLED)
            return None
        report(ref)
        life.thread = thread
        thread.begin(actor._actor_loop)
        return ref

    def _run(self, timeout: float | None) -> Any:
        """Start the thread and wait for `init`; returns what `start` returns or raises."""
        ref, life = self._ref, self._life
        born = life.current = Reply()
        if life.parent is None:
            self.system.add_root(ref)
        elif not life.parent.life.take_care_of(ref):
            life.end(ref, ExitReason.KILLED)
            return DisownedError(f"{life.parent} has ended: {ref} was not started")
        timer = None
        try:
            if timeout is not None:
                timer = self.system.timers.send_after(timeout, born, _TIMED_OUT)
            self._start_actor_loop()
            born.wait()
        except BaseException as exception:  # noqa: BLE001 - `start` raises it
            life.end(ref, ExitReason.error(exception), disown=True)
            return exception
        finally:
            if timer is not None:
                timer.cancel()
        crash = born.exception
        if crash is not None:
            return _outcome_of_failed_start(crash)
        if born.get() is _TIMED_OUT:
            life.end(ref, ExitReason.KILLED, disown=True)
            return StartTimeout(f"{ref}: init was not done within {timeout} seconds")
        return ref

    # --- what pykka calls ------------------------------------------------------------------

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]  # static in pykka
        self._inbox = self.create_inbox()
        return self._inbox

    @staticmethod
    def _create_future() -> Reply:
        return Reply()

    def _start_actor_loop(self) -> None:
        thread = self.system.threads.take(self._ref, daemon=self.use_daemon_thread)
        self._life.thread = thread
        thread.begin(self._actor_loop)

    def _actor_loop(self) -> None:
        """The whole life of the actor."""
        life, ref = self._life, self._ref
        reason = ExitReason.KILLED
        try:
            reason = self._live()
        except BaseException as exception:  # noqa: BLE001 - nothing may pass the end below
            reason = self._crashed("its end", exception)
        finally:
            life.end(ref, reason)
            life.inbox.release()
            life.thread_ended()

    # --- the life --------------------------------------------------------------------------

    def _live(self) -> ExitReason:
        life = self._life
        born = life.current  # None: nobody waits for `init`
        if life.reason is not None:
            return ExitReason.KILLED
        try:
            step = self._begin()
        except Stop as stop:
            return stop.reason
        except BaseException as exception:  # noqa: BLE001 - told to whoever starts the actor
            if born is None:
                return self._crashed("init", exception)
            note_origin(exception, f"the thread of {self}")
            return ExitReason.error(exception)
        if step is IGNORE:
            return ExitReason("normal", IGNORE)
        if isinstance(step, Stop):
            return step.reason
        if born is not None and not born.offer(self._ref):  # the starter has given up
            return ExitReason.KILLED
        life.current = None
        reason = self._work(step)
        return reason if life.reason is not None else self._finish(reason)

    def _begin(self) -> Any:
        """Run `init`; supervisors undo here what they have begun."""
        return self.init()

    def _work(self, step: Any) -> ExitReason:
        """Handle messages until something ends that; returns why."""
        while True:
            try:
                reason = self._take_step(step)
                if reason is not None:
                    return self._answered(reason)
                step = None
                step = self._receive()
            except CallError as refusal:
                call, self._life.current = self._life.current, None
                if call is None:
                    return self._crashed("a callback", refusal)
                call.fail(refusal)
            except Stop as stop:
                return self._answered(stop.reason)
            except BaseException as exception:  # noqa: BLE001 - the boundary: it ends this actor
                return self._answered(self._crashed("a callback", exception))

    def _receive(self) -> Any:
        """Handle messages until there is something else to do; returns that."""
        get, cast, info = self._inbox.get, self.handle_cast, self.handle_info
        life, now = self._life, self.system.clock.monotonic
        while True:
            item = get()
            if item is IDLE:
                step = self.handle_idle()
                if step is not None:
                    return step
                continue
            life.last_message = now()
            kind = item.__class__
            if kind is Envelope:
                step = cast(item.message) if item.reply_to is None else self._answer(item)
            elif kind is SocketReady:
                step = info(item)
            elif kind is Info:
                step = info(item.message)
            elif kind is Exit:
                return Stop(item.reason)
            elif item is CLOSED:
                return Stop(ExitReason.KILLED)
            else:
                step = self._handle_control(item)
            item = None  # what is waited for next may take long: keep no message alive
            if step is not None:
                return step

    def _answer(self, call: Envelope) -> Any:
        """Run `handle_call` and answer; returns what else is to be done."""
        life = self._life
        life.current = reply = call.reply_to
        if life.reason is not None:  # killed since the call was taken out of the inbox
            return Stop(self._answered(life.reason))
        answer = self.handle_call(call.message)
        if answer.__class__ is Stop:
            return answer
        if life.current is not None and reply is not None:  # not deferred
            life.current = None
            reply.offer(answer)
        return None

    def _handle_control(self, message: Any) -> Any:
        """Handle what came before its turn; supervisors also hear of their children here."""
        if isinstance(message, Down) and message.handle.is_cancelled:
            return None
        return self.handle_info(message)

    def _take_step(self, step: Any) -> ExitReason | None:
        """Do what a callback returned; returns the reason if that was to end."""
        while isinstance(step, Continue):
            step = self.handle_continue(step.term)
        return step.reason if isinstance(step, Stop) else None

    def _finish(self, reason: ExitReason) -> ExitReason:
        """Run `terminate`; returns the reason. What this raises becomes the reason."""
        try:
            self.terminate(reason)
        except Stop as stop:
            return stop.reason
        return reason

    def _answered(self, reason: ExitReason) -> ExitReason:
        """Answer the call in which the actor ends, before its cleanup; returns `reason`."""
        call, self._life.current = self._life.current, None
        if call is not None:
            call.fail(ActorCrashed(f"{self} ended while it was answering: {reason}", reason))
        return reason

    def _crashed(self, where: str, exception: BaseException) -> ExitReason:
        level = logging.DEBUG if self._life.is_disowned else logging.ERROR
        text = "%s crashed in %s"
        self.system.log.write(logger, level, text, self, where, exc_info=exception)
        return ExitReason.error(exception)

    def _warn(self, text: str, *args: object) -> None:
        self.system.log.write(logger, logging.WARNING, text, *args)


def _outcome_of_failed_start(crash: BaseException) -> Ignore | BaseException:
    """What `start` makes of an end before its time: `IGNORE`, or what it raises."""
    if not isinstance(crash, ActorCrashed):
        return crash
    if isinstance(crash.reason.detail, Ignore):
        return crash.reason.detail
    cause = crash.reason.exception
    return cause if isinstance(cause, Exception) else crash
