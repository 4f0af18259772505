"""Handing a message of the system's to whoever wants it: an actor, a future or a function."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Any, TypeAlias

import pykka

from dicom_actors.supervision.inbox import Inbox
from dicom_actors.supervision.log import LogService, write_inline

__all__ = ["Recipient", "deliver"]

logger = logging.getLogger(__name__)

Recipient: TypeAlias = pykka.ActorRef[Any] | pykka.Future[Any] | Callable[[Any], object]
"""Where notices go: an actor's inbox, a future, or a function that returns at once."""


def deliver(
    recipient: Recipient, message: Any, log: LogService | None, *, first: bool = False
) -> None:
    """Give `message` to `recipient`; never raises and never waits.

    Args:
        recipient: a supervised actor gets it in `handle_info`, a plain pykka actor as a tell, a
            future as its value unless it has one; a function is called in this thread.
        message: the message.
        log: where to tell of a recipient that raises; None: at once, in this thread.
        first: put it before all messages that wait in a supervised actor's inbox.
    """
    try:
        if isinstance(recipient, pykka.ActorRef):
            inbox = recipient.actor_inbox
            if not isinstance(inbox, Inbox):
                recipient.tell(message)
            elif first:
                inbox.put_control(message)
            else:
                inbox.put_info(message)
        elif isinstance(recipient, pykka.Future):
            recipient.set(message)
        else:
            recipient(message)
    except (pykka.ActorDeadError, queue.Full):
        text, fault = "%s for the dead or the answered is dropped", None
    except BaseException as exception:  # noqa: BLE001 - the recipient's fault is not the sender's
        text, fault = "a recipient of %s raised", exception
    else:
        return
    write = write_inline if log is None else log.write
    level = logging.DEBUG if fault is None else logging.ERROR
    write(logger, level, text, type(message).__name__, exc_info=fault)
