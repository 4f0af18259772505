"""What a client accepts, and which of what there is fits best.

Media types are read as clients write them: with and without quotes, ``type=application/dicom``
with its slash included, parameters in any order, none at all.

Standard: PS3.18 8.7; RFC 9110 12.5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dicom_actors.web.exchange import HttpError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.web.exchange import Request

__all__ = [
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "MediaRange",
    "Offer",
    "choose",
    "parse_content_type",
    "ranges_of",
]

EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

_MOST: Final = 64
_PLUS: Final = re.compile(r"(?<=\w) (?=\w)")
_MARKS: Final = re.compile(r'\\.|[",;]')
"""Where a header may be split, and what may forbid that."""


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One of the media types that a client accepts.

    Attributes:
        kind: the type; that of the parts, for multipart. ``*/*`` and ``image/*`` are some, too.
        is_multipart: whether it is multipart/related; None: either will do.
        transfer_syntax: a UID, ``*`` for any; None: it is not said.
        quality: from 0, not acceptable, to 1.
    """

    kind: str
    is_multipart: bool | None
    transfer_syntax: str | None
    quality: float = 1.0

    def fits(self, offer: Offer) -> bool:
        """Whether an offer is acceptable."""
        if self.is_multipart is not None and self.is_multipart is not offer.is_multipart:
            return False
        major, _, minor = self.kind.partition("/")
        own_major, _, own_minor = offer.kind.partition("/")
        if (major not in {"*", own_major}) or (minor not in {"*", own_minor}):
            return False
        if self.transfer_syntax is not None:
            return self.transfer_syntax in {"*", offer.transfer_syntax}
        return offer.is_default or "*" in self.kind


@dataclass(frozen=True, slots=True)
class Offer:
    """One of the forms that there are.

    Attributes:
        kind: its media type; that of the parts, for multipart.
        is_multipart: whether it is multipart/related.
        transfer_syntax: how it is encoded; None where there is no such thing.
        is_default: whether a client that says no transfer syntax means this one, too.
        is_stored: whether it is so in the archive, and nothing has to be converted.
    """

    kind: str
    is_multipart: bool = False
    transfer_syntax: str | None = None
    is_default: bool = True
    is_stored: bool = False

    @property
    def text(self) -> str:
        """What to write after ``Accept:`` to have it."""
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        if self.is_multipart:
            return f'multipart/related; type="{self.kind}"{syntax}'
        return f"{self.kind}{syntax}"


def ranges_of(request: Request) -> list[MediaRange]:
    """Read what a request accepts; the parameter ``accept`` counts more than the header.

    Nothing at all accepts everything.

    Raises:
        HttpError: 400, there are too many.
    """
    # Who writes an address by hand has a plus in it, which is a blank when it comes.
    texts = [_PLUS.sub("+", text) for text in request.values("accept")]
    texts = texts or [request.headers.get("accept", "")]
    items = [item for text in texts for item in _split(text, ",") if item.strip()]
    if len(items) > _MOST:
        raise HttpError(400, f"accept: expected up to {_MOST} media types")
    return [_range_of(item) for item in items] or [MediaRange("*/*", None, "*")]


def parse_content_type(text: str) -> tuple[str, dict[str, str]]:
    """Take a media type apart: itself, in small letters, and its parameters by name."""
    kind, *parameters = _split(text, ";")
    found: dict[str, str] = {}
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        bare = value.strip()
        if bare.startswith('"'):
            bare = re.sub(r"\\(.)", r"\1", bare[1:].removesuffix('"'))
        if equals and name.strip():
            found.setdefault(name.strip().lower(), bare)
    return kind.strip().lower(), found


def _split(text: str, separator: str) -> list[str]:
    """Split what a client wrote where a separator stands outside of quotes (RFC 9110 5.6.4).

    It takes time in proportion to the text, whatever that is.
    """
    parts, start, is_quoted = [], 0, False
    for found in _MARKS.finditer(text):
        mark = found.group()
        if mark == '"':
            is_quoted = not is_quoted
        elif mark == separator and not is_quoted:
            parts.append(text[start : found.start()])
            start = found.end()
    return [*parts, text[start:]]


def _range_of(text: str) -> MediaRange:
    kind, parameters = parse_content_type(text)
    try:
        quality = min(max(float(parameters.get("q", "1")), 0.0), 1.0)
    except ValueError:
        quality = 0.0
    syntax = parameters.get("transfer-syntax")
    if kind in {"*", "*/*"}:
        return MediaRange("*/*", None, syntax, quality)
    if kind.partition("/")[0] == "multipart":
        inner = parameters.get("type", "*/*").strip().lower()
        if kind not in {"multipart/related", "multipart/*"}:
            return MediaRange(kind, is_multipart=True, transfer_syntax=syntax, quality=quality)
        return MediaRange(inner, is_multipart=True, transfer_syntax=syntax, quality=quality)
    return MediaRange(kind, is_multipart=False, transfer_syntax=syntax, quality=quality)


def choose(request: Request, offers: Sequence[Offer]) -> Offer:
    """Choose the form that a client likes best.

    Args:
        request: what came.
        offers: what there is, what costs least first.

    Raises:
        HttpError: 406, none of it is acceptable; the text says what there is.
    """
    ranges = ranges_of(request)
    order = {id(one): at for at, one in enumerate(ranges)}
    refused = [
        replace(one, transfer_syntax=one.transfer_syntax or "*")
        for one in ranges
        if one.quality == 0 and "*" not in one.kind
    ]
    wanted = sorted(
        (one for one in ranges if one.quality > 0),
        key=lambda one: (-one.quality, one.kind.count("*"), order[id(one)]),
    )
    for one in wanted:
        fitting = [
            offer
            for offer in offers
            if one.fits(offer) and not any(other.fits(offer) for other in refused)
        ]
        if one.transfer_syntax is None and "*" not in one.kind:
            # Who does not say it means Explicit VR Little Endian where there is that.
            fitting.sort(key=lambda offer: offer.transfer_syntax != EXPLICIT_VR_LITTLE_ENDIAN)
        if fitting:
            return fitting[0]
    there = ", ".join(dict.fromkeys(offer.text for offer in offers))
    raise HttpError(406, f"accept: there is {there or 'nothing that can be represented'}")
