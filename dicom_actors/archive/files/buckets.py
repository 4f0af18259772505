"""Which buckets an archive has had: each has an id, which is in the locations of its objects.

A file in the archive's folder says which id means which address, so that objects of several
buckets, and files, stand side by side in one index; a bucket that has moved is given its new
address there. The id of a bucket is made of the address that it had first.
"""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Final

from dicom_actors.archive.files.bucket import check_bucket_url, open_bucket
from dicom_actors.errors import ArchiveError, ConfigurationError

if TYPE_CHECKING:
    from dicom_actors.archive.files.bucket import ObjectStore
    from dicom_actors.archive.files.file_system import FileSystem

__all__ = ["REGISTER", "Buckets"]

REGISTER: Final = "buckets.json"


class Buckets:
    """The buckets of an archive; any thread may use it.

    Args:
        file_system: of the archive's folder.
        timeout: seconds for a request to one of them.
    """

    def __init__(self, file_system: FileSystem, timeout: float) -> None:
        self._disk = file_system
        self._timeout = timeout
        self._lock = threading.Lock()
        self._open: dict[str, ObjectStore] = {}

    def addresses(self) -> dict[str, str]:
        """The address of each bucket by its id.

        Raises:
            ArchiveError: the file that says so is damaged.
            OSError: it cannot be read.
        """
        if self._disk.size(REGISTER) is None:
            return {}
        try:
            found = json.loads(bytes(self._disk.read(REGISTER)))
            for url in found.values():
                check_bucket_url(url)
        except (ValueError, AttributeError, ConfigurationError) as error:
            raise ArchiveError(
                f'{REGISTER}: expected a JSON object of {{"id": "s3://..."}}', "damaged"
            ) from error
        return dict(found)

    def register(self, url: str) -> str:
        """Give the id of a bucket, which is noted for good before this returns.

        Raises:
            ConfigurationError: the address is none, or what is needed for it is not installed.
            ArchiveError: as for `addresses`.
            OSError: it cannot be noted.
        """
        bucket = open_bucket(url, self._timeout)
        with self._lock:
            known = self.addresses()
            name = next((one for one, address in known.items() if address == url), "")
            if not name:
                name = f"b{hashlib.sha256(url.encode()).hexdigest()[:8]}"
                self._note({**known, name: url})
            self._open[name] = bucket
        return name

    def _note(self, addresses: dict[str, str]) -> None:
        part = f"{REGISTER}.part"
        self._disk.remove(part)
        file = self._disk.create(part)
        try:
            file.append([json.dumps(addresses, indent=1).encode()])
            file.synchronize()
        finally:
            file.close()
        self._disk.rename(part, REGISTER)
        self._disk.synchronize_folder("")

    def get(self, name: str) -> ObjectStore:
        """The bucket of an id.

        Raises:
            OSError: there is none of that id.
        """
        with self._lock:
            found = self._open.get(name)
            if found is not None:
                return found
            try:
                url = self.addresses().get(name)
                if url is None:
                    raise OSError(f"{REGISTER} names no bucket {name!r}")
                found = self._open[name] = open_bucket(url, self._timeout)
            except (ArchiveError, ConfigurationError) as error:
                raise OSError(str(error)) from error
            return found
