"""What an archive has, as the services of the web ask for it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from dicom_actors import DataSet, read_file
from dicom_actors.archive.files import FileBytes, Location
from dicom_actors.archive.index.attributes import Level
from dicom_actors.errors import ArchiveError, DataError, FileChangedError
from dicom_actors.web.exchange import HttpError
from dicom_actors.web.large_values import LARGE, cut_out, value_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dicom_actors.archive import Archive, StoredInstance
    from dicom_actors.web.large_values import LargeValue
    from dicom_actors.web.pictures import Images, Pictures

__all__ = ["Held", "unavailable"]

_Bytes = TypeVar("_Bytes")

_AS_WANTED: Final = 64 * 1024
"""Bytes that go from a file to a socket with less work than through memory."""

_LEVELS: Final = {
    "study": Level.STUDY,
    "series": Level.SERIES,
    "instance": Level.IMAGE,
}


class Held:
    """An archive. Any thread may use it.

    Args:
        archive: the archive.
        max_instances: of one request.
    """

    def __init__(self, archive: Archive, max_instances: int) -> None:
        self.archive: Final = archive
        self._max_instances: Final = max_instances

    def instances(self, uids: Mapping[str, str]) -> list[StoredInstance]:
        """Find the instances that a path names, series by series, in order of their numbers.

        Args:
            uids: what stands in the path, by the names of `routing.UIDS`.

        Raises:
            HttpError: 404, there are none; 413, there are too many; 503, the index is busy.
        """
        keys = {level: [uids[name]] for name, level in _LEVELS.items() if name in uids}
        try:
            with self.archive.reader() as reader:
                found = list(reader.named(keys, limit=self._max_instances + 1))
        except ArchiveError as error:
            raise unavailable(error) from error
        if not found:
            raise HttpError(404, "there are no such instances")
        if len(found) > self._max_instances:
            raise HttpError(413, f"expected up to {self._max_instances} instances")
        return found

    def instance(self, uids: Mapping[str, str]) -> StoredInstance:
        """Find an instance; raises HttpError as `instances` does."""
        return self.instances(uids)[0]

    def read(self, instance: StoredInstance) -> memoryview:
        """Give the bytes of its file, all of them in memory.

        Raises:
            HttpError: 410, it was deleted meanwhile; 500, it is damaged; 503, it cannot be read.
        """
        return self._given(self.archive.read, instance)

    def open(self, instance: StoredInstance) -> memoryview | FileBytes:
        """Give the bytes of its file, many of them as they are wanted; raises as `read` does."""
        return self._given(partial(self.archive.open_bytes, as_wanted=_AS_WANTED), instance)

    def open_each(self, instances: Iterable[StoredInstance]) -> Iterator[memoryview | FileBytes]:
        """Give what `open` gives, one after the other; raises as `read` does."""
        with _told():
            yield from self.archive.open_each(instances, as_wanted=_AS_WANTED)

    @staticmethod
    def _given(give: Callable[[StoredInstance], _Bytes], instance: StoredInstance) -> _Bytes:
        with _told():
            return give(instance)

    def data_set(self, instance: StoredInstance) -> DataSet:
        """Read an instance; values are decoded when they are asked for.

        Raises:
            HttpError: as `read` does.
        """
        try:
            return read_file(self.read(instance))
        except DataError as error:
            raise HttpError(500, "the instance is damaged") from error

    def cut_out(self, instance: StoredInstance) -> LargeValue | None:
        """Read a large instance but for its large value; None: it is to be read whole.

        Raises:
            HttpError: as `read` does.
        """
        file = self._large(instance)
        return None if file is None else self._tried(cut_out, self.archive, file, instance)

    def value_at(self, instance: StoredInstance, tag: int) -> FileBytes | None:
        """Find a value of a large instance; see `large_values.value_at`. Raises as `read` does."""
        file = self._large(instance)
        return None if file is None else self._tried(value_at, file, instance, tag)

    def _large(self, instance: StoredInstance) -> FileBytes | None:
        file = self.open(instance) if instance.size >= LARGE else None
        return file if isinstance(file, FileBytes) else None

    @staticmethod
    def _tried(look: Callable[..., _Bytes], *arguments: object) -> _Bytes:
        try:
            return look(*arguments)
        except (OSError, FileChangedError) as error:
            raise HttpError(503, "the file cannot be read now") from error

    def images(self, instance: StoredInstance, pictures: Pictures) -> Images:
        """Give its frames, to be decoded; of a large file those alone are read that are wanted.

        Raises:
            HttpError: as `read` does.
            DataError: it has none, or they cannot be decoded.
        """
        if instance.size >= LARGE:
            path = self.archive.store.path(Location.of(instance.location))
            if path is not None:
                with suppress(FileNotFoundError):  # it is somewhere else meanwhile
                    return pictures.open(path)
        return pictures.open(self.data_set(instance))


@contextmanager
def _told() -> Iterator[None]:
    """Have HTTP tell why a file cannot be read."""
    try:
        yield
    except ArchiveError as error:
        raise unavailable(error) from error
    except OSError as error:
        raise HttpError(503, "the file cannot be read now") from error


def unavailable(error: ArchiveError) -> HttpError:
    """Say by HTTP what ails an archive. What its message says of paths is for whoever runs it."""
    if error.reason == "deleted":
        return HttpError(410, "it was deleted")
    if error.reason == "full":
        return HttpError(507, "there is no room")
    if error.reason == "damaged":
        return HttpError(500, "it is damaged")
    return HttpError(503, f"the archive cannot answer now: {error.reason}", retry_after="5")
