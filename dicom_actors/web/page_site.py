"""The page with all that it needs: its files, live events, controls, downloads."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from starlette.routing import Route

from dicom_actors.web.controls import controls
from dicom_actors.web.holdings import Held
from dicom_actors.web.live_stream import EventStream
from dicom_actors.web.media import Media, Tickets, deidentifier_of, download_routes
from dicom_actors.web.page_routes import PageSettings, page_routes

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from dicom_actors.web.application import DicomWeb
    from dicom_actors.web.live_feed import Live

__all__ = ["page_of"]


def page_of(
    application: DicomWeb, live: Live, *, has_tokens: bool, is_private: bool, viewer: str
) -> list[BaseRoute]:
    """Make the routes.

    Args:
        application: DICOMweb, to which the retrieval of media is added.
        live: what happens.
        has_tokens: whether who asks has a token.
        is_private: whether only this machine can reach the server.
        viewer: the path of a viewer; empty: there is none.
    """
    archive, adapter, endpoint = live.sources
    settings = application.settings
    media = Media(Held(archive, settings.max_instances), deidentifier_of(settings))
    application.router.add("GET", "/studies/{study}/media", media.study)
    token = secrets.token_urlsafe(24) if is_private and not has_tokens else None
    routes: list[BaseRoute] = [
        *page_routes(
            PageSettings(
                needs_token=has_tokens,
                operation_token=token,
                can_delete=settings.allow_delete,
                can_operate=endpoint is not None,
                viewer=viewer,
            )
        ),
        Route("/api/events", EventStream(live.hub, settings.write_timeout)),
        *download_routes(Tickets(adapter.clock), adapter),
    ]
    if endpoint is not None:
        routes += controls(endpoint, has_tokens=has_tokens, operation_token=token)
    return routes
