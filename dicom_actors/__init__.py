"""A DICOM library and network endpoint built as a tree of supervised actors.

Each name is loaded when it is first used, so that a program that only reads files does not load
the network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from dicom_actors.version import __version__

if TYPE_CHECKING:
    from dicom_actors import errors, events, messages
    from dicom_actors.actors import Accept, Endpoint, MoveTo
    from dicom_actors.config import EndpointConfig
    from dicom_actors.data import (
        VR,
        DataElement,
        DataSet,
        PersonName,
        Query,
        Tag,
        TransferSyntax,
        generate_uid,
        read_directory,
        read_file,
        uid_name,
        write_directory,
        write_file,
    )
    from dicom_actors.dimse import Status
    from dicom_actors.errors import DicomError, DimseFailure
    from dicom_actors.indexing import index_files
    from dicom_actors.pdu import Reject
    from dicom_actors.scu import connect
    from dicom_actors.tls import TlsConfig

__all__ = [
    "VR",
    "Accept",
    "DataElement",
    "DataSet",
    "DicomError",
    "DimseFailure",
    "Endpoint",
    "EndpointConfig",
    "MoveTo",
    "PersonName",
    "Query",
    "Reject",
    "Status",
    "Tag",
    "TlsConfig",
    "TransferSyntax",
    "__version__",
    "connect",
    "errors",
    "events",
    "generate_uid",
    "index_files",
    "messages",
    "read_directory",
    "read_file",
    "uid_name",
    "write_directory",
    "write_file",
]

_HOMES = {
    "VR": "dicom_actors.data",
    "DataElement": "dicom_actors.data",
    "DataSet": "dicom_actors.data",
    "DicomError": "dicom_actors.errors",
    "DimseFailure": "dicom_actors.errors",
    "Accept": "dicom_actors.actors",
    "Endpoint": "dicom_actors.actors",
    "EndpointConfig": "dicom_actors.config",
    "MoveTo": "dicom_actors.actors",
    "PersonName": "dicom_actors.data",
    "Query": "dicom_actors.data",
    "Reject": "dicom_actors.pdu",
    "Status": "dicom_actors.dimse",
    "Tag": "dicom_actors.data",
    "TlsConfig": "dicom_actors.tls",
    "TransferSyntax": "dicom_actors.data",
    "connect": "dicom_actors.scu",
    "generate_uid": "dicom_actors.data",
    "index_files": "dicom_actors.indexing",
    "read_directory": "dicom_actors.data",
    "read_file": "dicom_actors.data",
    "uid_name": "dicom_actors.data",
    "write_directory": "dicom_actors.data",
    "write_file": "dicom_actors.data",
}
_MODULES = frozenset({"errors", "events", "messages"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value: Any = importlib.import_module(f"dicom_actors.{name}")
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
