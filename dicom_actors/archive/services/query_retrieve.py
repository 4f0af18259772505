"""C-FIND, C-GET and C-MOVE on Patient Root and Study Root.

Files go out as they are, without being decoded, unless the peer takes them in another
uncompressed transfer syntax only; that, and what is counted and cancelled, is the endpoint's
business.

Standard: PS3.4 C.4, C.5, C.6.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors import DimseFailure, Status
from dicom_actors.archive.query import Model, Settings, find, select
from dicom_actors.archive.services.combining import Service
from dicom_actors.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from dicom_actors import DataSet, MoveTo
    from dicom_actors.archive.index import IndexReader, StoredInstance
    from dicom_actors.archive.services.peers import Peer
    from dicom_actors.scu import OutgoingObject

__all__ = ["EXTENDED_NEGOTIATION", "Holdings", "QueryRetrieve"]

logger = logging.getLogger(__name__)

_RELATIONAL, _COMBINED = range(2)
"""Bytes of the service-class-application-information (PS3.4 C.5.1.1, C.5.2.1)."""

EXTENDED_NEGOTIATION: Final = {
    # Relational queries, combined date and time.
    f"1.2.840.10008.5.1.4.1.2.{root}.1": b"\1\1"
    for root in (1, 2)
} | {
    # Relational retrieval.
    f"1.2.840.10008.5.1.4.1.2.{root}.{operation}": b"\1"
    for root in (1, 2)
    for operation in (2, 3)
}
"""What is supported of extended negotiation; for ``EndpointConfig.extended_negotiation``."""


class Holdings(Protocol):
    """What is needed of an archive.

    Attributes:
        is_rebuilding: whether its index does not know yet of all there is.
    """

    is_rebuilding: bool

    def reader(self) -> AbstractContextManager[IndexReader]:
        """Lend a snapshot of the index."""

    def source(self, instance: StoredInstance, /) -> OutgoingObject:
        """Give an instance so that it is opened when it is sent."""

    def is_whole(self, instance: StoredInstance, /) -> bool:
        """Whether the bytes of an instance are there; raises OSError, ArchiveError."""


class QueryRetrieve(Service):
    """The service.

    Args:
        holdings: the archive.
        peers: where C-MOVE may send to, by AE title; looked into at each request.
        settings: how queries are answered. What a peer negotiates is added to it.
    """

    def __init__(
        self,
        holdings: Holdings,
        peers: Mapping[str, Peer] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._holdings = holdings
        self._peers = {} if peers is None else peers
        self._settings = settings or Settings()

    def handlers(self) -> Mapping[str, Callable[[Any], Any]]:
        """The event handlers."""
        return {"cfind": self.find, "cget": self.get, "cmove": self.move}

    def serves(self, sop_class_uid: str) -> bool:
        """Whether it is one of the information models."""
        return Model.of(sop_class_uid) is not None

    def find(self, event: Any) -> Iterator[tuple[int, DataSet]]:
        """Answer C-FIND, match by match.

        Raises:
            DimseFailure: see `dicom_actors.archive.query.find`.
        """
        settings = self._settings_for(event)
        try:
            found = find(self._holdings, event.dataset, _model(event), settings)
        except ArchiveError as error:
            raise _refused(error, Status.OUT_OF_RESOURCES) from error
        return _answers(found, event)

    def get(self, event: Any) -> list[OutgoingObject]:
        """Answer C-GET: the instances, none of which is opened yet.

        One that cannot be read then is counted as failed, and named so.
        """
        return self._select(event)

    def move(self, event: Any) -> MoveTo:
        """Answer C-MOVE; see `get`.

        Raises:
            DimseFailure: A801H, nobody of that AE title is known.
        """
        peer = self._peers.get(event.destination)
        if peer is None:
            raise DimseFailure(Status.MOVE_DESTINATION_UNKNOWN, "no such peer is configured")
        return peer.move(event.destination, self._select(event))

    def _select(self, event: Any) -> list[OutgoingObject]:
        settings = self._settings_for(event)
        try:
            found = select(self._holdings, event.dataset, _model(event), settings)
        except ArchiveError as error:
            raise _refused(error, Status.OUT_OF_RESOURCES_TO_COUNT_MATCHES) from error
        return [self._holdings.source(instance) for instance in found]

    def _settings_for(self, event: Any) -> Settings:
        """What the peer negotiated, and what is allowed to everybody."""
        agreed = event.association.extended_negotiation.get(event.sop_class_uid, b"")
        settings = self._settings
        return settings._replace(
            is_relational=settings.is_relational or _is_set(agreed, _RELATIONAL),
            combines_dates_and_times=(
                settings.combines_dates_and_times or _is_set(agreed, _COMBINED)
            ),
            retrieve_ae_title=settings.retrieve_ae_title or event.called_ae_title,
        )


def _answers(found: Iterator[tuple[int, DataSet]], event: Any) -> Iterator[tuple[int, DataSet]]:
    try:
        for answer in found:
            yield answer
            if event.is_cancelled:
                return
    except ArchiveError as error:
        raise _refused(error, Status.OUT_OF_RESOURCES) from error


def _is_set(information: bytes, at: int) -> bool:
    return len(information) > at and information[at] == 1


def _model(event: Any) -> Model:
    model = Model.of(event.sop_class_uid)
    assert model is not None
    return model


def _refused(error: ArchiveError, when_busy: Status) -> DimseFailure:
    status = when_busy if error.reason in {"busy", "locked", "full"} else Status.UNABLE_TO_PROCESS
    # What the message says of paths is for whoever runs the archive.
    logger.warning("a query or a retrieval is refused: %s", str(error))
    return DimseFailure(status, f"the index: {error.reason}")
