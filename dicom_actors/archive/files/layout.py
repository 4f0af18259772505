"""Where an object has its place: a name made of its UIDs, and of nothing else that a peer sent.

A valid UID (PS3.5 9.1) is its own name; anything else becomes a hash of itself. The pattern may
change any day, since the name stands in each row of the index.
"""

from __future__ import annotations

import hashlib
import re
from string import Formatter
from typing import Final

from dicom_actors.archive.files.locations import CACHE, INCOMING, JOURNAL, METADATA, OUTGOING
from dicom_actors.errors import ConfigurationError

__all__ = ["DEFAULT_PATTERN", "Layout", "name_of_uid"]

DEFAULT_PATTERN: Final = "{study}/{series}/{instance}.dcm"

# PS3.5 9.1: components without leading zeros, 64 characters at the most.
_UID: Final = re.compile(r"(?=.{1,64}\Z)(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*", re.ASCII)
_FIELDS: Final = frozenset({"study", "series", "instance", "hash"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9._+-]*")
_RESERVED: Final = frozenset({CACHE, INCOMING, JOURNAL, METADATA, OUTGOING, "", ".", ".."})


class Layout:
    """Makes names by a pattern.

    Args:
        pattern: a relative path with ``{study}``, ``{series}``, ``{instance}`` and ``{hash}`` (two
            letters made of the instance's UID, to spread many over 256 folders).

    Raises:
        ConfigurationError: it names nothing, leads elsewhere, or does not name the instance.
    """

    def __init__(self, pattern: str = DEFAULT_PATTERN) -> None:
        self.pattern: Final = pattern
        self._is_spread: Final = "{hash}" in pattern
        fields = set()
        try:
            for text, field, spec, conversion in Formatter().parse(pattern):
                is_known = field is None or (field in _FIELDS and not spec and not conversion)
                if not is_known or not _PLAIN.fullmatch(text.replace("/", "")):
                    raise ValueError(field or text)  # noqa: TRY301 - as the formatter's own
                fields.add(field)
        except ValueError as error:
            raise ConfigurationError(
                "layout: expected a pattern of {study}, {series}, {instance} and {hash}, letters,"
                f" digits and slashes, got {pattern!r}"
            ) from error
        if "instance" not in fields:
            raise ConfigurationError(f"layout: expected {{instance}} in it, got {pattern!r}")
        parts = pattern.split("/")
        if parts[0] in _RESERVED or not {"", ".", ".."}.isdisjoint(parts):
            raise ConfigurationError(f"layout: expected a path of its own below, got {pattern!r}")

    def name_for(self, study: str, series: str, instance: str, copy: int | str = 1) -> str:
        """Make the name of an object.

        Args:
            study: Study Instance UID.
            series: Series Instance UID.
            instance: SOP Instance UID.
            copy: 1; or what stands for a further object with the same UIDs.
        """
        text = name_of_uid(instance)
        name = self.pattern.format(
            study=name_of_uid(study),
            series=name_of_uid(series),
            instance=text if copy == 1 else f"{text}-{copy}",
            hash=hashlib.sha256(text.encode()).hexdigest()[:2] if self._is_spread else "",
        )
        return name if name.split("/")[0] not in _RESERVED else f"_{name}"


def name_of_uid(uid: str) -> str:
    """Make a file or folder name of what should be a UID."""
    if _UID.fullmatch(uid):
        return uid
    return "uid-" + hashlib.sha256(uid.encode("utf-8", "surrogateescape")).hexdigest()
