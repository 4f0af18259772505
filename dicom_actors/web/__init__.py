"""DICOMweb: an archive for browsers, viewers and scripts.

::

    from dicom_actors.archive import Archive
    from dicom_actors.web import WebServer

    archive = Archive.open("dicom-archive")
    web = WebServer.start(archive, port=8042)
    print(web.url)                      # DICOMweb is below it, at /dicom-web
    web.stop()

The server needs the extra ``web``. `DicomWeb` itself knows no sockets: it makes, of a `Request`,
a `Response`, or a `Receiver` for the body first. `dicom_actors.web.asgi.AsgiAdapter` makes an ASGI
application of it, for anyone's Starlette or FastAPI application::

    Mount("/dicom-web", AsgiAdapter(DicomWeb(archive)))

The way of a request: `server` (uvicorn, in a thread that an actor owns) > `site` (all that is
served; who may ask is `gate` and `tokens`) > `asgi` (threads, time limits, back-pressure) >
`application` (`routing`) > a handler: `qido` (searches), `retrieve`, `metadata`, `frames`
(WADO-RS), `wado_uri`, `stow`, `ups`, whose events `asgi_channel` sends over WebSockets. They share
`exchange` (requests and responses), `accept` (which form a client is given), `multipart` (bodies as
streams), `holdings` (the archive) and `large_values` (of large objects what need not be read
whole). Pixels are decoded behind `pictures`.

The page at ``/`` is in ``page/``: one HTML file, one module, one style sheet. `page_site` puts
together what it needs: `page_routes` (its files), `live_stream` (``/api/events``: what a
`live_feed` actor hears and sees through `live_view`, told to all in a `live_hub`), `controls`
(operations that change something) and `media` (studies as file sets).

Standard: PS3.18.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dicom_actors.web.application import DicomWeb
from dicom_actors.web.exchange import HttpError, Receiver, Request, Response
from dicom_actors.web.settings import WebSettings

if TYPE_CHECKING:
    from dicom_actors.web.web_server import WebServer

__all__ = ["DicomWeb", "HttpError", "Receiver", "Request", "Response", "WebServer", "WebSettings"]


def __getattr__(name: str) -> Any:
    if name == "WebServer":  # it needs the extra
        return importlib.import_module("dicom_actors.web.web_server").WebServer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
