"""Status codes in words, in general and as each service means them. PS3.7 Annex C, PS3.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STATUS_SERVICES", "describe_status"]

_GENERAL: Final[Mapping[int, str]] = {
    0x0000: "success",
    0x0001: "some optional attributes are not supported",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "attributes not recognized or not returned",
    0x0110: "processing failure",
    0x0111: "duplicate SOP instance",
    0x0112: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0116: "attribute value out of range, adjusted",
    0x0117: "invalid SOP instance UID",
    0x0118: "no such SOP class",
    0x0119: "SOP instance is not of the given SOP class",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0123: "no such action type",
    0x0124: "not authorized",
    0x0210: "duplicate invocation: the message ID is in use",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA700: "out of resources",
    0xA801: "move destination unknown",
    0xA900: "data set does not match SOP class",
    0xC000: "cannot understand or process",
    0xFE00: "canceled",
    0xFF00: "pending",
    0xFF01: "pending, some optional keys are not supported",
}

# What ranges of codes mean, by their first byte, or else by its first half (PS3.7 C.4, C.5).
_RANGES: Final[Mapping[int, str]] = {
    0xA7: "refused: out of resources",
    0xA8: "refused: move destination unknown",
    0xA9: "data set does not match SOP class",
    0xB: "warning",
    0xC: "cannot understand or process",
}

_FIND: Final[Mapping[int, str]] = {
    0x0000: "matching is done",
    0xA900: "identifier does not match SOP class",
    0xC000: "unable to process",
    0xFE00: "matching was canceled",
    0xFF00: "a match, all optional keys are supported",
    0xFF01: "a match, some optional keys are not supported",
}
_RETRIEVE: Final[Mapping[int, str]] = {
    0x0000: "all sub-operations are done without failure",
    0xA701: "out of resources to count the matches",
    0xA702: "out of resources for the sub-operations",
    0xA900: "identifier does not match SOP class",
    0xAA00: "none of the requested frames were found",
    0xAA01: "cannot create a new object of this SOP class",
    0xAA02: "cannot extract the frames",
    0xAA03: "time-based request for an instance without a time base",
    0xAA04: "invalid request",
    0xB000: "sub-operations are done, with failures or warnings among them",
    0xC000: "unable to process",
    0xFE00: "sub-operations were canceled",
    0xFF00: "sub-operations are continuing",
}
_STORE: Final[Mapping[int, str]] = {
    0x0000: "instance is stored",
    0xB000: "stored, with data elements coerced",
    0xB006: "stored, with elements discarded",
    0xB007: "stored, although the data set does not match SOP class",
    0xC000: "cannot understand",
}

_BY_SERVICE: Final[Mapping[str, Mapping[int, str]]] = {
    "Verification": {0x0000: "echo is answered"},
    "Storage": _STORE,
    "Non-Patient Object Storage": _STORE,
    "Query/Retrieve C-FIND": {
        **_FIND,
        0xA710: "invalid prior record key",
        0xB001: "response limit is reached, there are more matches",
    },
    "Query/Retrieve C-GET": _RETRIEVE,
    "Query/Retrieve C-MOVE": {**_RETRIEVE, 0xA801: "move destination unknown"},
    "Modality Worklist C-FIND": _FIND,
    "Substance Administration C-FIND": _FIND,
    "Relevant Patient Information C-FIND": {
        **_FIND,
        0xC100: "more than one match",
        0xC200: "template not supported",
    },
    "Modality Performed Procedure Step": {0x0110: "step may no longer be updated"},
    "Storage Commitment": {
        0x0112: "referenced SOP instance is unknown",
        0x0119: "referenced SOP class is not that of the instance",
        0x0122: "referenced SOP class not supported",
        0x0131: "transaction UID is already in use",
        0x0213: "out of resources",
    },
    "Storage Management": {0xB010: "some key attributes are not supported for matching"},
    "Application Event Logging": {
        0x0000: "event is logged",
        0xB101: "logged, but the synchronization frame of reference differs",
        0xB102: "logged under another study instance UID",
        0xB104: "logged, although the IDs are inconsistent",
        0xC101: "there is no procedural log for this study",
        0xC102: "event information does not match its template",
        0xC103: "no current study matches the event",
        0xC104: "not logged: the IDs are inconsistent",
        0xC10E: "operator may not add to the medication administration record",
        0xC110: "patient cannot be identified",
        0xC111: "medication administration record was not updated",
    },
    "Media Creation Management": {
        0xA510: "media creation has already been started for this instance",
        0xC201: "media creation is already completed",
        0xC202: "media creation is in progress and cannot be interrupted",
        0xC203: "cancellation was denied",
    },
    "RT Machine Verification": {
        0xC112: "no such machine verification instance",
        0xC221: "fraction group is not in the plan",
        0xC222: "fraction group has no beams",
        0xC223: "verification is already going on",
        0xC224: "beam is not in the fraction group",
        0xC225: "device or accessory not supported",
        0xC226: "device or accessory is not in the beam",
        0xC227: "no such plan",
    },
    "Unified Procedure Step": {
        **{status: words for status, words in _FIND.items() if status},
        0xB300: "created, with modifications",
        0xB301: "deletion lock was not granted",
        0xB304: "already canceled",
        0xB305: "invalid values were coerced",
        0xB306: "already completed",
        0xC300: "may no longer be updated",
        0xC301: "transaction UID is not the right one",
        0xC302: "already in progress",
        0xC303: "may become scheduled by N-CREATE only",
        0xC304: "requirements of the final state are not met",
        0xC307: "no such procedure step is managed here",
        0xC308: "receiving AE title is unknown",
        0xC309: "was not created in the state SCHEDULED",
        0xC310: "not yet in progress",
        0xC311: "already completed",
        0xC312: "performer cannot be contacted",
        0xC313: "performer chooses not to cancel",
        0xC314: "action is not appropriate for the instance",
        0xC315: "event reports are not supported",
    },
    "Print Management": {
        0xB600: "memory allocation not supported",
        0xB601: "collation of film sessions not supported",
        0xB602: "film session has empty pages only",
        0xB603: "film box is an empty page",
        0xB604: "image was demagnified to fit the box",
        0xB605: "density is out of the printer's range, its limit is used",
        0xB609: "image was cropped to fit the box",
        0xB60A: "image was decimated to fit the box",
        0xC600: "film session has no film box",
        0xC601: "print queue is full: no job for the film session",
        0xC602: "print queue is full: no job for the film box",
        0xC603: "image is larger than its box",
        0xC605: "printer has not enough memory for the image",
        0xC613: "combined image is larger than its box",
        0xC616: "a film box that is not printed yet is in the way",
    },
}

STATUS_SERVICES: Final = tuple(_BY_SERVICE)
"""The services that give codes a meaning of their own."""


def describe_status(status: int, service: str = "") -> str:
    """Return a status code in words.

    Args:
        status: 0 to 0xFFFF.
        service: whose status it is, one of `STATUS_SERVICES`; `status_service` tells it of a
            response. Empty: a code that one service alone uses is described as that one's.

    Returns:
        For example ``"A700H: out of resources"``.

    Raises:
        ValueError: there is no such service.
    """
    return f"{status:04X}H: {_words(status, service)}"


def _words(status: int, service: str) -> str:
    if service:
        if service not in _BY_SERVICE:
            raise ValueError(
                f"service: expected one of {', '.join(STATUS_SERVICES)}, got {service!r}"
            )
        words = _BY_SERVICE[service].get(status)
        if words is not None:
            return words
    if status in _GENERAL:
        return _GENERAL[status]
    if not service:
        meanings = {
            name: of_service[status]
            for name, of_service in _BY_SERVICE.items()
            if status in of_service
        }
        if len(set(meanings.values())) == 1:
            name, words = next(iter(meanings.items()))
            return f"{words} ({name})" if len(meanings) == 1 else words
    return _RANGES.get(status >> 8) or _RANGES.get(status >> 12) or "failure"
