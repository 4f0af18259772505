"""What event handlers are called with.

An event is handed over: the Handler that calls the handler keeps nothing of it. Everything that
costs something (decoding, mapping a file) happens when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dicom_actors.actors.connection.info import association_info
from dicom_actors.actors.storing.identity import identify
from dicom_actors.actors.storing.storage import file_name_for
from dicom_actors.data import DataSet, Limits, TransferSyntax
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
    from dicom_actors.actors.storing.identity import Identity
    from dicom_actors.actors.storing.receiver import ReceivedObject
    from dicom_actors.actors.storing.storage import Storage
    from dicom_actors.config import EndpointConfig
    from dicom_actors.messages import AssociationInfo
    from dicom_actors.pdu import PresentationContextRq, UserIdentity

__all__ = [
    "Accept",
    "AssociationRequest",
    "DataSetEvent",
    "RequestEvent",
    "StoreEvent",
]


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
        config: EndpointConfig,
        storage: Storage,
    ) -> None:
        assert request.command is not None
        self.message_id = request.command.message_id
        self.sop_class_uid = request.command.sop_class_uid
        self.sop_instance_uid = request.command.sop_instance_uid
        self._record = record
        self._request = request
        self._config = config
        self._storage = storage

    def __repr__(self) -> str:
        # Neither data nor titles: this may end up in a log.
        return f"<{type(self).__name__} association={self._record.id} message_id={self.message_id}>"

    @cached_property
    def association(self) -> AssociationInfo:
        """The association that it came on, as it was when this was first asked for."""
        return association_info(self._record)

    @property
    def command(self) -> DataSet:
        """The command set, decoded anew each time."""
        assert self._request.command is not None
        return self._request.command.elements

    @cached_property
    def transfer_syntax(self) -> TransferSyntax:
        """The transfer syntax that was negotiated for its presentation context."""
        negotiated, context_id = self._record.negotiated, self._request.context_id
        assert negotiated is not None
        return next(
            TransferSyntax.of(context.transfer_syntax)
            for context in negotiated.contexts
            if context.context_id == context_id
        )

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for the outcome any more.

        True after a C-CANCEL, after the handler's deadline, and when the association is over. A
        handler that takes long should look at it now and then, and return.
        """
        return self._record.is_cancelled(self._request.serial)

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

    @cached_property
    def data(self) -> memoryview:
        """The data set's bytes as received, in `transfer_syntax`; nothing is copied."""
        return self._received.data

    @property
    def _received(self) -> ReceivedObject:
        assert self._request.received is not None
        return self._request.received

    def _decoded(self) -> DataSet:
        return DataSet.from_bytes(
            self.data,
            transfer_syntax=self.transfer_syntax,
            limits=self._limits,
        )

    @property
    def _limits(self) -> Limits:
        return Limits(
            max_depth=self._config.max_sequence_depth, max_elements=self._config.max_elements
        )


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

    def check(self) -> None:
        """See `RequestEvent.check`; the data set must be that of the command, too (PS3.4 B.2.3)."""
        if not self._config.check_instances:
            return
        if not self.length:
            raise DimseFailure(Status.CANNOT_UNDERSTAND, "the data set is empty")
        try:
            identity = self._identity
        except (DecodeError, UnsupportedTransferSyntaxError) as error:
            raise DimseFailure(Status.CANNOT_UNDERSTAND, str(error)) from error
        for keyword, found, expected in (
            ("SOPClassUID", identity.sop_class, self.sop_class_uid),
            ("SOPInstanceUID", identity.sop_instance, self.sop_instance_uid),
        ):
            if found != expected:
                raise DimseFailure(
                    Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS,
                    f"{keyword} is not that of the command" if found else f"no {keyword}",
                )

    @cached_property
    def _identity(self) -> Identity:
        return identify(self.data, self.transfer_syntax, self._limits)

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D) of the data set; empty if it has none.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return self._identity.study or self._uid("StudyInstanceUID")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E) of the data set; empty if it has none.

        Raises:
            DecodeError: the bytes are no data set.
        """
        return self._identity.series or self._uid("SeriesInstanceUID")

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
        try:
            return self._storage.save(
                self._received, directory, name, self._check_commit, is_durable=is_durable
            )
        except OSError as error:
            raise StorageError(Status.OUT_OF_RESOURCES, error) from error

    def _check_commit(self) -> None:
        if not self._record.may_commit(self._request.serial):
            raise HandlerError("save: the request is settled, nobody waits for this object")
