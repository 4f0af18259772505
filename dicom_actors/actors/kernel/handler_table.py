"""Which handler answers which service: the ``event_handlers`` of an endpoint, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from pykka import ActorRef

from dicom_actors.dimse import CommandField
from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dicom_actors.messages import EventHandler, EventHandlers

__all__ = ["ASSOCIATION_VALIDATOR", "SERVICES", "HandlerTable"]

ASSOCIATION_VALIDATOR: Final = "association_validator"

SERVICES: Final[Mapping[int, str]] = {
    CommandField.C_ECHO_RQ: "cecho",
    CommandField.C_STORE_RQ: "cstore",
    CommandField.C_FIND_RQ: "cfind",
    CommandField.C_GET_RQ: "cget",
    CommandField.C_MOVE_RQ: "cmove",
    CommandField.N_CREATE_RQ: "ncreate",
    CommandField.N_SET_RQ: "nset",
    CommandField.N_GET_RQ: "nget",
    CommandField.N_DELETE_RQ: "ndelete",
    CommandField.N_ACTION_RQ: "naction",
    CommandField.N_EVENT_REPORT_RQ: "nevent_report",
}
"""Command Field of a request to the name of its handler."""

_NAMES: Final = frozenset({ASSOCIATION_VALIDATOR, *SERVICES.values()})


class HandlerTable:
    """The handlers by name; frozen.

    Args:
        event_handlers: a mapping, or pairs, of names and handlers. A handler is a callable,
            coroutine functions and async generators included, or the ref of an actor that gets
            the event as a message and whose reply is the result.

    Raises:
        ConfigurationError: an unknown or repeated name, or a handler that cannot be called.

    Attributes:
        get: gives the handler of a name, None if there is none.
    """

    def __init__(self, event_handlers: EventHandlers = ()) -> None:
        self._handlers: dict[str, EventHandler] = {}
        for name, handler in _pairs_of(event_handlers):
            if not isinstance(name, str) or name not in _NAMES:
                raise ConfigurationError(
                    f"event_handlers: expected one of {', '.join(sorted(_NAMES))}, got {name!r}"
                )
            if name in self._handlers:
                raise ConfigurationError(f"event_handlers: {name!r} is given twice")
            if not callable(handler) and not isinstance(handler, ActorRef):
                raise ConfigurationError(
                    f"event_handlers: expected a callable or an ActorRef for {name!r}, "
                    f"got {type(handler).__name__}"
                )
            self._handlers[name] = handler
        self.get: Callable[[str], EventHandler | None] = self._handlers.get

    def __contains__(self, name: str) -> bool:
        return name in self._handlers


def _pairs_of(event_handlers: EventHandlers) -> list[tuple[str, EventHandler]]:
    pairs: list[tuple[str, EventHandler]] = []
    if isinstance(event_handlers, str | bytes | bytearray):  # of which an empty one has no names
        raise ConfigurationError(
            "event_handlers: expected a mapping, or pairs, of names and handlers, "
            f"got {type(event_handlers).__name__}"
        )
    try:
        items = event_handlers.items() if isinstance(event_handlers, Mapping) else event_handlers
        for name, handler in items:
            pairs.append((name, handler))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            "event_handlers: expected a mapping, or pairs, of names and handlers, "
            f"got {type(event_handlers).__name__} ({error})"
        ) from error
    return pairs
