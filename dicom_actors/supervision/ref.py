"""References to supervised actors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar, overload

import pykka

from dicom_actors.supervision.errors import CallingSelfError, NoProcError
from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.inbox import Envelope
from dicom_actors.supervision.reply import Reply
from dicom_actors.supervision.threads import ActorThread, check_not_disowned

if TYPE_CHECKING:
    from dicom_actors.supervision.life import Life

__all__ = ["ActorThread", "SupervisedRef"]

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

    def tell(self, message: Any) -> None:
        """Send a message without waiting for anything.

        Raises:
            NoProcError: the actor is dead.
            InboxFull: its inbox is at its limit.
            DisownedError: this is the thread of an actor that was killed.
        """
        check_not_disowned()
        if not self._put(Envelope(message)):
            raise NoProcError(f"{self} is dead")

    @overload
    def ask(
        self, message: Any, *, block: Literal[False], timeout: float | None = None
    ) -> pykka.Future[Any]: ...

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
        return reply.get(timeout=timeout) if block else reply

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
