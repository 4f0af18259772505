"""Messages from host applications to an endpoint: ``endpoint.ask(messages.GetStatus())``.

Frozen, matched by type. What each answers stands with it, for type checkers as well:
``endpoint.ask(messages.GetStatus())`` is an `EndpointStatus`. ``tell`` instead of ``ask`` drops the
answer. An endpoint that has stopped answers none of them (`pykka.ActorDeadError`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection, Iterable, Mapping

    from pykka import ActorRef

    from dicom_actors.tls import TlsConfig

    EventHandler = Callable[[Any], Any] | ActorRef[Any]
    EventHandlers = Mapping[str, EventHandler] | Iterable[tuple[str, EventHandler]]

__all__ = [
    "AbortAssociation",
    "AssociationInfo",
    "Drain",
    "DrainReport",
    "EndpointStatus",
    "GetStatus",
    "GetTree",
    "ListAssociations",
    "Message",
    "Resume",
    "SetHandlers",
    "SetLimits",
    "SetTls",
    "Subscribe",
    "Suspend",
    "TreeNode",
    "Unsubscribe",
]


Answer_co = TypeVar("Answer_co", covariant=True)


class Message(Generic[Answer_co]):
    """A message that knows the type of its answer, which `ask` of an endpoint then has."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __answer__(self) -> Answer_co:
            """Give the type; there is no such method."""


@dataclass(frozen=True, slots=True)
class GetStatus(Message["EndpointStatus"]):
    """Ask for an `EndpointStatus`."""


@dataclass(frozen=True, slots=True)
class ListAssociations(Message["tuple[AssociationInfo, ...]"]):
    """Ask for a tuple of `AssociationInfo`, one for each open connection."""


@dataclass(frozen=True, slots=True)
class GetTree(Message["TreeNode"]):
    """Ask for the supervision tree, as the `TreeNode` of the endpoint."""


@dataclass(frozen=True, slots=True)
class Suspend(Message[None]):
    """Accept no more connections; those that are open go on. Twice is fine. Answers None."""


@dataclass(frozen=True, slots=True)
class Resume(Message[None]):
    """Accept connections again, on the same port. Twice is fine.

    Answers None, or raises `TransportError` if the port was taken meanwhile; then it stays
    suspended.
    """


@dataclass(frozen=True, slots=True)
class Drain(Message["DrainReport"]):
    """Suspend, let the open associations finish, and abort what is left after `deadline`.

    Answers a `DrainReport` when it is over. The endpoint stays suspended.

    Attributes:
        deadline: seconds from now, 0 or more.
    """

    deadline: float


@dataclass(frozen=True, slots=True)
class SetHandlers(Message[None]):
    """Replace the event handlers; messages that are not yet dispatched get the new ones.

    Nobody is dropped; what an association has negotiated stays. Answers None, or raises
    `ConfigurationError` and keeps the old ones.
    """

    event_handlers: EventHandlers


@dataclass(frozen=True, slots=True)
class SetLimits(Message[None]):
    """Change how many associations may be open; peers that wait are let in if there is room now.

    Those that are open stay, even if they are more than the new limits. Answers None, or raises
    `ConfigurationError` and keeps the old limits.

    Attributes:
        max_associations: as in `EndpointConfig`.
        max_associations_per_ae: as in `EndpointConfig`.
    """

    max_associations: int | None
    max_associations_per_ae: int | None = None


@dataclass(frozen=True, slots=True)
class SetTls(Message[None]):
    """Use other certificates for the connections that come from now on; nobody is dropped.

    Answers None, or raises `ConfigurationError` and keeps the old ones.
    """

    tls: TlsConfig | ssl.SSLContext


@dataclass(frozen=True, slots=True)
class AbortAssociation(Message[bool]):
    """Abort an association (A-ABORT, source 0); answers whether there was one of that id."""

    id: int


@dataclass(frozen=True, slots=True)
class Subscribe(Message[None]):
    """Send events to an actor from now on.

    Attributes:
        ref: any actor; it gets each event as a message of its own.
        kinds: the classes of `dicom_actors.events` wanted; empty means all but `PduTraced`,
            which costs something with each PDU, and `RequestFailed`.
    """

    ref: ActorRef[Any]
    kinds: Collection[type] = ()


@dataclass(frozen=True, slots=True)
class Unsubscribe(Message[bool]):
    """Send no more events to an actor; answers whether it had subscribed."""

    ref: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What `GetStatus` answers.

    Attributes:
        host: the address that the endpoint is bound to.
        port: the port that it is bound to, also where 0 was asked for.
        state: ``"running"``, ``"suspended"`` or ``"draining"``.
        associations: open connections.
        restarts: restarts of Association actors since the start.
        associations_opened: connections since the start.
        requests: requests answered since the start.
        disowned_handlers: threads of handlers that were given up and still run.
        ignored_cancels: C-CANCEL requests for operations that were not running.
        dropped_events: events that a subscriber, or all of them, did not get, as too many waited.
        dropped_log_records: records that were not logged, as too many waited.
    """

    host: str
    port: int
    state: str
    associations: int
    restarts: int
    associations_opened: int
    requests: int
    disowned_handlers: int
    ignored_cancels: int = 0
    dropped_events: int = 0
    dropped_log_records: int = 0


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What `Drain` answers.

    Attributes:
        finished: how many associations ended by themselves.
        cut: those that were aborted at the deadline.
    """

    finished: int
    cut: tuple[AssociationInfo, ...]


@dataclass(frozen=True, slots=True)
class AssociationInfo:
    """One association, as handlers and host applications see it.

    Attributes:
        id: its number, unique within the endpoint.
        calling_ae_title: the peer's title; empty before its A-ASSOCIATE-RQ.
        called_ae_title: the title that it called.
        peer: the peer's address and port.
        state: ``"connecting"``, ``"open"`` or ``"closing"``.
        since: monotonic seconds at which the connection was accepted.
        presentation_contexts: the accepted contexts, as (id, abstract syntax, transfer syntax).
        max_pdu_length: the peer's Maximum Length in bytes; 0 for none.
        implementation_class_uid: the peer's.
        implementation_version_name: the peer's; empty if it gave none.
        requests: requests answered so far.
        restarts: restarts of its Association actor.
        is_secure: whether it is under TLS.
        peer_certificate: the peer's certificate as `ssl.SSLSocket.getpeercert` gives it; None
            without TLS, empty if the peer gave none.
        extended_negotiation: by SOP class UID, what extended negotiation came to (PS3.7 D.3.3.5).
    """

    id: int
    calling_ae_title: str
    called_ae_title: str
    peer: tuple[str, int]
    state: str
    since: float
    presentation_contexts: tuple[tuple[int, str, str], ...] = ()
    max_pdu_length: int = 0
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    requests: int = 0
    restarts: int = 0
    is_secure: bool = False
    peer_certificate: Mapping[str, Any] | None = None
    extended_negotiation: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TreeNode:
    """An actor of the supervision tree.

    Attributes:
        name: what it is called in the tree.
        kind: ``"supervisor"`` or ``"worker"``.
        state: ``"running"`` or ``"restarting"``; ``"parked"`` is an association that idles, which
            needs no actor until something comes for it.
        restarts: how often it was restarted.
        ref: its current ref; None while it is restarted or parked.
        queue_length: messages that wait in its inbox.
        idle_seconds: since it last took a message; None if it never did.
        last_error: why it was restarted the last time; empty if it was not.
        children: what it supervises, in start order.
    """

    name: str
    kind: str
    state: str
    restarts: int
    ref: ActorRef[Any] | None
    queue_length: int = 0
    idle_seconds: float | None = None
    last_error: str = ""
    children: tuple[TreeNode, ...] = ()
