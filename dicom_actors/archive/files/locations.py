"""Where the bytes of an instance are: the text that stands for it in the index.

- ``<study>/<series>/<instance>.dcm``: a file of its own, by the pattern of the day;
- ``incoming/<name>.dcm``: a file that waits for its place;
- ``journal/<number>.journal:<offset>``: so many bytes of a journal, from there on;
- ``@<bucket>/<key>``: an object in a bucket; which one says `buckets`;
- an absolute path: a file that was adopted and stays where it is.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final, NamedTuple

__all__ = ["CACHE", "INCOMING", "JOURNAL", "METADATA", "OUTGOING", "REBUILD", "Location"]

INCOMING: Final = "incoming"
JOURNAL: Final = "journal"
CACHE: Final = "cache"
"""The folder of copies of what is in buckets; no location is there."""
METADATA: Final = "metadata"
"""Metadata of series that were made for the web; nothing is kept there."""
OUTGOING: Final = "outgoing"
"""Copies that programs were given; nothing is kept there."""
REBUILD: Final = "index.rebuild"
"""The file that is there while the index was lost, and is not yet made anew."""


class Location(NamedTuple):
    """A location, taken apart.

    Attributes:
        name: the file, relative to the archive's folder, or absolute.
        offset: where in it the object begins, in bytes.
    """

    name: str
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.offset}" if self.is_in_journal else self.name

    @classmethod
    def of(cls, text: str) -> Location:
        """Take the text of a row apart."""
        if text.startswith(f"{JOURNAL}/"):
            name, _, offset = text.rpartition(":")
            return cls(name, int(offset))
        return cls(text)

    @classmethod
    def in_bucket(cls, bucket: str, key: str) -> Location:
        """Make the location of an object in a bucket."""
        return cls(f"@{bucket}/{key}")

    @property
    def is_in_bucket(self) -> bool:
        """Whether it is an object in a bucket; no file's name begins like that."""
        return self.name.startswith("@")

    @property
    def bucket_and_key(self) -> tuple[str, str]:
        """The id of the bucket, and the key there."""
        bucket, _, key = self.name[1:].partition("/")
        return bucket, key

    @property
    def is_in_journal(self) -> bool:
        """Whether it is a part of a journal."""
        return self.name.startswith(f"{JOURNAL}/")

    @property
    def is_placed(self) -> bool:
        """Whether it is in its final place."""
        return not self.name.startswith((f"{JOURNAL}/", f"{INCOMING}/"))

    @property
    def is_adopted(self) -> bool:
        """Whether it is a file elsewhere, which is nobody's but its owner's to remove."""
        return PurePath(self.name).is_absolute()
