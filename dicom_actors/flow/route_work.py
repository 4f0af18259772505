"""Routes as work: for each event that an engine tells of, on whatever machine.

There is no queue here: the engine has it. An object is fetched from the archive by DICOMweb, and
brought to all that the routes say, one after the other; what fails is raised, so that the message
comes again and all of that is done again. So the receivers' rule for duplicates makes it once in
effect, as for the routes of an archive.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import read_large, write_file
from dicom_actors.archive import Origin
from dicom_actors.archive.files import FileBytes
from dicom_actors.archive.index import QueuedItem
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow.parcels import Parcel
from dicom_actors.flow.routes import Router, Send
from dicom_actors.flow.senders import sender_of
from dicom_actors.flow.settings import DestinationSettings
from dicom_actors.web_user import WebClient, WebError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dicom_actors import DataSet
    from dicom_actors.flow.routes import Route
    from dicom_actors.flow.senders import DimsePeer, Sender, WebPeer

__all__ = ["RouteWork"]

_GONE: Final = frozenset({404, 410})
_OF_INSTANCES: Final = "InstanceStored"
_OF_STUDIES: Final = frozenset({"StudyComplete", "StudyUpdated"})


class _Fetched(NamedTuple):
    """An instance in a file of ours; what a `Parcel` asks of one in an archive."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    size: int
    path: Path


class _Files:
    """What a `Parcel` asks of an archive."""

    def open_bytes(self, instance: _Fetched) -> FileBytes:
        handle = os.open(instance.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        return FileBytes.of(handle, 0, instance.size, str(instance.path))

    def source(self, instance: _Fetched) -> DataSet:
        return read_large(instance.path)


class RouteWork:
    """A handler for `dicom_actors.engine.Worker`; see the module. Any thread may call it.

    ``InstanceStored`` is for routes by instance; ``StudyComplete`` and ``StudyUpdated`` are for
    those by study and series, which get all that there is then.

    Args:
        routes: the routes. Of who has sent an object an event says nothing, so they cannot ask.
        archive: where objects are fetched from.
        peers: who may be sent to, by name.
        destinations: how it is sent to destinations, by their names; pauses and attempts are the
            engine's.
        calling: our AE title, where a peer has none for us.

    Raises:
        ConfigurationError: routes and peers do not fit together, or cannot be work.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        archive: WebPeer,
        *,
        peers: Mapping[str, DimsePeer | WebPeer] | None = None,
        destinations: Mapping[str, DestinationSettings] | None = None,
        calling: str = "DICOM_ACTORS",
    ) -> None:
        self._router = Router(list(routes))
        self._archive = archive
        self._peers = dict(peers or {})
        self._destinations = dict(destinations or {})
        self._calling = calling
        self._lock = threading.Lock()
        self._senders: list[Sender] = []
        self._own = threading.local()
        for name, end in self._router.ends.items():
            if isinstance(end, Send) and end.peer not in self._peers:
                known = ", ".join(self._peers) or "none"
                raise ConfigurationError(f"send: expected a peer ({known}), got {end.peer!r}")
            if self._settings_of(name).confirm != "store":
                raise ConfigurationError(
                    f"destination {name!r}: confirm: expected 'store', storage commitment is for"
                    " the routes of an archive"
                )
        for route in self._router.routes.values():
            conditions: Any = route.when
            if conditions.asks_for_origin:
                raise ConfigurationError(
                    f"route {route.name!r}: expected no AE titles and addresses: events do not have"
                    " them"
                )
        self._folder = TemporaryDirectory(prefix="dicom-actors-")

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Do for an event what the routes say.

        Args:
            event: see `dicom_actors.engine.messages`.

        Raises:
            NotTaken: one who should have it did not take it.
            Unreachable: nobody was there.
            WebError: the archive refused it.
            AssociationError: the archive cannot be reached.
            OSError: there is no room for it.
        """
        kind = event.get("event")
        if kind == _OF_INSTANCES:
            names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
            self._route("instance", *(str(event[name]) for name in names))
        elif kind in _OF_STUDIES:
            study = str(event["study_instance_uid"])
            self._route("study", study)
            self._route("series", study)

    def close(self) -> None:
        """End what is open, and what is under way."""
        with self._lock:
            senders, self._senders = self._senders, []
        for sender in senders:
            sender.close()
        self._folder.cleanup()

    def _route(self, level: str, *uids: str) -> None:
        routes = [route for route in self._router.routes.values() if route.level == level]
        if not routes:
            return
        with TemporaryDirectory(dir=self._folder.name) as folder:
            fetched = self._fetch(Path(folder), uids)
            groups: dict[str, list[_Fetched]] = {}
            for one in fetched:
                groups.setdefault(one.series_instance_uid if level == "series" else "", []).append(
                    one
                )
            for route in routes:
                for instances in groups.values():
                    self._follow(route, level, instances)

    def _fetch(self, folder: Path, uids: tuple[str, ...]) -> list[_Fetched]:
        """Have it in files of ours; nothing if it is gone."""
        found = []
        peer = self._archive
        with WebClient(peer.url, token=peer.token, tls=peer.tls, timeout=peer.timeout) as client:
            try:
                for number, data_set in enumerate(client.retrieve(*uids)):
                    path = folder / f"{number}.dcm"
                    write_file(path, data_set)
                    found.append(
                        _Fetched(
                            str(data_set.get("StudyInstanceUID") or ""),
                            str(data_set.get("SeriesInstanceUID") or ""),
                            str(data_set.get("SOPInstanceUID") or ""),
                            str(data_set.get("SOPClassUID") or ""),
                            path.stat().st_size,
                            path,
                        )
                    )
            except WebError as error:
                if error.status in _GONE:
                    return []
                raise
        return found

    def _follow(self, route: Route, level: str, instances: list[_Fetched]) -> None:
        """Bring instances to all that a route leads to, if its conditions hold for one of them."""
        if not any(route.queued(read_large(one.path), Origin()) for one in instances):
            return
        first = instances[0]
        series = "" if level == "study" else first.series_instance_uid
        instance = first.sop_instance_uid if level == "instance" else ""
        uids = (first.study_instance_uid, series, instance)
        item = QueuedItem(0, *uids, route.name, 0, time.time(), None, None)
        for end in route.ends:
            steps, _ = route.way_to(end.destination) or ([], end)
            files: Any = _Files()
            stored: list[Any] = list(instances)
            parcels = [Parcel(files, one, steps) for one in stored]
            sender = self._sender(end.destination)
            sender.listen()  # one that a peer has closed meanwhile is found out
            sender.send(item, parcels)

    def _sender(self, destination: str) -> Sender:
        """That of this thread."""
        own: dict[str, Sender] = self._own.__dict__.setdefault("senders", {})
        sender = own.get(destination)
        if sender is None:
            sender = own[destination] = sender_of(
                self._router.ends[destination],
                self._peers,
                self._settings_of(destination),
                self._calling,
                lambda _: None,
                Path(self._folder.name, "outgoing"),
            )
            with self._lock:
                self._senders.append(sender)
        return sender

    def _settings_of(self, destination: str) -> DestinationSettings:
        return self._destinations.get(destination) or DestinationSettings()
