"""An event, handed over to another process: what is said of it here, and what it is there.

There it is of the class that it is here, with what that class can do, on data that both processes
have mapped. Two things are asked for here: whether it is cancelled, and `save`.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from dicom_actors.actors.handlers.events import AssociationRequest, RequestEvent, StoreEvent
from dicom_actors.actors.handlers.operation_events import EVENTS
from dicom_actors.data import Limits
from dicom_actors.errors import HandlerError
from dicom_actors.processes.portable import Portable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dicom_actors.data import DataSet
    from dicom_actors.messages import AssociationInfo

__all__ = ["Facts", "event_of", "facts_of"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What another process is told of an event.

    Attributes:
        service: the name of its handler.
        message_id: see `RequestEvent`.
        sop_class_uid: the same.
        sop_instance_uid: the same.
        association: the association that it came on.
        command: the command set.
        transfer_syntax: UID of its presentation context's.
        header: what stands before the data set in a file.
        offset: where the data set begins in the file whose descriptor comes along.
        length: its bytes; None: there is no data set.
        max_depth: see `Limits`.
        max_elements: the same.
    """

    service: str
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    association: AssociationInfo
    command: DataSet
    transfer_syntax: str
    header: bytes
    offset: int
    length: int | None
    max_depth: int
    max_elements: int


def facts_of(event: Any, descriptors: list[int], share: Callable[[memoryview], int]) -> Any:
    """Say of an event what another process has to know.

    Args:
        event: the event.
        descriptors: gets that of the data set; it is the caller's to close.
        share: puts bytes where both have them; gives the descriptor.

    Raises:
        HandlerError: it is no event of an endpoint.
        OSError: there are no descriptors, or there is no room.
    """
    if isinstance(event, AssociationRequest | Portable):
        return event
    if not isinstance(event, RequestEvent):
        raise HandlerError(f"expected an event of an endpoint, got {type(event).__name__}")
    received = event._request.received  # noqa: SLF001 - what it is made of is handed over
    header, offset, length = b"", 0, None
    if received is not None:
        header, length = received.header, received.length
        if received.path is not None and received.file is not None:
            descriptors.append(os.dup(received.file.descriptor))
            offset = len(header)
        elif length:
            descriptors.append(share(event.data))
    config = event._kernel.config  # noqa: SLF001
    return Facts(
        service=event._request.service,  # noqa: SLF001
        message_id=event.message_id,
        sop_class_uid=event.sop_class_uid,
        sop_instance_uid=event.sop_instance_uid,
        association=event.association,
        command=event.command,
        transfer_syntax=event.transfer_syntax.uid,
        header=header,
        offset=offset,
        length=length,
        max_depth=config.max_sequence_depth,
        max_elements=config.max_elements,
    )


def event_of(facts: Any, descriptors: tuple[int, ...], ask: Callable[..., Any]) -> Any:
    """Make the event again.

    Args:
        facts: what `facts_of` said.
        descriptors: of the data set, if it has one; they are closed.
        ask: asks the process that has the event for an attribute, or to call a method.
    """
    try:
        if isinstance(facts, AssociationRequest | Portable):
            return facts
        kind = EVENTS[facts.service]
        return type(kind.__name__, (_HandedOver, kind), {})(facts, descriptors, ask)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


class _HandedOver(RequestEvent):
    """What an event does there in another way; see the module."""

    def __init__(self, facts: Facts, descriptors: tuple[int, ...], ask: Callable[..., Any]) -> None:
        self.message_id = facts.message_id
        self.sop_class_uid = facts.sop_class_uid
        self.sop_instance_uid = facts.sop_instance_uid
        self.__dict__["association"] = facts.association
        limits = Limits(max_depth=facts.max_depth, max_elements=facts.max_elements)
        self._ask = ask
        self._data = None
        received = None
        if facts.length is not None:
            received = SimpleNamespace(
                header=facts.header, length=facts.length, data=_mapped(facts, descriptors)
            )
        # As far as the classes of events look at them.
        self._record: Any = SimpleNamespace(id=facts.association.id)
        self._request: Any = SimpleNamespace(
            command=SimpleNamespace(elements=facts.command),
            context=SimpleNamespace(transfer_syntax=facts.transfer_syntax),
            received=received,
        )
        self._kernel: Any = SimpleNamespace(element_limits=limits, data_set_limits=lambda: limits)

    @property
    def is_cancelled(self) -> bool:
        """See `RequestEvent.is_cancelled`."""
        return bool(self._ask("is_cancelled"))

    def expect_wait(self, seconds: float) -> None:
        """See `RequestEvent.expect_wait`; the association does not wait for this process."""

    def save(
        self,
        directory: str | os.PathLike[str],
        name: str | os.PathLike[str] | None = None,
        *,
        is_durable: bool = True,
    ) -> Path:
        """See `StoreEvent.save`."""
        if not isinstance(self, StoreEvent):
            raise AttributeError("save")  # noqa: TRY004 - there is none
        found: Path = self._ask("save", directory, name, is_durable=is_durable)
        return found


def _mapped(facts: Facts, descriptors: tuple[int, ...]) -> memoryview:
    if not facts.length:
        return memoryview(b"")
    mapped = mmap.mmap(descriptors[0], facts.offset + facts.length, access=mmap.ACCESS_READ)
    return memoryview(mapped)[facts.offset :]
