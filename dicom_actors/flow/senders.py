"""How it is brought to a destination: one class for each kind. For one thread at a time.

A sender says that a parcel was taken by returning, and that it was not by `NotTaken`; `Unreachable`
says that nobody is there to take anything.
"""

from __future__ import annotations

import abc
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pykka

from dicom_actors import DataSet, Status, connect
from dicom_actors.errors import AssociationError, DataError, DimseError, WorkerError
from dicom_actors.flow.failures import NotTaken, Unreachable
from dicom_actors.flow.parcels import Delivery, FileParcel, write_below
from dicom_actors.flow.routes import Command, Folder, Send
from dicom_actors.processes import Isolated
from dicom_actors.web_user import WebClient, WebError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from dicom_actors.archive.index import QueuedItem
    from dicom_actors.archive.services import Peer
    from dicom_actors.flow.parcels import Parcel
    from dicom_actors.flow.routes import Call, End
    from dicom_actors.flow.settings import DestinationSettings
    from dicom_actors.scu import Association, EventReport, StoreResult

__all__ = [
    "CallSender",
    "CommandSender",
    "DimsePeer",
    "DimseSender",
    "FolderSender",
    "IsolatedSender",
    "Reference",
    "Sender",
    "WebPeer",
    "WebSender",
    "sender_of",
]

_COMMITMENT: Final = "1.2.840.10008.1.20.1"
_WELL_KNOWN: Final = "1.2.840.10008.1.20.1.1"
_ASK: Final = 1
_MOST_RESTARTS: Final = 1_000
_PATH: Final = "{path}"
_BUSY: Final = range(0xA700, 0xA800)
_BUSY_BY_HTTP: Final = frozenset({401, 403, 408, 429, *range(500, 600)})


class Reference(NamedTuple):
    """What commitment is asked for.

    Attributes:
        sop_class_uid: of the object, as it was sent.
        sop_instance_uid: likewise.
    """

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class DimsePeer:
    """A peer that takes objects by C-STORE.

    Attributes:
        ae_title: its AE title.
        peer: its address, and how it is connected to.
    """

    ae_title: str
    peer: Peer


@dataclass(frozen=True, slots=True)
class WebPeer:
    """A peer that takes objects by DICOMweb.

    Attributes:
        url: the root of its DICOMweb.
        token: says who we are; None: nobody.
        tls: what https needs; None: the authorities of the system are trusted.
        timeout: seconds for each step.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    timeout: float = 30.0


class Sender(abc.ABC):
    """See the module."""

    @abc.abstractmethod
    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """Bring it there; returns what it was sent as.

        Args:
            item: the row.
            parcels: what it stands for, one or more.

        Raises:
            NotTaken: it was not taken.
            Unreachable: nobody is there.
            ArchiveError: what is to be sent cannot be read, or is gone.
            OSError: likewise.
        """

    def ask_commitment(self, transaction_uid: str, references: Sequence[Reference]) -> None:
        """Ask whether they are kept for good; the answer comes as an event report.

        Raises:
            NotTaken: that is not answered here.
            Unreachable: nobody is there.
        """
        del transaction_uid, references
        raise NotTaken("storage commitment is for peers by DIMSE", is_final=True)

    def listen(self) -> None:  # noqa: B027 - most have none
        """Take event reports that wait."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection that costs somebody something."""
        return False

    def rest(self) -> None:  # noqa: B027 - most have nothing open
        """There is nothing to do for now: end what is open."""

    def close(self) -> None:  # noqa: B027 - likewise
        """End all of it at once; may be called from any thread."""


class DimseSender(Sender):
    """By C-STORE, on one association that is kept while there is work (PS3.4 B).

    Args:
        peer: where to.
        settings: how.
        calling: our AE title, where the peer has none for us.
        take_report: is called with the event reports that come on the association.
    """

    def __init__(
        self,
        peer: DimsePeer,
        settings: DestinationSettings,
        calling: str,
        take_report: Callable[[DataSet], None],
    ) -> None:
        self._peer = peer
        self._settings = settings
        self._calling = calling
        self._take_report = take_report
        self._association: Association | None = None

    @property
    def is_connected(self) -> bool:
        """See `Sender`."""
        return self._association is not None and self._association.is_open

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        del item
        references = []
        for parcel in parcels:
            outgoing = parcel.outgoing()
            uid = parcel.uids()[2]
            association = self._connected()
            try:
                result = association.store(outgoing, transcode=self._settings.transcode)
            except AssociationError as error:
                self._lose()
                raise Unreachable(str(error), was_under_way=True) from error
            self._check(result)
            references.append(Reference(_class_of(parcel), uid))
            parcel.let_go()
        return references

    def _check(self, result: StoreResult) -> None:
        if result.is_stored or result.status == Status.DUPLICATE_SOP_INSTANCE:
            return  # it is there, whoever has sent it
        error = result.error
        if isinstance(error, OSError):
            raise error
        if isinstance(error, AssociationError):
            self._lose()
            raise Unreachable(str(error), was_under_way=True)
        if result.status is None:
            raise NotTaken(result.comment, is_final=isinstance(error, DataError))
        text = f"C-STORE was answered {_in_words(result.status)}"
        if result.comment:
            text += f": {result.comment}"
        raise NotTaken(text, is_busy=result.status in _BUSY)

    def ask_commitment(self, transaction_uid: str, references: Sequence[Reference]) -> None:
        """See `Sender`."""
        items = [
            DataSet.from_keywords(
                ReferencedSOPClassUID=one.sop_class_uid,
                ReferencedSOPInstanceUID=one.sop_instance_uid,
            )
            for one in references
        ]
        request = DataSet.from_keywords(TransactionUID=transaction_uid, ReferencedSOPSequence=items)
        association = self._connected()
        try:
            association.n_action(_COMMITMENT, _WELL_KNOWN, _ASK, request)
        except DimseError as error:
            raise NotTaken(f"storage commitment: {error}") from error
        except AssociationError as error:
            is_open = association.is_open
            if is_open:  # it has no context for it
                raise NotTaken(f"storage commitment: {error}") from error
            self._lose()
            raise Unreachable(f"storage commitment: {error}") from error

    def listen(self) -> None:
        """See `Sender`."""
        if self._association is not None:
            try:
                while self._association.is_open and self._association.listen(0.0):
                    pass
            except AssociationError:
                self._lose()

    def rest(self) -> None:
        """See `Sender`."""
        association, self._association = self._association, None
        if association is not None:
            with contextlib.suppress(AssociationError):
                association.release()

    def close(self) -> None:
        """See `Sender`."""
        association = self._association
        if association is not None:
            association.interrupt()

    def _connected(self) -> Association:
        if self._association is not None and self._association.is_open:
            return self._association
        (host, port), settings = self._peer.peer.connection(self._peer.ae_title, self._calling)
        try:
            self._association = connect(
                host,
                port,
                on_event_report=self._reported,
                **settings,
            )
        except AssociationError as error:
            raise Unreachable(str(error)) from error
        return self._association

    def _reported(self, report: EventReport) -> int | None:
        if report.sop_class_uid != _COMMITMENT or report.data_set is None:
            return int(Status.NO_SUCH_EVENT_TYPE)
        self._take_report(report.data_set)
        return None

    def _lose(self) -> None:
        association, self._association = self._association, None
        if association is not None:
            association.abort()


class WebSender(Sender):
    """By STOW-RS, an object a request (PS3.18 10.5).

    Args:
        peer: where to.
    """

    def __init__(self, peer: WebPeer) -> None:
        self._client = WebClient(peer.url, token=peer.token, tls=peer.tls, timeout=peer.timeout)

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        del item
        references = []
        for parcel in parcels:
            outgoing, uid = parcel.outgoing(), parcel.uids()[2]
            (result,) = self._client.store([outgoing])
            self._check(result)
            references.append(Reference(_class_of(parcel), uid))
            parcel.let_go()
        return references

    def _check(self, result: StoreResult) -> None:
        if result.is_stored or result.status == Status.DUPLICATE_SOP_INSTANCE:
            return
        error = result.error
        if isinstance(error, AssociationError):
            was_under_way = isinstance(error.__cause__, ConnectionResetError | BrokenPipeError)
            raise Unreachable(str(error), was_under_way=was_under_way)
        if isinstance(error, OSError):
            raise error
        if isinstance(error, WebError):
            is_busy = error.status in _BUSY_BY_HTTP
            raise NotTaken(str(error), is_busy=is_busy)
        if result.status is None:
            raise NotTaken(result.comment, is_final=isinstance(error, DataError))
        text = f"STOW-RS was answered {_in_words(result.status)}"
        raise NotTaken(text, is_busy=result.status in _BUSY)

    def rest(self) -> None:
        """See `Sender`."""
        self._client.close()


class FolderSender(Sender):
    """Into a folder.

    Args:
        folder: which.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        del item
        for parcel in parcels:
            content = parcel.uids()  # what cannot be made is no fault of the folder's
            try:
                write_below(self._folder, parcel)
            except OSError as error:
                text = f"the folder cannot be written: {error.strerror or error}"
                raise Unreachable(text) from error
            del content
        return []


class CommandSender(Sender):
    """To a program, in a folder of its own that is gone afterwards.

    Args:
        command: which.
        outgoing: where these folders are made.
    """

    def __init__(self, command: Command, outgoing: Path) -> None:
        self._command = command
        self._outgoing = outgoing
        self._process: subprocess.Popen[bytes] | None = None
        self._is_closed = False

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        self._outgoing.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=self._outgoing)
        try:
            paths = [write_below(folder, parcel) for parcel in parcels]
            self._run(str(paths[0]) if item.sop_instance_uid else folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return []

    def _run(self, path: str) -> None:
        arguments = [path if part == _PATH else part for part in self._command.arguments]
        if _PATH not in self._command.arguments:
            arguments.append(path)
        try:
            process = subprocess.Popen(  # noqa: S603 - it is the host's, and no shell is between
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            text = f"{arguments[0]} cannot be started: {error.strerror or error}"
            raise Unreachable(text) from error
        self._process = process
        try:
            if self._is_closed:
                raise Unreachable("the archive is being closed")
            code = process.wait(self._command.deadline)
        except subprocess.TimeoutExpired as error:
            seconds = self._command.deadline
            raise NotTaken(f"{arguments[0]} was killed after {seconds:g} s") from error
        finally:
            _kill_group(process)
            self._process = None
        if self._is_closed:
            raise Unreachable("the archive is being closed")
        if code != 0:
            raise NotTaken(f"{arguments[0]} ended with {code}")

    def close(self) -> None:
        """See `Sender`."""
        self._is_closed = True
        process = self._process
        if process is not None:
            _kill_group(process)


class CallSender(Sender):
    """To a function or an actor.

    Args:
        call: which.
    """

    def __init__(self, call: Call) -> None:
        self._call = call

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        target = self._call.target
        delivery = Delivery(item, self._call.destination, parcels)
        if isinstance(target, pykka.ActorRef):
            try:
                target.ask(delivery, timeout=self._call.timeout)
            except pykka.ActorDeadError as error:
                raise Unreachable("the actor is not there") from error
            except pykka.Timeout as error:
                raise NotTaken("the actor did not answer in time") from error
            except Exception as error:  # whatever it has raised
                raise NotTaken(f"the actor raised {type(error).__name__}") from error
            return []
        try:
            target(delivery)
        except NotTaken:
            raise
        except Exception as error:  # whatever it has raised
            raise NotTaken(f"{self._call.destination} raised {type(error).__name__}") from error
        return []


class IsolatedSender(Sender):
    """To a function in a process of its own, which gets copies of the objects as files.

    What the function does to that process costs this object an attempt, and the next one has
    another process.

    Args:
        call: which.
        outgoing: where folders for these files are made.
    """

    def __init__(self, call: Call, outgoing: Path) -> None:
        self._call = call
        self._outgoing = outgoing
        self._is_closed = False
        assert not isinstance(call.target, pykka.ActorRef)  # `Call` has refused that
        # How often it may be tried is the destination's to say, with its pauses.
        self._function = Isolated(
            call.target, deadline=call.timeout, workers=1, restarts=_MOST_RESTARTS
        )

    def send(self, item: QueuedItem, parcels: Sequence[Parcel]) -> list[Reference]:
        """See `Sender`."""
        self._outgoing.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(dir=self._outgoing)
        name = self._call.destination
        try:
            files = [
                FileParcel(write_below(folder, one), one.instance, one.uids()) for one in parcels
            ]
            self._function(Delivery(item, name, files))
        except NotTaken:
            raise
        except WorkerError as error:
            if self._is_closed:
                raise Unreachable("the archive is being closed") from error
            raise NotTaken(f"{name}: {error}") from error
        except OSError:
            raise
        except Exception as error:  # whatever it has raised
            raise NotTaken(f"{name} raised {type(error).__name__}") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return []

    def close(self) -> None:
        """See `Sender`."""
        self._is_closed = True
        self._function.close()


def sender_of(
    end: End,
    peers: Mapping[str, DimsePeer | WebPeer],
    settings: DestinationSettings,
    calling: str,
    take_report: Callable[[DataSet], None],
    outgoing: Path,
) -> Sender:
    """Make what brings things to an end of a route; see the classes."""
    if isinstance(end, Send):
        peer = peers[end.peer]
        if isinstance(peer, WebPeer):
            return WebSender(peer)
        return DimseSender(peer, settings, calling, take_report)
    if isinstance(end, Folder):
        return FolderSender(end.path)
    if isinstance(end, Command):
        return CommandSender(end, outgoing)
    if end.isolate is not None:
        return IsolatedSender(end, outgoing)
    return CallSender(end)


def _class_of(parcel: Parcel) -> str:
    return parcel.instance.sop_class_uid


def _in_words(status: int) -> str:
    try:
        return f"{status:04X}H ({Status(status).name.replace('_', ' ').lower()})"
    except ValueError:
        return f"{status:04X}H"


def _kill_group(process: subprocess.Popen[Any]) -> None:
    """End a program, and all that it has started."""
    if hasattr(os, "killpg"):
        # Its group is there as long as one of its processes is.
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        process.kill()
    process.wait()
