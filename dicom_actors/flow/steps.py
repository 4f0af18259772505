"""What is done to an object on its way: another transfer syntax, no identity, other elements.

Each step gives the same for the same object however often it is done, so that one that is sent
twice is one object for its receiver, not two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors import DataSet, TransferSyntax
from dicom_actors.errors import ConfigurationError, DicomError, MissingExtraError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.deidentification import Deidentifier

__all__ = ["Deidentify", "Edit", "Step", "Transcode"]

_SOP_INSTANCE_UID: Final = 0x00080018


class Step(Protocol):
    """What is done to an object."""

    def apply(self, data_set: DataSet) -> DataSet:
        """Return what becomes of a data set; the given one may be changed.

        Raises:
            DicomError: it cannot be done to this one.
        """


@dataclass(frozen=True)
class Transcode:
    """Into another transfer syntax; see `dicom_actors.pixels.transcode`.

    Attributes:
        transfer_syntax: its UID or keyword.
        quality: for those that lose information.

    Raises:
        ConfigurationError: there is no such transfer syntax.
        MissingExtraError: the extra ``pixels`` is not installed.
    """

    transfer_syntax: str
    quality: float | None = None

    def __post_init__(self) -> None:
        try:
            TransferSyntax.of(self.transfer_syntax)
        except (DicomError, ValueError) as error:
            raise ConfigurationError(f"transcode: {error}") from error
        try:
            import dicom_actors.pixels  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise MissingExtraError("transcode: needs the extra pixels") from error

    def apply(self, data_set: DataSet) -> DataSet:
        """See `Step`."""
        from dicom_actors.pixels import transcode  # noqa: PLC0415 - an extra

        before = str(data_set.get("SOPInstanceUID") or "")
        made = transcode(data_set, self.transfer_syntax, quality=self.quality, lazily=True)
        if str(made.get("SOPInstanceUID") or "") != before:
            # A new instance, as it has lost something: the same one at the next attempt.
            made.SOPInstanceUID = _uid_made_of(before, self.transfer_syntax, str(self.quality))
        return made


@dataclass(frozen=True)
class Deidentify:
    """Without what identifies the patient; see `dicom_actors.deidentification`.

    Attributes:
        deidentifier: does it.
    """

    deidentifier: Deidentifier = field(repr=False)

    def apply(self, data_set: DataSet) -> DataSet:
        """See `Step`."""
        return self.deidentifier.deidentify(data_set)


@dataclass(frozen=True)
class Edit:
    """With other elements.

    Attributes:
        set: values by keyword or tag; None: the element is empty.
        remove: keywords or tags of elements that are removed.

    Raises:
        ConfigurationError: there is no such attribute, or it cannot have that value; or a UID
            that makes it the same as others.
    """

    set: Mapping[str, Any] = field(default_factory=dict)
    remove: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.set, Mapping):
            raise ConfigurationError(f"edit: set: expected a table, got {shown(self.set)}")
        if isinstance(self.remove, str):
            raise ConfigurationError(
                f"edit: remove: expected several keywords, as in [{self.remove!r}], got a text"
            )
        try:
            probe = DataSet()
            for key in self.remove:
                probe[key] = None
            for key, value in self.set.items():
                probe[key] = value
            if _SOP_INSTANCE_UID in probe:
                raise ValueError("all objects would have one SOP Instance UID")  # noqa: TRY301
            probe.to_bytes()
        except (DicomError, ValueError, TypeError) as error:
            raise ConfigurationError(f"edit: {error}") from error

    def apply(self, data_set: DataSet) -> DataSet:
        """See `Step`."""
        for key, value in self.set.items():
            data_set[key] = value
        for key in self.remove:
            if key in data_set:
                del data_set[key]
        return data_set


def _uid_made_of(*texts: str) -> str:
    digest = hashlib.sha256("\\".join(texts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
