"""The LiveFeed: an actor that hears what happens and tells those who listen to the web server.

Events are gathered for a moment before they are told, so that a flood of them is one message; how
everything is, is looked at once a second as long as somebody listens, and at once when somebody
comes.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pykka

from dicom_actors import events, messages
from dicom_actors.archive import events as archive_events
from dicom_actors.supervision import SupervisedActor, cast
from dicom_actors.web.live_hub import event_of
from dicom_actors.web.live_view import LiveView

if TYPE_CHECKING:
    from dicom_actors.archive import Archive
    from dicom_actors.supervision import ExitReason, SupervisedRef
    from dicom_actors.web.asgi import AsgiAdapter
    from dicom_actors.web.live_hub import Listener, LiveHub

__all__ = ["Live", "LiveFeed", "LiveSources"]

_TIMEOUT: Final = 5.0
_GATHERING: Final = 0.1
_INTERVAL: Final = 1.0
_MOST_STUDIES: Final = 500
_MOST_LINES: Final = 100

_KINDS: Final = (
    events.AssociationOpened,
    events.AssociationClosed,
    events.RequestCompleted,
    events.ActorCrashed,
    events.ActorRestarted,
    events.LimitReached,
)
_OF_THIS_NODE: Final = (archive_events.InstanceStored, archive_events.DiskSpace)
_OF_EVERY_NODE: Final = (archive_events.StudyChanged, archive_events.StudyComplete)


class LiveSources(NamedTuple):
    """What is told of.

    Attributes:
        archive: the archive.
        adapter: knows the requests of the web.
        endpoint: the endpoint beside it; None: there is none.
    """

    archive: Archive
    adapter: AsgiAdapter
    endpoint: pykka.ActorRef[Any] | None


class Live(NamedTuple):
    """Those who listen, and what they are told of."""

    hub: LiveHub
    sources: LiveSources


class _Greet(NamedTuple):
    """Somebody listens from now on."""

    listener: Listener


class _Tell(NamedTuple):
    """To itself, by a timer: tell what was gathered."""


class _Look(NamedTuple):
    """To itself, by a timer: look at everything, if somebody listens."""


class LiveFeed(SupervisedActor):
    """See the module.

    Args:
        hub: those who listen.
        sources: what they are told of.
        supervisor: the root of the web's actors.
    """

    def __init__(self, hub: LiveHub, sources: LiveSources, supervisor: SupervisedRef[Any]) -> None:
        super().__init__()
        self._hub = hub
        self._sources = sources
        self._supervisor = supervisor
        self._studies: dict[str, None] = {}
        self._has_more_studies = False
        self._fresh: list[dict[str, Any]] = []
        self._lines: deque[dict[str, Any]] = deque(maxlen=_MOST_LINES)
        self._totals = dict.fromkeys(("objects", "bytes", "requests", "failures"), 0)
        self._is_telling = self._is_looking = False

    def init(self) -> None:
        """Subscribe. Runs in the LiveFeed's thread."""
        archive, adapter, endpoint = self._sources
        now = self.system.clock.monotonic
        self._view = LiveView(archive, adapter, endpoint, self._supervisor, now)
        archive.subscribe(self.actor_ref, _OF_THIS_NODE)
        archive.subscribe(self.actor_ref, _OF_EVERY_NODE, everywhere=True)
        if endpoint is not None:
            with contextlib.suppress(pykka.ActorDeadError, pykka.Timeout):
                endpoint.ask(messages.Subscribe(self.actor_ref, kinds=_KINDS), timeout=_TIMEOUT)
        ref = self.actor_ref
        self._hub.attach(lambda listener: cast(ref, _Greet(listener)))

    def handle_cast(self, message: Any) -> Any:
        """Note an event, or greet. Runs in the LiveFeed's thread."""
        if isinstance(message, _Greet):
            lines = event_of("log", list(self._lines))
            message.listener.put(lines, is_state=False)
            message.listener.put(event_of("state", self._state()), is_state=True)
            self._look_later()
            return
        self._note(message)
        if not self._is_telling and (self._studies or self._fresh or self._has_more_studies):
            self._is_telling = True
            self.system.timers.send_after(_GATHERING, self.actor_ref, _Tell())

    def handle_info(self, message: Any) -> Any:
        """Tell, or look. Runs in the LiveFeed's thread."""
        if isinstance(message, _Tell):
            self._tell()
        elif isinstance(message, _Look):
            self._is_looking = False
            if len(self._hub):
                self._hub.publish("state", self._state(), is_state=True)
                self._look_later()
        else:
            super().handle_info(message)

    def terminate(self, reason: ExitReason) -> None:
        """End all who listen; they come again. Runs in the LiveFeed's thread."""
        del reason
        self._hub.detach()
        self._sources.archive.unsubscribe(self.actor_ref)

    def _state(self) -> dict[str, Any]:
        return {**self._view.look(), "totals": dict(self._totals)}

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self.system.timers.send_after(_INTERVAL, self.actor_ref, _Look())

    def _tell(self) -> None:
        self._is_telling = False
        if self._studies or self._has_more_studies:
            studies = None if self._has_more_studies else list(self._studies)
            self._studies, self._has_more_studies = {}, False
            self._hub.publish("studies", studies)
        if self._fresh:
            self._hub.publish("log", self._fresh)
            self._fresh = []

    def _note(self, event: Any) -> None:
        totals = self._totals
        if isinstance(event, archive_events.InstanceStored):
            totals["objects"] += 1
            totals["bytes"] += event.size
        elif isinstance(event, archive_events.StudyChanged):
            if len(self._studies) < _MOST_STUDIES:
                self._studies[event.study_instance_uid] = None
            else:
                self._has_more_studies = True
        elif isinstance(event, events.RequestCompleted):
            totals["requests"] += 1
            if event.status & 0xF000 in {0xA000, 0xC000} or event.status & 0xFF00 == 0x0100:
                totals["failures"] += 1
                text = f"{event.service} failed: status {event.status:04X}H"
                self._say("failure", f"{text}, association {event.association_id}")
        else:
            self._say(*_words(event))

    def _say(self, kind: str, text: str) -> None:
        if not text:
            return
        line = {"time": time.time(), "kind": kind, "text": text}
        self._lines.append(line)
        if len(self._fresh) < _MOST_LINES:
            self._fresh.append(line)


def _words(event: Any) -> tuple[str, str]:
    """Say what happened: its kind, and in words; they name no patient."""
    if isinstance(event, events.AssociationOpened | events.AssociationClosed):
        one = event.association
        who = one.calling_ae_title or "a peer"
        where = f"{one.peer[0]}:{one.peer[1]}"
        if isinstance(event, events.AssociationOpened):
            return "opened", f"association {one.id} of {who} at {where} opened"
        told = f"association {one.id} of {who} at {where}: {event.reason}"
        return "closed", f"{told}, {event.requests} requests"
    if isinstance(event, events.ActorCrashed):
        return "crashed", f"{event.name} crashed: {event.reason}"
    if isinstance(event, events.ActorRestarted):
        return "restarted", f"{event.name} runs again, restart {event.restarts}"
    if isinstance(event, events.LimitReached):
        return "limit", f"limit {event.name}: {event.detail}"
    if isinstance(event, archive_events.StudyComplete):
        return "complete", "a study is complete"
    if isinstance(event, archive_events.DiskSpace):
        return "disk", f"room on the disk: {event.state}"
    return "", ""
