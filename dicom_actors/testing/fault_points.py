"""Named places at which a test can make an actor of an endpoint crash, or hold it.

The actors know nothing of them. A place is before or after a method; while something is armed in
any endpoint of the process, these methods are wrapped, and look whether it is meant for theirs.
"""

from __future__ import annotations

import functools
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from dicom_actors.actors.association.association import Association
from dicom_actors.actors.association.opening import Opening
from dicom_actors.actors.association.requests import RequestFlow
from dicom_actors.actors.connection.incarnation import Phase
from dicom_actors.actors.endpoint.event_bus import EventBus
from dicom_actors.actors.endpoint.listener import Listener
from dicom_actors.actors.handlers.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel

__all__ = ["CRASH_POINTS", "FaultPoints", "InjectedCrash"]


class _Place(NamedTuple):
    owner: type
    method: str
    is_after: bool = False


_PLACES: Final = {
    "association.adopt": _Place(Association, "_recover"),
    "association.request": _Place(Opening, "decide"),
    "association.command": _Place(RequestFlow, "_receive_command"),
    "association.fragment": _Place(RequestFlow, "_receive_data"),
    "association.complete": _Place(RequestFlow, "_complete"),
    "association.dispatch": _Place(RequestFlow, "_run"),
    "association.dispatched": _Place(RequestFlow, "_dispatched"),
    "association.outcome": _Place(RequestFlow, "_take_outcome"),
    "association.reply": _Place(RequestFlow, "_answer"),
    "association.replied": _Place(RequestFlow, "_replied"),
    "association.release": _Place(Association, "_release"),
    "association.core": _Place(Association, "_leave_core"),
    "handler.begin": _Place(Handler, "_call"),
    "handler.outcome": _Place(Handler, "_call", is_after=True),
    "listener.accept": _Place(Listener, "_accept_one"),
    "listener.hand_over": _Place(Listener, "_hand_over"),
    "event_bus.deliver": _Place(EventBus, "_deliver"),
}

CRASH_POINTS: Final = frozenset(_PLACES)
"""The names that can be armed."""


class InjectedCrash(Exception):
    """What an armed place raises."""


class _Armed(NamedTuple):
    after: int
    times: int
    action: Callable[[], object] | None


class FaultPoints:
    """What is armed in the endpoints of a process; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._armed: WeakKeyDictionary[EndpointKernel, dict[str, _Armed]] = WeakKeyDictionary()
        self._wrapped: dict[tuple[type, str], Callable[..., Any]] = {}

    def arm(
        self,
        kernel: EndpointKernel,
        point: str,
        times: int,
        after: int = 0,
        action: Callable[[], object] | None = None,
    ) -> None:
        """Arm a place.

        Args:
            kernel: the endpoint's.
            point: one of `CRASH_POINTS`.
            times: how often it does something; 0 disarms it.
            after: how often it is passed before.
            action: what happens there; None: a crash.

        Raises:
            ValueError: there is no such place.
        """
        place = _PLACES.get(point)
        if place is None:
            names = ", ".join(sorted(_PLACES))
            raise ValueError(f"point: expected one of {names}, got {point!r}")
        with self._lock:
            armed = self._armed.setdefault(kernel, {})
            if times > 0:
                armed[point] = _Armed(after, times, action)
                self._wrap(place)
            else:
                armed.pop(point, None)
            if not any(self._armed.values()):
                self._unwrap()

    def remaining(self, kernel: EndpointKernel, point: str) -> int:
        """How often an armed place still has to be passed before it does something."""
        with self._lock:
            return self._armed[kernel][point].after

    def _hit(self, kernel: EndpointKernel, point: str) -> None:
        with self._lock:
            points = self._armed.get(kernel)
            armed = None if points is None else points.get(point)
            if points is None or armed is None:
                return
            if armed.after:
                points[point] = armed._replace(after=armed.after - 1)
                return
            if armed.times == 1:
                del points[point]
            else:
                points[point] = armed._replace(times=armed.times - 1)
        if armed.action is None:
            raise InjectedCrash(point)
        armed.action()

    def _wrap(self, place: _Place) -> None:
        key = (place.owner, place.method)
        if key in self._wrapped:
            return
        real = self._wrapped[key] = getattr(place.owner, place.method)
        before = [n for n, p in _PLACES.items() if p[:2] == key and not p.is_after]
        after = [n for n, p in _PLACES.items() if p[:2] == key and p.is_after]

        @functools.wraps(real)
        def wrapped(owner: Any, *args: Any, **kwargs: Any) -> Any:
            kernel = owner._kernel  # noqa: SLF001 - the places are inside
            for name in before:
                if name == "association.core":
                    owner._incarnation.phase = Phase.CORE  # noqa: SLF001 - as there
                self._hit(kernel, name)
            result = real(owner, *args, **kwargs)
            for name in after:
                self._hit(kernel, name)
            return result

        setattr(place.owner, place.method, wrapped)

    def _unwrap(self) -> None:
        for (owner, method), real in self._wrapped.items():
            setattr(owner, method, real)
        self._wrapped.clear()
