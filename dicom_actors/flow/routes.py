"""Routes: what an object must have, and what is done with it, one after the other.

A route has actions in order: steps, which change the object for all that comes after them in this
route, and ends, which bring it somewhere. Each end has the name of its destination: one queue, one
actor, whichever routes lead there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors.archive.index import Level, Queued
from dicom_actors.errors import ConfigurationError, shown
from dicom_actors.flow.conditions import Conditions
from dicom_actors.flow.steps import Deidentify, Edit, Step, Transcode
from dicom_actors.processes import Isolated

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors import DataSet
    from dicom_actors.archive import Origin

__all__ = ["Action", "Call", "Command", "End", "Folder", "Route", "Router", "Send"]

_STEPS: Final = (Transcode, Deidentify, Edit)
_LONGEST_NAME: Final = 100
_PRIORITIES: Final = range(-1_000, 1_001)


@dataclass(frozen=True)
class Send:
    """To a peer.

    Attributes:
        peer: its name among the peers of the flow; that of the destination, too.
    """

    peer: str

    @property
    def destination(self) -> str:
        """The name of its queue."""
        return self.peer


@dataclass(frozen=True)
class Folder:
    """Into a folder, as ``<study>/<series>/<instance>.dcm``; what is there is replaced.

    Attributes:
        path: the folder.
        name: that of the destination; None: the path.

    Raises:
        ConfigurationError: the path is none.
    """

    path: str | Path
    name: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | Path) or self.path == "":
            raise ConfigurationError(f"folder: expected a path, got {shown(self.path)}")

    @property
    def destination(self) -> str:
        """The name of its queue."""
        return self.name or str(self.path)


@dataclass(frozen=True)
class Command:
    """To a program, which gets the path of a file; of a folder, if it is for a series or a study.

    What is there is its own copy, and gone when it ends. It must end with 0. No shell is between:
    an argument that is ``{path}`` becomes the path; if none is, it comes behind the last.

    Attributes:
        arguments: the program, and its arguments.
        deadline: seconds after which it is killed, with all that it has started.
        name: that of the destination; None: the program's.
    """

    arguments: Sequence[str]
    deadline: float = 300.0
    name: str | None = None

    def __post_init__(self) -> None:
        if not self.arguments or isinstance(self.arguments, str):
            raise ConfigurationError(
                f"command: expected a list, a program and its arguments, got {self.arguments!r}"
            )
        if not all(isinstance(part, str) and "\0" not in part for part in self.arguments):
            raise ConfigurationError(f"command: expected texts, got {self.arguments!r}")
        if not 0 < self.deadline <= 7 * 86_400:
            raise ConfigurationError(f"deadline: expected seconds above 0, got {self.deadline!r}")

    @property
    def destination(self) -> str:
        """The name of its queue."""
        return self.name or Path(self.arguments[0]).name


@dataclass(frozen=True)
class Call:
    """To a function or an actor of the host's, which gets a `Delivery`.

    What it raises is a failure, which is tried again; an actor answers by its reply.

    Attributes:
        target: a function, or the reference of an actor.
        name: that of the destination; None: the function's.
        timeout: seconds for an actor to answer, or for a function in a process of its own.
        isolate: ``"process"``: the function runs in a supervised process, which is killed after
            `timeout`, so that nothing that it does there ends or holds up this one. It is found
            by its module and name, as `dicom_actors.processes.Isolated` says, and gets the objects
            as files of its own. None: it runs in the thread of its destination.
    """

    target: Callable[[Any], object] | pykka.ActorRef[Any]
    name: str | None = None
    timeout: float = 300.0
    isolate: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.timeout <= 7 * 86_400:
            raise ConfigurationError(f"timeout: expected seconds above 0, got {self.timeout!r}")
        if self.isolate not in {None, "process"}:
            raise ConfigurationError(f"isolate: expected 'process', got {self.isolate!r}")
        if self.isolate is not None:
            if isinstance(self.target, pykka.ActorRef):
                raise ConfigurationError("isolate: expected a function; actors are of this process")
            Isolated(self.target).close()  # says if it cannot be handed over
        if not callable(self.target) and not isinstance(self.target, pykka.ActorRef):
            raise ConfigurationError(f"call: expected a function or an actor, got {self.target!r}")

    @property
    def destination(self) -> str:
        """The name of its queue."""
        if self.name:
            return self.name
        if isinstance(self.target, pykka.ActorRef):
            return self.target.actor_class.__name__
        return str(getattr(self.target, "__name__", type(self.target).__name__))


End = Send | Folder | Command | Call
Action = End | Step
_ENDS: Final = (Send, Folder, Command, Call)


@dataclass(frozen=True)
class Route:
    """A route.

    Attributes:
        name: its name, which stands in the queue: rows of a route that is not there any more are
            set aside.
        actions: steps and ends, in order.
        when: conditions, as `Conditions.of` takes them.
        level: ``"instance"``: each instance goes as soon as it is there. ``"series"``,
            ``"study"``: all instances of a series or study go once the study is complete, if the
            conditions hold for one of them; to programs and functions all at once. What comes
            later goes when the study is complete again.
        priority: of what goes to one destination, higher ones go first, study by study.

    Raises:
        ConfigurationError: something in it is not as expected.
    """

    name: str
    actions: Sequence[Action]
    when: Mapping[str, Any] | Conditions = field(default_factory=dict)
    level: str = "instance"
    priority: int = 0

    def __post_init__(self) -> None:
        try:
            self._check()
        except ConfigurationError as error:
            raise ConfigurationError(f"route {self.name!r}: {error}") from error

    def _check(self) -> None:
        if not isinstance(self.name, str) or not 0 < len(self.name) <= _LONGEST_NAME:
            raise ConfigurationError(f"name: expected a text, got {self.name!r}")
        if self.level not in set(Level):
            raise ConfigurationError(
                f"level: expected {', '.join(map(repr, map(str, Level)))}, got {self.level!r}"
            )
        if self.priority not in _PRIORITIES or isinstance(self.priority, bool):
            raise ConfigurationError(
                f"priority: expected a whole number from {_PRIORITIES[0]} to {_PRIORITIES[-1]},"
                f" got {self.priority!r}"
            )
        if isinstance(self.actions, str) or not isinstance(self.actions, Sequence):
            raise ConfigurationError(f"actions: expected a list, got {shown(self.actions)}")
        ends = [one for one in self.actions if isinstance(one, _ENDS)]
        for one in self.actions:
            if not isinstance(one, _ENDS) and not hasattr(one, "apply"):
                raise ConfigurationError(f"actions: expected steps and ends, got {one!r}")
        if not ends or not isinstance(self.actions[-1], _ENDS):
            raise ConfigurationError(
                "actions: expected send, call, command or folder as the last of them"
            )
        names = [end.destination for end in ends]
        for name in names:
            if not 0 < len(name) <= 4 * _LONGEST_NAME:
                raise ConfigurationError(f"expected a name for the destination, got {name!r}")
            if names.count(name) > 1:
                raise ConfigurationError(f"expected each destination once, got {name!r} again")
        when = self.when
        if not isinstance(when, Conditions | Mapping):
            raise ConfigurationError(f"when: expected a table of conditions, got {shown(when)}")
        if not isinstance(when, Conditions):
            when = Conditions.of(when)
        object.__setattr__(self, "when", when)
        queued = tuple(
            Queued(
                self.name,
                end.destination,
                Level(self.level),
                self.priority,
                self.level != "instance" and isinstance(end, Command | Call),
            )
            for end in ends
        )
        object.__setattr__(self, "_queued", queued)

    @property
    def ends(self) -> list[End]:
        """Where it leads."""
        return [one for one in self.actions if isinstance(one, _ENDS)]

    def way_to(self, destination: str) -> tuple[list[Step], End] | None:
        """The steps before an end, and the end; None: it does not lead there."""
        steps: list[Step] = []
        for one in self.actions:
            if not isinstance(one, _ENDS):
                steps.append(one)
            elif one.destination == destination:
                return steps, one
        return None

    def queued(self, data_set: DataSet, origin: Origin) -> tuple[Queued, ...]:
        """Where an object goes by it."""
        conditions: Any = self.when
        found: tuple[Queued, ...] = self._queued  # type: ignore[attr-defined]
        return found if conditions.hold(data_set, origin) else ()


class Router:
    """All routes: says of each object where it goes.

    Args:
        routes: the routes.

    Raises:
        ConfigurationError: one is none, two have one name, or lead to different ends of one name.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        for route in routes:
            if not isinstance(route, Route):
                raise ConfigurationError(f"routes: expected a Route each, got {shown(route)}")
        self.routes: Final = {route.name: route for route in routes}
        if len(self.routes) < len(routes):
            names = [route.name for route in routes]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigurationError(f"route {twice!r}: there are two of that name")
        self.ends: Final[dict[str, End]] = {}
        for route in routes:
            for end in route.ends:
                known = self.ends.setdefault(end.destination, end)
                if known != end:
                    raise ConfigurationError(
                        f"route {route.name!r}: the destination {end.destination!r} is another one"
                        " in another route: expected a name of its own"
                    )

    def __call__(self, data_set: DataSet, origin: Origin) -> list[Queued]:
        """Say where an object goes; runs in the thread that keeps it."""
        found: list[Queued] = []
        for route in self.routes.values():
            found += route.queued(data_set, origin)
        return found
