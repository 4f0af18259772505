"""The upper layer of one association: inputs in, effects out.

It holds no socket, thread, clock or bytes. Its owner feeds it what happens and carries out the
effects that come back, in their order. What a state does on an event is in `table.py`; this
module finds out which event an input is, and chooses for the two actions that have two
outcomes. Standard: PS3.8 9.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.errors import (
    InvalidPduError,
    LocalProtocolError,
    RemoteProtocolError,
    UnexpectedPduError,
)
from dicom_actors.pdu import (
    ABORT_REASONS,
    Abort,
    AssociateAc,
    AssociateLimitError,
    AssociateRj,
    AssociateRq,
    PDataTf,
    PduLimits,
    PduType,
    Pdv,
    Reject,
    ReleaseRp,
    ReleaseRq,
    encode_pdu,
    p_data_buffers,
    p_data_length,
)
from dicom_actors.pdu.decoder import decode_body
from dicom_actors.pdu.header import HEADER_LENGTH, decode_header
from dicom_actors.upper_layer.effects import DataIndication, Indicate, Send
from dicom_actors.upper_layer.known_requests import Agreement
from dicom_actors.upper_layer.negotiated import negotiated
from dicom_actors.upper_layer.negotiation import refuse_request
from dicom_actors.upper_layer.primitives import (
    AbortRequest,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataRequest,
    ReleaseRequest,
    ReleaseResponse,
)
from dicom_actors.upper_layer.steps import Occurrence, effect_of
from dicom_actors.upper_layer.table import ACTIONS, TRANSITIONS, Action, Event, Role, State

if TYPE_CHECKING:
    from dicom_actors.pdu import Pdu
    from dicom_actors.upper_layer.effects import Effects
    from dicom_actors.upper_layer.known_requests import KnownRequests
    from dicom_actors.upper_layer.negotiated import Negotiated
    from dicom_actors.upper_layer.primitives import Primitive

__all__ = ["UpperLayer", "UpperLayerLimits", "Values"]

_EVENTS: Final = {
    PduType.A_ASSOCIATE_RQ: Event.EVT6,
    PduType.A_ASSOCIATE_AC: Event.EVT3,
    PduType.A_ASSOCIATE_RJ: Event.EVT4,
    PduType.P_DATA_TF: Event.EVT10,
    PduType.A_RELEASE_RQ: Event.EVT12,
    PduType.A_RELEASE_RP: Event.EVT13,
    PduType.A_ABORT: Event.EVT16,
}
# PDUs that are refused or ignored whatever they hold; their bodies are not waited for.
_BODY_UNREAD: Final = {Action.AA_1, Action.AA_6, Action.AA_7, Action.AA_8}
# A P-DATA-TF with one PDV: type, reserved, length, length of the PDV, context, control header.
_ONE_PDV: Final = Struct(">BxIIBB")
_ONE_PDV_LENGTH: Final = _ONE_PDV.size
_STA6: Final = State.STA6
_STA8: Final = State.STA8
_new_tuple: Final = tuple.__new__
MAX_FRAGMENTS: Final = 256
"""The most that `Values` have of a data set; however small they are, there is an end to them."""


class Values(NamedTuple):
    """A message in PDUs of one value each, or a part of one (PS3.8 9.3.5).

    Attributes:
        consumed: the length of the PDUs.
        context_id: the presentation context.
        command: the whole command set; None: it came before.
        data: fragments of the data set, none of them empty.
        is_last: whether the last fragment of the data set is the last of these.
    """

    consumed: int
    context_id: int
    command: memoryview | None
    data: list[memoryview]
    is_last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperLayerLimits(PduLimits):
    """What a peer may do.

    Attributes:
        max_empty_pdus: P-DATA-TF without any PDV that may come before one with a payload.
    """

    max_empty_pdus: int = 1_000


class UpperLayer:
    """The state machine of one association, for either side; of one only, from start to end.

    Attributes:
        role: ours.
        limits: what the peer may do.
        state: the state of table 9-10; only the machine sets it.
        negotiated: the terms of the association, once it is accepted.
        error: the first thing that the peer did wrong; None if nothing.
    """

    __slots__ = (
        "_context_ids",
        "_discarding",
        "_empty_pdus",
        "_known",
        "_max_pdu_length",
        "_rq",
        "_skip",
        "error",
        "limits",
        "negotiated",
        "role",
        "state",
    )

    def __init__(
        self,
        role: Role,
        limits: UpperLayerLimits | None = None,
        known: KnownRequests | None = None,
    ) -> None:
        """Make a machine in Sta1.

        Args:
            role: whether we ask for the association or are asked.
            limits: what the peer may do; `max_pdu_length` is what we must announce.
            known: requests that came before, with the same limits; None: nothing is kept.
        """
        self.role = role
        self._known = known
        self.limits = UpperLayerLimits() if limits is None else limits
        self.state = State.STA1
        self.negotiated: Negotiated | None = None
        self.error: RemoteProtocolError | None = None
        self._rq: AssociateRq | None = None
        self._context_ids: frozenset[int] = frozenset()
        self._max_pdu_length = self.limits.max_pdu_length
        self._empty_pdus = 0
        # Bytes to come of a PDU that was refused or ignored from its header.
        self._skip = 0
        # The peer's bytes are no PDUs any more: read, and thrown away, until it closes.
        self._discarding = False

    @classmethod
    def resume(cls, terms: Negotiated, limits: UpperLayerLimits | None = None) -> UpperLayer:
        """Return a machine for an association that is established already: in Sta6.

        Args:
            terms: of the association; `find_fault` has nothing against them.
            limits: as for a new machine.

        Raises:
            LocalProtocolError: the limits are not those that were announced.
        """
        machine = cls(terms.role, limits)
        machine._check_announced(terms.own_max_pdu_length)
        machine._establish(terms)
        machine.state = State.STA6
        return machine

    @classmethod
    def asked(
        cls,
        rq: AssociateRq,
        limits: UpperLayerLimits | None = None,
        known: KnownRequests | None = None,
    ) -> UpperLayer:
        """Return a machine for an association that was asked for and not answered yet: in Sta3.

        Args:
            rq: the request, which was indicated.
            limits: as for a new machine.
            known: likewise.
        """
        machine = cls(Role.ACCEPTOR, limits, known)
        machine._rq = rq
        machine.state = State.STA3
        return machine

    @property
    def may_send_data(self) -> bool:
        """Whether a `DataRequest` is possible now (Evt9 in Sta6 and Sta8).

        Then P-DATA-TF that were encoded elsewhere may be sent, too: Evt9 does no more than that.
        """
        return self.state is _STA6 or self.state is _STA8

    # --- inputs ----------------------------------------------------------------------------

    def connected(self) -> Effects:
        """The transport connection is open: Evt5 for the acceptor, Evt2 for the requestor.

        Raises:
            LocalProtocolError: not in this state, which stays.
        """
        if self.role is Role.ACCEPTOR:
            return self._apply(Occurrence(Event.EVT5))
        return self._apply(Occurrence(Event.EVT2, self._rq))

    def receive_data(self, view: memoryview) -> tuple[int, Effects]:
        """Look for one PDU at the start of what came and was not consumed yet.

        Whatever the peer sends, this does not raise: its faults become the abort or rejection
        that the standard wants, and `error` says what they were.

        Args:
            view: the unconsumed bytes, as many as there are. Payloads that are indicated are
                slices of it.

        Returns:
            How many bytes are done with, and the effects. 0 means that the PDU is not complete;
            call again with more bytes behind the same ones. Else call again with the rest.
        """
        size = len(view)
        if self.state is _STA6 and size >= _ONE_PDV_LENGTH:
            # The common case by far, done with as few steps as can be; all else goes below.
            kind, length, pdv_length, context_id, control = _ONE_PDV.unpack_from(view)
            if (
                kind == 4  # P-DATA-TF
                and length == pdv_length + 4
                and 6 <= length <= self._max_pdu_length
                and context_id in self._context_ids
            ):
                end = length + HEADER_LENGTH
                if size < end:
                    return 0, ()
                if length != 6:
                    self._empty_pdus = 0
                pdv = Pdv(context_id, (control & 1) == 1, (control & 2) == 2, view[12:end])
                return end, (Indicate(DataIndication((pdv,))),)
        return self._receive_any(view, size)

    def awaited_data(self, view: memoryview) -> int:
        """How many bytes of data the P-DATA-TF brings that is not complete yet; 0 if none is.

        Args:
            view: what `receive_data` has consumed nothing of.
        """
        if self.state is not _STA6 or len(view) < HEADER_LENGTH or view[0] != PduType.P_DATA_TF:
            return 0
        length = int.from_bytes(view[2:HEADER_LENGTH], "big")  # which `receive_data` has looked at
        return max(0, length + HEADER_LENGTH - _ONE_PDV_LENGTH)

    def receive_values(self, view: memoryview) -> Values | None:
        """Take the P-DATA-TF at the start of what came and was not consumed yet, at one go.

        This is the short way for what most messages consist of: PDUs of one value each, a command
        set in one of them, a data set of fragments that are not empty.

        Args:
            view: as for `receive_data`.

        Returns:
            A message, or the part of one that is there. None: what comes next is something else,
            or not complete, or broken, and it is for `receive_data` to say.
        """
        size = len(view)
        if size < _ONE_PDV_LENGTH or self.state is not _STA6:
            return None
        unpack, longest = _ONE_PDV.unpack_from, self._max_pdu_length
        kind, length, pdv_length, context_id, control = unpack(view)
        at = length + HEADER_LENGTH
        if (
            kind != 4  # P-DATA-TF
            or at > size
            or length != pdv_length + 4
            or not 6 < length <= longest
            or context_id not in self._context_ids
        ):
            return None
        is_last = (control & 2) == 2
        value = view[_ONE_PDV_LENGTH:at]
        if control & 1:
            if not is_last:
                return None
            command, data, is_last = value, [], False
        else:
            command, data = None, [value]
        while not is_last and size - at > _ONE_PDV_LENGTH and len(data) < MAX_FRAGMENTS:
            kind, length, pdv_length, its_context_id, control = unpack(view, at)
            end = at + length + HEADER_LENGTH
            if (
                kind != 4
                or end > size
                or length != pdv_length + 4
                or not 6 < length <= longest
                or its_context_id != context_id
                or control & 1
            ):
                break
            data.append(view[at + _ONE_PDV_LENGTH : end])
            at = end
            is_last = (control & 2) == 2
        self._empty_pdus = 0
        # What `Values(...)` does, in half the time.
        return _new_tuple(Values, (at, context_id, command, data, is_last))

    def receive_eof(self) -> Effects:
        """The transport connection is closed, lost, or could not be opened: Evt17.

        Raises:
            LocalProtocolError: there was none (Sta1).
        """
        return self._apply(Occurrence(Event.EVT17))

    def artim_expired(self) -> Effects:
        """The ARTIM timer ran out: Evt18.

        Raises:
            LocalProtocolError: it does not run in this state, which stays.
        """
        return self._apply(Occurrence(Event.EVT18))

    def request(self, primitive: Primitive) -> Effects:
        """The local user wants something.

        Raises:
            LocalProtocolError: not in this state, or not in this form. The state stays, and
                nothing was done.

        Standard: PS3.8 7.
        """
        match primitive:
            case DataRequest(pdvs):
                return self._send_data(pdvs)
            case AssociateRequest(rq):
                return self._request_association(rq)
            case AssociateAccept(ac):
                return self._accept_association(ac)
            case AssociateReject(reject):
                return self._apply(Occurrence(Event.EVT8, AssociateRj.of(reject)))
            case ReleaseRequest():
                return self._apply(Occurrence(Event.EVT11, ReleaseRq()))
            case ReleaseResponse():
                return self._apply(Occurrence(Event.EVT14, ReleaseRp()))
            case AbortRequest(source, reason):
                return self._apply(Occurrence(Event.EVT15, _checked_abort(source, reason)))
            case _:
                raise LocalProtocolError(f"expected a request primitive, got {primitive!r}")

    def fail(self, error: RemoteProtocolError) -> Effects:
        """A layer above found a fault in what the peer sent: Evt19.

        Args:
            error: the fault; its `abort_reason` goes into the A-ABORT.

        Raises:
            LocalProtocolError: there is no peer in this state, which stays.
        """
        return self._apply(Occurrence(Event.EVT19, error=error))

    # --- what the peer sends ---------------------------------------------------------------

    def _receive_any(self, view: memoryview, size: int) -> tuple[int, Effects]:
        if self._discarding or self.state is State.STA1 or self.state is State.STA4:
            return size, ()
        if self._skip:
            skipped = min(self._skip, size)
            self._skip -= skipped
            return skipped, ()
        if size < HEADER_LENGTH:
            return 0, ()
        try:
            kind, length = decode_header(view, self.limits)
        except RemoteProtocolError as error:
            # Where the next PDU begins is anybody's guess now.
            self._discarding = True
            return size, self._apply(Occurrence(Event.EVT19, error=error))
        event = _EVENTS[kind]
        end = HEADER_LENGTH + length
        action = TRANSITIONS[event, self.state]
        if action in _BODY_UNREAD:
            self._skip = max(0, end - size)
            return min(end, size), self._apply(self._unread(kind, event, action))
        if size < end:
            return 0, ()
        return end, self._receive_pdu(kind, event, view[:end])

    def _unread(self, kind: PduType, event: Event, action: Action) -> Occurrence:
        if action is Action.AA_6:
            return Occurrence(event)
        return Occurrence(event, error=UnexpectedPduError(f"{kind.title} in {self.state}"))

    def _receive_pdu(self, kind: PduType, event: Event, view: memoryview) -> Effects:
        """Take a whole PDU that the state allows."""
        try:
            if event is Event.EVT6 and self._known is not None:
                pdu: Pdu = self._known.decode(view)
            else:
                pdu = decode_body(kind, view, self.limits)
            occurrence = self._checked(event, pdu)
        except AssociateLimitError as error:
            if event is Event.EVT6:
                occurrence = Occurrence(event, AssociateRj.of(Reject.ACSE_NO_REASON), error)
            else:
                occurrence = Occurrence(Event.EVT19, error=error)
        except RemoteProtocolError as error:
            occurrence = Occurrence(Event.EVT19, error=error)
        return () if occurrence is None else self._apply(occurrence)

    def _is_empty(self, data: PDataTf) -> bool:
        """Count P-DATA-TF without PDVs, which are good for nothing but to keep us busy.

        Those whose PDVs are empty are counted by whoever puts messages together; here they must
        not make up for others.
        """
        if data.pdvs:
            if any(len(pdv.data) for pdv in data.pdvs):
                self._empty_pdus = 0
            return False
        self._empty_pdus += 1
        if self._empty_pdus > self.limits.max_empty_pdus:
            raise InvalidPduError(
                f"P-DATA-TF: expected {self.limits.max_empty_pdus} without a PDV in a row at most,"
                " got more"
            )
        return True

    def _checked(self, event: Event, pdu: Pdu) -> Occurrence | None:
        """Return what a PDU is for the table, with what it says about the association noted.

        None is a PDU that is to be ignored.

        Raises:
            InvalidPduError: it does not go with what was negotiated.
        """
        match pdu:
            case AssociateRq():
                self._rq = pdu
                is_sound = self._known is not None and self._known.is_known(pdu)
                refused = None if is_sound else refuse_request(pdu)
                if refused is not None:
                    reject, message = refused
                    return Occurrence(event, AssociateRj.of(reject), InvalidPduError(message))
            case AssociateAc() if self._rq is not None:
                self._establish(negotiated(self._rq, pdu, self.role))
            case PDataTf():
                if self._is_empty(pdu):
                    return None
                for pdv in pdu.pdvs:
                    if pdv.context_id not in self._context_ids:
                        raise InvalidPduError(
                            "P-DATA-TF PDV: expected an accepted presentation context,"
                            f" got {pdv.context_id}"
                        )
        return Occurrence(event, pdu)

    # --- what the local user asks for ------------------------------------------------------

    def _request_association(self, rq: AssociateRq) -> Effects:
        if self.role is not Role.REQUESTOR:
            raise LocalProtocolError("AssociateRequest: expected the requestor's role")
        self._check_possible(Event.EVT1)
        self._check_announced(rq.user_information.max_pdu_length)
        encode_pdu(rq)  # it goes out when the transport is open, too late to complain
        self._rq = rq
        return self._apply(Occurrence(Event.EVT1))

    def _accept_association(self, ac: AssociateAc) -> Effects:
        self._check_possible(Event.EVT7)
        self._check_announced(ac.user_information.max_pdu_length)
        if self._rq is None:
            raise LocalProtocolError("AssociateAccept: there is no request to answer")
        agreement = None if self._known is None else self._known.agreement(self._rq, ac)
        if agreement is None:
            try:
                terms = negotiated(self._rq, ac, self.role)
            except InvalidPduError as error:
                raise LocalProtocolError(f"AssociateAccept: {error}") from error
            agreement = Agreement(ac, terms, encode_pdu(ac))
            if self._known is not None:
                self._known.note(self._rq, agreement)
        effects = self._apply(Occurrence(Event.EVT7, ac, encoded=agreement.encoded))
        self._establish(agreement.terms)
        return effects

    def _send_data(self, pdvs: tuple[Pdv, ...]) -> Effects:
        if not self.may_send_data:
            self._check_possible(Event.EVT9)
        if not pdvs:
            raise LocalProtocolError("DataRequest: expected a PDV at least, got none")
        for pdv in pdvs:
            if pdv.context_id not in self._context_ids:
                raise LocalProtocolError(
                    f"DataRequest: expected an accepted presentation context, got {pdv.context_id}"
                )
        limit = 0 if self.negotiated is None else self.negotiated.peer_max_pdu_length
        length = p_data_length(pdvs)
        if limit and length > limit:
            raise LocalProtocolError(
                f"DataRequest: expected {limit} bytes at most, which the peer takes, got {length}"
            )
        # DT-1 and AR-7, which are alike, without a look at the table for each fragment.
        return (Send(p_data_buffers(pdvs)),)

    def _check_announced(self, max_pdu_length: int) -> None:
        expected = self.limits.max_pdu_length
        if max_pdu_length != expected:
            raise LocalProtocolError(
                f"maximum length: expected to announce {expected}, which is the limit that is"
                f" held, got {max_pdu_length}"
            )

    # --- the table -------------------------------------------------------------------------

    def _establish(self, terms: Negotiated) -> None:
        self.negotiated = terms
        self._rq = None
        self._context_ids = frozenset(context.context_id for context in terms.contexts)

    def _check_possible(self, event: Event) -> Action:
        action = TRANSITIONS.get((event, self.state))
        if action is None:
            raise LocalProtocolError(f"{event}: not possible in {self.state}")
        return action

    def _apply(self, occurrence: Occurrence) -> Effects:
        """Do what the table says, and be in the state that it says."""
        action = self._check_possible(occurrence.event)
        outcomes = ACTIONS[action]
        outcome = outcomes[0]
        # The two actions with two outcomes (PS3.8 tables 9-6 and 9-8).
        if (action is Action.AE_6 and occurrence.error is not None) or (
            action is Action.AR_8 and self.role is Role.ACCEPTOR
        ):
            outcome = outcomes[1]
        effects = tuple([effect_of(step, occurrence) for step in outcome.steps])
        if occurrence.error is not None:
            self.error = self.error or _without_frames(occurrence.error)
        self.state = outcome.next_state
        return effects


def _without_frames(error: RemoteProtocolError) -> RemoteProtocolError:
    """Give an error to be kept: its frames would keep whoever feeds the machine, in a circle."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__context__
    return error


def _checked_abort(source: int, reason: int) -> Abort:
    if (source, reason) != (0, 0) and not (source == 2 and reason in ABORT_REASONS):
        raise LocalProtocolError(
            "AbortRequest: expected source 0 with reason 0, or source 2 with reason"
            f" {', '.join(map(str, ABORT_REASONS))}; got {source} with {reason}"
        )
    return Abort(source, reason)
