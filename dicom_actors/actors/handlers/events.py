"""What event handlers are called with.

An event is handed over: the Handler that calls the handler keeps nothing of it. Everything that
costs something (decoding, mapping a file) happens when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.kernel.watch import MOST_EXTENDED
from dicom_actors.actors.responding.event_reporter import EventReporter
from dicom_actors.actors.storing.identity import identify
from dicom_actors.actors.storing.storage import file_name_for
from dicom_actors.data import DataSet, TransferSyntax
from dicom_actors.dimse import Status
from dicom_actors.errors import (
    DecodeError,
    DimseFailure,
    HandlerError,
    StorageError,
    UnsupportedTransferSyntaxError,
)

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from dicom_actors.actors.connection.record import ConnectionRecord
    from dicom_actors.actors.connection.request import Request
    from dicom_actors.actors.kernel.endpoint_kernel import EndpointKernel
    from dicom_actors.actors.storing.identity import Identity
    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.messages import AssociationInfo
    from dicom_actors.pdu import PresentationContextRq, UserIdentity

__all__ = [
    "Accept",
    "AssociationRequest",
    "DataSetEvent",
    "RequestEvent",
    "StoreEvent",
]

_FLUSH_SECONDS: Final = 0.06
"""What it takes to have a file, and the folder that it is in, on an ordinary disk."""


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What ``association_validator`` is called with (PS3.8 7.1.1).

    Attributes:
        called_ae_title: the title that the peer called.
        calling_ae_title: the title that it gave itself.
        peer: its address and port.
        presentation_contexts: what it proposes.
        user_identity: its user identity item, if any (PS3.7 D.3.3.7); it may hold a secret.
    """

    called_ae_title: str
    calling_ae_title: str
    peer: tuple[str, int]
    presentation_contexts: tuple[PresentationContextRq, ...]
    user_identity: UserIdentity | None


@dataclass(frozen=True, slots=True)
class Accept:
    """What ``association_validator`` may return instead of None, to say more.

    Attributes:
        identity_response: the server's response to the peer's user identity (PS3.7 D.3.3.7.2):
            a Kerberos or SAML response, empty for a user name. It is sent if the peer asks for it.
    """

    identity_response: bytes = b""


class RequestEvent:
    """A DIMSE request for a handler (PS3.7 9.3, 10.3).

    Attributes:
        message_id: its Message ID.
        sop_class_uid: Affected or Requested SOP Class UID.
        sop_instance_uid: Affected or Requested SOP Instance UID; empty if it has none.
    """

    def __init__(
        self,
        record: ConnectionRecord,
        request: Request,
        kernel: EndpointKernel,
    ) -> None:
        assert request.command is not None
        command = request.command
        self.message_id = command.message_id
        self.sop_class_uid = command.sop_class_uid
        self.sop_instance_uid = command.sop_instance_uid
        self._record = record
        self._request = request
        self._kernel = kernel
        self._data: memoryview | None = None

    def __repr__(self) -> str:
        # Neither data nor titles: this may end up in a log.
        return f"<{type(self).__name__} association={self._record.id} message_id={self.message_id}>"

    @property
    def association_id(self) -> int:
        """The number of the association that it came on: `association.id`, without the rest."""
        return self._record.id

    @property
    def calling_ae_title(self) -> str:
        """The AE title of the peer: `association.calling_ae_title`, without the rest."""
        rq = self._record.association_rq
        return "" if rq is None else rq.calling_ae_title

    @property
    def called_ae_title(self) -> str:
        """The AE title that the peer called: `association.called_ae_title`, without the rest."""
        rq = self._record.association_rq
        return "" if rq is None else rq.called_ae_title

    @property
    def peer(self) -> tuple[str, int]:
        """The address and port of the peer: `association.peer`, without the rest."""
        return self._record.peer

    @cached_property
    def association(self) -> AssociationInfo:
        """The association that it came on, as it was when this was first asked for."""
        return association_info(self._record)

    @property
    def command(self) -> DataSet:
        """The command set, decoded anew each time."""
        assert self._request.command is not None
        return self._request.command.elements

    @property
    def transfer_syntax(self) -> TransferSyntax:
        """The transfer syntax that was negotiated for its presentation context."""
        assert self._request.context is not None
        return TransferSyntax.as_read(self._request.context.transfer_syntax)

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the outcome any more.

        True after a C-CANCEL, after the handler's deadline, and when the association is over. A
        handler that takes long should look at it now and then, and return.
        """
        return self._record.is_cancelled(self._request.serial)

    def expect_wait(self, seconds: float) -> None:
        """Say that the handler waits for a moment now, for a flush that many share for example.

        An association whose handler takes longer than some milliseconds gets another thread, which
        listens to its peer meanwhile. That costs as much as to receive a small object; a handler
        that only waits can do without, as long as it is short. Until then its association notices
        neither a cancel nor an abort. However often this is said, a quarter of a second after the
        handler was called that is over.

        Args:
            seconds: how long; from 0 to 0.25.

        Raises:
            ValueError: it is longer.
        """
        if not 0 <= seconds <= MOST_EXTENDED:
            raise ValueError(f"seconds: expected 0 to {MOST_EXTENDED}, got {seconds}")
        self._kernel.watch.extend(self._record, self._record.incarnation.epoch, seconds)

    def event_reporter(self) -> EventReporter:
        """Give what reports events to the peer on this association, for as long as it is open.

        It may be kept and used when the request is long answered, in any thread, and keeps
        nothing of the request.
        """
        assert self._request.context is not None
        return EventReporter(
            self._kernel,
            self._record,
            self._request.context,
            self.sop_class_uid,
            self.sop_instance_uid,
        )

    def check(self) -> None:
        """Look into what came, before the handler is called.

        Raises:
            DimseFailure: it is nothing that any handler could answer (PS3.7 9.1.1.1.9).
        """
        if self._request.received is not None:
            self._read()

    def _read(self) -> DataSet:
        try:
            self.__dict__["dataset"] = data_set = self._decoded()
        except DecodeError as error:
            raise DimseFailure(Status.CANNOT_UNDERSTAND, str(error)) from error
        return data_set

    @property
    def data(self) -> memoryview:
        """The data set's bytes as received, in `transfer_syntax`; nothing is copied."""
        data = self._data
        if data is None:
            assert self._request.received is not None
            data = self._data = self._request.received.data
        return data

    @property
    def _received(self) -> ReceivedObject:
        assert self._request.received is not None
        return self._request.received

    def _decoded(self) -> DataSet:
        syntax, kernel = self.transfer_syntax, self._kernel
        limits = kernel.data_set_limits() if syntax.is_deflated else kernel.element_limits
        return DataSet.from_bytes(self.data, transfer_syntax=syntax, limits=limits)


class DataSetEvent(RequestEvent):
    """A request with a data set."""

    @property
    def length(self) -> int:
        """Bytes of the data set as received."""
        return self._received.length

    @cached_property
    def dataset(self) -> DataSet:
        """The data set, an index over the received bytes: values are decoded when asked for.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return self._decoded()


class StoreEvent(DataSetEvent):
    """A C-STORE request (PS3.7 9.1.1) whose data set has been received."""

    _identity: Identity | None = None

    def check(self) -> None:
        """See `RequestEvent.check`; the data set must be that of the command, too (PS3.4 B.2.3)."""
        received, kernel = self._request.received, self._kernel
        if not kernel.config.check_instances:
            return
        if received is None or not received.length:
            raise DimseFailure(Status.CANNOT_UNDERSTAND, "the data set is empty")
        try:
            identity = self._identify()
        except (DecodeError, UnsupportedTransferSyntaxError) as error:
            raise DimseFailure(Status.CANNOT_UNDERSTAND, str(error)) from error
        if identity.sop_class != self.sop_class_uid:
            raise _mismatch("SOPClassUID", identity.sop_class)
        if identity.sop_instance != self.sop_instance_uid:
            raise _mismatch("SOPInstanceUID", identity.sop_instance)

    def _identify(self) -> Identity:
        identity = self._identity
        if identity is None:
            identity = identify(self.data, self.transfer_syntax, self._kernel.element_limits)
            self._identity = identity
        return identity

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D) of the data set; empty if it has none.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return self._identify().study or self._uid("StudyInstanceUID")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E) of the data set; empty if it has none.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return self._identify().series or self._uid("SeriesInstanceUID")

    def _uid(self, keyword: str) -> str:
        # Of a deflated data set the head alone was looked at.
        return str(self.dataset.get(keyword) or "") if self.transfer_syntax.is_deflated else ""

    @property
    def file_header(self) -> bytes:
        """What stands before `data` in a file: preamble, prefix, file meta (PS3.10 7.1)."""
        return self._received.header

    def save(
        self,
        directory: str | os.PathLike[str],
        name: str | os.PathLike[str] | None = None,
        *,
        is_durable: bool = True,
    ) -> Path:
        """Keep the object as a Part 10 file with exactly the received bytes (PS3.10 7).

        The file, and every folder that was made for it, is whole and on the disk when this
        returns. An existing file of that name is replaced. Links below `directory` are not
        followed.

        Args:
            directory: where to; made if it is not there.
            name: the name below `directory`; None: the SOP Instance UID with ``.dcm``, or a hash
                where that is no valid UID.
            is_durable: False leaves it to the system when the file is on the disk: it survives
                the end of the process, but no power cut.

        Returns:
            The file's path.

        Raises:
            HandlerError: the request is settled meanwhile (its deadline passed, the association
                is over); nothing was written.
            StorageError: the file could not be written; nothing is left behind. A handler that
                lets it pass answers A700H (refused: out of resources).
            ValueError: `name` leads out of `directory`.
        """
        self._check_commit()
        if name is None:
            name = file_name_for(self.sop_instance_uid) + ".dcm"
        if is_durable:
            self.expect_wait(_FLUSH_SECONDS)
        try:
            return self._kernel.storage.save(
                self._received, directory, name, self._check_commit, is_durable=is_durable
            )
        except OSError as error:
            raise StorageError(Status.OUT_OF_RESOURCES, error) from error

    def _check_commit(self) -> None:
        if not self._record.may_commit(self._request):
            raise HandlerError("save: the request is settled, nobody waits for this object")


def _mismatch(keyword: str, found: str) -> DimseFailure:
    return DimseFailure(
        Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
        f"{keyword} is not that of the command" if found else f"no {keyword}",
    )
