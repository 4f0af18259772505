"""How an association begins: TLS where it is wanted, then the answer to its request.

Belongs to one incarnation of an Association and runs in its thread. What is accepted is decided
by `admission` and, in the Handler, by the user's ``association_validator``. PS3.8 7.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from dicom_actors.actors.association.admission import policy_for, with_identity_response
from dicom_actors.actors.kernel.handler_table import ASSOCIATION_VALIDATOR
from dicom_actors.pdu import Reject
from dicom_actors.upper_layer import AssociateAccept, AssociateReject

if TYPE_CHECKING:
    import ssl

    from dicom_actors.actors.connection.incarnation import Incarnation
    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Outcome
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.pdu import AssociateRq
    from dicom_actors.upper_layer import NegotiationPolicy

__all__ = ["Opening", "cause_of"]


class Opening:
    """The beginning of the association on the connection of `record`.

    Args:
        incarnation: the incarnation's.
        kernel: the endpoint's tables.
        record: the connection's record.
    """

    def __init__(
        self, incarnation: Incarnation, kernel: EndpointKernel, record: ConnectionRecord
    ) -> None:
        self._incarnation = incarnation
        self._kernel = kernel
        self._record = record

    @property
    def wants_tls(self) -> bool:
        """Whether a handshake comes first."""
        return self._kernel.tls is not None and not self._record.transport.is_handshaken

    def begin_tls(self, context: ssl.SSLContext) -> None:
        """Put TLS on the connection.

        Raises:
            OSError: the connection is lost, or its handshake crashed: there is no second one.
        """
        record, kernel = self._record, self._kernel
        if record.transport.is_secure:
            if self._incarnation.is_restart:
                raise OSError("the handshake was interrupted")
            return
        self._incarnation.deadlines.artim = (
            None  # it starts when the transport is there (PS3.8 9.1.5)
        )
        self._incarnation.deadlines.handshake = (
            kernel.clock.monotonic() + kernel.config.handshake_timeout
        )
        record.start_tls(self._incarnation.epoch, context)

    def go_on_with_tls(self) -> Literal["done", "read", "write"]:
        """Go on with the handshake; says what it waits for.

        Raises:
            OSError: it failed, or the connection is lost.
        """
        waits_for = self._record.handshake(self._incarnation.epoch)
        if waits_for == "done":
            self._incarnation.deadlines.handshake = None
        return waits_for

    def decide(self, rq: AssociateRq) -> AssociateAccept | AssociateReject | None:
        """Take an association request; returns None if the validator has to be asked."""
        record, kernel = self._record, self._kernel
        self._incarnation.association_rq = rq
        if kernel.system.disowned > kernel.config.max_disowned_handlers:
            kernel.limit_reached("max_disowned_handlers", "associations are rejected")
            return AssociateReject(Reject.LOCAL_LIMIT_EXCEEDED)
        others = kernel.callers.enter(record, rq.calling_ae_title)
        answer = kernel.known_requests.negotiate(rq, self._policy(), others)
        if isinstance(answer, Reject):
            return AssociateReject(answer)
        self._incarnation.acceptance = answer
        return None if ASSOCIATION_VALIDATOR in kernel.handlers else AssociateAccept(answer)

    def _policy(self) -> NegotiationPolicy:
        kernel = self._kernel
        if kernel.policy is None:
            kernel.policy = policy_for(kernel.config, kernel.handlers)
        return kernel.policy

    def conclude(self, outcome: Outcome) -> AssociateAccept | AssociateReject:
        """Say what the validator's outcome comes to."""
        rq = self._incarnation.association_rq
        if outcome.reject is not None or self._incarnation.acceptance is None or rq is None:
            return AssociateReject(outcome.reject or Reject.ACSE_NO_REASON_TRANSIENT)
        return AssociateAccept(
            with_identity_response(self._incarnation.acceptance, rq, outcome.identity_response)
        )


def cause_of(error: OSError) -> str:
    """Return what an error of a connection says."""
    return str(error.strerror or error)
