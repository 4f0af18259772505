"""A connection to NATS for threads: an event loop in a thread of its own, for nats-py."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

from dicom_actors.engine.settings import check_servers
from dicom_actors.errors import ConfigurationError, TransportError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from dicom_actors.engine.settings import EngineSettings

__all__ = ["Link"]

_T = TypeVar("_T")
_GRACE: Final = 5.0
"""Seconds more than the engine has, for the loop to say that it did not answer."""


class Link:
    """A connection that is made when it is needed; for one thread at a time.

    Args:
        servers: addresses of the servers of a cluster.
        settings: how.

    Raises:
        ConfigurationError: an address is none, or nats-py is not installed.
    """

    def __init__(self, servers: Sequence[str], settings: EngineSettings) -> None:
        try:
            import nats  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise ConfigurationError("nats: needs nats-py: dicom-actors[nats]") from error
        self._nats: Final = nats
        self._servers = check_servers(list(servers))
        self.settings: Final = settings
        self._connection: Any = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="nats", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def call(self, work: Coroutine[Any, Any, _T], timeout: float) -> _T:
        """Have something done on the loop, and wait for it.

        Raises:
            TransportError: the engine is away, refuses, or does not answer in time.
        """
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout), self._loop)
        try:
            return future.result(timeout + _GRACE)
        except TransportError:
            raise
        except (
            self._nats.errors.Error,
            OSError,
            TimeoutError,
            asyncio.CancelledError,
            concurrent.futures.CancelledError,
        ) as error:
            future.cancel()
            # Not its text: that may name the server with a password.
            raise TransportError(f"the engine: {type(error).__name__}") from None

    def submit(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Have something done on the loop; nobody waits."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def stream(self) -> Any:
        """The stream's context; connects, and makes the stream, if that was not done. On the loop.

        Raises:
            nats.errors.Error: it cannot be.
        """
        if self._connection is None or self._connection.is_closed:
            connection = await self._nats.connect(
                servers=self._servers,
                connect_timeout=self.settings.timeout,
                allow_reconnect=True,
                max_reconnect_attempts=1,
                reconnect_time_wait=0.1,
                error_cb=_say_nothing,
            )
            try:
                await self._make_stream(connection.jetstream())
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection.jetstream(timeout=self.settings.timeout)

    async def _make_stream(self, context: Any) -> None:
        settings = self.settings
        for name, subjects in (
            (settings.stream, [f"{settings.stream}.*"]),
            (f"{settings.stream}-aside", [f"{settings.stream}-aside.*"]),
        ):
            try:
                await context.stream_info(name)
            except self._nats.js.errors.NotFoundError:
                await context.add_stream(
                    name=name,
                    subjects=subjects,
                    num_replicas=settings.replicas,
                    duplicate_window=settings.duplicate_seconds,
                )

    def drop(self) -> None:
        """Forget the connection; the next one who needs it makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(TransportError):
                self.call(connection.close(), self.settings.timeout)

    def close(self) -> None:
        """End it."""
        if self._thread.is_alive():
            self.drop()
            with contextlib.suppress(TransportError):
                self.call(_end_tasks(), self.settings.timeout)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_GRACE)


async def _say_nothing(error: Exception) -> None:
    """Whoever waits is told."""


async def _end_tasks() -> None:
    mine = asyncio.current_task()
    others = [task for task in asyncio.all_tasks() if task is not mine]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
