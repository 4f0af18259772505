"""Association requests that came before, byte for byte, and what they came to.

Many a peer opens an association for each object, and asks for it in the same words each time, with
a hundred presentation contexts perhaps. What the words mean and what is answered to them follows
from the words and the policy alone, so it is worked out once. Whether an association is refused
for who calls, or for a limit, is seen each time. Standard: PS3.8 9.3.2, 9.3.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.pdu.associate_decoder import decode_associate_rq
from dicom_actors.upper_layer.negotiation import answer_to, refuse, refuse_request

if TYPE_CHECKING:
    from dicom_actors.pdu import AssociateAc, AssociateRq, PduLimits, Reject
    from dicom_actors.upper_layer.negotiated import Negotiated
    from dicom_actors.upper_layer.negotiation import NegotiationPolicy

__all__ = ["Agreement", "KnownRequests"]

MAX_KNOWN: Final = 32
"""Requests that are kept: most endpoints have fewer senders."""

MAX_LENGTH: Final = 32 * 1024
"""Bytes of a request that is kept; 128 presentation contexts have about 14,000."""


class Agreement(NamedTuple):
    """What an acceptance comes to.

    Attributes:
        ac: the acceptance.
        terms: what holds from then on.
        encoded: the acceptance as a PDU.
    """

    ac: AssociateAc
    terms: Negotiated
    encoded: bytes


class _Known:
    """A request that is kept, and what it came to."""

    __slots__ = ("agreement", "answer", "rq")

    def __init__(self, rq: AssociateRq) -> None:
        self.rq = rq
        self.answer: tuple[NegotiationPolicy, AssociateAc] | None = None
        self.agreement: Agreement | None = None


class KnownRequests:
    """Those of one endpoint; any thread may use it.

    Args:
        limits: what is taken of a request.
    """

    def __init__(self, limits: PduLimits) -> None:
        self._limits = limits
        # Replaced as a whole and never changed: of two at the same time one may be lost.
        self._by_words: dict[bytes, _Known] = {}
        self._by_identity: dict[int, _Known] = {}

    def decode(self, view: memoryview) -> AssociateRq:
        """Return the A-ASSOCIATE-RQ that these bytes are: the very one that it was before.

        Raises:
            InvalidPduError: as `decode_associate_rq`.
            AssociateLimitError: likewise.
        """
        if len(view) > MAX_LENGTH:
            return decode_associate_rq(view, self._limits)
        words = bytes(view)
        known = self._by_words.get(words)
        if known is None:
            rq = decode_associate_rq(view, self._limits)
            # What a peer says to prove who it is, is not kept.
            if rq.user_information.user_identity is None and refuse_request(rq) is None:
                self._keep(words, _Known(rq))
            return rq
        return known.rq

    def is_known(self, rq: AssociateRq) -> bool:
        """Whether `rq` is one that is kept: then `refuse_request` has let it pass."""
        return self._of(rq) is not None

    def negotiate(
        self, rq: AssociateRq, policy: NegotiationPolicy, others: tuple[int, int]
    ) -> AssociateAc | Reject:
        """Answer a request as `negotiate` does.

        Args:
            rq: the request.
            policy: what we accept.
            others: how many other associations are open, and how many of them with its caller.
        """
        reject = refuse(rq, policy, *others)
        if reject is not None:
            return reject
        known = self._of(rq)
        if known is None:
            return answer_to(rq, policy)
        if known.answer is None or known.answer[0] is not policy:
            known.answer = policy, answer_to(rq, policy)
        return known.answer[1]

    def agreement(self, rq: AssociateRq, ac: AssociateAc) -> Agreement | None:
        """Return what this acceptance of this request came to; None if that is not known."""
        known = self._of(rq)
        if known is None or known.agreement is None or known.agreement.ac is not ac:
            return None
        return known.agreement

    def note(self, rq: AssociateRq, agreement: Agreement) -> None:
        """Keep what an acceptance came to, if the request is kept."""
        known = self._of(rq)
        if known is not None and known.answer is not None and known.answer[1] is agreement.ac:
            known.agreement = agreement

    def _of(self, rq: AssociateRq) -> _Known | None:
        known = self._by_identity.get(id(rq))
        return known if known is not None and known.rq is rq else None

    def _keep(self, words: bytes, known: _Known) -> None:
        by_words = dict([*self._by_words.items(), (words, known)][-MAX_KNOWN:])
        self._by_identity = {id(each.rq): each for each in by_words.values()}
        self._by_words = by_words
