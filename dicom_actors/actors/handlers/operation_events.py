"""The events of each service but C-STORE. PS3.7 chapters 9 and 10."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.actors.handlers.events import DataSetEvent, RequestEvent, StoreEvent
from dicom_actors.data import Query, Tag, generate_uid
from dicom_actors.dimse import Status
from dicom_actors.errors import DecodeError, DimseFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.data import DataSet

__all__ = [
    "EVENTS",
    "ActionEvent",
    "CreateEvent",
    "DeleteEvent",
    "EchoEvent",
    "EventReportEvent",
    "FindEvent",
    "GetAttributesEvent",
    "GetEvent",
    "MoveEvent",
    "NormalizedEvent",
    "SetEvent",
]


class EchoEvent(RequestEvent):
    """A C-ECHO request (PS3.7 9.1.5)."""


class QueryEvent(DataSetEvent):
    """A request whose data set is an identifier: it says what is wanted."""

    @property
    def level(self) -> str:
        """Query/Retrieve Level (0008,0052); empty where the information model has none."""
        return str(self.dataset.get("QueryRetrieveLevel") or "")

    @cached_property
    def query(self) -> Query:
        """The identifier, ready to be matched: `query.select(rows)` gives the answers.

        Raises:
            DimseFailure: a key is none that can be matched (C000H, unable to process).
        """
        try:
            return Query(self.dataset)
        except DecodeError as error:
            tags = {} if error.tag is None else {"OffendingElement": [error.tag]}
            raise DimseFailure(Status.UNABLE_TO_PROCESS, str(error), **tags) from error


class FindEvent(QueryEvent):
    """A C-FIND request (PS3.7 9.1.2); its data set is the identifier, that is, the query."""


class GetEvent(QueryEvent):
    """A C-GET request (PS3.7 9.1.3)."""


class MoveEvent(QueryEvent):
    """A C-MOVE request (PS3.7 9.1.4)."""

    @cached_property
    def destination(self) -> str:
        """The AE title to which the instances are to be sent: Move Destination (0000,0600)."""
        return str(self.command.get("MoveDestination") or "").strip()


class NormalizedEvent(RequestEvent):
    """A request of an N-service (PS3.7 chapter 10)."""

    @cached_property
    def dataset(self) -> DataSet | None:
        """The data set, an index over the received bytes; None if the request has none.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return None if self._request.received is None else self._decoded()


class CreateEvent(NormalizedEvent):
    """An N-CREATE request (PS3.7 10.1.5); its data set has the attributes of the new instance.

    Attributes:
        sop_instance_uid: the instance that the peer wants, or a new UID if it leaves that to us;
            the response names it.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.sop_instance_uid = self.sop_instance_uid or str(generate_uid())


class SetEvent(NormalizedEvent):
    """An N-SET request (PS3.7 10.1.3); its data set has the modifications."""


class GetAttributesEvent(NormalizedEvent):
    """An N-GET request (PS3.7 10.1.2)."""

    @cached_property
    def attribute_identifier_list(self) -> tuple[Tag, ...]:
        """The attributes that are wanted (0000,1005); none: all."""
        command = self.command
        if "AttributeIdentifierList" not in command:
            return ()
        return tuple(map(Tag, command.fetch("AttributeIdentifierList").values))


class DeleteEvent(NormalizedEvent):
    """An N-DELETE request (PS3.7 10.1.6)."""


class ActionEvent(NormalizedEvent):
    """An N-ACTION request (PS3.7 10.1.4); its data set is the action information."""

    @cached_property
    def action_type_id(self) -> int:
        """Which action: Action Type ID (0000,1008)."""
        return int(self.command.get("ActionTypeID") or 0)


class EventReportEvent(NormalizedEvent):
    """An N-EVENT-REPORT request (PS3.7 10.1.1); its data set is the event information."""

    @cached_property
    def event_type_id(self) -> int:
        """Which event: Event Type ID (0000,1002)."""
        return int(self.command.get("EventTypeID") or 0)


EVENTS: Final[Mapping[str, type[RequestEvent]]] = {
    "cecho": EchoEvent,
    "cstore": StoreEvent,
    "cfind": FindEvent,
    "cget": GetEvent,
    "cmove": MoveEvent,
    "ncreate": CreateEvent,
    "nset": SetEvent,
    "nget": GetAttributesEvent,
    "ndelete": DeleteEvent,
    "naction": ActionEvent,
    "nevent_report": EventReportEvent,
}
"""What the handler of each service is called with."""
