"""The web server of an archive, with all that belongs to it."""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from dicom_actors.supervision import System, call
from dicom_actors.web.application import DicomWeb
from dicom_actors.web.asgi import AsgiAdapter
from dicom_actors.web.live_feed import Live, LiveSources
from dicom_actors.web.live_hub import LiveHub
from dicom_actors.web.operations import operations
from dicom_actors.web.page_site import page_of
from dicom_actors.web.preconditions import check_reach, is_loopback
from dicom_actors.web.server import (
    GetServerStatus,
    ServerStatus,
    WebSupervisor,
    listen,
    server_of,
)
from dicom_actors.web.settings import WebSettings
from dicom_actors.web.site import DICOM_WEB, VIEWER, make_site

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from starlette.routing import BaseRoute

    from dicom_actors.archive import Archive
    from dicom_actors.supervision import SupervisedRef
    from dicom_actors.web.pictures import Pictures
    from dicom_actors.web.tokens import Tokens

__all__ = ["WebServer"]

_TIMEOUT: Final = 10.0


class WebServer:
    """A server that runs; made by `WebServer.start`.

    Attributes:
        url: where it is, with a slash at its end.
        supervisor: the root of its actors.
    """

    def __init__(
        self, url: str, supervisor: SupervisedRef[Any], application: DicomWeb, system: System | None
    ) -> None:
        self.url: Final = url
        self.supervisor: Final = supervisor
        self._application = application
        self._system = system

    @classmethod
    def start(
        cls,
        archive: Archive,
        *,
        host: str = "127.0.0.1",
        port: int = 8042,
        settings: WebSettings | None = None,
        tokens: Tokens | None = None,
        is_insecure: bool = False,
        context: ssl.SSLContext | None = None,
        viewer: str | None = None,
        endpoint: SupervisedRef[Any] | None = None,
        routes: Sequence[BaseRoute] = (),
        pictures: Pictures | None = None,
        system: System | None = None,
    ) -> Self:
        """Start it.

        Args:
            archive: what is served; it stays open when the server has ended.
            host: the address to bind to.
            port: the port; 0 picks one.
            settings: how it is served.
            tokens: who may ask; None: everybody who can reach it.
            is_insecure: whether others than this machine may reach it without tokens.
            context: for TLS; None: plain.
            viewer: the folder of a ready-built viewer; None: there is none.
            endpoint: the endpoint beside it, which operations are asked of; None: there is none.
            routes: more routes of Starlette; see `make_site`.
            pictures: decodes pixels; None: `dicom_actors.pixels` does, if its extra is there, else
                what needs that is refused.
            system: the surroundings of its actors; None: its own.

        Raises:
            ConfigurationError: others could reach it without a token; or a setting, the host, or
                the viewer's folder is none.
            TransportError: the port cannot be bound.
        """
        chosen = settings or WebSettings()
        check_reach(host, tokens, is_insecure=is_insecure)
        listener = listen(host, port, context)
        try:
            application = DicomWeb(archive, chosen, pictures or _pictures())
            adapter = AsgiAdapter(application)
            own_url = chosen.public_url or listener.url
            application.metadata.made_for(own_url.rstrip("/") + DICOM_WEB)
            hosts = None
            if tokens is None and is_loopback(listener.address[0]):
                hosts = {listener.address[0], host.lower()}
                if chosen.public_url:
                    hosts.add((urlsplit(chosen.public_url).hostname or "").lower())
            live = Live(LiveHub(), LiveSources(archive, adapter, endpoint))
            page = page_of(
                application,
                live,
                has_tokens=tokens is not None,
                is_private=hosts is not None,
                viewer="" if viewer is None else VIEWER,
            )
            site = make_site(
                adapter,
                chosen,
                tokens=tokens,
                hosts=hosts,
                viewer=viewer,
                routes=[*routes, *page, *operations(archive, adapter, endpoint)],
            )
            own = System() if system is None else None
            supervisor = WebSupervisor.start(
                listener,
                site,
                adapter,
                chosen,
                live,
                application.metadata,
                system=system or own,
            )
        except BaseException:
            listener.socket.close()
            raise
        adapter.begin_early(application.warm_up)
        return cls(listener.url, supervisor, application, own)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def status(self) -> ServerStatus | None:
        """How it is; None while it is started again, or has ended."""
        with contextlib.suppress(Exception):
            server = server_of(self.supervisor)
            if server is not None:
                status: ServerStatus = call(server, GetServerStatus(), _TIMEOUT)
                return status
        return None

    def stop(self) -> None:
        """Let open requests finish for a while, and end; a second time does nothing."""
        if self.supervisor.is_alive():
            self.supervisor.stop()
        self._application.close()
        if self._system is not None:
            self._system.close()
            self._system = None


def _pictures() -> Pictures | None:
    """What decodes pixels; None: the extra is not there."""
    try:
        module = importlib.import_module("dicom_actors.web.pixel_pictures")
        # Nothing is loaded when a request comes: there may be no descriptor for it then.
        importlib.import_module("dicom_actors.pixels.transcoding")
    except ImportError:
        return None
    pictures: Pictures = module.PixelPictures()
    return pictures
