"""The live view of ``serve``: what goes on, as large as the terminal, each second anew.

`picture` makes the lines of what is known; `LiveView` looks, and draws them, in a thread of its
own: a terminal that is not read stops this thread and nothing else.
"""

from __future__ import annotations

import contextlib
import io
import os
import textwrap
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.telling import Teller
from dicom_actors.cli.terminal import counted, size_in_words
from dicom_actors.data.forms.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.messages import AssociationInfo
    from dicom_actors.metrics import Condition, Observer, Totals

__all__ = ["LiveView", "Pace", "check_rich", "picture"]

_INTERVAL: Final = 1.0
_PATIENCE: Final = 2.0
"""Seconds for a look, and for the last picture to be drawn."""

_KEPT: Final = 200
_FAULTS_SHOWN_IN_THE_END: Final = 20
_WINDOW: Final = 5
"""Pictures that a rate is taken over."""

_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_HOME: Final = "\x1b[H"
_END_OF_LINE: Final = "\x1b[K"
_END_OF_SCREEN: Final = "\x1b[J"
_LEAVE: Final = f"{_HOME}{_END_OF_SCREEN}\x1b[?25h\x1b[?1049l"

_BOLD: Final = "bold"
_DIM: Final = "dim"
_BAD: Final = "bold red"
_GOOD: Final = "green"
_WARN: Final = "yellow"

Line = tuple[str, str]
"""A text, and the style of it as rich names it."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast objects come.

    Attributes:
        objects: a second.
        bytes: a second.
    """

    objects: float = 0.0
    bytes: float = 0.0


def check_rich() -> None:
    """Raise ImportError if rich is not installed."""
    import rich.console  # noqa: F401


class LiveView(Teller):
    """Shows what goes on; what is told is in its lines.

    Args:
        descriptor: of the terminal.
        title: what runs, and where.
        monotonic: tells the time, in seconds.
    """

    def __init__(
        self, descriptor: int, title: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._descriptor = descriptor
        self._title = title
        self._now = monotonic
        self._started = monotonic()
        self._lock = threading.Lock()
        self._lines: deque[Line] = deque(maxlen=_KEPT)
        self._faults: deque[str] = deque(maxlen=_FAULTS_SHOWN_IN_THE_END)
        self._samples: deque[tuple[float, int, int]] = deque(maxlen=_WINDOW + 1)
        self._observer: Observer | None = None
        self._is_over = self._is_paused = self._is_shown = False
        self._has_news, self._is_left = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)
        self._thread.start()

    def watch(self, observer: Observer, title: str) -> None:
        """Show what this one sees, from now on."""
        self._observer, self._title = observer, title

    def tell(
        self,
        text: str,
        *,
        event: str,  # noqa: ARG002 - for programs
        level: str = "info",
        **details: Any,  # noqa: ARG002
    ) -> None:
        """See `Teller.tell`; shown below all else."""
        style = {"info": "", "warning": _WARN, "error": _BAD}[level]
        line = f"{datetime.now().astimezone():%H:%M:%S}  {printable(text.splitlines()[0])}"
        with self._lock:
            self._lines.append((line, style))
            if level != "info":
                self._faults.append(line)

    def close(self) -> None:
        """Give the terminal back, as far as it is read."""
        self._is_over = True
        self._has_news.set()
        self._thread.join(_PATIENCE)

    def pause(self) -> None:
        """Give the terminal back for a while, as far as it is read."""
        self._is_left.clear()
        self._is_paused = True
        self._has_news.set()
        self._is_left.wait(_PATIENCE)

    def resume(self) -> None:
        """Take the terminal again, whatever others have done with it meanwhile."""
        self._is_paused = self._is_shown = False
        self._has_news.set()

    @property
    def dropped(self) -> int:
        """See `Teller.dropped`: of what does not fit, nobody speaks."""
        return 0

    def faults(self) -> list[str]:
        """The latest lines that told of something wrong, which the view took with it."""
        with self._lock:
            return list(self._faults)

    # --- in the thread of its own ------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            while not self._is_over:
                self._has_news.clear()
                self._show()
                self._has_news.wait(_INTERVAL)
            self._leave()

    def _show(self) -> None:
        if self._is_paused:
            self._leave()
        elif self._is_in_front():
            if not self._is_shown:
                self._is_shown = True
                self._put(_ENTER)
            self._draw()
        else:
            self._is_shown = False  # what others show there is not ours to draw over

    def _leave(self) -> None:
        was_shown, self._is_shown = self._is_shown, False
        if was_shown:
            self._put(_LEAVE)
        self._is_left.set()

    def _is_in_front(self) -> bool:
        """Whether the terminal is for us, and we are no job in the background."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except (OSError, AttributeError):  # a terminal that has no jobs, or a system
            return True

    def _draw(self) -> None:
        width, height = self._size()
        observer = self._observer
        with self._lock:
            told = list(self._lines)
        if observer is None:
            lines = [(self._title, _BOLD), ("starting", ""), *told]
        else:
            totals = observer.tally.totals()
            senders = observer.tally.stored_by
            lines = picture(
                self._title,
                self._now() - self._started,
                observer.look(_PATIENCE),
                totals,
                self._pace(totals),
                told,
                (width, height),
                senders,
                self._now(),
            )
        self._put(_rendered(lines, width, height))

    def _pace(self, totals: Totals) -> Pace:
        stored = totals.of("C-STORE")
        now = self._now()
        self._samples.append((now, stored.requests - stored.failures, stored.bytes))
        since, objects, length = self._samples[0]
        if now <= since:
            return Pace()
        newest = self._samples[-1]
        return Pace((newest[1] - objects) / (now - since), (newest[2] - length) / (now - since))

    def _size(self) -> tuple[int, int]:
        try:
            width, height = os.get_terminal_size(self._descriptor)
        except OSError:
            width = height = 0
        return width or 80, height or 24

    def _put(self, text: str) -> None:
        data = memoryview(text.encode("utf-8", "replace"))
        while data:
            data = data[os.write(self._descriptor, data) :]


def picture(
    title: str,
    seconds: float,
    condition: Condition,
    totals: Totals,
    pace: Pace,
    told: Sequence[Line],
    size: tuple[int, int],
    stored_by: Callable[[int], tuple[int, int]],
    now: float,
) -> list[Line]:
    """Make the lines of the view; those that say most come first.

    Args:
        title: what runs, and where.
        seconds: since it runs.
        condition: how everything is.
        totals: what happened so far.
        pace: how fast objects come.
        told: what was told, the newest last.
        size: columns and lines of the terminal.
        stored_by: how many objects and bytes an association has stored, by its id.
        now: monotonic seconds, as those of the associations.
    """
    width, height = size
    head = [
        (f"{title}, up {_clock(seconds)}", _BOLD),
        *_state(condition),
        _arrivals(totals, pace),
        *_disk(condition),
        *_queue(condition),
    ]
    lines = [(part, style) for text, style in head for part in _folded(text, width)]
    room = height - len(lines)
    services = _services(totals)
    if len(services) > 1 and room >= len(services) + 8:
        lines += [("", ""), *services]
        room -= len(services) + 1
    who = _associations(condition.associations, stored_by, now)
    if room >= 4:
        most = max(room // 2 - 1, 2)
        lines += [("", ""), *who[:most]]
        if len(who) > most:
            lines[-1] = (f"  and {len(who) - most + 1} more", _DIM)
        room = height - len(lines)
        if room >= 3:
            lines += [("", ""), ("Latest", _BOLD), *told[-(room - 2) :]]
    elif room > 0:
        lines.append(who[0])
    return lines


def _folded(text: str, width: int) -> list[str]:
    """What is most important is folded where it is too long, and not cut."""
    return textwrap.wrap(text, max(width - 1, 3), subsequent_indent="  ") or [""]


def _state(condition: Condition) -> list[Line]:
    if condition.is_healthy:
        return [("running: objects are accepted and can be stored", _GOOD)]
    return [(printable(problem), _BAD) for problem in condition.problems]


def _arrivals(totals: Totals, pace: Pace) -> Line:
    stored = totals.of("C-STORE")
    crashes = totals.crashes.total()
    parts = [
        f"Received {counted(stored.requests - stored.failures, 'object')}",
        size_in_words(stored.bytes),
        f"now {pace.objects:.1f}/s, {size_in_words(pace.bytes)}/s",
        f"failures {totals.failures}",
        f"crashes {crashes}",
    ]
    return ", ".join(parts), _WARN if totals.failures or crashes else ""


def _disk(condition: Condition) -> list[Line]:
    if condition.free_bytes is None:
        return []
    free = f"Disk: {size_in_words(condition.free_bytes)} free, {condition.disk}"
    style = {"enough": "", "low": _WARN}.get(condition.disk, _BAD)
    stats = condition.stats
    if stats is None:
        return [(free, style)]
    holds = (
        f"{counted(stats.instances, 'instance')} of {counted(stats.series, 'series', 'series')} of "
        f"{counted(stats.studies, 'study', 'studies')}, {size_in_words(stats.bytes)}"
    )
    return [(free, style), (f"Archive: {holds}", "")]


def _queue(condition: Condition) -> list[Line]:
    stats = condition.stats
    if stats is None:
        return []
    waiting = [f"{actor.name} {actor.queue_length}" for actor in condition.actors]
    journal = f"journal {size_in_words(stats.journal_bytes)}"
    return [(f"Queue: {journal}, incoming {stats.incoming_files}, {', '.join(waiting)}", "")]


def _services(totals: Totals) -> list[Line]:
    lines = [("Service             done  failed   mean ms", _BOLD)]
    for name, service in sorted(totals.services.items()):
        mean = 1000 * service.seconds / max(service.requests, 1)
        done, failed = service.requests - service.failures, service.failures
        style = _WARN if failed else ""
        lines.append((f"{name:<15} {done:>8}  {failed:>6}  {mean:>8.1f}", style))
    return lines


def _associations(
    associations: Sequence[AssociationInfo],
    stored_by: Callable[[int], tuple[int, int]],
    now: float,
) -> list[Line]:
    lines = [(f"{counted(len(associations), 'association')}", _BOLD)]
    for one in sorted(associations, key=lambda each: each.since, reverse=True):
        objects, length = stored_by(one.id)
        who = f"{one.calling_ae_title or '(nobody yet)':<16} {one.peer[0]:<15}"
        what = f"{counted(one.requests, 'request')}"
        if objects:
            what += f", {counted(objects, 'object')}, {size_in_words(length)}"
        since = _clock(now - one.since)
        lines.append((printable(f"  {who} {one.state:<10} {since:>8}  {what}"), ""))
    return lines


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days}d {hours:02}:{minutes:02}" if days else f"{hours}:{minutes:02}:{rest:02}"


def _rendered(lines: Sequence[Line], width: int, height: int) -> str:
    """The lines as the terminal takes them: each cut to its width, and no more than there fit."""
    from rich.console import Console
    from rich.text import Text

    out = [_HOME]
    for number, (text, style) in enumerate(lines[:height]):
        file = io.StringIO()
        # The last column stays free: a terminal that is there goes on in the next line.
        console = Console(file=file, width=width, force_terminal=True, highlight=False)
        cut = Text(text, style)
        cut.truncate(max(width - 1, 1), overflow="ellipsis")
        console.print(cut, end="", no_wrap=True, crop=True)
        out.append("\r\n" if number else "")
        out.append(file.getvalue().rstrip("\n") + _END_OF_LINE)
    return "".join([*out, _END_OF_SCREEN])
