"""A bar on a terminal, with rates and the remaining time; needs rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from dicom_actors.cli.terminal import Progress, size_in_words

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Task

__all__ = ["ProgressBar"]


class _Counts(ProgressColumn):
    """Objects done, and how many of them and how many bytes in a second."""

    def __init__(self, nouns: str) -> None:
        super().__init__(Column(no_wrap=True))
        self._nouns = nouns

    def render(self, task: Task) -> Text:
        """Make the text for a refresh."""
        objects, total = task.fields["objects"], task.fields["all_objects"]
        seconds = task.elapsed or 0.0
        parts = [f"{objects}/{total}" if total is not None else f"{objects}"]
        if seconds > 0:
            parts.append(f"{objects / seconds:.1f} {self._nouns}/s")
            if task.fields["length"]:
                parts.append(f"{size_in_words(task.fields['length'] / seconds)}/s")
        return Text("  ".join(parts))


class ProgressBar(Progress):
    """See `progress.progress`."""

    def __init__(self, nouns: str, objects: int | None, length: int | None) -> None:
        self._objects = 0
        self._length = 0
        self._counts_bytes = bool(length)
        self._bar = RichProgress(
            SpinnerColumn(),
            BarColumn(None, table_column=Column(ratio=1)),  # takes the room that is left
            _Counts(nouns),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task(
            "", total=length or objects, objects=0, all_objects=objects, length=0
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def add(self, objects: int = 1, length: int = 0) -> None:
        """See `Progress`."""
        self._objects += objects
        self._length += length
        self._show()

    def move_to(self, objects: int, total: int | None) -> None:
        """See `Progress`."""
        self._objects = objects
        self._bar.update(self._task, total=total, all_objects=total)
        self._show()

    def _show(self) -> None:
        done = self._length if self._counts_bytes else self._objects
        self._bar.update(self._task, completed=done, objects=self._objects, length=self._length)
