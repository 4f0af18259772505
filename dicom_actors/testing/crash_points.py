"""Let the actors of a running endpoint crash at named places."""

from __future__ import annotations

import contextlib
from typing import Any

import pykka

from dicom_actors.actors.signals import ArmCrashPoint

__all__ = ["crash_at"]


class _Armed(contextlib.AbstractContextManager["_Armed"]):
    """Disarms the place when the block ends."""

    def __init__(self, endpoint: pykka.ActorRef[Any], point: str) -> None:
        self._endpoint = endpoint
        self._point = point

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(pykka.ActorDeadError):
            self._endpoint.ask(ArmCrashPoint(self._point, 0))


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
    endpoint.ask(ArmCrashPoint(point, times, after))
    return _Armed(endpoint, point)
