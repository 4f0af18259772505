"""Standard output whose failures are known to be its own, and not those of the file being read."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["OutputEnded", "OutputError", "checked_output", "open_missing_streams"]

_T = TypeVar("_T")


class OutputError(Exception):
    """What a command prints cannot be written: a full disk, a device that is gone.

    It is no OSError, so that it is never taken for that of a file which a command reads.
    """


class OutputEnded(OutputError):
    """The reader of what a command prints has had enough, which is no failure."""


class _Output:
    """A text stream that raises `OutputError`; otherwise the one that it is made of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return self._try(lambda: self._stream.write(text))

    def flush(self) -> None:
        self._try(self._stream.flush)

    @staticmethod
    def _try(action: Callable[[], _T]) -> _T:
        try:
            return action()
        except BrokenPipeError as error:
            raise OutputEnded(str(error)) from error
        except OSError as error:
            raise OutputError(f"standard output: {error.strerror or error}") from error


def open_missing_streams() -> None:
    """Have standard streams that the process was started without lead nowhere.

    Else the next file to be opened, such as an index, would have the number of one, and get what
    anybody writes there.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


@contextlib.contextmanager
def checked_output() -> Iterator[None]:
    """Have the standard output raise `OutputError` in the block, and be flushed at its end.

    Raises:
        OutputError: something could not be written; `OutputEnded`: nobody reads any more.
    """
    stream = sys.stdout
    output = sys.stdout = cast("TextIO", _Output(stream))
    try:
        yield
        output.flush()
    except OutputError:
        # What is left in the buffer would fail once more at the end of the process.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise
    finally:
        sys.stdout = stream
