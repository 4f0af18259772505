"""A row of the queue with what it stands for: what is handed to whoever delivers it."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from dicom_actors import DataSet, file_pieces, read_large
from dicom_actors.archive.files import DiskFileSystem, Layout, UnreadBytes
from dicom_actors.errors import DicomError
from dicom_actors.flow.failures import NotTaken
from dicom_actors.processes.portable import Portable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from dicom_actors.archive import Archive, StoredInstance
    from dicom_actors.archive.index import QueuedItem
    from dicom_actors.flow.steps import Step
    from dicom_actors.scu import OutgoingObject

    AnyParcel: TypeAlias = "Parcel | FileParcel"

__all__ = ["Delivery", "FileParcel", "Parcel", "write_below"]

_LAYOUT: Final = Layout()
_PIECE: Final = 1 << 20
"""Bytes that are in memory at a time of what is in a file."""


class Parcel:
    """One instance as it leaves: its bytes as they came, or what the steps have made of it.

    Args:
        archive: where it is.
        instance: which.
        steps: what is done to it.

    Attributes:
        instance: which, as it came.
    """

    def __init__(self, archive: Archive, instance: StoredInstance, steps: Sequence[Step]) -> None:
        self._archive = archive
        self._steps = steps
        self.instance: Final = instance
        self._made: DataSet | None = None
        self._uids: tuple[str, str, str] | None = None

    def data_set(self) -> DataSet:
        """It as a data set; a large value is left in its file (`DataElement.unread`).

        Raises:
            NotTaken: a step cannot be done to it.
            ArchiveError: it is not there any more.
            OSError: its file cannot be read.
        """
        if self._made is None:
            try:
                made = read_large(self._archive.open_bytes(self.instance))
                for step in self._steps:
                    made = step.apply(made)
            except OSError:
                raise
            except DicomError as error:
                if getattr(error, "reason", None) in {"absent", "deleted", "damaged"}:
                    raise
                raise NotTaken(_in_words(error), is_final=True) from error
            except Exception as error:  # of a step, which is anybody's code
                raise NotTaken(f"a step failed: {type(error).__name__}") from error
            self._made = made
        return self._made

    def outgoing(self) -> OutgoingObject | DataSet:
        """It as `connect`'s `store` takes it; raises as `data_set`."""
        return self.data_set() if self._steps else self._archive.source(self.instance)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """The bytes of a file of it, one after the other; raises as `data_set`."""
        if not self._steps:
            yield from _in_memory([self._archive.open_bytes(self.instance)])
            return
        try:
            yield from _in_memory(file_pieces(self.data_set()))
        except DicomError as error:
            if isinstance(error, NotTaken):
                raise
            raise NotTaken(_in_words(error), is_final=True) from error

    def uids(self) -> tuple[str, str, str]:
        """Study, series and SOP Instance UID as it leaves; raises as `data_set`."""
        if not self._steps:
            return self.instance[:3]
        if self._uids is None:
            made = self.data_set()
            study, series, instance = (
                str(made.get(keyword) or "")
                for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            )
            self._uids = study, series, instance
        return self._uids

    def let_go(self) -> None:
        """Hold no data set, nor its file, until it is asked for again."""
        self._made = None


class FileParcel:
    """One instance as it leaves, in a file of its own; for other processes.

    Args:
        path: the file.
        instance: which, as it came.
        uids: see `Parcel.uids`.
    """

    def __init__(self, path: Path, instance: StoredInstance, uids: tuple[str, str, str]) -> None:
        self.instance: Final = instance
        self._path = path
        self._uids = uids

    def data_set(self) -> DataSet:
        """See `Parcel.data_set`."""
        return read_large(self._path)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """See `Parcel.pieces`."""
        with self._path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def let_go(self) -> None:
        """See `Parcel.let_go`; nothing is held."""

    def uids(self) -> tuple[str, str, str]:
        """See `Parcel.uids`."""
        return self._uids


class Delivery(Portable):
    """What a function or an actor of the host's gets.

    Attributes:
        route: the name of the route.
        destination: the name of the destination.
        study_instance_uid: of what it is about.
        series_instance_uid: likewise; empty: all of the study.
        sop_instance_uid: likewise; empty: all of the series.
        attempts: how often it was tried in vain before.
        instances: the instances, as they came.
    """

    def __init__(self, item: QueuedItem, destination: str, parcels: Sequence[AnyParcel]) -> None:
        self.route: Final = item.route
        self.destination: Final = destination
        self.study_instance_uid: Final = item.study_instance_uid
        self.series_instance_uid: Final = item.series_instance_uid
        self.sop_instance_uid: Final = item.sop_instance_uid
        self.attempts: Final = item.attempts
        self.instances: Final = tuple(parcel.instance for parcel in parcels)
        self._parcels = parcels

    def __repr__(self) -> str:
        """Say how much it is."""
        return f"<Delivery of {len(self.instances)} to {self.destination!r}>"

    @property
    def data_set(self) -> DataSet:
        """The data set, after the steps; of several, the first."""
        return self._parcels[0].data_set()

    def data_sets(self) -> Iterator[DataSet]:
        """All data sets, after the steps, one by one."""
        for parcel in self._parcels:
            yield parcel.data_set()
            parcel.let_go()

    def save(self, folder: str | Path) -> list[Path]:
        """Write all as ``<study>/<series>/<instance>.dcm`` below a folder; returns their paths.

        Raises:
            OSError: one cannot be written.
        """
        return [write_below(folder, parcel) for parcel in self._parcels]


def write_below(folder: str | Path, parcel: AnyParcel) -> Path:
    """Write an instance below a folder; it is whole and on the disk when this returns.

    Links below the folder are not followed.

    Raises:
        NotTaken: a step cannot be done to it.
        OSError: it cannot be written; nothing half written has its name.
    """
    root = Path(folder)
    root.mkdir(parents=True, exist_ok=True)
    disk = DiskFileSystem(root)
    name = _LAYOUT.name_for(*parcel.uids())
    part = f".{token_hex(8)}.part"
    file = disk.create(part)
    try:
        try:
            for piece in parcel.pieces():
                file.append([piece])
            file.synchronize()
        finally:
            file.close()
        above = name.rpartition("/")[0]
        disk.make_folder(above)
        disk.rename(part, name)
        disk.synchronize_folder(above)
    except BaseException:
        disk.remove(part)
        raise
    finally:
        parcel.let_go()
    return root / name


def _in_memory(pieces: Iterable[bytes | memoryview | UnreadBytes]) -> Iterator[bytes | memoryview]:
    """Take pieces one after the other, those in files in parts."""
    for piece in pieces:
        if isinstance(piece, UnreadBytes):
            yield from piece.chunks(_PIECE)
        else:
            yield piece


def _in_words(error: Any) -> str:
    return f"{type(error).__name__}: {error}"
