"""Let the actors of a running endpoint crash at named places, or do something else."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.actors.connection.signals import GetKernel
from dicom_actors.testing.fault_points import FaultPoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel

__all__ = ["crash_at", "do_at", "passes_left"]

_POINTS = FaultPoints()
"""Of the process, since its classes are what is wrapped."""


class _Armed(contextlib.AbstractContextManager["_Armed"]):
    """Disarms the place when the block ends."""

    def __init__(self, endpoint: pykka.ActorRef[Any], point: str) -> None:
        self._endpoint = endpoint
        self._point = point

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(pykka.ActorDeadError):
            _POINTS.arm(_kernel_of(self._endpoint), self._point, 0)


def crash_at(
    endpoint: pykka.ActorRef[Any], point: str, times: int = 1, *, after: int = 0
) -> contextlib.AbstractContextManager[object]:
    """Make the actor that next comes to `point` crash there.

    Works at once, not only as a context manager; as one, it disarms the place at the end.

    Args:
        endpoint: the endpoint's ref.
        point: one of `CRASH_POINTS`.
        times: how often, by whichever actors come there.
        after: how often actors pass the place unharmed before.

    Raises:
        ValueError: there is no such place.
        pykka.ActorDeadError: the endpoint is down.
    """
    _POINTS.arm(_kernel_of(endpoint), point, times, after)
    return _Armed(endpoint, point)


def do_at(
    endpoint: pykka.ActorRef[Any],
    point: str,
    action: Callable[[], object],
    times: int = 1,
    *,
    after: int = 0,
) -> contextlib.AbstractContextManager[object]:
    """Call `action` in the thread of the actor that next comes to `point`: to hold it, say.

    Args, errors and use as a context manager are those of `crash_at`.
    """
    _POINTS.arm(_kernel_of(endpoint), point, times, after, action)
    return _Armed(endpoint, point)


def passes_left(endpoint: pykka.ActorRef[Any], point: str) -> int:
    """Return how often an armed place has to be passed yet before something happens there."""
    return _POINTS.remaining(_kernel_of(endpoint), point)


def _kernel_of(endpoint: pykka.ActorRef[Any]) -> EndpointKernel:
    kernel: EndpointKernel = endpoint.ask(GetKernel(), block=True)
    return kernel
