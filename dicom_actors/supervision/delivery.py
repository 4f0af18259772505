"""Handing over a message without waiting, to an actor of any kind, a future or a function.

Leaves to others: what is sent in an actor's name (`ref`).
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Any, TypeAlias

import pykka

from dicom_actors.supervision.errors import InboxFull
from dicom_actors.supervision.inbox import Envelope
from dicom_actors.supervision.log import LogService, write_inline

__all__ = ["Recipient", "deliver", "put_plain"]

logger = logging.getLogger(__name__)

Recipient: TypeAlias = pykka.ActorRef[Any] | pykka.Future[Any] | Callable[[Any], object]
"""Where notices go: an actor's inbox, a future, or a function that returns at once."""


def deliver(
    recipient: Recipient, message: Any, log: LogService | None, *, first: bool = False
) -> None:
    """Give `message` to `recipient`; never raises and never waits.

    Args:
        recipient: a supervised actor gets it in `handle_info`; a plain pykka actor as a tell,
            unless its inbox is full; a future as its value unless it has one; a function is
            called in this thread.
        message: the message.
        log: where to tell of a recipient that raises; None: at once, in this thread.
        first: put it before all messages that wait in a supervised actor's inbox.
    """
    fault: BaseException | None = None
    try:
        if isinstance(recipient, pykka.ActorRef):
            notify = getattr(recipient, "notify", None)
            if notify is None:
                put_plain(recipient, message)
            else:
                notify(message, first=first)
        elif isinstance(recipient, pykka.Future):
            recipient.set(message)
        else:
            recipient(message)
    except InboxFull:
        level, text = logging.WARNING, "%s is dropped: a recipient's inbox is full"
    except (pykka.ActorDeadError, queue.Full):
        level, text = logging.DEBUG, "%s for the dead or the answered is dropped"
    except BaseException as exception:  # noqa: BLE001 - the recipient's fault is not the sender's
        level, text, fault = logging.ERROR, "a recipient of %s raised", exception
    else:
        return
    write = write_inline if log is None else log.write
    write(logger, level, text, type(message).__name__, exc_info=fault)


def put_plain(
    ref: pykka.ActorRef[Any], message: Any, reply_to: pykka.Future[Any] | None = None
) -> None:
    """Send a message to a plain pykka actor, whose own ``tell`` waits while its inbox is full.

    Args:
        ref: the actor; one whose inbox has neither ``put_nowait`` nor ``full`` must have room.
        message: the message.
        reply_to: gets the answer; None: none is wanted.

    Raises:
        ActorDeadError: the actor is dead.
        InboxFull: its inbox is full.
        BaseException: what else its inbox raises.
    """
    if not ref.is_alive():
        raise pykka.ActorDeadError(f"{ref} not found")
    inbox: Any = ref.actor_inbox
    # pykka's own envelope has the same two fields
    envelope = Envelope(message, reply_to)  # type: ignore[arg-type]  # any future, as it is theirs
    is_full = not hasattr(inbox, "put_nowait") and hasattr(inbox, "full") and inbox.full()
    try:
        if not is_full:
            getattr(inbox, "put_nowait", inbox.put)(envelope)
    except queue.Full:
        is_full = True
    if is_full:
        raise InboxFull(f"the inbox of {ref} is full")
