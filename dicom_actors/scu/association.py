"""What users of DICOM services have in hands: an association with a peer. PS3.7, PS3.4."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dicom_actors.config import check_ae_title
from dicom_actors.dimse import CommandField
from dicom_actors.errors import (
    AssociationError,
    ConfigurationError,
    DimseError,
    DimseFailure,
    shown,
)
from dicom_actors.scu.identifiers import to_identifier
from dicom_actors.scu.normalized import NormalizedServices
from dicom_actors.scu.probing import Found, InstanceProposals, sop_classes_of
from dicom_actors.scu.query_models import sop_class_for
from dicom_actors.scu.querying import (
    MoveProgress,
    OnWarning,
    Operation,
    check_on_warning,
    find,
    raise_failure,
    words_for,
)
from dicom_actors.scu.retrieving import get, move
from dicom_actors.scu.session import Session
from dicom_actors.scu.settings import Credentials, Settings, user_identity_of
from dicom_actors.scu.store_many import StoreOptions, store_many
from dicom_actors.scu.storing import MoveOriginator
from dicom_actors.storage.contexts import (
    VERIFICATION,
    ProposedContext,
    contexts_of_found,
    retrieve_contexts,
    sop_classes_named,
    to_context,
    transfer_syntaxes_named,
)
from dicom_actors.storage.results import StoreResult

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator, Iterable
    from types import TracebackType

    from dicom_actors.data import DataSet
    from dicom_actors.pdu import SopClassExtended
    from dicom_actors.scu.event_reports import EventReport
    from dicom_actors.scu.identifiers import Identifier
    from dicom_actors.scu.settings import Clock, PduTap
    from dicom_actors.storage.contexts import ContextLike
    from dicom_actors.storage.outgoing import Storable, Transcode
    from dicom_actors.tls import TlsConfig
    from dicom_actors.transport.plain import Transport
    from dicom_actors.upper_layer import Negotiated

__all__ = ["Association", "connect"]

_logger = logging.getLogger(__name__)


class Association(NormalizedServices):
    """An association that we asked for; made by `connect`, used in one thread at a time.

    As a context manager it is released at the end, and aborted by an exception, unless that says
    what the peer answered (`DimseError`). When a method raises an `AssociationError`, the
    association is over, unless the message says that there is no presentation context.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_idle = isinstance(error, DimseError) and self._session.running is None
        if kind is not None and not is_idle:
            self.abort()
            return
        try:
            self.release()
        except AssociationError as failure:
            # Everything that was asked for is answered; only the farewell is missing.
            _logger.warning("not released in good order: %s", failure)

    def __repr__(self) -> str:
        state = "open" if self.is_open else "over"
        return f"<Association with {self._session.settings.peer}, {state}>"

    # --- what it is --------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether it is established, as far as is known."""
        return self._session.is_open

    @property
    def terms(self) -> Negotiated:
        """What was negotiated: contexts, lengths, window, the peer's implementation."""
        return self._session.channel.terms

    @property
    def user_identity_response(self) -> bytes | None:
        """The peer's response to the user identity; None: it did not look at it."""
        acceptance = self._session.acceptance
        return None if acceptance is None else acceptance.user_information.user_identity_response

    # --- services ----------------------------------------------------------------------------

    def echo(self) -> None:
        """Ask whether the peer is there (C-ECHO, PS3.4 A).

        Raises:
            DimseFailure: it says that it cannot answer.
            AssociationError: the association is over, or has no context for it.
        """
        session = self._session
        session.begin()
        session.cover((ProposedContext(VERIFICATION),))
        context = session.context_for(VERIFICATION)
        message_id = session.request(context, CommandField.C_ECHO_RQ, VERIFICATION)
        message = session.response(CommandField.C_ECHO_RQ, message_id)
        raise_failure(message.command)

    def store(
        self,
        source: Storable,
        *,
        check: bool = False,
        send_damaged: bool = False,
        transcode: bool | Transcode = False,
    ) -> StoreResult:
        """Send an object (C-STORE, PS3.4 B).

        Args:
            source: a data set, or a DICOM file as a path or as bytes.
            check: whether a failure is raised.
            send_damaged: as for `store_many`.
            transcode: likewise.

        Returns:
            What the peer answered, true if it has the object. A status of None means that the
            object was not sent, as the comment says: the peer accepts neither its transfer syntax
            nor one that it can be converted to without compressing or decompressing it, or the
            file cannot be read.

        Raises:
            DimseFailure: with `check`: the peer answered with a failure.
            OSError: with `check`: the file cannot be opened, or is a folder.
            DataError: with `check`: it is no DICOM file, or damaged.
            AssociationError: the association is over; with `check`: the peer does not accept it.
        """
        if isinstance(source, str | os.PathLike) and Path(source).is_dir():
            why = "a folder, whose files store_many sends"
            error = IsADirectoryError(errno.EISDIR, why, os.fspath(source))
            result = StoreResult(None, "", source, f"not sent: {why}", error)
        else:
            options = StoreOptions(
                send_damaged=send_damaged, on_warning="ignore", transcode=transcode
            )
            (result,) = store_many(self._session, (source,), options)
        if check and not result:
            if result.error is not None:
                raise result.error
            if result.status is None:
                raise AssociationError(f"{result.sop_instance_uid}: {result.comment}")
            words = words_for(result.status, result.comment, "Storage")
            raise DimseFailure(result.status, words)
        return result

    def store_many(
        self,
        items: Storable | Iterable[Storable],
        *,
        parallel: int = 1,
        retries: int = 3,
        journal: str | os.PathLike[str] | None = None,
        send_damaged: bool = False,
        on_warning: OnWarning = "raise",
        originator: MoveOriginator | None = None,
        transcode: bool | Transcode = False,
    ) -> Generator[StoreResult, None, None]:
        """Send many objects, as many at a time as the negotiated window allows.

        It goes on with a new association when one is lost: what was under way is tried once more,
        and set aside when that costs an association again.

        Args:
            items: data sets, and DICOM files as paths or as bytes. A folder is all files in it
                and below. Files are looked into some ahead, to propose what they need.
            parallel: how many associations to send on; the results then come in any order.
            retries: how many times in a row a lost association is asked for anew, at once and
                then after 1, 2, 4 and so on up to 60 seconds, before the rest is given up.
            journal: a file with what is stored, made if it is not there. What it has is not sent
                again, so that the same call continues after an interruption. Its results have the
                status of then.
            send_damaged: whether a file that is cut off or cannot be read to its end is sent as
                it is, where its transfer syntax is accepted; otherwise it is not sent.
            on_warning: ``"ignore"``: that some were not stored is told by their results alone.
            originator: the C-MOVE that this is done for, if any.
            transcode: whether an object is sent in a transfer syntax that the peer accepts, when
                it does not accept its own: compressed or decompressed without loss, by the extra
                ``pixels``. Or what does that: it is called with the data set and the UIDs that
                are accepted (see `dicom_actors.pixels.Transcoder`, which may lose information
                where it is told so).

        Yields:
            A result for each object, true if it is stored; in the order of the objects, where the
            window is 1 and nothing is parallel.

        Raises:
            ValueError: a number is out of its range.
            ConfigurationError: the journal is that of another peer.
            OSError: the journal cannot be written.
            TypeError: the originator is none.
            StoreIncomplete: at the end: some were not stored.
            AssociationError: at the end: there is no association any more. All objects have their
                results before, but for those that an iterator has not given yet.
        """
        if parallel < 1:
            raise ValueError(f"parallel: expected 1 or more, got {parallel}")
        if retries < 0:
            raise ValueError(f"retries: expected 0 or more, got {retries}")
        check_on_warning(on_warning)
        if originator is not None and not isinstance(originator, MoveOriginator):
            raise TypeError(f"expected a MoveOriginator, got {shown(originator)}")
        options = StoreOptions(
            parallel, originator, retries, journal, send_damaged, on_warning, transcode
        )
        return store_many(self._session, items, options)

    def find(
        self,
        identifier: Identifier,
        *,
        model: str | None = None,
        check: bool = True,
        on_warning: OnWarning = "raise",
    ) -> Operation[DataSet]:
        """Ask for what matches (C-FIND, PS3.4 C.4.1, K.4.1 and others).

        Args:
            identifier: keys and what they must match: a data set, or a dict of keywords.
            model: what is asked, a key of `MODELS` or a SOP class; None: ``"patient"``,
                ``"study"`` or ``"worklist"``, as the identifier looks.
            check: whether values are refused that by their form can match nothing, such as a date
                with dashes.
            on_warning: ``"ignore"``: a final status that is a warning, such as B001H (there are
                more matches), is told by the iterator's `status` alone.

        Returns:
            An iterator over the matches, received as they are asked for. Leaving it early cancels
            the query. A match that cannot be read is left out, which is logged as a warning.

        Raises:
            ValueError: a value can match nothing.
            DimseFailure: from the iterator, at its end: the peer did not answer with Success.
            AssociationError: here or there: the association is over, or has no context for it.
        """
        wanted = to_identifier(identifier, check="all" if check else "nothing")
        uid = self._cover("C-FIND", wanted, model)
        return find(self._session, uid, wanted, on_warning)

    def get(
        self,
        identifier: Identifier,
        *,
        model: str | None = None,
        sop_classes: Iterable[str] | None = None,
        transfer_syntaxes: Iterable[str] | None = None,
        on_warning: OnWarning = "raise",
    ) -> Operation[DataSet]:
        """Ask for instances to be sent on this association (C-GET, PS3.4 C.4.3).

        They come as the peer has them, where each SOP class is proposed with each transfer
        syntax. What they are is asked for with C-FIND before, if the peer answers that; else the
        common ones are proposed.

        Args:
            identifier: which ones, as for `find`.
            model: as for `find`.
            sop_classes: what may come; None: what the peer has, see above. It plays no part where
                `connect` was given contexts.
            transfer_syntaxes: what it may come in; likewise.
            on_warning: ``"ignore"``: that some instances did not come is told by the iterator's
                `status` and `progress` alone.

        Returns:
            An iterator over the instances. One is answered with Success when the next is asked
            for, so that what the caller could not keep is not lost to the peer.

        Raises:
            ValueError: a name is no UID.
            TypeError: one text was given for several names.
            RetrievalIncomplete: from the iterator, at its end: not all came.
            AssociationError: here or there: the association is over, or has no context for it.
        """
        wanted = to_identifier(identifier, check="UIDs")
        classes = None if sop_classes is None else sop_classes_named(sop_classes)
        syntaxes = None
        if transfer_syntaxes is not None:
            syntaxes = transfer_syntaxes_named(transfer_syntaxes)
        uid = self._cover("C-GET", wanted, model)
        renew = None
        if self._session.is_automatic:
            renew = self._propose_instances(uid, wanted, model, classes, syntaxes).renew
        return get(self._session, uid, wanted, on_warning, renew=renew)

    def move(
        self,
        identifier: Identifier,
        destination: str,
        *,
        model: str | None = None,
        on_warning: OnWarning = "raise",
    ) -> Operation[MoveProgress]:
        """Ask for instances to be sent to an application entity (C-MOVE, PS3.4 C.4.2).

        Args:
            identifier: which ones, as for `find`.
            destination: the AE title, which the peer must know.
            model: as for `find`.
            on_warning: as for `get`.

        Returns:
            An iterator over what the peer tells of its progress, the final counts last.

        Raises:
            RetrievalIncomplete: from the iterator, at its end: not all was sent.
            AssociationError: here or there: the association is over, or has no context for it.
            ConfigurationError: the destination is no AE title.
        """
        check_ae_title(destination, "destination")
        wanted = to_identifier(identifier, check="UIDs")
        uid = self._cover("C-MOVE", wanted, model)
        return move(self._session, uid, wanted, destination, on_warning)

    def cancel(self) -> None:
        """Ask the peer to give up the C-FIND, C-GET or C-MOVE that runs (C-CANCEL).

        Its iterator gives what the peer still sends, and ends.
        """
        self._session.cancel_running()

    def listen(self, seconds: float) -> bool:
        """Wait for an event report (N-EVENT-REPORT), as after a storage commitment request.

        Args:
            seconds: how long.

        Returns:
            Whether one came; `on_event_report` was called with it.

        Raises:
            AssociationError: the association is over.
        """
        self._session.begin()
        return self._session.listen(seconds)

    # --- the end -----------------------------------------------------------------------------

    def release(self) -> None:
        """Release the association; does nothing if it is over.

        Raises:
            AssociationError: the peer did not agree to it.
        """
        self._session.release()

    def abort(self) -> None:
        """End the association at once; does nothing if it is over."""
        self._session.abort()

    def interrupt(self) -> None:
        """Make a method that waits for the peer, in another thread, find the connection lost.

        The one method that may be called from any thread.
        """
        self._session.interrupt()

    def _cover(self, operation: str, identifier: DataSet, model: str | None) -> str:
        session = self._session
        session.begin()
        uid = sop_class_for(model, operation, identifier)
        session.cover((ProposedContext(uid),))
        return uid

    def _propose_instances(
        self,
        sop_class_uid: str,
        identifier: DataSet,
        model: str | None,
        sop_classes: tuple[str, ...] | None,
        transfer_syntaxes: tuple[str, ...] | None,
    ) -> InstanceProposals:
        """Have presentation contexts for what a C-GET will bring."""
        session = self._session
        asked: tuple[ProposedContext, ...] = (ProposedContext(sop_class_uid),)
        with contextlib.suppress(ValueError):  # the model has no C-FIND
            asked += (ProposedContext(sop_class_for(model, "C-FIND", identifier)),)
        found = Found({}, frozenset())
        if sop_classes is None and len(asked) > 1:
            session.cover(asked)
            if session.accepted(asked[1].abstract_syntax):
                found = sop_classes_of(session, asked[1].abstract_syntax, identifier)
        if found.sop_classes and transfer_syntaxes is None:
            contexts = contexts_of_found(found.sop_classes)
        else:
            contexts = retrieve_contexts(
                tuple(found.sop_classes) or sop_classes, transfer_syntaxes, found.modalities
            )
        is_chosen = sop_classes is not None or transfer_syntaxes is not None
        return InstanceProposals(session, asked, contexts, is_chosen=is_chosen)


def connect(
    host: str,
    port: int,
    *,
    called: str = "ANY-SCP",
    calling: str = "DICOM_ACTORS",
    contexts: Iterable[ContextLike] | None = None,
    timeout: float = 30.0,
    response_timeout: float | None = None,
    tls: TlsConfig | ssl.SSLContext | None = None,
    server_hostname: str | None = None,
    user_identity: Credentials | None = None,
    extended: Iterable[SopClassExtended] = (),
    on_event_report: Callable[[EventReport], int | None] | None = None,
    async_window: int = 1,
    max_pdu_length: int = 128 * 1024,
    max_object_bytes: int = 16 << 30,
    spool_bytes: int = 16 << 20,
    spool_directory: str | Path | None = None,
    on_pdu: PduTap | None = None,
    clock: Clock = time,
    pause: Callable[[float], object] | None = None,
    open_transport: Callable[[Settings], Transport] | None = None,
) -> Association:
    """Ask a peer for an association.

    Everything runs in the thread of whoever calls, and every step has a deadline.

    Args:
        host: the peer's name or address.
        port: its port.
        called: its AE title.
        calling: our AE title.
        contexts: the presentation contexts to propose: SOP classes, alone or with transfer
            syntaxes. None: those of verification, query and retrieval and of the most common
            objects; and as soon as others are needed, the association is released and asked for
            anew with them.
        timeout: seconds to connect, for TLS, for the answer to the request, for the peer to read
            something of what we send, and for the release.
        response_timeout: seconds for a response to come, or the next part of it; `math.inf` for
            ever; None: `timeout`.
        tls: makes the connection secure, with the certificates that it has and trusts.
        server_hostname: the name in the peer's certificate; None: `host`.
        user_identity: a user name, a name and a passcode, or any user identity item.
        extended: items of SOP class extended negotiation.
        on_event_report: is called with an event report of the peer, while something is awaited;
            returns the status to answer, None for Success.
        async_window: how many operations we would like to have outstanding.
        max_pdu_length: bytes of a PDU that we take.
        max_object_bytes: bytes of a data set that we take.
        spool_bytes: a data set longer than this goes to a temporary file.
        spool_directory: the directory for that; None: the system's.
        on_pdu: is called with each PDU, in the thread of its association: with a number that no
            other open association has, whether the PDU was received, and its bytes in pieces,
            which are valid for the length of the call. `dicom_actors.pdu.describe_stream` makes
            lines of them that show no secrets.
        clock: tells the time for all deadlines.
        pause: waits so many seconds before a lost association is asked for anew; None: in the
            usual way, which `interrupt` ends.
        open_transport: opens the connection in place of TCP.

    Returns:
        The association, established.

    Raises:
        AssociationRejected: the peer refuses, in words.
        AssociationTimeout: the peer does not answer in time.
        AssociationAborted: the peer aborted instead.
        TransportError: there is no connection, or it was lost.
        ConfigurationError: a setting is out of its range.
    """
    settings = Settings(
        host=host,
        port=port,
        called=called,
        calling=calling,
        timeout=timeout,
        response_timeout=timeout if response_timeout is None else response_timeout,
        tls=tls,
        server_hostname=server_hostname,
        user_identity=user_identity_of(user_identity),
        extended=tuple(extended),
        async_window=async_window,
        max_pdu_length=max_pdu_length,
        max_object_bytes=max_object_bytes,
        spool_bytes=spool_bytes,
        spool_directory=spool_directory,
        on_pdu=on_pdu,
        clock=clock,
        pause=pause,
        open_transport=open_transport,
    )
    proposed = None if contexts is None else [to_context(context) for context in contexts]
    if proposed == []:
        raise ConfigurationError("contexts: expected one presentation context or more, got none")
    return Association(Session(settings, proposed, on_event_report).open())
