"""The HttpServer: an actor that owns uvicorn, which runs in a thread of its own.

The listening socket and the site outlive it, so that a server that fails is started again by its
supervisor on the same port, and what is connected elsewhere never hears of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from typing import cast as as_type

import uvicorn
from h11 import IDLE as H11_IDLE
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from dicom_actors.errors import ConfigurationError, TransportError
from dicom_actors.supervision import (
    ChildSpec,
    Stop,
    SupervisedActor,
    Supervisor,
    cast,
    close_in_child,
    which_children,
)
from dicom_actors.web.asgi import SENDER
from dicom_actors.web.connections import longest_idle, room_for
from dicom_actors.web.live_feed import LiveFeed
from dicom_actors.web.metadata_maker import MetadataMaker
from dicom_actors.web.preconditions import address_of
from dicom_actors.web.socket_sender import SocketSender

if TYPE_CHECKING:
    import ssl

    from dicom_actors.supervision import ExitReason, SupervisedRef
    from dicom_actors.web.asgi import AsgiAdapter, RequestInfo
    from dicom_actors.web.live_feed import Live
    from dicom_actors.web.metadata import Metadata
    from dicom_actors.web.settings import WebSettings

__all__ = ["GetServerStatus", "HttpServer", "Listener", "ServerStatus", "WebSupervisor", "listen"]

logger = logging.getLogger(__name__)

_BACKLOG: Final = 256
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_MESSAGE_BYTES: Final = 16 * 1024
"""Of a message over a WebSocket, which means nothing to us."""
_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a client has to take what is left, when a WebSocket ends."""
_TOLD: Final = 16
"""Connections beyond the most that are told so, by 503; more are closed at once."""
_START_TIMEOUT: Final = 30.0
_CUT_TIMEOUT: Final = 5.0


class Listener(NamedTuple):
    """Where the server listens.

    Attributes:
        socket: bound, and listening.
        context: for TLS; None: plain.
    """

    socket: socket.socket
    context: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        name = self.socket.getsockname()
        return name[0], name[1]

    @property
    def url(self) -> str:
        """The address for people, with a slash at its end."""
        host, port = self.address
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
        host = f"[{host}]" if ":" in host else host
        return f"{'http' if self.context is None else 'https'}://{host}:{port}/"


def listen(host: str, port: int, context: ssl.SSLContext | None = None) -> Listener:
    """Bind a socket, and listen.

    Raises:
        ConfigurationError: the host is no address of this machine, or the port none.
        TransportError: the port cannot be bound.
    """
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"web port: expected 0 to 65535, got {port}")
    family, address = address_of(host, port)
    # asyncio sends what is small at once (TCP_NODELAY) where the protocol is named: else the end of
    # each answer waits for the client's acknowledgement of its beginning, some 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise TransportError(f"web port {port} of {host}: {error.strerror or error}") from error
    close_in_child(bound)
    return Listener(bound, context)


class GetServerStatus(NamedTuple):
    """Ask an HttpServer for a `ServerStatus`."""


class ServerStatus(NamedTuple):
    """How the server is.

    Attributes:
        url: where it is.
        connections: how many are open.
        requests: those that are under way.
        total: how many there were since it was started.
    """

    url: str
    connections: int
    requests: tuple[RequestInfo, ...]
    total: int


class _Ended(NamedTuple):
    """The thread of a server is over."""

    server: uvicorn.Server
    error: BaseException | None


class HttpServer(SupervisedActor):
    """See the module.

    Args:
        listener: where it listens.
        site: what it serves, an ASGI application.
        adapter: knows the requests that are under way.
        settings: the limits.
        most: connections that there may be.
    """

    def __init__(
        self, listener: Listener, site: Any, adapter: AsgiAdapter, settings: WebSettings, most: int
    ) -> None:
        super().__init__()
        self._listener = listener
        self._adapter = adapter
        self._settings = settings
        context = listener.context
        self._server = _Server(
            uvicorn.Config(
                site,
                http=_protocol(settings, most),
                ws=_ChannelProtocol,
                ws_max_size=_MAX_MESSAGE_BYTES,
                ws_per_message_deflate=False,
                loop="asyncio",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=most + 1,
                timeout_keep_alive=as_type("int", settings.keep_alive_timeout),
                timeout_graceful_shutdown=as_type("int", settings.drain_timeout),
                h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
                ssl_context_factory=None if context is None else lambda *_: context,
            )
        )
        self._thread: threading.Thread | None = None

    def init(self) -> Any:
        """Start the thread, and wait until it listens. Runs in the HttpServer's thread."""
        ref = self.actor_ref
        server = self._server
        # Closed by uvicorn; ours stays for the next one.
        bound = self._listener.socket.dup()

        def run() -> None:
            error: BaseException | None = None
            try:
                server.run(sockets=[bound])
            except BaseException as fault:  # noqa: BLE001 - the actor is told, whatever it was
                error = fault
            finally:
                server.is_listening.set()
                with contextlib.suppress(OSError):
                    bound.close()
                cast(ref, _Ended(server, error))

        self._thread = threading.Thread(target=run, name="http-server", daemon=True)
        self._thread.start()
        if not server.is_listening.wait(_START_TIMEOUT) or not server.started:
            server.should_exit = True
            return Stop(TransportError("the web server did not start"))
        return None

    def handle_call(self, message: Any) -> Any:
        """Answer how it is. Runs in the HttpServer's thread."""
        if isinstance(message, GetServerStatus):
            state = self._server.server_state
            return ServerStatus(
                self._listener.url,
                len(state.connections),
                tuple(self._adapter.requests()),
                state.total_requests,
            )
        return super().handle_call(message)

    def handle_cast(self, message: Any) -> Any:
        """Fail as the thread has failed. Runs in the HttpServer's thread."""
        if isinstance(message, _Ended):
            raise RuntimeError(  # noqa: TRY004 - the message is right
                "the web server ended by itself"
            ) from message.error
        return super().handle_cast(message)

    def terminate(self, reason: ExitReason) -> None:
        """Let open requests finish for a while. Runs in the HttpServer's thread."""
        del reason
        self._server.should_exit = True
        thread = self._thread
        if thread is not None:
            thread.join(self._settings.drain_timeout + _CUT_TIMEOUT)
            self._server.force_exit = True
            thread.join(_CUT_TIMEOUT)


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(_note_fault)
        self.is_listening.set()


def _note_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what nobody awaits; connections that are lost are no fault of ours."""
    del loop
    fault = context.get("exception")
    if not isinstance(fault, OSError):
        logger.error("the web server: %s", context.get("message"), exc_info=fault)


def _protocol(settings: WebSettings, most: int) -> type[H11Protocol]:
    """Make the class of connections: with limits to their number and to the time of headers.

    Args:
        settings: the limits.
        most: how many there may be; for another one the longest idle one goes.
    """

    class Connection(H11Protocol):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.logger = logging.getLogger(f"{__name__}.connections")
            self.logger.setLevel(logging.ERROR)  # what a client does wrong is told to the client
            self._header_timer: asyncio.TimerHandle | None = None
            self.app = _sending(self, self.app)
            self._heard = self.loop.time()

        @property
        def idle_since(self) -> float | None:
            is_idle = self.cycle is None or self.cycle.response_complete
            return self._heard if is_idle and self.conn.their_state is H11_IDLE else None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_headers()
            if len(self.connections) > most:
                others = (one for one in self.connections if isinstance(one, Connection))
                idle = longest_idle(one for one in others if one is not self)
                if isinstance(idle, Connection):
                    idle.transport.abort()
                elif len(self.connections) > most + _TOLD:
                    transport.abort()

        def data_received(self, data: bytes) -> None:
            self._heard = self.loop.time()
            super().data_received(data)
            if self.conn.their_state is not H11_IDLE:
                self._forget_timer()
            elif self.timeout_keep_alive_task is None and self._header_timer is None:
                self._wait_for_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_timer()
            super().connection_lost(exc)

        def _wait_for_headers(self) -> None:
            self._header_timer = self.loop.call_later(settings.header_timeout, self._give_up)

        def _forget_timer(self) -> None:
            if self._header_timer is not None:
                self._header_timer.cancel()
                self._header_timer = None

        def _give_up(self) -> None:
            self._header_timer = None
            if self.conn.their_state is H11_IDLE and not self.transport.is_closing():
                self.transport.close()

    return Connection


class _ChannelProtocol(WSProtocol):
    """A WebSocket: what its client does not read does not stay."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = logging.getLogger(f"{__name__}.connections")

    def handle_ping(self, event: Any) -> None:
        """Answer a ping, unless the answers are not read."""
        if self.writable.is_set():
            super().handle_ping(event)
        else:
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Give up a client that does not answer."""
        self.transport.abort()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Let the client take what is left, for a while."""
        super().on_task_complete(task)
        self.loop.call_later(_CLOSE_TIMEOUT, self.transport.abort)


def _sending(connection: H11Protocol, app: Any) -> Any:
    """Have an application send bodies to the socket, where the system can send files to that.

    It cannot where the connection is encrypted, for example.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        is_encrypted = connection.transport.get_extra_info("sslcontext") is not None
        if sys.platform.startswith("linux") and not is_encrypted:
            scope = {**scope, SENDER: SocketSender(connection)}
        await app(scope, receive, send)

    return run


class WebSupervisor(Supervisor):
    """The root of the actors of the web.

    Args:
        listener: where the server listens; closed at the end.
        site: what it serves.
        adapter: knows the requests that are under way; closed at the end.
        settings: the limits.
        live: tells those who listen; it ends before the server, which would wait for them.
        metadata: made when a study is quiet.
    """

    def __init__(
        self,
        listener: Listener,
        site: Any,
        adapter: AsgiAdapter,
        settings: WebSettings,
        live: Live,
        metadata: Metadata,
    ) -> None:
        shutdown = settings.drain_timeout + 3 * _CUT_TIMEOUT
        most = room_for(settings.max_connections)
        super().__init__(
            [
                ChildSpec(
                    "http-server",
                    lambda: HttpServer.start(
                        listener, site, adapter, settings, most, name="http-server"
                    ),
                    shutdown=shutdown,
                ),
                ChildSpec(
                    "live-feed",
                    lambda: LiveFeed.start(*live, self.actor_ref, name="live-feed"),
                ),
                ChildSpec(
                    "metadata-maker",
                    lambda: MetadataMaker.start(
                        live.sources.archive, metadata, name="metadata-maker"
                    ),
                ),
            ],
            intensity=settings.restarts,
            period=settings.restart_period,
        )
        self._listener = listener
        self._adapter = adapter

    def terminate(self, reason: Any) -> None:
        """Give the port back. Runs in the WebSupervisor's thread."""
        del reason
        self._listener.socket.close()
        self._adapter.close()


def server_of(supervisor: SupervisedRef[Any]) -> SupervisedRef[HttpServer] | None:
    """The HttpServer under a WebSupervisor; None while it is started again."""
    children = which_children(supervisor)
    return next((child.ref for child in children if child.id == "http-server"), None)
