"""What outlives the actors of destinations: where they lead, and what each was about."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import ConfigurationError
from dicom_actors.flow.routes import Send
from dicom_actors.flow.senders import DimsePeer, sender_of
from dicom_actors.flow.settings import DestinationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from dicom_actors import DataSet
    from dicom_actors.archive import Archive
    from dicom_actors.archive.index import Change, QueuedItem
    from dicom_actors.flow.routes import Router
    from dicom_actors.flow.senders import Sender, WebPeer

__all__ = ["DestinationRecord", "FlowKernel"]


@dataclass
class DestinationRecord:
    """What is known of a destination, whichever incarnation of its actor looks.

    Attributes:
        state: what it does now, in a word or two.
        is_connected: whether it has an association.
        breaker: see `Breaker.state`.
        last_error: why nobody could be reached, or the index not be used; empty: all is well.
        trying: the row that is being sent.
        unsettled: what has come of rows, and is not in the index yet.
        sender: what it sends by.
        is_ours: whether this node is the one that sends, where several share the index.
    """

    state: str = "starting"
    is_connected: bool = False
    breaker: str = "closed"
    last_error: str = ""
    trying: QueuedItem | None = None
    unsettled: list[Change] = field(default_factory=list)
    sender: Sender | None = None
    is_ours: bool = False


class FlowKernel:
    """See the module. Any thread may use it.

    Args:
        archive: the archive.
        router: its routes.
        peers: who may be sent to, by name.
        settings: how it is sent to destinations, by name.
        calling: our AE title, where a peer has none for us.
        now: gives the time, in seconds since the epoch.
        chance: for pauses.
        take_report: is called with reports of storage commitment.

    Raises:
        ConfigurationError: a route leads to a peer that is not there, or the like.
    """

    def __init__(
        self,
        archive: Archive,
        router: Router,
        peers: Mapping[str, DimsePeer | WebPeer],
        settings: Mapping[str, DestinationSettings],
        calling: str,
        now: Callable[[], float],
        chance: Random,
        take_report: Callable[[DataSet], None],
        outgoing: Path,
    ) -> None:
        self.archive: Final = archive
        self.router: Final = router
        self.now: Final = now
        self.chance: Final = chance
        self._calling = calling
        self._take_report = take_report
        self._outgoing = outgoing
        self._settings = dict(settings)
        self._peers = dict(peers)
        self._lock = threading.Lock()
        self.records: Final = {name: DestinationRecord() for name in router.ends}
        for name, end in router.ends.items():
            if isinstance(end, Send) and end.peer not in self._peers:
                known = ", ".join(self._peers) or "none"
                raise ConfigurationError(f"send: expected a peer ({known}), got {end.peer!r}")
            is_dimse = isinstance(end, Send) and isinstance(self._peers[end.peer], DimsePeer)
            if self.settings_of(name).confirm == "commitment" and not is_dimse:
                raise ConfigurationError(
                    f"destination {name!r}: confirm: storage commitment is for peers by DIMSE"
                )
        unknown = sorted(self._settings.keys() - self.records.keys())
        if unknown:
            raise ConfigurationError(
                f"destination {unknown[0]!r}: expected one that a route leads to"
                f" ({', '.join(self.records) or 'there is none'})"
            )

    def settings_of(self, destination: str) -> DestinationSettings:
        """How it is sent to a destination."""
        return self._settings.get(destination) or DestinationSettings()

    def swap(self, name: str, peer: DimsePeer | WebPeer) -> None:
        """Have a peer be another one from now on.

        Raises:
            KeyError: there is no such peer.
        """
        with self._lock:
            if name not in self._peers:
                raise KeyError(name)
            self._peers[name] = peer

    def sender_for(self, destination: str) -> Sender:
        """Make what brings things to a destination."""
        with self._lock:
            peers = dict(self._peers)
        return sender_of(
            self.router.ends[destination],
            peers,
            self.settings_of(destination),
            self._calling,
            self._take_report,
            self._outgoing,
        )
