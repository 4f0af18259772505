"""The settings of an archive: frozen, checked once, each with its default and unit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from dicom_actors.archive.files import DEFAULT_PATTERN, Layout, check_bucket_url
from dicom_actors.errors import ConfigurationError

__all__ = ["ArchiveSettings"]

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB

_CHOICES: Final = {
    "durability": ("disk", "os"),
    "upload": ("before", "after"),
    "duplicates": ("keep-first", "replace", "keep-both"),
}
# What each number may be: lowest, highest.
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "journal_object_bytes": (0, 64 * _MIB),
    "journal_bytes": (_MIB, 64 * 1024 * _MIB),
    "journal_seconds": (0.001, 86_400),
    "group": (1, 100_000),
    "group_seconds": (0, 10),
    "warn_free_bytes": (0, 1 << 60),
    "reserve_bytes": (0, 1 << 60),
    "disk_interval": (0.01, 86_400),
    "study_quiet_seconds": (0.001, 86_400),
    "bucket_timeout": (0.01, 86_400),
    "cache_bytes": (0, 1 << 60),
    "answer_timeout": (0.001, 86_400),
    "node_lease_seconds": (0.1, 3_600),
    "restarts": (0, 1_000_000),
    "restart_period": (0.001, 86_400),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """How an archive keeps things.

    Attributes:
        durability: ``"disk"``: what was kept survives a power cut; ``"os"``: it survives the end
            of the process in any way, and the system writes when it likes.
        duplicates: what becomes of other bytes under the UID of an instance that is there:
            ``"keep-first"`` refuses them (0111H), ``"replace"`` keeps the new ones alone (0000H),
            ``"keep-both"`` keeps them as another version, and the first is answered with (0000H).
        layout: where files are, below the folder; a pattern of ``{study}``, ``{series}``,
            ``{instance}`` and ``{hash}``. It holds for what comes from now on.
        bucket: where objects have their places instead of the folder: ``s3://BUCKET/PREFIX``, or
            ``gs://`` or ``az://``, with credentials from the environment; empty: in the folder. The
            index stays there, and what was kept before stays where it is.
        upload: ``"before"``: what was kept is in the bucket; ``"after"``: it is on the disk, and
            in the bucket as soon as can be.
        bucket_timeout: seconds for a request to a bucket.
        cache_bytes: bytes of what was read of a bucket that are kept on the disk; 0: none.
        journal_object_bytes: up to this many bytes an object goes through the journal; 0: none.
        journal_bytes: a journal of so many bytes is unpacked to files.
        journal_seconds: and so is one to which nothing came for so long.
        group: so many objects at the most share a synchronization, and a transaction.
        group_seconds: and none waits longer than this for others.
        warn_free_bytes: with less room on the disk there is a warning.
        reserve_bytes: with less room objects are refused (A700H), before anything breaks. None:
            256 MiB, but of a small disk no more than an eighth.
        disk_interval: seconds between looks at the room there is.
        study_quiet_seconds: a study to which nothing came for so long is complete, unless an
            association is open that has sent to it.
        answer_timeout: seconds after which a disk that does not answer is a failure.
        node_lease_seconds: where several processes share an index of PostgreSQL, one that was not
            heard of for so long is gone, and others go on with what it has left.
        restarts: crashes of its actors that an archive survives within ``restart_period``.
        restart_period: see ``restarts``; seconds.

    Raises:
        ConfigurationError: a setting is out of its range; the message names it.
    """

    durability: str = "disk"
    duplicates: str = "keep-first"
    layout: str = DEFAULT_PATTERN
    bucket: str = ""
    upload: str = "before"
    bucket_timeout: float = 30.0
    cache_bytes: int = 1024 * _MIB
    journal_object_bytes: int = 256 * _KIB
    journal_bytes: int = 64 * _MIB
    journal_seconds: float = 2.0
    group: int = 256
    group_seconds: float = 0.003
    warn_free_bytes: int = 2048 * _MIB
    reserve_bytes: int | None = None
    disk_interval: float = 5.0
    study_quiet_seconds: float = 60.0
    answer_timeout: float = 120.0
    node_lease_seconds: float = 15.0
    restarts: int = 1_000
    restart_period: float = 60.0

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigurationError(
                    f"{name}: expected {' or '.join(map(repr, choices))},"
                    f" got {getattr(self, name)!r}"
                )
        for name in ("layout", "bucket"):
            if not isinstance(getattr(self, name), str):
                got = type(getattr(self, name)).__name__
                raise ConfigurationError(f"{name}: expected a text, got {got}")
        Layout(self.layout)
        if self.bucket:
            check_bucket_url(self.bucket)
        for field in fields(self):
            is_said = getattr(self, field.name) is not None or field.type != "int | None"
            if field.name in _RANGES and is_said:
                self._check_number(field.name, is_whole=str(field.type).startswith("int"))

    def _check_number(self, name: str, *, is_whole: bool) -> None:
        lowest, highest = _RANGES[name]
        value = getattr(self, name)
        kinds = int if is_whole else int | float
        is_number = isinstance(value, kinds) and not isinstance(value, bool)
        if not is_number or not lowest <= value <= highest:
            what = "a whole number" if is_whole else "a number"
            raise ConfigurationError(
                f"{name}: expected {what} from {lowest} to {highest}, got {value!r}"
            )
