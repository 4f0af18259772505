"""What an archive has, as the services of the web ask for it."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from dicom_actors import read_file, read_large
from dicom_actors.archive.index.attributes import Level
from dicom_actors.errors import ArchiveError, DataError
from dicom_actors.web.exchange import HttpError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from dicom_actors import DataSet
    from dicom_actors.archive import Archive, StoredInstance
    from dicom_actors.archive.files import FileBytes
    from dicom_actors.web.pictures import Images, Pictures

__all__ = ["Held", "unavailable"]

_Bytes = TypeVar("_Bytes")

_AS_WANTED: Final = 64 * 1024
"""Bytes that go from a file to a socket with less work than through memory."""
_DEFLATED: Final = "1.2.840.10008.1.2.1.99"

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

        A large value is left in its file (`DataElement.unread`); where it is deflated, in one that
        it is inflated to, which has no name.

        Raises:
            HttpError: as `read` does.
        """
        return _data_set_of(self.open(instance))

    def keywords_of(
        self, instance: StoredInstance, file: memoryview | FileBytes, keywords: Iterable[str]
    ) -> DataSet:
        """Read some elements of an instance, or more than these.

        Args:
            instance: the instance.
            file: what `open` has given of it.
            keywords: which.

        Raises:
            HttpError: as `read` does.
        """
        if instance.transfer_syntax_uid == _DEFLATED:  # to read some takes all of it
            return self.data_set(instance)
        source = file if isinstance(file, memoryview) else file.as_file()
        try:
            return read_file(source, keywords=keywords)
        except DataError as error:
            raise HttpError(500, "the instance is damaged") from error

    def images(self, instance: StoredInstance, pictures: Pictures) -> Images:
        """Give its frames, to be decoded; of a large file those alone are read that are wanted.

        Raises:
            HttpError: as `read` does.
            DataError: it has none, or they cannot be decoded.
            OSError: it cannot be read.
        """
        file = self.open(instance)
        return pictures.open(_data_set_of(file) if isinstance(file, memoryview) else file)


def _data_set_of(file: memoryview | FileBytes) -> DataSet:
    try:
        return read_large(file)
    except DataError as error:
        raise HttpError(500, "the instance is damaged") from error
    except OSError as error:
        raise HttpError(503, "the file cannot be read now") from error


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
