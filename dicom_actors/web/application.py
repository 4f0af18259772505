"""DICOMweb without sockets: a request in, a response out.

Standard: PS3.18 9 to 11.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import quoteattr

from dicom_actors.errors import ArchiveError
from dicom_actors.web.accept import Offer, choose
from dicom_actors.web.exchange import (
    DICOM_JSON,
    HttpError,
    Request,
    Response,
    json_response,
    of_error,
)
from dicom_actors.web.frames import Frames
from dicom_actors.web.holdings import Held, unavailable
from dicom_actors.web.metadata import Metadata
from dicom_actors.web.qido import Searches
from dicom_actors.web.retrieve import Retrieval
from dicom_actors.web.routing import Router, methods_of
from dicom_actors.web.settings import WebSettings
from dicom_actors.web.stow import Storing
from dicom_actors.web.ups import UnifiedProcedureSteps
from dicom_actors.web.wado_uri import WadoUri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dicom_actors.archive import Archive
    from dicom_actors.web.exchange import Channel, Receiver
    from dicom_actors.web.pictures import Pictures
    from dicom_actors.web.routing import Route

__all__ = ["DicomWeb"]


_WADL: Final = "application/vnd.sun.wadl+xml"


class DicomWeb:
    """An archive as a DICOMweb server. Any thread may use it.

    Args:
        archive: the archive.
        settings: how it is served.
        pictures: decodes pixels; None: what needs that is refused.

    Attributes:
        router: its routes, to which others may be added.
        metadata: makes and keeps metadata.
    """

    def __init__(
        self,
        archive: Archive,
        settings: WebSettings | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        self.settings: Final = settings or WebSettings()
        self.router: Final = Router()
        self._archive = archive
        self._held = Held(archive, self.settings.max_instances)
        self._storing = Storing(archive, self.settings)
        self.metadata: Final = Metadata(
            self._held,
            self.settings.bulk_data_bytes,
            self.settings.cache_bytes,
            self.settings.metadata_bytes,
        )
        self._ups = (
            UnifiedProcedureSteps(
                archive, self.settings.max_results, self.settings.max_event_channels
            )
            if self.settings.ups
            else None
        )
        self._add_routes(pictures)

    def _add_routes(self, pictures: Pictures | None) -> None:
        settings, add = self.settings, self.router.add
        study = "/studies/{study}"
        series = f"{study}/series/{{series}}"
        instance = f"{series}/instances/{{instance}}"
        searches = Searches(self._held, settings.max_results)
        add("GET", "/studies", searches.studies)
        add("GET", "/series", searches.series)
        add("GET", "/instances", searches.instances)
        add("GET", f"{study}/series", searches.series)
        add("GET", f"{study}/instances", searches.instances)
        add("GET", f"{series}/instances", searches.instances)
        add("POST", "/studies", self._storing.store)
        add("POST", study, self._storing.store)
        retrieval = Retrieval(self._held, pictures)
        metadata = self.metadata
        frames = Frames(self._held, pictures)
        add("GET", study, retrieval.several)
        add("GET", series, retrieval.several)
        add("GET", instance, retrieval.one)
        for level in (study, series, instance):
            add("GET", f"{level}/metadata", metadata.metadata)
            add("GET", f"{level}/thumbnail", frames.thumbnail)
        add("GET", f"{study}/rendered", frames.rendered_series)
        add("GET", f"{series}/rendered", frames.rendered_series)
        add("GET", f"{instance}/rendered", frames.rendered)
        add("GET", f"{instance}/frames/{{frames}}", frames.frames)
        add("GET", f"{instance}/frames/{{frames}}/rendered", frames.rendered)
        add("GET", f"{instance}/frames/{{frames}}/thumbnail", frames.thumbnail)
        add("GET", f"{instance}/bulkdata/{{*}}", metadata.bulk_data)
        add("GET", "/wado", WadoUri(self._held, retrieval, frames).retrieve)
        add("GET", "/", self._capabilities)
        if self._ups is not None:
            self._ups.add_to(self.router)
        if settings.allow_delete:
            for level in (study, series, instance):
                add("DELETE", level, self._delete)

    def begin(self, request: Request) -> Response | Receiver:
        """Answer a request.

        Returns:
            The response; or who takes the body first.
        """
        try:
            if request.method == "OPTIONS":
                return self._options(request)
            handler, uids = self.router.find(request)
            return handler(request, uids)
        except HttpError as error:
            return of_error(error)
        except ArchiveError as error:
            return of_error(unavailable(error))

    def listen(self, request: Request, wake: Callable[[], object]) -> Channel:
        """Open the channel that a WebSocket is for.

        Args:
            request: which asks for a WebSocket.
            wake: called by any thread when there is something to take, and at the end; must not
                block.

        Raises:
            HttpError: there is none of that name, or none more.
        """
        if self._ups is None:
            raise HttpError(404, "path: there is nothing of that name")
        try:
            return self._ups.listen(request, wake)
        except ArchiveError as error:
            raise unavailable(error) from error

    def warm_up(self) -> None:
        """Ask what is asked first, so that who does so waits for nothing that is done but once.

        That is: a connection to the index, its statements and its pages, and what values are
        decoded with; and what the headers of those studies say, the newest of them first of all.
        """
        for order in ("newest", "oldest"):
            query = (("limit", "50"), ("sort", order))
            found = self.begin(Request("GET", "/studies", "", query, {"accept": DICOM_JSON}))
            with suppress(HttpError, ArchiveError):
                if isinstance(found, Response):
                    deque(found.body, maxlen=0)

    def close(self) -> None:
        """Let go of its threads; the archive stays open."""
        self._storing.close()

    def _delete(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Delete a study, a series or an instance."""
        del request
        instances = self._held.instances(uids)
        try:
            # One by one: what is named by a path is what is within it, and nothing else.
            whole = {name for name in ("study", "series", "instance") if name in uids}
            if "instance" in whole:
                self._archive.delete(sop_instance_uid=instances[0].sop_instance_uid)
            elif "series" in whole:
                self._archive.delete(series_instance_uid=uids["series"])
            else:
                self._archive.delete(study_instance_uid=uids["study"])
        except ArchiveError as error:
            raise unavailable(error) from error
        except OSError as error:
            raise HttpError(503, "some of it may be deleted") from error
        return Response(204)

    def _capabilities(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Say what there is."""
        del uids
        return _described(request, self.router.routes)

    def _options(self, request: Request) -> Response:
        """Say what may be done with a resource; with the root, what there is (PS3.18 8.9)."""
        routes = [route for route, _ in self.router.matching(request)]
        is_root = not request.path.strip("/")
        response = _described(request, self.router.routes if is_root else routes)
        response.headers["allow"] = methods_of(routes)
        return response


def _described(request: Request, routes: Iterable[Route]) -> Response:
    """Describe routes, as a client likes it."""
    offer = choose(request, [Offer(_WADL), Offer("application/json"), Offer("text/xml")])
    by_path: dict[str, list[str]] = {}
    for route in routes:
        path = "/".join(route.pattern).replace("{*}", "{path}")
        by_path.setdefault(path, []).append(route.method)
    if offer.kind == "application/json":
        listed = [{"path": f"/{path}", "methods": names} for path, names in by_path.items()]
        return json_response({"base": request.base_url, "resources": listed}, offer.kind)
    lines = "".join(
        f"<resource path={quoteattr(path or '/')}>"
        + "".join(f"<method name={quoteattr(name)}/>" for name in names)
        + "</resource>"
        for path, names in by_path.items()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<application xmlns="http://wadl.dev.java.net/2009/02">'
        f"<resources base={quoteattr(request.base_url)}>{lines}</resources></application>\n"
    )
    return Response.of_bytes(200, text.encode(), offer.kind)
