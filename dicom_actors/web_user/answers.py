"""What servers say: data sets in JSON, and what became of objects that were stored. PS3.18 10.5."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dataset.data_set import Sequence
from dicom_actors.data.forms.json import from_json_dict
from dicom_actors.errors import DataError
from dicom_actors.web_user.http import WebError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.data import DataSet
    from dicom_actors.web_user.http import Response

__all__ = ["DICOM_JSON", "Stored", "data_sets", "stored"]

DICOM_JSON: Final = "application/dicom+json"
MOST_JSON: Final = 256 << 20

_CANNOT_UNDERSTAND: Final = 0xC000


def data_sets(response: Response) -> list[DataSet]:
    """Read the data sets of a response.

    Raises:
        WebError: there is something else.
        TransportError: the connection was lost.
    """
    if response.status == 204:
        return []
    if response.content_type not in {DICOM_JSON, "application/json"}:
        raise WebError(
            f"expected {DICOM_JSON}, got {response.content_type or 'nothing'}",
            status=response.status,
        )
    text = response.body(MOST_JSON)
    try:
        found = json.loads(text) if text.strip() else []
        models = found if isinstance(found, list) else [found]
        return [from_json_dict(model) for model in models]
    except (ValueError, TypeError, AttributeError, RecursionError, DataError) as error:
        raise WebError(f"expected data sets in JSON: {error}", status=response.status) from error


class Stored(NamedTuple):
    """What a server says of objects, by SOP Instance UID.

    Attributes:
        statuses: of those that it has: 0, or a warning.
        failures: why it has not the others.
        unnamed: why it has not those of which it could not even tell the UID.
        is_silent: whether it says nothing of any.
    """

    statuses: dict[str, int]
    failures: dict[str, int]
    unnamed: tuple[int, ...]
    is_silent: bool

    def has(self, uid: str) -> bool:
        """Whether it says something of an object."""
        return uid in self.statuses or uid in self.failures or self.is_silent


def stored(response: Response) -> Stored:
    """Read what became of objects that were sent.

    Raises:
        WebError: the response is none of that.
        TransportError: the connection was lost.
    """
    statuses: dict[str, int] = {}
    failures: dict[str, int] = {}
    unnamed: list[int] = []
    is_empty = response.headers.get("content-length") == "0" or not response.content_type
    found = [] if is_empty else data_sets(response)
    for answer in found:
        for uid, item in _items(answer, "ReferencedSOPSequence"):
            statuses[uid] = _number(item, "WarningReason", 0)
        for uid, item in _items(answer, "FailedSOPSequence"):
            failures[uid] = _number(item, "FailureReason", _CANNOT_UNDERSTAND)
        for _, item in _items(answer, "OtherFailuresSequence"):
            unnamed.append(_number(item, "FailureReason", _CANNOT_UNDERSTAND))
    is_silent = not statuses and not failures and not unnamed
    return Stored(statuses, failures, tuple(unnamed), is_silent=is_silent)


def _items(answer: DataSet, keyword: str) -> Iterator[tuple[str, DataSet]]:
    items: Any = answer.get(keyword)
    for item in items if isinstance(items, Sequence) else ():
        yield str(item.get("ReferencedSOPInstanceUID") or ""), item


def _number(item: DataSet, keyword: str, default: int) -> int:
    value = item.get(keyword)
    return value if isinstance(value, int) else default
