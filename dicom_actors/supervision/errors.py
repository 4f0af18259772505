"""Every exception of supervision.

::

    SupervisionError
    ├── CallingSelfError                would have waited for ever
    ├── CallTimeout (pykka.Timeout, TimeoutError)
    ├── NoProcError (ActorDeadError)    the actor was dead, or died before it came to the message
    ├── ActorCrashed (ActorDeadError)   it died while it was answering; .reason
    ├── StartTimeout (TimeoutError)     init took too long; the actor was killed
    ├── AlreadyStarted                  the name is taken; .ref
    ├── DisownedError                   raised in the thread of an actor that was killed
    ├── InboxFull
    └── CallError                       raised in handle_call it is the answer, not a crash
        ├── UnknownMessage (TypeError)  nothing that the actor is asked
        ├── SpecError (ValueError)      a child spec or a supervisor's settings, names the field
        ├── ChildStartError             .child_id; the cause is chained
        ├── ChildAlreadyStarted         .ref
        ├── ChildAlreadyPresent
        ├── ChildNotFound
        ├── ChildRunning
        ├── ChildRestarting
        └── MaxChildren
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pykka

if TYPE_CHECKING:
    from dicom_actors.supervision.exits import ExitReason

__all__ = [
    "ActorCrashed",
    "AlreadyStarted",
    "CallError",
    "CallTimeout",
    "CallingSelfError",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildStartError",
    "DisownedError",
    "InboxFull",
    "MaxChildren",
    "NoProcError",
    "SpecError",
    "StartTimeout",
    "SupervisionError",
    "UnknownMessage",
]


class SupervisionError(Exception):
    """The root of everything that supervision raises on purpose."""


class CallingSelfError(SupervisionError):
    """An actor that waits for its own answer or its own end."""


class CallTimeout(SupervisionError, pykka.Timeout, TimeoutError):
    """No answer in time; the actor goes on, and its late answer reaches nobody."""


class NoProcError(SupervisionError, pykka.ActorDeadError):
    """The actor is dead, or died before it came to the message."""


class ActorCrashed(SupervisionError, pykka.ActorDeadError):
    """The actor died while it was starting or answering.

    Attributes:
        reason: why it died; an exception is also the `__cause__`.
    """

    def __init__(self, message: str, reason: ExitReason) -> None:
        self.reason = reason
        super().__init__(message)
        self.__cause__ = reason.exception


class StartTimeout(SupervisionError, TimeoutError):
    """An init that took too long; its actor was killed."""


class AlreadyStarted(SupervisionError):
    """The name is taken.

    Attributes:
        ref: the live actor that has it.
    """

    def __init__(self, message: str, ref: pykka.ActorRef[Any]) -> None:
        self.ref = ref
        super().__init__(message)


class DisownedError(SupervisionError):
    """The actor whose thread this is was killed: it can no longer act."""


class InboxFull(SupervisionError):
    """The actor's inbox is at its limit; the message was not taken."""


class CallError(SupervisionError):
    """An answer that is an error: raised in `handle_call`, it goes to the caller alone."""


class UnknownMessage(CallError, TypeError):
    """A question that the actor does not know."""


class SpecError(CallError, ValueError):
    """A child spec or a setting of a supervisor that cannot be; the message names the field."""


class ChildStartError(CallError):
    """A child that did not start.

    Attributes:
        child_id: its id; the cause is chained.
    """

    def __init__(self, message: str, child_id: Any) -> None:
        self.child_id = child_id
        super().__init__(message)


class ChildAlreadyStarted(CallError):
    """A child with this id is running.

    Attributes:
        ref: that child.
    """

    def __init__(self, message: str, ref: pykka.ActorRef[Any]) -> None:
        self.ref = ref
        super().__init__(message)


class ChildAlreadyPresent(CallError):
    """A child with this id is known, but not running."""


class ChildNotFound(CallError):
    """The supervisor has no such child."""


class ChildRunning(CallError):
    """What was asked for needs a stopped child."""


class ChildRestarting(CallError):
    """What was asked for needs a stopped child, and this one is being restarted."""


class MaxChildren(CallError):
    """The dynamic supervisor has as many children as it may have."""
