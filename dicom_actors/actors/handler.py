"""The Handler: runs the event handlers of one connection, away from its Association.

Started when the connection has its first request for one, replaced after a handler raised. It
writes each outcome into the connection record itself, so that neither a crash of the Association
nor its own loses one.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.actors.association_info import association_info
from dicom_actors.actors.handler_events import (
    Accept,
    AssociationRequest,
    EchoEvent,
    FindEvent,
    StoreEvent,
)
from dicom_actors.actors.handler_table import ASSOCIATION_VALIDATOR
from dicom_actors.actors.in_flight import Outcome
from dicom_actors.actors.signals import Dispatch, OutcomeReady
from dicom_actors.actors.streaming import stream_matches
from dicom_actors.data import DataSet
from dicom_actors.dimse import Status
from dicom_actors.errors import DimseFailure, HandlerError
from dicom_actors.pdu import Reject
from dicom_actors.supervision import SupervisedActor, cast

if TYPE_CHECKING:
    from dicom_actors.actors.connection_record import ConnectionRecord
    from dicom_actors.actors.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.in_flight import Request

__all__ = ["Handler"]

_logger = logging.getLogger(__name__)

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_EVENTS = {"cecho": EchoEvent, "cstore": StoreEvent, "cfind": FindEvent}


class Handler(SupervisedActor):
    """Runs handlers for the connection of `record`, one at a time, in its own thread."""

    def __init__(self, kernel: EndpointKernel, record: ConnectionRecord) -> None:
        super().__init__()
        self._kernel = kernel
        self._record = record

    def handle_cast(self, message: Any) -> None:
        """Run the handler of a request. Runs in the Handler's thread.

        Raises:
            Exception: what the handler raised, once its outcome is safe: that ends this actor.
        """
        if not isinstance(message, Dispatch):
            super().handle_cast(message)
            return
        request = self._record.begin(message.serial)
        if request is None:
            return
        try:
            outcome, fault = self._outcome_of_call(request)
            self._note_outcome(request, outcome)
        finally:
            if request.received is not None:
                request.received.discard()
        if fault is not None:
            raise fault

    def _outcome_of_call(self, request: Request) -> tuple[Outcome, BaseException | None]:
        try:
            faults = self._kernel.faults
            if faults is not None:
                faults.hit("handler.begin")
            result = self._call(request)
            if request.service == "cfind" and _is_stream(result):
                result = stream_matches(result, self._kernel, self._record, request)
            if faults is not None:
                faults.hit("handler.outcome")
            return _outcome_of(request.service, result), None
        except DimseFailure as failure:
            if request.service == ASSOCIATION_VALIDATOR:
                return Outcome(reject=Reject.NO_REASON), None
            return Outcome(failure.status, failure.comment), None
        except OSError as error:
            if request.service != "cstore" or error.errno not in _NO_ROOM:
                return self._outcome_of_fault(request, error), error
            # Nobody's bug, so that the Handler may live on (PS3.4 B.2.3).
            return Outcome(Status.OUT_OF_RESOURCES, error.strerror or ""), None
        except BaseException as fault:  # noqa: BLE001 - the boundary between us and user code
            return self._outcome_of_fault(request, fault), fault

    def _outcome_of_fault(self, request: Request, fault: BaseException) -> Outcome:
        _logger.error(
            "connection %d: the %s handler raised",
            self._record.id,
            request.service,
            exc_info=fault,
        )
        return _outcome_of_fault(request.service, fault)

    def _call(self, request: Request) -> Any:
        handler = self._kernel.handlers.get(request.service)
        if handler is None:
            raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "no handler")
        event = self._event_of(request)
        if isinstance(handler, pykka.ActorRef):
            return handler.ask(event, timeout=self._kernel.config.handler_timeout)
        return handler(event)

    def _event_of(self, request: Request) -> Any:
        if request.service == ASSOCIATION_VALIDATOR:
            rq = self._record.association_rq
            assert rq is not None
            return AssociationRequest(
                called_ae_title=rq.called_ae_title,
                calling_ae_title=rq.calling_ae_title,
                peer=self._record.peer,
                presentation_contexts=rq.presentation_contexts,
                user_identity=rq.user_information.user_identity,
            )
        event_class = _EVENTS[request.service]
        return event_class(
            association_info(self._record), self._record, request, self._kernel.config
        )

    def _note_outcome(self, request: Request, outcome: Outcome) -> None:
        association = self._record.finish(request.serial, outcome)
        if association is not None:
            cast(association, OutcomeReady())


def _is_stream(result: Any) -> bool:
    return isinstance(result, Iterable) and not isinstance(result, DataSet | str | bytes)


def _outcome_of(service: str, result: Any) -> Outcome:
    if isinstance(result, Outcome):
        return result
    if service == ASSOCIATION_VALIDATOR:
        return _validation_outcome(result)
    if result is None or result is True:
        return Outcome()
    if isinstance(result, int) and not isinstance(result, bool) and 0 <= result <= 0xFFFF:
        return Outcome(int(result))
    if isinstance(result, DataSet):
        status = result.get("Status")
        if isinstance(status, int):
            return Outcome(status, str(result.get("ErrorComment") or ""))
    raise HandlerError(
        f"expected None, a status or a data set with Status from the {service} handler, "
        f"got {type(result).__name__}"
    )


def _validation_outcome(result: Any) -> Outcome:
    if result is None or result is True:
        return Outcome(identity_response=b"")
    if isinstance(result, Accept):
        return Outcome(identity_response=result.identity_response)
    if result is False:
        return Outcome(reject=Reject.NO_REASON)
    if isinstance(result, Reject):
        return Outcome(reject=result)
    raise HandlerError(
        f"expected None, a bool, an Accept or a Reject from the {ASSOCIATION_VALIDATOR} handler, "
        f"got {type(result).__name__}"
    )


def _outcome_of_fault(service: str, fault: BaseException) -> Outcome:
    if service == ASSOCIATION_VALIDATOR:
        return Outcome(reject=Reject.ACSE_NO_REASON_TRANSIENT)
    # The class alone: the text may hold what is not the peer's to know.
    return Outcome(Status.PROCESSING_FAILURE, f"handler failed: {type(fault).__name__}")
