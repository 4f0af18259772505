"""Every exception that leaves the public interface.

::

    DicomError
    ├── DataError                      something about data sets and files
    │   ├── DecodeError                (ValueError) bytes that are no data set: .offset, .tag, .path
    │   ├── EncodeError                (ValueError) a value its VR cannot carry: .tag, .path
    │   ├── ElementNotFoundError       (KeyError) an absent element: .tag, .keyword
    │   ├── FileChangedError           (OSError) a file became shorter while it was read
    │   ├── NotPart10Error             (ValueError) a file that is no DICOM file
    │   ├── NotCleanError              a data set that cannot be de-identified as was asked
    │   └── UnsupportedTransferSyntaxError (ValueError)
    ├── ProtocolError
    │   ├── LocalProtocolError         our own misuse; the state stays as it was
    │   └── RemoteProtocolError        the peer's fault; .abort_source, .abort_reason
    │       ├── InvalidPduError        .offset
    │       ├── UnrecognizedPduError
    │       ├── UnexpectedPduError
    │       └── PduTooLargeError
    ├── AssociationError
    │   ├── AssociationRejected        .result, .source, .reason
    │   ├── AssociationAborted         .source, .reason
    │   ├── AssociationTimeout         (TimeoutError)
    │   └── TransportError             (OSError) the connection itself
    ├── DimseError
    │   ├── DimseFailure               .status, .comment, .elements
    │   │   └── StorageError           (OSError) an object that was received could not be kept
    │   │   └── RetrievalIncomplete    .progress: a C-GET or C-MOVE did not do all of it
    │   ├── StoreIncomplete            .stored, .failed: not all of many objects were stored
    │   └── HandlerError               a handler broke its contract
    │       └── WorkerError            the process of an isolated handler ended, or was killed
    ├── ArchiveError                   an archive cannot do what it was asked: .reason
    ├── ConfigurationError             (ValueError) a setting out of its range
    └── MissingExtraError              (ImportError) what needs an extra that is not installed

Messages say what was expected, what came and where.
"""

from __future__ import annotations

from reprlib import Repr
from typing import Any

__all__ = [
    "ArchiveError",
    "AssociationAborted",
    "AssociationError",
    "AssociationRejected",
    "AssociationTimeout",
    "ConfigurationError",
    "DataError",
    "DecodeError",
    "DicomError",
    "DimseError",
    "DimseFailure",
    "ElementNotFoundError",
    "EncodeError",
    "FileChangedError",
    "HandlerError",
    "InvalidPduError",
    "LocalProtocolError",
    "MissingExtraError",
    "NotCleanError",
    "NotPart10Error",
    "PduTooLargeError",
    "ProtocolError",
    "RemoteProtocolError",
    "RetrievalIncomplete",
    "StorageError",
    "StoreIncomplete",
    "TransportError",
    "UnexpectedPduError",
    "UnrecognizedPduError",
    "UnsupportedTransferSyntaxError",
    "WorkerError",
]


class DicomError(Exception):
    """The root of everything that this package raises on purpose."""


class ConfigurationError(DicomError, ValueError):
    """A setting that is out of its range; the message names it."""


class MissingExtraError(DicomError, ImportError):
    """Something that needs an extra of this package which is not installed; it says which."""


class ArchiveError(DicomError):
    """An archive cannot do what it was asked; nothing of it was done.

    Attributes:
        reason: why, in a word: ``"full"``, ``"locked"``, ``"read-only"``, ``"absent"`` (its
            folder or its index is not there), ``"deleted"`` (an instance is not there any more),
            ``"damaged"``, ``"newer"`` (made by a newer version), ``"busy"`` (too much at once),
            or ``"failed"``.
    """

    def __init__(self, message: str, reason: str = "failed") -> None:
        self.reason = reason
        super().__init__(message)


# --- data sets and files -------------------------------------------------------------------


class DataError(DicomError):
    """Something about data sets and files."""


class DecodeError(DataError, ValueError):
    """Bytes that cannot be read as a data set.

    Attributes:
        offset: where in the input, in bytes from its start; None if unknown.
        tag: the element concerned, as an int; None if unknown.
        path: what leads there through sequences, for example ``("BeamSequence[0]", "BeamName")``.
    """

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        tag: int | None = None,
        path: tuple[str, ...] = (),
    ) -> None:
        self.offset = offset
        self.tag = tag
        self.path = path
        super().__init__(_located(message, offset, tag, path))


class EncodeError(DataError, ValueError):
    """A value that its VR or the transfer syntax cannot carry.

    Attributes:
        tag: the element concerned, as an int; None if unknown.
        path: what leads there through sequences.
    """

    def __init__(self, message: str, *, tag: int | None = None, path: tuple[str, ...] = ()) -> None:
        self.tag = tag
        self.path = path
        super().__init__(_located(message, None, tag, path))


class ElementNotFoundError(DataError, KeyError):
    """An element that the data set does not have.

    Attributes:
        tag: the tag asked for, as an int; None where the key itself is unknown.
        keyword: its keyword, empty if it has none.
    """

    def __init__(self, message: str, *, tag: int | None = None, keyword: str = "") -> None:
        self.tag = tag
        self.keyword = keyword
        super().__init__(message)

    def __str__(self) -> str:  # KeyError would print the repr
        return str(self.args[0])


class FileChangedError(DataError, OSError):
    """A file that became shorter, or could not be read any more, while it was read or sent."""


class NotPart10Error(DataError, ValueError):
    """A file without preamble, prefix or anything else that reads as DICOM."""


class NotCleanError(DataError):
    """A data set that cannot be made what a profile and its options promise; it says why."""


class UnsupportedTransferSyntaxError(DataError, ValueError):
    """A transfer syntax in which the data set cannot be read or written."""


_repr = Repr()
_repr.maxstring = _repr.maxother = 60


def shown(value: Any) -> str:
    """Say of a caller's value what fits into an error message, whatever its ``repr`` does."""
    return _repr.repr(value)


def _located(message: str, offset: int | None, tag: int | None, path: tuple[str, ...]) -> str:
    where = []
    if tag is not None:
        where.append(f"tag ({tag >> 16:04X},{tag & 0xFFFF:04X})")
    if path:
        where.append("in " + " > ".join(path))
    if offset is not None:
        where.append(f"at byte {offset}")
    return f"{message} [{', '.join(where)}]" if where else message


# --- the protocol --------------------------------------------------------------------------


class ProtocolError(DicomError):
    """Something about the DICOM upper layer protocol (PS3.8)."""


class LocalProtocolError(ProtocolError):
    """We asked for something that the state does not allow; the state is as it was."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol.

    Attributes:
        abort_source: the source for the A-ABORT (PS3.8 9.3.8): 2, the service provider.
        abort_reason: the reason for the A-ABORT, 0 to 6.
    """

    abort_source: int = 2
    abort_reason: int = 0

    def __init__(self, message: str, *, abort_reason: int | None = None) -> None:
        if abort_reason is not None:
            self.abort_reason = abort_reason
        super().__init__(message)


class UnrecognizedPduError(RemoteProtocolError):
    """A PDU type that does not exist."""

    abort_reason = 1


class UnexpectedPduError(RemoteProtocolError):
    """A PDU or message that the state does not allow."""

    abort_reason = 2


class InvalidPduError(RemoteProtocolError):
    """A PDU whose fields contradict themselves.

    Attributes:
        offset: the byte within the PDU, from its first byte; None if unknown.
    """

    abort_reason = 6

    def __init__(
        self, message: str, *, offset: int | None = None, abort_reason: int | None = None
    ) -> None:
        self.offset = offset
        super().__init__(message, abort_reason=abort_reason)


class PduTooLargeError(InvalidPduError):
    """A PDU longer than what we announced or allow."""


# --- associations --------------------------------------------------------------------------


class AssociationError(DicomError):
    """An association that did not come about or did not last."""


class AssociationRejected(AssociationError):
    """The peer answered A-ASSOCIATE-RJ (PS3.8 9.3.4).

    Attributes:
        result: 1 permanent, 2 transient.
        source: 1 service user, 2 service provider (ACSE), 3 service provider (presentation).
        reason: by source.
    """

    def __init__(self, message: str, *, result: int, source: int, reason: int) -> None:
        self.result = result
        self.source = source
        self.reason = reason
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        fields = {"result": self.result, "source": self.source, "reason": self.reason}
        return _made_again, (type(self), str(self), fields)


class AssociationAborted(AssociationError):
    """The association ended with an A-ABORT (PS3.8 9.3.8).

    Attributes:
        source: 0 service user, 2 service provider.
        reason: 0 to 6, for source 2.
    """

    def __init__(self, message: str, *, source: int, reason: int) -> None:
        self.source = source
        self.reason = reason
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        return _made_again, (type(self), str(self), {"source": self.source, "reason": self.reason})


class AssociationTimeout(AssociationError, TimeoutError):
    """The peer did not answer in time."""


class TransportError(AssociationError, OSError):
    """The TCP connection failed."""


# --- messages ------------------------------------------------------------------------------


class DimseError(DicomError):
    """Something about DIMSE messages (PS3.7)."""


class DimseFailure(DimseError):
    """A status other than success.

    A handler raises it to answer a request with that status; on the user side it says
    what the peer answered. Further elements of the response go by their keywords, as far as
    PS3.7 Annex C has them for the status; tags are given as keywords or tags::

        raise DimseFailure(Status.MISSING_ATTRIBUTE, AttributeIdentifierList=["PatientID"])

    Attributes:
        status: the status code, 0 to 0xFFFF.
        comment: the Error Comment (0000,0902), at most 64 characters on the wire.
        elements: further elements by keyword. From a peer: Offending Element and Attribute
            Identifier List as lists of tags, Error ID as a number, where it sent them.
    """

    def __init__(self, status: int, comment: str = "", **elements: Any) -> None:
        self.status = int(status)
        self.comment = comment
        self.elements = elements
        super().__init__(f"status {self.status:04X}H" + (f": {comment}" if comment else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        return _failure_made_again, (type(self), (self.status, self.comment), self.elements)


class RetrievalIncomplete(DimseFailure):
    """A C-GET or C-MOVE that did not end with Success, or not truly.

    Attributes:
        progress: the counts of the final response and the list of what failed, a
            `dicom_actors.scu.MoveProgress`. What we refused ourselves counts as failed.
    """

    def __init__(self, status: int, comment: str, progress: Any, **elements: Any) -> None:
        self.progress = progress
        super().__init__(status, comment, **elements)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        fields = (self.status, self.comment, self.progress)
        return _failure_made_again, (type(self), fields, self.elements)


class StoreIncomplete(DimseError):
    """Of many objects that were to be stored, some were not.

    Attributes:
        stored: how many were.
        failed: the `dicom_actors.scu.StoreResult` of each that was not.
    """

    def __init__(self, message: str, *, stored: int, failed: tuple[Any, ...]) -> None:
        self.stored = stored
        self.failed = failed
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        fields = {"stored": self.stored, "failed": self.failed}
        return _made_again, (type(self), str(self), fields)


class StorageError(DimseFailure, OSError):
    """An object that was received could not be kept: no room, no right, no folder, no descriptors.

    It is both what the system said (`errno`, `strerror`, `filename`) and what the peer is to be
    answered, so a handler may just let it pass.

    Args:
        status: what the peer is answered.
        error: what the system said.
    """

    def __init__(self, status: int, error: OSError) -> None:
        DimseFailure.__init__(self, status, error.strerror or type(error).__name__)
        OSError.__init__(self, error.errno, error.strerror, error.filename)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with what ``__init__`` wants."""
        return type(self), (self.status, OSError(self.errno, self.strerror, self.filename))


class HandlerError(DimseError):
    """A handler that broke its contract: what it returned cannot be an answer."""


class WorkerError(HandlerError):
    """A handler in a process of its own gave no answer.

    The process ended over it, or was killed as it took too long, or there is none to be had.
    """


def _made_again(kind: Any, message: str, fields: dict[str, Any]) -> Any:
    return kind(message, **fields)


def _failure_made_again(kind: Any, fields: tuple[Any, ...], elements: dict[str, Any]) -> Any:
    return kind(*fields, **elements)
