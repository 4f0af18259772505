"""UPS-RS: a worklist of unified procedure steps by HTTP.

What a workitem may become is decided by `archive.services.workitems`; here its statuses become
those of HTTP. Subscriptions are not offered, and say so.

Standard: PS3.18 11; PS3.4 CC.
"""

from __future__ import annotations

import json
import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, DimseFailure
from dicom_actors.archive.services.workitems import (
    ALREADY_CANCELED,
    ALREADY_COMPLETED,
    MAX_WORKITEM,
    NO_SUCH_WORKITEM,
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
    from dicom_actors.web.exchange import Receiver, Request
    from dicom_actors.web.routing import Router

__all__ = ["UnifiedProcedureSteps"]

_MOST_BYTES: Final = 4 * MAX_WORKITEM
"""Of a request: JSON is longer than what it says."""

_WARNINGS: Final = {
    ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}
_CREATION: Final = ("workitem", "AffectedSOPInstanceUID", "UPSInstanceUID")
_TRANSACTION: Final = ("transaction", "transaction-uid", "transactionUID", "TransactionUID")


class UnifiedProcedureSteps:
    """Handlers for workitems.

    Args:
        archive: has them.
        max_results: of a search without a limit.
    """

    def __init__(self, archive: Archive, max_results: int) -> None:
        self._workitems: Final = archive.workitems
        self._max_results: Final = max_results

    def add_to(self, router: Router) -> None:
        """Add its routes (PS3.18 table 11.1-1)."""
        workitem = "/workitems/{workitem}"
        router.add("POST", "/workitems", self.create)
        router.add("GET", "/workitems", self.search)
        router.add("GET", workitem, self.retrieve)
        router.add("POST", workitem, self.update)
        router.add("PUT", f"{workitem}/state", self.change_state)
        router.add("POST", f"{workitem}/cancelrequest", self.request_cancellation)
        for method in ("POST", "DELETE"):
            router.add(method, f"{workitem}/subscribers/{{aetitle}}", self.refuse_subscription)
        router.add("POST", f"{workitem}/subscribers/{{aetitle}}/suspend", self.refuse_subscription)
        router.add("GET", "/subscribers/{aetitle}", self.refuse_subscription)

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
            reason = _take(wanted, "ReasonForCancellation")
            status = self._workitems.request_cancellation(uids["workitem"], reason)
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

    def refuse_subscription(self, request: Request, uids: Mapping[str, str]) -> Response:
        """Say that there are no events (11.10 to 11.13)."""
        del request, uids
        raise HttpError(501, "subscriptions are not offered; ask for the workitem again")


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
        data_set = self._data_set(b"".join(self._pieces))
        try:
            return self._finish(data_set)
        except DimseFailure as error:
            raise _refused(error) from error
        except ArchiveError as error:
            raise unavailable(error) from error
        except DataError as error:
            raise HttpError(400, "body: a value is none of its VR") from error

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
    """Say by HTTP what a status says (PS3.18 tables 11.4.3-1 to 11.8.3-1)."""
    status = int(error.status)
    if status == NO_SUCH_WORKITEM:
        code = 404
    elif status == 0x0213:
        code = 507
    elif status == 0x0111 or status >= 0xC300:
        is_missing = status in {0xC301, 0xC309} and "incorrect" not in error.comment
        code = 400 if is_missing else 409
    else:
        code = 400
    text = f"{status:04X}H: {error.comment}"
    return HttpError(code, text, warning=f'299 dicom-actors "{text}"')
