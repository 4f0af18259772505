"""All that is served, as one ASGI application: DICOMweb, a viewer, and what others add.

::

    /dicom-web      DICOMweb
    /api            operations, as `routes`
    /viewer         a ready-built viewer, if there is one; its files at the root, too
    /               what else is in `routes`: the page

Standard: PS3.18 8.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from dicom_actors.web.gate import Gate
from dicom_actors.web.preconditions import check_viewer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from dicom_actors.web.asgi import AsgiAdapter
    from dicom_actors.web.settings import WebSettings
    from dicom_actors.web.tokens import Tokens

__all__ = ["DICOM_WEB", "VIEWER", "make_site"]

DICOM_WEB: Final = "/dicom-web"
VIEWER: Final = "/viewer"

_EXPOSED: Final = ["etag", "content-location", "content-range", "warning", "www-authenticate"]


def make_site(
    adapter: AsgiAdapter,
    settings: WebSettings,
    *,
    tokens: Tokens | None = None,
    hosts: Collection[str] | None = None,
    viewer: str | None = None,
    routes: Sequence[BaseRoute] = (),
) -> Any:
    """Make the ASGI application.

    Args:
        adapter: DICOMweb.
        settings: how it is served.
        tokens: who may ask; None: everybody.
        hosts: names of the host that are ours; None: any will do.
        viewer: the folder of a viewer; None: there is none.
        routes: what else there is, before all others; below ``/api`` and ``/dicom-web`` they need
            a token where there are tokens.

    Raises:
        ConfigurationError: the viewer's folder has no ``index.html``.
    """
    own: list[BaseRoute] = [
        *routes,
        Route(DICOM_WEB, _Root(adapter)),
        Mount(DICOM_WEB, adapter),
    ]
    if viewer is not None:
        own += _viewer_routes(Path(viewer))
    app: Any = Starlette(routes=own)
    # It would be to an address made of the Host header, which is foreign text.
    app.router.redirect_slashes = False
    app = Gate(app, tokens=tokens, hosts=hosts, origins=settings.cors_origins)
    if settings.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "accept", "content-type", "range", "if-none-match"],
            expose_headers=_EXPOSED,
            max_age=600,
        )
    return app


class _Root:
    """DICOMweb's root without the slash at its end, as it is told to people."""

    def __init__(self, adapter: AsgiAdapter) -> None:
        self._adapter = adapter

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        root = scope.get("root_path", "") + DICOM_WEB
        await self._adapter({**scope, "root_path": root}, receive, send)


# --- the viewer ----------------------------------------------------------------------------


def _viewer_routes(folder: Path) -> list[BaseRoute]:
    check_viewer(folder)
    return [
        Route(f"{VIEWER}/app-config.js", _app_config),
        Route(VIEWER, _to_viewer),
        Mount(VIEWER, _Viewer(directory=folder, html=True)),
        # As it is built, its pages ask for its files at the root.
        Route("/app-config.js", _app_config),
        Mount("/", _Files(directory=folder)),
    ]


class _StaticFiles(StaticFiles):
    """Files, for HTTP alone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        await super().__call__(scope, receive, send)


class _Viewer(_StaticFiles):
    """The files of a viewer; what is none of them is a page of it, and so its index."""

    async def get_response(self, path: str, scope: Any) -> Response:
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or Path(path).suffix[1:].isalpha():
                raise
            return FileResponse(Path(str(self.directory)) / "index.html")
        if isinstance(response, RedirectResponse):  # to a folder: by its path alone
            response.headers["location"] = urlsplit(response.headers["location"]).path
        return response


class _Files(_StaticFiles):
    """The files of a viewer at the root: no pages, and no worker that would answer for others."""

    async def get_response(self, path: str, scope: Any) -> Response:
        if path.endswith((".html", "sw.js")):
            raise HTTPException(404)
        return await super().get_response(path, scope)


def _to_viewer(request: Request) -> Response:
    """Have a browser take the slash, too: what it loads next is below it."""
    del request
    return RedirectResponse(f"{VIEWER}/")


def _app_config(request: Request) -> Response:
    """The configuration of OHIF: where DICOMweb is, seen from the page."""
    del request
    config = {
        "routerBasename": VIEWER,
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 2,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": False,
        "strictZSpacingForVolumeViewport": True,
        "defaultDataSourceName": "dicomweb",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "dicomweb",
                "configuration": {
                    "friendlyName": "dicom-actors",
                    "name": "dicom-actors",
                    "wadoUriRoot": f"{DICOM_WEB}/wado",
                    "qidoRoot": DICOM_WEB,
                    "wadoRoot": DICOM_WEB,
                    "qidoSupportsIncludeField": True,
                    "supportsReject": False,
                    "supportsFuzzyMatching": True,
                    "supportsWildcard": True,
                    "imageRendering": "wadors",
                    "thumbnailRendering": "wadors",
                    "enableStudyLazyLoad": True,
                    "dicomUploadEnabled": True,
                    "singlepart": "bulkdata,pdf,video",
                    "bulkDataURI": {"enabled": True},
                    "omitQuotationForMultipartRequest": True,
                },
            }
        ],
    }
    return PlainTextResponse(
        f"window.config = {json.dumps(config, indent=2)};\n", media_type="text/javascript"
    )
