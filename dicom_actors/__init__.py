"""A DICOM library and network endpoint built as a tree of supervised actors.

Each name is loaded when it is first used, so that a program that only reads files does not load
the network. Below, each part in a few lines; ``help(dicom_actors.DataSet)`` and its like say more,
and so do the modules that are named.

Data sets
---------
Keywords are attributes; a key is a keyword, a tag or a pair. A value is None where there is none, a
list where there are several, and a list of data sets for a sequence::

    ds = read_file("image.dcm")
    ds.PatientName.family_name, ds["StudyDate"], ds[0x0008, 0x0060]
    ds.get("AccessionNumber", "")
    ds.PatientID = "4711"
    ds.fetch("PatientID").vr
    for path, element in ds.walk():
        element.tag, element.name, element.value
    ds.save("changed.dcm")

`DataSet.from_keywords`, `DataSet.from_json` and `DataSet.from_bytes` make them of other things.

Files
-----
`read_file` decodes nothing before it is asked for. It is told what is wanted, and what to do about
damage; `DataSet.warnings` says what was forgiven::

    read_file("image.dcm", until="PixelData")
    read_file("image.dcm", keywords=["PatientID", "Modality"])
    read_file("image.dcm", keep_truncated=True, keep_damaged=True).warnings
    for path, values in index_files("images", ["PatientID", "Modality"]):
        values  # or the error because of which a file cannot be read
    write_directory("media")
    for path in read_directory("media/DICOMDIR").files():
        read_file(path)

Of a file of any size `read_large` leaves one large value where it is (`DataElement.unread`), and
no more of it than a piece is in memory when it is written again::

    large = read_large("image.dcm")
    large.frames()[0]
    write_file("copy.dcm", large)

`write_file` makes the file meta information right. `DataSet.check` lists where values depart from
PS3.5 and PS3.6, and ``check=True`` refuses to write these::

    for departure in ds.check():
        departure.path, departure.message
    write_file("changed.dcm", ds, transfer_syntax="ImplicitVRLittleEndian", check=not ds.check())
    len(ds.frames()), ds.frames()[0]

An endpoint
-----------
A service of yours is a handler: a callable, a coroutine function or an actor. A generator streams
its matches; what it raises costs its sender one status of failure and nobody else anything::

    def store(event):
        event.save("incoming")

    def find(event):
        return event.query.group(read_file(path) for path in ["image.dcm"])

    endpoint = Endpoint.start(port=0, event_handlers={"cstore": store, "cfind": find})
    port = endpoint.ask(messages.GetStatus()).port

`messages` has all that it can be asked, `events` what it tells those who subscribe,
`EndpointConfig` its limits and time-outs.

The other side
--------------
::

    with connect("127.0.0.1", port, called="ANY", calling="ME") as association:
        association.echo()
        for result in association.store_many(["image.dcm"]):
            assert result, result.comment
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None}
        for match in association.find(keys):
            match.StudyInstanceUID
    endpoint.stop()

Errors are `DicomError`; the tree is drawn in `dicom_actors.errors`. `dicom_actors.supervision` is a
library of its own, and `dicom_actors.testing` injects faults into an endpoint of yours.
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
        EncapsulatedPixelData,
        LargeElement,
        NewDirectory,
        PersonName,
        Query,
        Tag,
        TransferSyntax,
        file_pieces,
        generate_uid,
        read_directory,
        read_file,
        read_large,
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
    "EncapsulatedPixelData",
    "Endpoint",
    "EndpointConfig",
    "LargeElement",
    "MoveTo",
    "NewDirectory",
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
    "file_pieces",
    "generate_uid",
    "index_files",
    "messages",
    "read_directory",
    "read_file",
    "read_large",
    "uid_name",
    "write_directory",
    "write_file",
]

_HOMES = {
    "VR": "dicom_actors.data",
    "DataElement": "dicom_actors.data",
    "DataSet": "dicom_actors.data",
    "EncapsulatedPixelData": "dicom_actors.data",
    "DicomError": "dicom_actors.errors",
    "DimseFailure": "dicom_actors.errors",
    "Accept": "dicom_actors.actors",
    "Endpoint": "dicom_actors.actors",
    "EndpointConfig": "dicom_actors.config",
    "LargeElement": "dicom_actors.data",
    "MoveTo": "dicom_actors.actors",
    "NewDirectory": "dicom_actors.data",
    "PersonName": "dicom_actors.data",
    "Query": "dicom_actors.data",
    "Reject": "dicom_actors.pdu",
    "Status": "dicom_actors.dimse",
    "Tag": "dicom_actors.data",
    "TlsConfig": "dicom_actors.tls",
    "TransferSyntax": "dicom_actors.data",
    "connect": "dicom_actors.scu",
    "file_pieces": "dicom_actors.data",
    "generate_uid": "dicom_actors.data",
    "index_files": "dicom_actors.indexing",
    "read_directory": "dicom_actors.data",
    "read_file": "dicom_actors.data",
    "read_large": "dicom_actors.data",
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
