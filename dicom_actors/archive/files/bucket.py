"""A bucket of an object store: the five calls that an archive makes of one.

What goes wrong comes as OSError, like that of a disk, so that whoever keeps objects need not know
which of both it was. What a server answers is not repeated in it: that can name access keys.
Credentials, region and endpoint come from where the store's own tools have them (for S3 the
environment: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` and so on, or the machine's role).

Needs obstore (the extra ``s3``).
"""

from __future__ import annotations

import contextlib
import errno
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Parts = Sequence[bytes | bytearray | memoryview]

__all__ = ["Bucket", "ObjectStore", "check_bucket_url", "open_bucket"]

SCHEMES: Final = ("s3", "gs", "az")
_PART_BYTES: Final = 8 * 1024 * 1024
"""From so many bytes on an object is uploaded in parts of so many; S3 wants 5 MiB at least."""
_PARTS_AT_ONCE: Final = 4
_CHUNK_BYTES: Final = 1024 * 1024
_ATTEMPTS: Final = 3
_STATUS: Final = re.compile(r"\b(?:status code|status)[:\s]+(\d{3})\b", re.IGNORECASE)


class ObjectStore(Protocol):
    """A bucket, or a folder of one. Everything raises OSError; any thread may use it."""

    def put(self, key: str, parts: Parts) -> None:
        """Keep an object; it is durable when this returns. One of that key is replaced."""

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """Give the bytes of an object, or some of them; fewer, if there are no more."""

    def chunks(self, key: str) -> Iterator[bytes | memoryview]:
        """Give the bytes of an object one after the other."""

    def size(self, key: str) -> int | None:
        """The bytes of an object; None: there is none."""

    def remove(self, key: str) -> None:
        """Remove an object; one that is not there does no harm."""

    def keys(self) -> Iterator[str]:
        """Give the keys of all objects."""


def check_bucket_url(url: str) -> None:
    """See that a text is the address of a bucket.

    Raises:
        ConfigurationError: it is none, or holds credentials, which do not belong there.
    """
    try:
        parts = urlsplit(url)
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        parts, is_plain = urlsplit(""), False
    if parts.scheme not in SCHEMES or not parts.netloc or not is_plain:
        # Not repeated: it may hold a password.
        raise ConfigurationError(
            "bucket: expected SCHEME://BUCKET or SCHEME://BUCKET/PREFIX, with s3, gs or az as"
            " scheme and without credentials (these are taken from the environment)"
        )


def open_bucket(url: str, timeout: float) -> Bucket:
    """Have a bucket ready; nobody is asked yet.

    Args:
        url: its address; see `check_bucket_url`.
        timeout: seconds for a request, and for attempts at one.

    Raises:
        ConfigurationError: it is no such address, or obstore is not installed, or does not take
            what the environment says.
    """
    check_bucket_url(url)
    try:
        import obstore  # noqa: PLC0415 - an extra
        from obstore.exceptions import BaseError  # noqa: PLC0415
        from obstore.store import from_url  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError("bucket: needs obstore: dicom-actors[s3]") from error
    seconds = timedelta(seconds=timeout)
    try:
        store = from_url(
            url,
            # An endpoint with http:// is one that somebody has asked for.
            client_options={"timeout": seconds, "connect_timeout": seconds, "allow_http": True},
            retry_config={"max_retries": _ATTEMPTS - 1, "retry_timeout": seconds},
        )
    except (BaseError, ValueError) as error:
        raise ConfigurationError(f"bucket: {url} cannot be used: {type(error).__name__}") from None
    return Bucket(url, store, obstore)


class Bucket:
    """See `ObjectStore`; made by `open_bucket`."""

    def __init__(self, url: str, store: Any, obstore: Any) -> None:
        self.url: Final = url
        self._store = store
        self._obstore = obstore

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (self._obstore.exceptions.NotFoundError, FileNotFoundError):
            raise FileNotFoundError(errno.ENOENT, "there is no such object", self.url) from None
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            raise _failure(self.url, error) from None

    def put(self, key: str, parts: Parts) -> None:
        """See `ObjectStore.put`."""
        with self._asking():
            if sum(map(len, parts)) <= _PART_BYTES:
                self._obstore.put(self._store, key, b"".join(parts), use_multipart=False)
            else:
                self._obstore.put(
                    self._store,
                    key,
                    _slices(parts),
                    use_multipart=True,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        """See `ObjectStore.read`."""
        if length == 0:
            return memoryview(b"")
        with self._asking():
            if length is not None:
                found = self._obstore.get_range(self._store, key, start=offset, length=length)
                return memoryview(found).toreadonly()
            whole = memoryview(self._obstore.get(self._store, key).bytes()).toreadonly()
            return whole[offset:]

    def chunks(self, key: str) -> Iterator[bytes | memoryview]:
        """See `ObjectStore.chunks`."""
        with self._asking():
            for chunk in self._obstore.get(self._store, key).stream(min_chunk_size=_CHUNK_BYTES):
                yield memoryview(chunk)

    def size(self, key: str) -> int | None:
        """See `ObjectStore.size`."""
        try:
            with self._asking():
                return int(self._obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def remove(self, key: str) -> None:
        """See `ObjectStore.remove`."""
        with contextlib.suppress(FileNotFoundError), self._asking():
            self._obstore.delete(self._store, key)

    def keys(self) -> Iterator[str]:
        """See `ObjectStore.keys`."""
        with self._asking():
            for found in self._obstore.list(self._store):
                for one in found:
                    yield str(one["path"])


def _slices(parts: Parts) -> Iterator[memoryview]:
    for part in parts:
        view = memoryview(part)
        for at in range(0, len(view), _PART_BYTES):
            yield view[at : at + _PART_BYTES]


def _failure(url: str, error: Exception) -> OSError:
    """Make an error of the disk's kind, with nothing in it that came from the server."""
    name = type(error).__name__
    if name in {"PermissionDeniedError", "UnauthenticatedError"}:
        return PermissionError(errno.EACCES, "the object store refuses our credentials", url)
    found = _STATUS.search(str(error))
    what = f"it answered {found[1]}" if found else "it cannot be reached, or does not answer"
    return OSError(errno.EIO, f"the object store failed: {what}", url)
