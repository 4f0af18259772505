"""Several services on one endpoint: which of them answers is said by the SOP class.

Standard: PS3.7 9.1, 10.1.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from dicom_actors import DimseFailure, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Handlers = Mapping[str, Callable[[Any], Any]]

__all__ = ["Service", "combined"]


class Service(abc.ABC):
    """A part of the archive that answers requests; the base of all of them."""

    @abc.abstractmethod
    def handlers(self) -> Handlers:
        """Its event handlers, by the names that an endpoint has for them."""

    @abc.abstractmethod
    def serves(self, sop_class_uid: str) -> bool:
        """Whether requests of a SOP class are for it."""


def combined(services: Iterable[Service]) -> dict[str, Callable[[Any], Any]]:
    """Make one table of event handlers.

    A request goes to the first service that serves its SOP class; if none does, it is answered
    with 0122H (SOP class not supported).
    """
    table: dict[str, list[tuple[Service, Callable[[Any], Any]]]] = {}
    for service in services:
        for name, handler in service.handlers().items():
            table.setdefault(name, []).append((service, handler))
    return {name: _chosen(choices) for name, choices in table.items()}


def _chosen(choices: list[tuple[Service, Callable[[Any], Any]]]) -> Callable[[Any], Any]:
    def handle(event: Any) -> Any:
        for service, handler in choices:
            if service.serves(event.sop_class_uid):
                return handler(event)
        raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "no service of the archive is for it")

    return handle
