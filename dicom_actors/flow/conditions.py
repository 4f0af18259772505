"""What an object must have so that a route is for it: by the matching rules of queries.

Attributes are compared as by C-FIND (PS3.4 C.2.2.2): wildcards, ranges of dates, lists of UIDs,
items of sequences. AE titles have wildcards, too; an address is a network (``10.1.0.0/16``), or
has wildcards (``10.1.*``).
"""

from __future__ import annotations

import ipaddress
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from dicom_actors import DataSet, Query
from dicom_actors.errors import ConfigurationError, DataError, DicomError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dicom_actors.archive import Origin

__all__ = ["Conditions"]

logger = logging.getLogger(__name__)

_ORIGIN: Final = ("calling_ae_title", "called_ae_title", "address")


@dataclass(frozen=True)
class Conditions:
    """All of them must hold.

    Attributes:
        attributes: by keyword or tag, what a query would have; a table stands for an item of a
            sequence.
        calling_ae_title: who has sent it; None: anybody.
        called_ae_title: as what it has called us; None: anything.
        address: from where; None: from anywhere. Each of the three may be several: one will do.

    Raises:
        ConfigurationError: there is no such attribute, or a value can match nothing.
    """

    attributes: Mapping[str, Any] = field(default_factory=dict)
    calling_ae_title: str | Sequence[str] | None = None
    called_ae_title: str | Sequence[str] | None = None
    address: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        try:
            query = Query(_keys(self.attributes)) if self.attributes else None
        except (DicomError, ValueError, TypeError) as error:
            raise ConfigurationError(f"a condition: {error}") from error
        object.__setattr__(self, "_query", query)
        tests = [
            (name, _Text(name, getattr(self, name)))
            for name in _ORIGIN
            if getattr(self, name) is not None
        ]
        object.__setattr__(self, "_tests", tests)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be what was asked for, for another process, which compares by code of its own."""
        origin = (getattr(self, name) for name in _ORIGIN)
        return type(self), (dict(self.attributes), *origin)

    @property
    def asks_for_origin(self) -> bool:
        """Whether it matters who has sent an object."""
        return any(getattr(self, name) is not None for name in _ORIGIN)

    @classmethod
    def of(cls, when: Mapping[str, Any]) -> Conditions:
        """Make them of one table: attributes, and what is asked of the origin beside them.

        Raises:
            ConfigurationError: see the class.
        """
        origin = {name: when[name] for name in _ORIGIN if name in when}
        return cls({key: when[key] for key in when if key not in _ORIGIN}, **origin)

    def hold(self, data_set: DataSet, origin: Origin) -> bool:
        """Whether they hold; what cannot be decoded matches nothing."""
        tests: list[tuple[str, _Text]] = self._tests  # type: ignore[attr-defined]
        if not all(test.matches(getattr(origin, name)) for name, test in tests):
            return False
        query: Query | None = self._query  # type: ignore[attr-defined]
        if query is None:
            return True
        try:
            return query.matches(data_set)
        except DataError as error:
            logger.warning("an attribute that a route asks for cannot be read: %s", type(error))
            return False


def _keys(attributes: Mapping[str, Any]) -> DataSet:
    keys = DataSet()
    for key, value in attributes.items():
        if isinstance(value, dict):
            keys[key] = [_keys(value)]
        else:
            keys[key] = list(value) if isinstance(value, tuple) else value
    return keys


class _Text:
    """Compares an AE title or an address."""

    def __init__(self, name: str, wanted: str | Sequence[str]) -> None:
        texts = [wanted] if isinstance(wanted, str) else list(wanted)
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise ConfigurationError(f"{name}: expected a text, or several, got {wanted!r}")
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._queries = []
        for text in texts:
            if name == "address" and "/" in text:
                try:
                    self._networks.append(ipaddress.ip_network(text))
                except ValueError as error:
                    raise ConfigurationError(f"address: {error}") from error
            else:
                # An attribute whose values are compared as letters are.
                self._queries.append(Query(DataSet.from_keywords(DeviceSerialNumber=text)))

    def matches(self, text: str) -> bool:
        value = DataSet.from_keywords(DeviceSerialNumber=text)
        if any(query.matches(value) for query in self._queries):
            return True
        if not self._networks:
            return False
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._networks)
