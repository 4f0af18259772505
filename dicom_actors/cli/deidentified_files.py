"""Files that are de-identified one after the other, in this process or in another one."""

from __future__ import annotations

import errno
import importlib
import os
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dicom_actors.cli.deidentified_media import media_name, result_name
from dicom_actors.data import Tag, read_file
from dicom_actors.deidentification import Deidentifier, NotCleanError, Pseudonyms, Report, Rules
from dicom_actors.deidentification.options import Option
from dicom_actors.errors import DicomError, NotPart10Error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dicom_actors.data import DataSet
    from dicom_actors.deidentification.clean_file import CleanFile

__all__ = ["Outcome", "Settings", "Worker", "start", "work"]

_MEDIA_DIRECTORY = "DirectoryRecordSequence"
_MOST_ALIKE = 1_000


class Settings(NamedTuple):
    """What all processes need to know; plain values, so that it can be sent to them.

    Attributes:
        output: the folder for the results.
        options: the options of the profile.
        key: the key.
        rules: own rules as TOML; empty: none.
        mapping: pseudonyms as comma-separated values; empty: none.
        is_media: whether results are named as the files of a file set are.
        writes: whether results are written.
        keeps_uids: whether the outcome has which UID became which.
        allow_burned_in: see `Deidentifier`.
        allow_visual_features: see `Deidentifier`.
    """

    output: str
    options: tuple[str, ...]
    key: bytes
    rules: str = ""
    mapping: str = ""
    is_media: bool = False
    writes: bool = True
    keeps_uids: bool = False
    allow_burned_in: bool = False
    allow_visual_features: bool = False

    def deidentifier(self) -> Deidentifier:
        """Make what these settings say.

        Raises:
            ValueError: they make no sense.
        """
        return Deidentifier(
            "basic",
            self.options,
            salt=self.key,
            rules=Rules.from_toml(self.rules) if self.rules else None,
            pseudonyms=Pseudonyms.from_csv(self.mapping) if self.mapping else None,
            allow_burned_in=self.allow_burned_in,
            allow_visual_features=self.allow_visual_features,
            # What decompresses takes longer to load than a hundred files to clean.
            decompress=_decompress() if Option.CLEAN_PIXEL_DATA in self.options else None,
            keep_uids=self.keeps_uids,
        )


class Outcome(NamedTuple):
    """What became of a file.

    Attributes:
        source: the file.
        kind: ``"done"``, ``"same"`` (it is there already), ``"directory"`` (a DICOMDIR),
            ``"other"`` (no DICOM file), ``"refused"`` or ``"failed"``.
        message: why, where it was not done; without values.
        study: the new Study Instance UID.
        target: the result.
        length: its bytes.
        report: what was done.
    """

    source: str
    kind: str
    message: str = ""
    study: str = ""
    target: str = ""
    length: int = 0
    report: Report | None = None


class Worker:
    """De-identifies files.

    Args:
        settings: how.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deidentifier = settings.deidentifier()
        self._told: set[str] = set()

    def clean(self, source: str) -> Outcome:
        """De-identify a file, and write the result."""
        try:
            data_set = read_file(source)
            if _MEDIA_DIRECTORY in data_set:
                return Outcome(source, "directory")
            report = Report()
            made = self._deidentifier.clean_file(data_set, report)
            return self._write(source, made, report)
        except NotPart10Error:
            return Outcome(source, "other", "no DICOM file")
        except NotCleanError as error:
            return Outcome(source, "refused", str(error))
        except DicomError as error:
            # The message may have a value of the original.
            return Outcome(source, "failed", _without_values(error))
        except OSError as error:
            return Outcome(source, "failed", error.strerror or type(error).__name__)

    def new_uids(self) -> dict[str, str]:
        """Return which UID became which since this was last asked."""
        if not self._settings.keeps_uids:
            return {}
        uids = self._deidentifier.uids
        found = {old: new for old, new in uids.items() if old not in self._told and old != new}
        self._told.update(found)
        return found

    def _write(self, source: str, made: CleanFile, report: Report) -> Outcome:
        data = b"".join(made.pieces)
        study, series = made.study, made.series
        instance = made.instance or sha256(data).hexdigest()
        names = self._names(study, series, instance)
        if self._settings.writes:
            kind, target = _write_new(names, data)
        else:
            kind, target = "done", next(names)
        return Outcome(source, kind, "", study, str(target), len(data), report)

    def _names(self, study: str, series: str, instance: str) -> Iterator[Path]:
        """Give where a result may be; more than one place for an instance that is there twice."""
        root = Path(self._settings.output)
        if self._settings.is_media:
            for number in range(1, _MOST_ALIKE):
                yield root / media_name(study, series, instance, number)
            return
        target = root / result_name(study, series, instance)
        yield target
        for number in range(2, _MOST_ALIKE):
            yield target.with_name(f"{target.stem}-{number}{target.suffix}")


def _without_values(error: DicomError) -> str:
    """Say what is wrong without the error's own words, which may have a value of the original."""
    where = ""
    if getattr(error, "tag", None) is not None:
        where += f" at {Tag(error.tag)}"  # type: ignore[attr-defined]  # as was just seen
    if getattr(error, "offset", None) is not None:
        where += f", byte {error.offset}"  # type: ignore[attr-defined]
    return f"it cannot be read or written ({type(error).__name__}{where})"


def _write_new(names: Iterator[Path], data: bytes) -> tuple[str, Path]:
    """Write a file that is whole or not there, by the first name that is free.

    Where a file of other bytes has a name, an instance is there twice: nothing is lost, and
    nothing overwritten.

    Returns:
        ``"done"``, or ``"same"`` if a file of these bytes is there; and its path.
    """
    target = next(names)
    part = target.with_name(f".{target.name[:100]}.{os.getpid()}.part")
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
        for path in chain((target,), names):
            try:
                _give_name(part, path)
            except FileExistsError:
                if path.stat().st_size == len(data) and path.read_bytes() == data:
                    return "same", path
            else:
                return "done", path
    finally:
        part.unlink(missing_ok=True)
    raise FileExistsError(errno.EEXIST, "too many files of one instance")


def _give_name(part: Path, path: Path) -> None:
    """Give a file a second name, or its only one where the file system has no links.

    Raises:
        FileExistsError: a file has that name.
    """
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(errno.EEXIST, "it is there", str(path)) from None
        part.replace(path)


def _decompress() -> Callable[[DataSet], DataSet] | None:
    """Find what decompresses pixel data; None where the extra for pixels is not installed."""
    try:
        pixels: Any = importlib.import_module("dicom_actors.pixels")
        found: Callable[[DataSet], DataSet] | None = getattr(pixels, "decompress", None)
    except ImportError:
        return None
    return found


_worker: list[Worker] = []
"""The one of a process that works for another one."""


def start(settings: Settings) -> None:
    """Get a process ready."""
    _worker[:] = [Worker(settings)]


def work(sources: list[str]) -> tuple[list[Outcome], dict[str, str]]:
    """De-identify some files; returns what became of them, and which UID became which."""
    worker = _worker[0]
    return [worker.clean(source) for source in sources], worker.new_uids()
