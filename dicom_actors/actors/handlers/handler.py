"""The Handler: the boundary between us and user code.

Runs the event handler of a request in the thread of the actor that received it, and makes an
outcome of whatever comes of that: nothing that user code raises passes, SystemExit included. An
actor that is found here for longer than a few milliseconds loses its association to a fresh one
and is from then on the Handler alone, which the supervision tree shows under that name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import pykka

from dicom_actors import events
from dicom_actors.actors.handlers.events import AssociationRequest
from dicom_actors.actors.handlers.operation_events import EVENTS
from dicom_actors.actors.handlers.outcomes import (
    outcome_of,
    outcome_of_failure,
    outcome_of_fault,
    outcome_of_giving_up,
    outcome_of_shortage,
    validation_outcome,
)
from dicom_actors.actors.responding.find import stream_matches
from dicom_actors.actors.responding.get import send_instances
from dicom_actors.actors.responding.loop_task import GivenUp, LoopTask
from dicom_actors.actors.responding.move import is_move, move_instances
from dicom_actors.actors.responding.pulling import is_stream
from dicom_actors.actors.responding.responder import Responder
from dicom_actors.dimse import Status
from dicom_actors.errors import DimseFailure, HandlerError
from dicom_actors.supervision import ExitReason, send_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Outcome, Request
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel

__all__ = ["Handler"]

_logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.2
"""Real time between two looks whether an actor that was asked still lives."""


class Handler:
    """One run of one handler; see the module.

    Args:
        kernel: the endpoint's tables.
        record: the connection's record.
        request: the request.
    """

    _responder: Responder | None = None  # most need none

    def __init__(self, kernel: EndpointKernel, record: ConnectionRecord, request: Request) -> None:
        self._kernel = kernel
        self._record = record
        self._request = request

    def run(self) -> Outcome:
        """Run the handler of the request; returns its outcome, whatever happens."""
        try:
            return self._call()
        except GivenUp:
            is_late = self._request.is_warned
            return outcome_of_giving_up(self._request.service, self._more, is_late=is_late)
        except BaseException as fault:  # noqa: BLE001 - the boundary between us and user code
            try:
                return self._outcome_of(fault)
            except BaseException:  # noqa: BLE001 - what is in a fault is user code's, too
                return outcome_of_fault(self._request.service, HandlerError(), self._more)

    def _outcome_of(self, fault: BaseException) -> Outcome:
        service = self._request.service
        if isinstance(fault, DimseFailure):
            try:
                return outcome_of_failure(service, fault, self._more)
            except BaseException as other:  # noqa: BLE001 - it says something that nobody may say
                return self._outcome_of_fault(other)
        shortage = outcome_of_shortage(service, fault)  # which is nobody's bug
        return self._outcome_of_fault(fault) if shortage is None else shortage

    @property
    def _more(self) -> Mapping[int, int | str | bytes]:
        return {} if self._responder is None else self._responder.more

    def _outcome_of_fault(self, fault: BaseException) -> Outcome:
        kernel, record, service = self._kernel, self._record, self._request.service
        kernel.system.log.write(
            _logger,
            logging.ERROR,
            "connection %d: the %s handler raised",
            record.id,
            service,
            exc_info=fault,
        )
        if kernel.wants(events.ActorCrashed):
            name = f"handler of connection {record.id}"
            kernel.publish(events.ActorCrashed(name, str(ExitReason.error(fault))))
        return outcome_of_fault(service, fault, self._more)

    def _call(self) -> Outcome:
        kernel, request = self._kernel, self._request
        service = request.service
        handler = kernel.handlers.get(service)
        if handler is None:
            raise DimseFailure(Status.SOP_CLASS_NOT_SUPPORTED, "no handler")
        event: Any
        if request.command is None:
            event = self._association_request()
        else:
            event = EVENTS[service](self._record, request, kernel)
            event.check()
        if isinstance(handler, pykka.ActorRef):
            result = self._reply_of(handler, event)
        else:
            result = handler(event)
        if result is not None:  # most often there is nothing to wait for
            result = self._awaited(result)
        if request.context is None:
            return validation_outcome(result)
        if service == "cfind" and is_stream(result):
            return stream_matches(result, self._make_responder(), kernel)
        if service == "cget" and is_stream(result):
            return send_instances(result, self._make_responder())
        if service == "cmove" and is_move(result):
            responder = self._make_responder()
            return move_instances(result, kernel, self._record, request, responder)
        return outcome_of(service, result, event, request.context)

    def _awaited(self, result: Any) -> Any:
        """Wait for what a handler has promised; anything else is given back."""
        if isinstance(result, pykka.Future):
            return result.get(timeout=self._kernel.config.handler_timeout)
        if isinstance(result, Awaitable):
            task = LoopTask(self._kernel.event_loop, self._record, self._request)
            return task.result_of(result)
        return result

    def _make_responder(self) -> Responder:
        self._responder = Responder(self._kernel, self._record, self._request)
        return self._responder

    def _reply_of(self, actor: pykka.ActorRef[Any], event: Any) -> Any:
        """Ask an actor of the host application.

        An actor that ends over it, as one does that raises SystemExit, answers nobody.

        Raises:
            HandlerError: the actor ended, or did not answer in time.
            Exception: what it raised.
        """
        future = send_request(actor, event)
        timeout, clock = self._kernel.config.handler_timeout, self._kernel.clock
        deadline = None if timeout is None else clock.monotonic() + timeout
        while deadline is None or clock.monotonic() < deadline:
            was_alive = actor.is_alive()
            try:
                return future.get(timeout=_LOOK_SECONDS)
            except pykka.Timeout:
                if not was_alive:
                    raise HandlerError("the actor that is the handler has ended") from None
        raise HandlerError("the actor that is the handler did not answer in time")

    def _association_request(self) -> AssociationRequest:
        record = self._record
        rq = record.association_rq
        assert rq is not None
        return AssociationRequest(
            called_ae_title=rq.called_ae_title,
            calling_ae_title=rq.calling_ae_title,
            peer=record.peer,
            presentation_contexts=rq.presentation_contexts,
            user_identity=rq.user_information.user_identity,
        )
