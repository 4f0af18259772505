"""Ending children, each by its own shutdown value, and all of those given at the same time.

No child can hold its supervisor up for longer than its spec allows: the time is told by the
system's timers, and a child that is not down by then is killed.
"""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.supervision.exits import ExitReason
from dicom_actors.supervision.life import Down
from dicom_actors.supervision.spec import BRUTAL_KILL, Restart

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.supervision.children import Child
    from dicom_actors.supervision.ref import SupervisedRef
    from dicom_actors.supervision.spec import ChildSpec
    from dicom_actors.supervision.system import System

__all__ = ["ask_to_end", "is_expected", "seconds_to_end", "stop_children"]


class _TimeIsUp(NamedTuple):
    ref: SupervisedRef[Any]


def seconds_to_end(spec: ChildSpec) -> float | None:
    """How long a child may take to end once it was asked; None: it is not timed."""
    return spec.shutdown if isinstance(spec.shutdown, int | float) else None


def ask_to_end(child: Child) -> None:
    """Ask a running child to end, or kill it if that is its way."""
    if child.ref is None:
        return
    if child.spec.shutdown is BRUTAL_KILL:
        child.ref.life.end(child.ref, ExitReason.KILLED, disown=True)
    else:
        child.ref.life.request_exit(ExitReason.SHUTDOWN)


def stop_children(children: Iterable[Child], system: System) -> list[tuple[Child, ExitReason]]:
    """End children and wait until all are down.

    Args:
        children: those without an actor are passed over.
        system: tells the time.

    Returns:
        Each child that was running, with the reason for which it ended.
    """
    mailbox: queue.SimpleQueue[Down | _TimeIsUp] = queue.SimpleQueue()
    running = [(child, child.ref) for child in children if child.ref is not None]
    timers = []
    for child, ref in running:
        ref.life.watch(ref, mailbox.put)
        seconds = seconds_to_end(child.spec)
        if child.kill_timer is not None:  # it was asked before, and that time counts
            child.kill_timer.cancel()
            due = child.kill_timer.due
            timers.append(system.timers.send_at(due, mailbox.put, _TimeIsUp(ref)))
        elif seconds is not None:
            timers.append(system.timers.send_after(seconds, mailbox.put, _TimeIsUp(ref)))
        ask_to_end(child)
    waiting = len(running)
    while waiting:
        notice = mailbox.get()
        if isinstance(notice, Down):
            waiting -= 1
        else:
            notice.ref.life.end(notice.ref, ExitReason.KILLED, disown=True)
    for timer in timers:
        timer.cancel()
    return [(child, ref.life.reason or ExitReason.NOPROC) for child, ref in running]


def is_expected(spec: ChildSpec, reason: ExitReason) -> bool:
    """Whether a child that was asked to end did so as its spec says."""
    if spec.shutdown is BRUTAL_KILL and reason == ExitReason.KILLED:
        return True
    if spec.shutdown is not BRUTAL_KILL and reason == ExitReason.SHUTDOWN:
        return True
    return reason.is_normal and spec.restart is not Restart.PERMANENT
