"""The Handler: runs the event handlers of one connection, away from its Association.

Started when the connection has its first request for one, replaced after a handler raised. It
writes each outcome into the connection record itself, so that neither a crash of the Association
nor its own loses one.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import pykka

from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.connection.signals import Dispatch, OutcomeReady
from dicom_actors.actors.handlers.events import AssociationRequest
from dicom_actors.actors.handlers.loop_task import GivenUp, LoopTask
from dicom_actors.actors.handlers.operation_events import EVENTS
from dicom_actors.actors.handlers.outcomes import (
    is_stream,
    outcome_of,
    outcome_of_failure,
    outcome_of_fault,
    outcome_of_giving_up,
    outcome_of_shortage,
    validation_outcome,
)
from dicom_actors.actors.handlers.responder import Responder
from dicom_actors.actors.handlers.streaming import stream_matches
from dicom_actors.actors.handlers.table import ASSOCIATION_VALIDATOR
from dicom_actors.actors.retrieving.get import send_instances
from dicom_actors.actors.retrieving.move import is_move, move_instances
from dicom_actors.dimse import Status
from dicom_actors.errors import DimseFailure, HandlerError
from dicom_actors.supervision import SupervisedActor, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Outcome, Request
    from dicom_actors.actors.endpoint.kernel import EndpointKernel

__all__ = ["Handler"]

_logger = logging.getLogger(__name__)


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
        service = request.service
        responder = (
            None if request.command is None else Responder(self._kernel, self._record, request)
        )
        more = {} if responder is None else responder.more
        try:
            faults = self._kernel.faults
            if faults is not None:
                faults.hit("handler.begin")
            outcome = self._call(request, responder)
            if faults is not None:
                faults.hit("handler.outcome")
        except DimseFailure as failure:
            try:
                return outcome_of_failure(service, failure, more), None
            except HandlerError as fault:
                return self._outcome_of_fault(service, fault, more), fault
        except GivenUp:
            now = self._record.find(request.serial)
            is_late = now is not None and now.is_warned
            return outcome_of_giving_up(service, more, is_late=is_late), None
        except BaseException as fault:  # noqa: BLE001 - the boundary between us and user code
            shortage = outcome_of_shortage(service, fault)
            if shortage is not None:
                # Nobody's bug, so that the Handler may live on.
                return shortage, None
            return self._outcome_of_fault(service, fault, more), fault
        return outcome, None

    def _outcome_of_fault(
        self, service: str, fault: BaseException, more: Mapping[int, int | str | bytes]
    ) -> Outcome:
        _logger.error(
            "connection %d: the %s handler raised", self._record.id, service, exc_info=fault
        )
        return outcome_of_fault(service, fault, more)

    def _call(self, request: Request, responder: Responder | None) -> Outcome:
        service = request.service
        handler = self._kernel.handlers.get(service)
        if handler is None:
            raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "no handler")
        event = self._event_of(request)
        if responder is not None:
            event.check()
        if isinstance(handler, pykka.ActorRef):
            result = handler.ask(event, timeout=self._kernel.config.handler_timeout)
        else:
            result = handler(event)
        if isinstance(result, pykka.Future):
            result = result.get(timeout=self._kernel.config.handler_timeout)
        elif isinstance(result, Awaitable):
            task = LoopTask(self._kernel.event_loop, self._record, request)
            result = task.result_of(result)
        if responder is None:
            return validation_outcome(result)
        if service == "cfind" and is_stream(result):
            return stream_matches(result, responder, self._kernel)
        if service == "cget" and is_stream(result):
            return send_instances(result, responder)
        if service == "cmove" and is_move(result):
            return move_instances(result, self._kernel, self._record, request, responder)
        return outcome_of(service, result, event, responder.context)

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
        event_class = EVENTS[request.service]
        return event_class(
            association_info(self._record),
            self._record,
            request,
            self._kernel.config,
            self._kernel.storage,
        )

    def _note_outcome(self, request: Request, outcome: Outcome) -> None:
        association = self._record.finish(request.serial, outcome)
        if association is not None:
            cast(association, OutcomeReady())
