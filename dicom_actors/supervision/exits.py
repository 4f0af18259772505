"""How an actor's life ends: reasons, and what callbacks return to steer it.

Leaves to others: acting on them (`actor`, `supervisor`).
"""

from __future__ import annotations

import traceback
from enum import Enum
from typing import Any, ClassVar, Final, Literal

__all__ = ["IGNORE", "Continue", "ExitReason", "Ignore", "Stop"]

Kind = Literal["normal", "shutdown", "killed", "noproc", "error"]


class Ignore(Enum):
    """The type of `IGNORE`."""

    IGNORE = "ignore"


IGNORE: Final = Ignore.IGNORE
"""What `init` returns to decline without being an error."""


class ExitReason:
    """Why an actor ended; immutable.

    ``normal`` and ``shutdown`` (with or without a detail) are normal exits: they are not
    reported as errors, and a transient child is not restarted after them.

    Attributes:
        kind: ``normal``, ``shutdown``, ``killed``, ``noproc`` or ``error``.
        detail: for ``shutdown`` what was given, for ``error`` the exception or whatever a
            callback gave as its reason; None otherwise.
    """

    __slots__ = ("detail", "kind")

    NORMAL: ClassVar[ExitReason]
    SHUTDOWN: ClassVar[ExitReason]
    KILLED: ClassVar[ExitReason]
    NOPROC: ClassVar[ExitReason]

    kind: Kind
    detail: Any

    def __init__(self, kind: Kind, detail: Any = None) -> None:
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "detail", detail)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an ExitReason cannot be changed: {name}")

    @classmethod
    def shutdown(cls, detail: Any) -> ExitReason:
        """A shutdown that says more; a normal exit."""
        return cls("shutdown", detail)

    @classmethod
    def error(cls, detail: Any) -> ExitReason:
        """An abnormal exit.

        Args:
            detail: usually the exception. It is kept without its traceback, since that holds
                every frame, and so every data set, that was in use when it was raised.
        """
        if isinstance(detail, BaseException):
            forget_frames(detail)
        return cls("error", detail)

    @classmethod
    def of(cls, reason: Any) -> ExitReason:
        """`reason` itself if it is an `ExitReason`, else the abnormal exit that it stands for."""
        return reason if isinstance(reason, cls) else cls.error(reason)

    @property
    def is_normal(self) -> bool:
        """Whether the exit is nobody's failure."""
        return self.kind in {"normal", "shutdown"}

    @property
    def exception(self) -> BaseException | None:
        """The exception that ended the actor, without traceback; None if there was none."""
        return self.detail if isinstance(self.detail, BaseException) else None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExitReason):
            return NotImplemented
        return self.kind == other.kind and bool(self.detail == other.detail)

    def __hash__(self) -> int:
        return hash(self.kind)

    def __str__(self) -> str:
        if self.detail is None:
            return self.kind
        if isinstance(self.detail, BaseException):
            return f"{self.kind}: {type(self.detail).__name__}"
        return f"{self.kind}: {self.detail}"

    def __repr__(self) -> str:
        return f"ExitReason({self.kind!r}, {self.detail!r})"


ExitReason.NORMAL = ExitReason("normal")
ExitReason.SHUTDOWN = ExitReason("shutdown")
ExitReason.KILLED = ExitReason("killed")
ExitReason.NOPROC = ExitReason("noproc")


class Stop(Exception):
    """Ends the actor: raised in, or returned from, any callback but `terminate`.

    Args:
        reason: an `ExitReason`, or anything else for an abnormal exit with that detail.
    """

    def __init__(self, reason: Any = ExitReason.NORMAL) -> None:
        self.reason: Final = ExitReason.of(reason)
        super().__init__(str(self.reason))


class Continue:
    """Returned by a callback: run `handle_continue(term)` before any other message."""

    __slots__ = ("term",)

    def __init__(self, term: Any = None) -> None:
        self.term: Final = term


def note_origin(exception: BaseException, where: str) -> None:
    """Write down as text where `exception` came from, before its frames are forgotten."""
    lines = "".join(traceback.format_tb(exception.__traceback__))
    exception.add_note(f"in {where}:\n{lines}")


def forget_frames(exception: BaseException) -> None:
    """Drop the tracebacks of `exception` and of everything chained to it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exception]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        current.__traceback__ = None
        waiting += [current.__cause__, current.__context__]
