"""Machines in every state, and what to feed them, for the tests of this folder."""

from __future__ import annotations

from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    ContextResult,
    PDataTf,
    Pdv,
    PresentationContextAc,
    PresentationContextRq,
    Reject,
    ReleaseRp,
    ReleaseRq,
    UserInformation,
    encode_pdu,
)
from dicom_actors.upper_layer import (
    AbortRequest,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    DataRequest,
    Indicate,
    NegotiationPolicy,
    ReleaseRequest,
    ReleaseResponse,
    Role,
    Send,
    State,
    UpperLayer,
    UpperLayerLimits,
    negotiated,
)

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
MAX_PDU_LENGTH = 1024
LIMITS = UpperLayerLimits(
    max_pdu_length=MAX_PDU_LENGTH, max_associate_length=4096, max_empty_pdus=3
)

USER = UserInformation(MAX_PDU_LENGTH, "1.2.3.4", "VERSION")
RQ = AssociateRq(
    "CALLED",
    "CALLING",
    (
        PresentationContextRq(1, VERIFICATION, (IMPLICIT_LITTLE, EXPLICIT_LITTLE)),
        PresentationContextRq(3, "1.2.3", (IMPLICIT_LITTLE,)),
    ),
    USER,
)
AC = AssociateAc(
    "CALLED",
    "CALLING",
    (
        PresentationContextAc(1, ContextResult.ACCEPTANCE, EXPLICIT_LITTLE),
        PresentationContextAc(3, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT_LITTLE),
    ),
    USER,
)
POLICY = NegotiationPolicy(
    abstract_syntaxes={VERIFICATION: (EXPLICIT_LITTLE, IMPLICIT_LITTLE)},
    max_pdu_length=MAX_PDU_LENGTH,
    implementation_class_uid="1.2.3.4",
    implementation_version_name="VERSION",
    called_ae_titles=frozenset({"CALLED"}),
)
RJ = AssociateRj.of(Reject.CALLED_AE_TITLE_NOT_RECOGNIZED)
PDV = Pdv(1, is_command=True, is_last=True, data=b"echo")
DATA = PDataTf((PDV,))

RQ_BYTES = encode_pdu(RQ)
AC_BYTES = encode_pdu(AC)
RJ_BYTES = encode_pdu(RJ)
DATA_BYTES = encode_pdu(DATA)
RELEASE_RQ_BYTES = encode_pdu(ReleaseRq())
RELEASE_RP_BYTES = encode_pdu(ReleaseRp())
ABORT_BYTES = encode_pdu(Abort(0, 0))
GARBAGE = b"GET / HTTP/1.1\r\n\r\n"

# What a peer may send whole, and what a local user may ask for.
PDUS = {
    "A-ASSOCIATE-RQ": RQ_BYTES,
    "A-ASSOCIATE-AC": AC_BYTES,
    "A-ASSOCIATE-RJ": RJ_BYTES,
    "P-DATA-TF": DATA_BYTES,
    "A-RELEASE-RQ": RELEASE_RQ_BYTES,
    "A-RELEASE-RP": RELEASE_RP_BYTES,
    "A-ABORT": ABORT_BYTES,
}
PRIMITIVES = (
    AssociateRequest(RQ),
    AssociateAccept(AC),
    AssociateReject(Reject.CALLED_AE_TITLE_NOT_RECOGNIZED),
    DataRequest((PDV,)),
    ReleaseRequest(),
    ReleaseResponse(),
    AbortRequest(),
)


def abort_bytes(source, reason):
    return encode_pdu(Abort(source, reason))


def machine_in(role, state):
    """Return a machine that was put into a state, whether its role can get there or not."""
    machine = UpperLayer(role, LIMITS)
    if state.name in {"STA6", "STA7", "STA8", "STA9", "STA10", "STA11", "STA12"}:
        machine._establish(negotiated(RQ, AC, role))
    elif state is not State.STA1:
        machine._rq = RQ
    machine.state = state
    return machine


def plain(effects):
    """Return effects as values that are equal only if they are the same."""
    return [_plain(effect) for effect in effects]


def _plain(effect):
    if isinstance(effect, Send):
        return ("Send", b"".join(effect.buffers))
    if isinstance(effect, Indicate):
        indication = effect.indication
        fields = tuple(indication) if isinstance(indication, tuple) else ()
        return (
            "Indicate",
            type(indication).__name__,
            *(type(field) if isinstance(field, Exception) else _frozen(field) for field in fields),
        )
    return (type(effect).__name__,)


def _frozen(field):
    """Return PDVs with their payloads as bytes, which do not change with the buffer."""
    if isinstance(field, tuple) and field and isinstance(field[0], Pdv):
        return tuple(pdv._replace(data=bytes(pdv.data)) for pdv in field)
    return field


def feed(machine, data):
    """Feed all of some bytes; return the effects and what is left over."""
    effects = []
    view = memoryview(data)
    while view:
        consumed, more = machine.receive_data(view)
        effects += more
        if not consumed:
            assert more == ()
            break
        view = view[consumed:]
    return effects, bytes(view)


# How a machine of a role gets into a state by what its peer and its user do: the steps are
# names of PDUs that come, primitives, or "connected".
_ACCEPTED = ["connected", "A-ASSOCIATE-RQ", AssociateAccept(AC)]
_REQUESTED = [AssociateRequest(RQ), "connected", "A-ASSOCIATE-AC"]
ROUTES = {
    (Role.ACCEPTOR, State.STA1): [],
    (Role.ACCEPTOR, State.STA2): _ACCEPTED[:1],
    (Role.ACCEPTOR, State.STA3): _ACCEPTED[:2],
    (Role.ACCEPTOR, State.STA6): _ACCEPTED,
    (Role.ACCEPTOR, State.STA7): [*_ACCEPTED, ReleaseRequest()],
    (Role.ACCEPTOR, State.STA8): [*_ACCEPTED, "A-RELEASE-RQ"],
    (Role.ACCEPTOR, State.STA10): [*_ACCEPTED, ReleaseRequest(), "A-RELEASE-RQ"],
    (Role.ACCEPTOR, State.STA12): [*_ACCEPTED, ReleaseRequest(), "A-RELEASE-RQ", "A-RELEASE-RP"],
    (Role.ACCEPTOR, State.STA13): [*_ACCEPTED, AbortRequest()],
    (Role.REQUESTOR, State.STA1): [],
    (Role.REQUESTOR, State.STA4): _REQUESTED[:1],
    (Role.REQUESTOR, State.STA5): _REQUESTED[:2],
    (Role.REQUESTOR, State.STA6): _REQUESTED,
    (Role.REQUESTOR, State.STA7): [*_REQUESTED, ReleaseRequest()],
    (Role.REQUESTOR, State.STA8): [*_REQUESTED, "A-RELEASE-RQ"],
    (Role.REQUESTOR, State.STA9): [*_REQUESTED, ReleaseRequest(), "A-RELEASE-RQ"],
    (Role.REQUESTOR, State.STA11): [
        *_REQUESTED,
        ReleaseRequest(),
        "A-RELEASE-RQ",
        ReleaseResponse(),
    ],
    (Role.REQUESTOR, State.STA13): [*_REQUESTED, AbortRequest()],
}


def machine_led_to(role, state):
    """Return a machine that got into a state the way it does in life."""
    machine = UpperLayer(role, LIMITS)
    for step in ROUTES[role, state]:
        if step == "connected":
            machine.connected()
        elif isinstance(step, str):
            _, left = feed(machine, PDUS[step])
            assert left == b""
        else:
            machine.request(step)
    assert machine.state is state
    return machine
