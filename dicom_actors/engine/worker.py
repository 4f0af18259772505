"""The Worker: takes messages out of the stream, and has something done for each.

One message at a time; as many workers of one name as one likes share them, on any machines. A
message is acknowledged once that has succeeded. While it takes its time the engine is told so; if
the worker ends, another one has the message. What has failed comes again, later and later; after
so many attempts it is put into the stream of those set aside (``<stream>-aside``), with the error,
and the rest goes on.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from dicom_actors.engine.link import Link
from dicom_actors.engine.settings import EngineSettings
from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.supervision import (
    ChildSpec,
    Continue,
    SupervisedActor,
    Supervisor,
    System,
    cast,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Job", "Worker", "WorkerStatus"]

logger = logging.getLogger(__name__)

_LONGEST_PAUSE: Final = 60.0
_FETCH: Final = 1.0
"""Seconds that the engine waits for a message; then it is asked again, and we may end meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done, and for which messages.

    Attributes:
        name: of the durable consumer: workers of the same name share its messages.
        handler: is called with the subject and the body (JSON, bytes) of each message; what it
            raises is a failure.
        event: the name of an event, or ``"*"``: all.
        attempts: after so many failures a message is set aside.
        retry_seconds: before the second attempt; before each further one twice as long.
        lease_seconds: after so long without a word from a worker another one has its message.
    """

    name: str
    handler: Callable[[str, bytes], object]
    event: str = "*"
    attempts: int = 5
    retry_seconds: float = 1.0
    lease_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not self.name or any(one in self.name for one in " .*>/\\\t\n"):
            raise ConfigurationError(f"name: expected one without dots and spaces: {self.name!r}")
        for field, lowest in (("attempts", 1), ("retry_seconds", 0), ("lease_seconds", 0.1)):
            if not lowest <= getattr(self, field) <= 1_000_000:
                raise ConfigurationError(f"{field}: expected {lowest} to 1000000")


class WorkerStatus(NamedTuple):
    """What a worker has done since it was started.

    Attributes:
        done: messages that were acknowledged.
        failed: attempts that failed.
        set_aside: messages that were set aside.
    """

    done: int
    failed: int
    set_aside: int


class _Next(NamedTuple):
    """To itself: take a message."""


class _Tally:
    """What outlives the actor."""

    def __init__(self) -> None:
        self.done = self.failed = self.set_aside = 0


class _WorkerActor(SupervisedActor):
    """Takes messages, and works on them in its own thread.

    Args:
        servers: of the engine.
        job: what is done.
        settings: which stream, and how.
        tally: counts it.
    """

    def __init__(
        self, servers: Sequence[str], job: Job, settings: EngineSettings, tally: _Tally
    ) -> None:
        super().__init__()
        self._job = job
        self._settings = settings
        self._tally = tally
        self._link = Link(servers, settings)
        self._consumer: Any = None
        self._pause = 0.25

    def init(self) -> Any:
        """Begin. Runs in the worker's thread."""
        return Continue(None)

    def handle_continue(self, term: Any) -> Any:  # noqa: ARG002 - there is one
        """Begin. Runs in the worker's thread."""
        cast(self.actor_ref, _Next())

    def handle_cast(self, message: Any) -> Any:
        """Take a message. Runs in the worker's thread."""
        if not isinstance(message, _Next):
            return super().handle_cast(message)
        self._go_on()
        return None

    def handle_info(self, message: Any) -> Any:
        """Try again. Runs in the worker's thread."""
        if not isinstance(message, _Next):
            return super().handle_info(message)
        self._go_on()
        return None

    def terminate(self, reason: Any) -> None:  # noqa: ARG002 - any
        """Leave what is not done to others. Runs in the worker's thread."""
        self._link.close()

    def _go_on(self) -> None:
        timeout = self._settings.timeout
        try:
            message = self._link.call(self._take(), timeout + _FETCH)
            if message is not None:
                self._work_on(message)
        except TransportError as error:
            self._link.drop()
            self._consumer = None
            text = "%s; the next attempt is in %.2f s"
            self.system.log.write(logger, logging.WARNING, text, error, self._pause)
            self.system.timers.send_after(self._pause, self.actor_ref, _Next())
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        else:
            self._pause = 0.25
            cast(self.actor_ref, _Next())

    async def _take(self) -> Any:
        """Take a message; None: there is none just now. On the link's loop."""
        import nats.errors  # noqa: PLC0415 - an extra
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy  # noqa: PLC0415

        context = await self._link.stream()
        if self._consumer is None:
            self._consumer = await context.pull_subscribe(
                f"{self._settings.stream}.{self._job.event}",
                durable=self._job.name,
                stream=self._settings.stream,
                config=ConsumerConfig(
                    ack_policy=AckPolicy.EXPLICIT,
                    deliver_policy=DeliverPolicy.ALL,
                    ack_wait=self._job.lease_seconds,
                    max_deliver=-1,
                ),
            )
        try:
            (message,) = await self._consumer.fetch(1, timeout=_FETCH)
        except (TimeoutError, nats.errors.TimeoutError):
            return None
        return message

    def _work_on(self, message: Any) -> None:
        timeout, attempt = self._settings.timeout, message.metadata.num_delivered
        beating = self._link.submit(self._prolong(message))
        try:
            self._job.handler(message.subject, message.data)
        except Exception as error:  # noqa: BLE001 - it is the user's
            beating.cancel()
            self._tally.failed += 1
            what = f"{type(error).__name__}: {error}"
            text = "message %s failed, attempt %d of %d: %s"
            sequence = message.metadata.sequence.stream
            log = self.system.log
            log.write(logger, logging.WARNING, text, sequence, attempt, self._job.attempts, what)
            if attempt >= self._job.attempts:
                self._link.call(self._set_aside(message, what), timeout)
                self._tally.set_aside += 1
            else:
                pause = min(self._job.retry_seconds * 2 ** (attempt - 1), 3_600.0)
                self._link.call(message.nak(delay=pause), timeout)
        else:
            beating.cancel()
            self._link.call(message.ack_sync(timeout=timeout), timeout)
            self._tally.done += 1

    async def _prolong(self, message: Any) -> None:
        while True:
            await asyncio.sleep(self._job.lease_seconds / 3)
            await message.in_progress()

    async def _set_aside(self, message: Any, what: str) -> None:
        context = await self._link.stream()
        stream, event = self._settings.stream, message.subject.rpartition(".")[2]
        headers = {
            "Nats-Msg-Id": f"{self._job.name}-{message.metadata.sequence.stream}",
            "Dicom-Actors-Job": self._job.name,
            "Dicom-Actors-Error": "".join(one if one.isprintable() else " " for one in what)[:500],
        }
        await context.publish(f"{stream}-aside.{event}", message.data, headers=headers)
        await message.term()


class Worker:
    """A worker that runs; made by `Worker.start`."""

    def __init__(self, supervisor: Any, system: System, tally: _Tally) -> None:
        self._supervisor = supervisor
        self._system = system
        self._tally = tally

    @classmethod
    def start(
        cls,
        servers: Sequence[str],
        job: Job,
        settings: EngineSettings | None = None,
        *,
        number: int = 1,
    ) -> Self:
        """Begin to work.

        Args:
            servers: addresses of the servers of a cluster; they need not be there.
            job: what is done.
            settings: which stream, and how.
            number: how many messages are worked on at once.

        Raises:
            ConfigurationError: an address is none, or nats-py is not installed.
        """
        settings = settings or EngineSettings()
        Link(servers, settings).close()
        tally, system = _Tally(), System()
        start = partial(_WorkerActor.start, tuple(servers), job, settings, tally)
        children = [ChildSpec(f"worker-{one}", start) for one in range(1, number + 1)]
        supervisor = Supervisor.start(children, intensity=100, period=60.0, system=system)
        return cls(supervisor, system, tally)

    def status(self) -> WorkerStatus:
        """What it has done."""
        return WorkerStatus(self._tally.done, self._tally.failed, self._tally.set_aside)

    @property
    def stopped(self) -> Any:
        """A `threading.Event` that is set when it has ended, by itself or by `stop`."""
        return self._supervisor.actor_stopped

    def stop(self) -> None:
        """End; what is worked on is finished first."""
        if self._supervisor.is_alive():
            self._supervisor.stop()
        self._system.close()
