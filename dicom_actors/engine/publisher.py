"""The Publisher: takes messages out of an archive's outbox, and removes those that the stream has.

While the engine is away they wait there, and it is tried less and less often. What was sent when a
process, a connection or a server of the engine ended is sent again, under the same id.

Where several nodes share an index one of them sends, for as long as its lease holds; the others
look at times whether it is still there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from dicom_actors.archive.events import StudyChanged, StudyComplete, StudyUpdated
from dicom_actors.archive.index import (
    DestinationLeft,
    DestinationTaken,
    OutboxPublished,
    OutboxStatus,
    OutboxWanted,
    Result,
)
from dicom_actors.engine.link import Link
from dicom_actors.engine.messages import letter_of, letter_of_association
from dicom_actors.engine.settings import EngineSettings
from dicom_actors.errors import ArchiveError, TransportError
from dicom_actors.events import AssociationClosed
from dicom_actors.messages import Subscribe
from dicom_actors.supervision import ChildSpec, Continue, SupervisedActor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pykka

    from dicom_actors.archive import Archive
    from dicom_actors.engine.messages import Letter

__all__ = ["EventStream", "StreamStatus"]

logger = logging.getLogger(__name__)

_NAME: Final = "events"
_BATCH: Final = 128
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 30.0
_KINDS: Final = (StudyChanged, StudyComplete, StudyUpdated)
"""What is told of in the same moment as all that goes into the outbox."""


class StreamStatus(NamedTuple):
    """How events go into the engine.

    Attributes:
        waiting: how many wait.
        dropped: how many were, since there was no room (``when_full="drop"``).
        most: how many may wait.
    """

    waiting: int
    dropped: int
    most: int


class _Look(NamedTuple):
    """To itself: there may be something."""


class Publisher(SupervisedActor):
    """See the module.

    Args:
        archive: whose outbox.
        servers: of the engine.
        settings: how.
    """

    def __init__(self, archive: Archive, servers: Sequence[str], settings: EngineSettings) -> None:
        super().__init__()
        self._archive = archive
        self._settings = settings
        self._link = Link(servers, settings)
        self._pause = _FIRST_PAUSE
        # Whether a timer runs, and whether the engine did not answer the last time.
        self._is_waiting = False
        self._is_away = False
        # Whether this node is the one that sends, of several.
        self._is_ours = False

    def init(self) -> Any:
        """Begin with what waits. Runs in the Publisher's thread."""
        # What other processes commit is to be sent, too.
        self._archive.subscribe(self.actor_ref, _KINDS, everywhere=True)
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Begin with what waits. Runs in the Publisher's thread."""
        self._publish()

    def handle_cast(self, message: Any) -> Any:
        """Something is committed. Runs in the Publisher's thread."""
        if isinstance(message, AssociationClosed):
            self._tell_of_association(message)
        elif isinstance(message, _KINDS):
            # All of those that came meanwhile are in the outbox, and taken with this one.
            if not self._is_waiting:
                self._publish()
        else:
            return super().handle_cast(message)
        return None

    def handle_info(self, message: Any) -> Any:
        """Try again. Runs in the Publisher's thread."""
        if not isinstance(message, _Look):
            return super().handle_info(message)
        self._is_waiting = self._is_away = False
        self._publish()
        return None

    def _wait(self, seconds: float) -> None:
        self._is_waiting = True
        self.system.timers.send_after(seconds, self.actor_ref, _Look())

    def _is_for_us(self) -> bool:
        """Whether this node sends; else it looks again when the lease of another one may be over.

        Raises:
            ArchiveError: the index cannot be asked.
        """
        node = self._archive.store.node
        if not node:
            return True
        with self._archive.reader() as reader:
            sender = reader.queue.sender_of()
        if not sender:
            (taken,) = self._archive.rows.write([DestinationTaken(None)])
            sender = "" if taken.result is Result.MISSING else node
        self._is_ours = sender == node
        if not self._is_ours:
            self._wait(self._archive.settings.node_lease_seconds / 2)
        return self._is_ours

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """Leave the rest to the next one, or to another node. Runs in the Publisher's thread."""
        self._archive.unsubscribe(self.actor_ref)
        if self._is_ours:
            with contextlib.suppress(ArchiveError):  # then it is so when the lease ends
                self._archive.rows.write([DestinationLeft(None)])
        self._link.close()

    def _publish(self) -> None:
        try:
            if not self._is_for_us():
                return
            while True:
                with self._archive.reader() as reader:
                    waiting = reader.outbox.messages(_BATCH)
                if not waiting:
                    break
                letters = [letter_of(message) for message in waiting]
                sent = self._link.call(self._send(letters), self._settings.timeout)
                done = tuple(message.id for message, was in zip(waiting, sent, strict=True) if was)
                if done:
                    self._archive.rows.write([OutboxPublished(done)])
                if len(done) < len(waiting):
                    raise TransportError("the engine did not take all")  # noqa: TRY301
        except (TransportError, ArchiveError) as error:
            self._link.drop()
            text = "events wait, %s; the next attempt is in %.2f s"
            self.system.log.write(logger, logging.WARNING, text, error, self._pause)
            self._is_away = True
            self._wait(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._is_away = False
            self._pause = _FIRST_PAUSE

    async def _send(self, letters: Sequence[Letter]) -> list[bool]:
        """Send all; returns which the stream has. On the link's loop."""
        context = await self._link.stream()
        stream = self._settings.stream
        answers = await asyncio.gather(
            *(
                context.publish(
                    f"{stream}.{letter.kind}",
                    letter.body,
                    headers={"Nats-Msg-Id": letter.id} if letter.id else None,
                )
                for letter in letters
            ),
            return_exceptions=True,
        )
        return [not isinstance(answer, BaseException) for answer in answers]

    def _tell_of_association(self, closed: AssociationClosed) -> None:
        """Tell of what no row tells of; nobody waits for an engine that is away."""
        if self._is_away:
            return
        try:
            letter = letter_of_association(closed)
            self._link.call(self._send([letter]), self._settings.timeout)
        except TransportError:
            self._link.drop()
            self._is_away = True
            if not self._is_waiting:
                self._wait(self._pause)


class EventStream:
    """The events of an archive on their way into an engine; made by `EventStream.start`."""

    def __init__(self, archive: Archive, settings: EngineSettings) -> None:
        self._archive = archive
        self._settings = settings
        self._ref: pykka.ActorRef[Any] | None = None

    @classmethod
    def start(
        cls, archive: Archive, servers: Sequence[str], settings: EngineSettings | None = None
    ) -> Self:
        """Have each event of an archive go into an engine from now on.

        Events: `InstanceStored`, `InstanceDeleted`, `StudyChanged`, `StudyComplete`,
        `StudyUpdated`; the engine need not be there.

        Args:
            archive: the archive; the actor is one of its tree.
            servers: addresses (``nats://HOST:PORT``) of the servers of a cluster.
            settings: how.

        Raises:
            ConfigurationError: an address is none, or nats-py is not installed.
            ArchiveError: the index cannot be written.
        """
        settings = settings or EngineSettings()
        Link(servers, settings).close()  # which says what is wrong here, and not in an actor
        self = cls(archive, settings)
        wanted = partial(
            archive.rows.write, [OutboxWanted(settings.most_waiting, settings.when_full)]
        )
        wanted()
        archive.when_begun_anew(wanted)
        start = partial(Publisher.start, archive, tuple(servers), settings)
        cls.guard(archive)
        self._ref = archive.supervise(ChildSpec(_NAME, start))
        return self

    @staticmethod
    def forget(archive: Archive) -> None:
        """Have events written nowhere any more; those that wait stay until they are wanted again.

        Raises:
            ArchiveError: the index cannot be written.
        """
        with archive.reader() as reader:
            status: OutboxStatus = reader.outbox.status()
        if status.most:
            archive.rows.write([OutboxWanted(0)])

    @staticmethod
    def guard(archive: Archive) -> None:
        """Have an archive refuse objects while as many events wait as may.

        `start` does so; it is for an archive whose events another process sends.
        """
        archive.take_if(partial(_why_full, archive))

    def attach(self, endpoint: pykka.ActorRef[Any]) -> None:
        """Tell the engine of the associations of an endpoint as well (`AssociationClosed`).

        Of these no row tells: what happens while the engine, or the actor, is away is told nobody.
        """
        if self._ref is not None:
            endpoint.ask(Subscribe(self._ref, kinds=(AssociationClosed,)))

    def status(self) -> StreamStatus:
        """How it is.

        Raises:
            ArchiveError: the index cannot be read.
        """
        with self._archive.reader() as reader:
            status = reader.outbox.status()
        return StreamStatus(status.waiting, status.dropped, status.most)

    def stop(self) -> None:
        """Send no more; events are written down still, and go on at the next start."""
        self._archive.when_begun_anew(lambda: None)
        self._archive.take_if(None)
        self._archive.supervise_not(_NAME)


def _why_full(archive: Archive) -> str:
    with archive.reader() as reader:
        is_full = reader.outbox.is_full()
    return "as many events wait for the engine as may" if is_full else ""
