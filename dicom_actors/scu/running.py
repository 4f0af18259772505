"""Operations that have responses to come. PS3.7 7.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dicom_actors.dimse import CommandField
    from dicom_actors.upper_layer import AcceptedContext

__all__ = ["Running", "service_name"]


class Running:
    """Operations that have responses to come.

    Attributes:
        name: of the service, for example ``"C-FIND"``.
        command_field: of the requests.
        context: where they run.
        outstanding: the Message IDs of the requests that have no final response yet.
        is_abandoned: nobody will ask for the responses any more.
        is_cancelled: the peer was asked to give up.
    """

    __slots__ = (
        "command_field",
        "context",
        "is_abandoned",
        "is_cancelled",
        "name",
        "outstanding",
    )

    def __init__(self, command_field: CommandField, context: AcceptedContext | None = None) -> None:
        self.name = service_name(command_field)
        self.command_field = command_field
        self.context = context
        self.outstanding: set[int] = set()
        self.is_abandoned = False
        self.is_cancelled = False


def service_name(command_field: CommandField) -> str:
    """Return what a request belongs to, for example ``"C-FIND"``."""
    return command_field.name.removesuffix("_RQ").replace("_", "-")
