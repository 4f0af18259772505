"""Calls and casts: the two ways to send a message that hold for every kind of pykka actor."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.supervision.errors import (
    CallTimeout,
    DisownedError,
    InboxFull,
    NoProcError,
    SupervisionError,
)
from dicom_actors.supervision.log import write_inline
from dicom_actors.supervision.ref import SupervisedRef
from dicom_actors.supervision.threads import current_thread_of_actor

if TYPE_CHECKING:
    from pykka import ActorRef

    from dicom_actors.supervision.log import LogService

__all__ = ["call", "cast"]

logger = logging.getLogger(__name__)


def call(ref: ActorRef[Any], message: Any, timeout: float | None = 5.0) -> Any:
    """Ask an actor and wait for its answer.

    Args:
        ref: a supervised actor, or any pykka actor.
        message: the message; `handle_call` gets it.
        timeout: seconds; None: as long as the actor lives.

    Raises:
        NoProcError: the actor is dead, or died before it came to the message; at once.
        ActorCrashed: it died while it was answering; at once.
        CallTimeout: no answer in time. The actor goes on; its late answer reaches nobody.
        CallingSelfError: an actor would have waited for itself.
        CallError: what the actor answered.
    """
    try:
        return ref.ask(message, timeout=timeout)
    except SupervisionError:
        raise
    except pykka.Timeout as error:
        raise CallTimeout(str(error)) from error
    except pykka.ActorDeadError as error:
        raise NoProcError(str(error)) from error


def cast(ref: ActorRef[Any], message: Any) -> None:
    """Send a message; never raises and never waits. To the dead it is dropped.

    Args:
        ref: a supervised actor, or any pykka actor.
        message: the message; `handle_cast` gets it.
    """
    try:
        ref.tell(message)
    except (pykka.ActorDeadError, DisownedError):
        level, text = logging.DEBUG, "to or from the dead, %s: %s is dropped"
    except InboxFull:
        level, text = logging.WARNING, "the inbox of %s is full: %s is dropped"
    else:
        return
    log = _log_at_hand(ref)
    write = write_inline if log is None else log.write
    write(logger, level, text, ref, type(message).__name__)


def _log_at_hand(ref: ActorRef[Any]) -> LogService | None:
    """The log of the receiver's system, or of the sender's."""
    if not isinstance(ref, SupervisedRef):
        thread = current_thread_of_actor()
        sender = None if thread is None else thread.actor_ref
        if sender is None:
            return None
        ref = sender
    system = ref.life.system
    return None if system is None else system.log
