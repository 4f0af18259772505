"""UPS-RS: a worklist of unified procedure steps by HTTP.

What a workitem may become, and who is told of it, is decided by `archive.services.workitems`; here
its statuses become those of HTTP, and events the messages of a WebSocket.

Standard: PS3.18 11, 8.10 (notifications); PS3.4 CC.
"""

from __future__ import annotations

import itertools
import json
import re
import uuid
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from dicom_actors import DataSet, DimseFailure
from dicom_actors.archive.services.workitems import (
    ALREADY_CANCELED,
    ALREADY_COMPLETED,
    FILTERED_WORKLIST,
    MAX_WORKITEM,
    NO_SUCH_WORKITEM,
    NOT_FOR_THIS,
    UNKNOWN_RECEIVER,
    UPS_PUSH,
)
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.web.accept import choose, parse_content_type
from dicom_actors.web.exchange import DICOM_JSON, HttpError, Response, compressed
from dicom_actors.web.holdings import unavailable
from dicom_actors.web.qido import identifier_of, json_offers, number_in
from dicom_actors.web.routing import check_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_actors.archive import Archive
    from dicom_actors.archive.services.workitem_events import Event, EventChannel
    from dicom_actors.web.exchange import Receiver, Request
    from dicom_actors.web.routing import Router

__all__ = ["EventReports", "UnifiedProcedureSteps"]

_MOST_BYTES: Final = 4 * MAX_WORKITEM
"""Of a request: JSON is longer than what it says."""

_WARNINGS: Final = {
    ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}
_CREATION: Final = ("workitem", "AffectedSOPInstanceUID", "UPSInstanceUID")
_TRANSACTION: Final = ("transaction", "transaction-uid", "transactionUID", "TransactionUID")
_NEXT_KEY: Final = re.compile(r",(?=[A-Za-z0-9.]+=)")
"""Stands between the keys of a filter: values may have commas, too."""
_NO_KEYS: Final = frozenset({"filter", "deletionlock", "accept", "charset"})
_EVENTS: Final = "/ws/subscribers"
"""Where events come from, below it by AE titles."""
_LOST: Final = 1013
"""A channel that is closed as it was not read (RFC 6455 7.4: try again later)."""


class UnifiedProcedureSteps:
    """Handlers for workitems.

    Args:
        archive: has them.
        max_results: of a search without a limit.
        max_channels: of events, that may be open.
    """

    def __init__(self, archive: Archive, max_results: int, max_channels: int) -> None:
        self._workitems: Final = archive.workitems
        self._max_results: Final = max_results
        self._max_channels: Final = max_channels

    def add_to(self, router: Router) -> None:
        """Add its routes (PS3.18 table 11.1-1)."""
        workitem = "/workitems/{workitem}"
        router.add("POST", "/workitems", self.create)
        router.add("GET", "/workitems", self.search)
        router.add("GET", workitem, self.retrieve)
        router.add("POST", workitem, self.update)
        router.add("PUT", f"{workitem}/state", self.change_state)
        router.add("POST", f"{workitem}/cancelrequest", self.request_cancellation)
        subscriber = f"{workitem}/subscribers/{{aetitle}}"
        router.add("POST", subscriber, self.subscribe)
        router.add("DELETE", subscriber, self.unsubscribe)
        router.add("POST", f"{subscriber}/suspend", self.suspend)
        router.add("GET", f"{_EVENTS}/{{aetitle}}", self.refuse_plain)

    def create(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Create a workitem (11.4)."""
        del uids
        uid = _uid_in_query(request, _CREATION)

        def finish(workitem: DataSet) -> Response:
            own = uid or str(workitem.get("SOPInstanceUID") or "") or f"2.25.{uuid.uuid4().int}"
            check_uid(own, "workitem")
            self._workitems.create(own, workitem)
            url = f"{request.base_url}/workitems/{own}"
            return Response(201, {"location": url, "content-location": url})

        return _JsonBody(request, finish)

    def retrieve(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Retrieve a workitem (11.5)."""
        offer = choose(request, json_offers())
        try:
            workitem = self._workitems.get(uids["workitem"])
        except DimseFailure as error:
            raise _refused(error) from error
        body = json.dumps([workitem.to_json_dict()]).encode()
        return compressed(request, Response.of_bytes(200, body, offer.kind))

    def update(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Update a workitem (11.6)."""
        transaction = _uid_in_query(request, _TRANSACTION)

        def finish(changes: DataSet) -> Response:
            lock = transaction or _take(changes, "TransactionUID")
            self._workitems.update(uids["workitem"], changes, lock)
            return _done(request, uids, 200)

        return _JsonBody(request, finish)

    def change_state(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Change the state of a workitem (11.7)."""

        def finish(wanted: DataSet) -> Response:
            lock = _take(wanted, "TransactionUID") or _uid_in_query(request, _TRANSACTION)
            if lock:
                check_uid(lock, "TransactionUID")
            state = _take(wanted, "ProcedureStepState")
            status = self._workitems.change_state(uids["workitem"], state, lock)
            return _done(request, uids, 200, status)

        return _JsonBody(request, finish)

    def request_cancellation(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Request that a workitem be canceled (11.8)."""

        def finish(wanted: DataSet) -> Response:
            status = self._workitems.request_cancellation(uids["workitem"], wanted)
            return _done(request, uids, 202, status)

        return _JsonBody(request, finish, may_be_empty=True)

    def search(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Search for workitems (11.9)."""
        offer = choose(request, json_offers())
        identifier, has_everything = identifier_of(request, "WORKITEM", uids)
        del identifier["QueryRetrieveLevel"]
        if "TransactionUID" in identifier:
            raise HttpError(400, "query: a Transaction UID is nobody's to look for")
        offset = number_in(request, "offset") or 0
        limit = number_in(request, "limit")
        most = self._max_results if limit is None else min(limit, self._max_results)
        try:
            found = self._workitems.find(identifier, has_everything=has_everything)
            page = [one.to_json_dict() for one in islice(found, offset, offset + most + 1)]
        except DimseFailure as error:
            raise HttpError(400, f"query: {error.comment or 'the keys cannot be used'}") from error
        body = json.dumps(page[:most]).encode()
        response = compressed(request, Response.of_bytes(200, body, offer.kind))
        if len(page) > most:
            response.headers["warning"] = (
                '299 dicom-actors "There are additional results that can be requested."'
            )
        return response

    def subscribe(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Subscribe somebody to a workitem, or to a worklist (11.10)."""
        has_lock = _flag(request, "deletionlock")
        keys = _filter_of(request, uids["workitem"])

        def finish() -> Response:
            self._workitems.subscribe(
                uids["workitem"], uids["aetitle"], has_lock=has_lock, keys=keys
            )
            # Of http:// comes ws://, of https:// wss://.
            root = "ws" + request.base_url.removeprefix("http")
            url = f"{root}{_EVENTS}/{quote(uids['aetitle'], safe='')}"
            return Response(201, {"content-location": url})

        return _NoBody(finish)

    def unsubscribe(self, request: Request, uids: Mapping[str, str]) -> Response:
        """End a subscription (11.11)."""
        del request
        return _answered(_ended, self._workitems.unsubscribe, uids)

    def suspend(self, request: Request, uids: Mapping[str, str]) -> Receiver:
        """Subscribe somebody to nothing new (11.12)."""
        del request
        return _NoBody(lambda: _ended(self._workitems.suspend, uids))

    def refuse_plain(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Say that events come over a WebSocket."""
        del request, uids
        raise HttpError(426, "expected a WebSocket", upgrade="websocket", connection="upgrade")

    def listen(self, request: Request, wake: Callable[[], object]) -> EventReports:
        """Open a channel of events (8.10.4); see `DicomWeb.listen`.

        Raises:
            HttpError: 404, that is none; 400, the AE title is none; 503, there are too many.
        """
        where, _, ae_title = request.path.rpartition("/")
        if where != _EVENTS:
            raise HttpError(404, "path: there is nothing of that name")
        try:
            channel = self._workitems.listen(ae_title, wake, self._max_channels)
        except DimseFailure as error:
            raise _refused(error) from error
        if channel is None:
            text = f"{self._max_channels} channels of events are open"
            raise HttpError(503, text, retry_after="5")
        return EventReports(channel)


class EventReports:
    """The events that somebody is told, as messages; see `Channel` (11.13, 8.10.5).

    Args:
        channel: has the events.
    """

    def __init__(self, channel: EventChannel) -> None:
        self._channel = channel
        self._numbers = itertools.cycle(range(1, 1 << 16))

    @property
    def is_closed(self) -> bool:
        """See `Channel`."""
        return self._channel.is_closed

    @property
    def code(self) -> int:
        """See `Channel`."""
        return _LOST

    @property
    def reason(self) -> str:
        """See `Channel`."""
        return "events were lost, since they were not read"

    def take(self) -> str | None:
        """See `Channel`."""
        event = self._channel.take()
        return None if event is None else _message(event, next(self._numbers))

    def close(self) -> None:
        """See `Channel`."""
        self._channel.close()


def _message(event: Event, number: int) -> str:
    """Make the message of an event: what a command would have, and its attributes."""
    command = {
        "00000002": {"vr": "UI", "Value": [UPS_PUSH]},
        "00000110": {"vr": "US", "Value": [number]},
        "00001000": {"vr": "UI", "Value": [event.uid]},
        "00001002": {"vr": "US", "Value": [event.type_id]},
    }
    head = json.dumps(command, separators=(",", ":"))
    return head if event.attributes == "{}" else f"{head[:-1]},{event.attributes[1:]}"


def _flag(request: Request, name: str) -> bool:
    text = (request.value(name) or "false").lower()
    if text not in {"true", "false"}:
        raise HttpError(400, f"{name}: expected true or false")
    return text == "true"


def _filter_of(request: Request, uid: str) -> DataSet | None:
    """Read the keys of a filtered subscription; None: it is another one.

    They are in ``filter``, as the standard has it, or parameters of their own, as with others.
    """
    named = [part for text in request.values("filter") for part in _NEXT_KEY.split(text) if part]
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in named)]
    pairs += [pair for pair in request.query if pair[0] not in _NO_KEYS]
    if uid != FILTERED_WORKLIST:
        if pairs:
            raise HttpError(400, f"filter: expected none, unless for {FILTERED_WORKLIST}")
        return None
    if not pairs or not all(value for _, value in pairs):
        raise HttpError(400, "filter: expected keys with values")
    keys, _ = identifier_of(replace(request, query=tuple(pairs)), "WORKITEM", {})
    del keys["QueryRetrieveLevel"]
    if "TransactionUID" in keys:
        raise HttpError(400, "filter: a Transaction UID is nobody's to look for")
    return keys


class _JsonBody:
    """Takes a data set as JSON, and has something done with it."""

    def __init__(
        self,
        request: Request,
        finish: Callable[[DataSet], Response],
        *,
        may_be_empty: bool = False,
    ) -> None:
        kind, _ = parse_content_type(request.headers.get("content-type", DICOM_JSON))
        if kind not in {DICOM_JSON, "application/json"}:
            raise HttpError(415, f"content-type: expected {DICOM_JSON}")
        self._finish = finish
        self._may_be_empty = may_be_empty
        self._pieces: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> None:
        """See `Receiver`."""
        self._length += len(data)
        if self._length > _MOST_BYTES:
            raise HttpError(413, f"expected up to {_MOST_BYTES} bytes")
        self._pieces.append(data)

    def finish(self) -> Response:
        """See `Receiver`."""
        return _answered(self._finish, self._data_set(b"".join(self._pieces)))

    def close(self) -> None:
        """See `Receiver`."""
        self._pieces.clear()

    def _data_set(self, body: bytes) -> DataSet:
        if not body.strip() and self._may_be_empty:
            return DataSet()
        try:
            model: Any = json.loads(body)
            if isinstance(model, list) and len(model) == 1:
                model = model[0]
            if not isinstance(model, dict):
                raise HttpError(400, "body: expected one data set of the DICOM JSON model")
            return DataSet.from_json(model)
        except (DataError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise HttpError(400, "body: expected the DICOM JSON model of a data set") from error


class _NoBody:
    """Has something done, once the body is over that a request has for nothing."""

    def __init__(self, finish: Callable[[], Response]) -> None:
        self._finish = finish

    def feed(self, data: bytes) -> None:
        """See `Receiver`."""
        if data.strip():
            raise HttpError(400, "body: expected none")

    def finish(self) -> Response:
        """See `Receiver`."""
        return _answered(self._finish)

    def close(self) -> None:
        """See `Receiver`."""


def _answered(finish: Callable[..., Response], *arguments: Any) -> Response:
    """Have something done, and say by HTTP why not."""
    try:
        return finish(*arguments)
    except DimseFailure as error:
        raise _refused(error) from error
    except ArchiveError as error:
        raise unavailable(error) from error
    except DataError as error:
        raise HttpError(400, "body: a value is none of its VR") from error


def _ended(end: Callable[[str, str], bool], uids: Mapping[str, str]) -> Response:
    if not end(uids["workitem"], uids["aetitle"]):
        raise HttpError(404, "there is no such subscription")
    return Response(200)


def _take(data_set: DataSet, keyword: str) -> str:
    text = str(data_set.get(keyword) or "")
    if keyword in data_set:
        del data_set[keyword]
    return text


def _uid_in_query(request: Request, names: tuple[str, ...]) -> str:
    """A UID in an address: by a name, or bare, as it was in earlier editions."""
    for name, value in request.query:
        if name in names:
            return check_uid(value, name)
        if not value and name[:1].isdigit():
            return check_uid(name, "query")
    return ""


def _done(request: Request, uids: Mapping[str, str], code: int, status: int = 0) -> Response:
    headers = {"content-location": f"{request.base_url}/workitems/{uids['workitem']}"}
    if status:
        headers["warning"] = f'299 dicom-actors "{_WARNINGS[status]}"'
    return Response(code, headers)


def _refused(error: DimseFailure) -> HttpError:
    """Say by HTTP what a status says (PS3.18 tables 11.4.3-1 to 11.12.3-1)."""
    status = int(error.status)
    if status == NO_SUCH_WORKITEM:
        code = 404
    elif status == 0x0213:
        code = 507
    elif status in {UNKNOWN_RECEIVER, NOT_FOR_THIS}:
        code = 400
    elif status == 0x0111 or status >= 0xC300:
        is_missing = status in {0xC301, 0xC309} and "incorrect" not in error.comment
        code = 400 if is_missing else 409
    else:
        code = 400
    text = f"{status:04X}H: {error.comment}"
    return HttpError(code, text, warning=f'299 dicom-actors "{text}"')
