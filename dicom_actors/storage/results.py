"""What became of an object that was to be stored. PS3.7 9.1.1, PS3.4 B.2.3."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.dimse import StatusCategory, category_of

__all__ = ["STORED_BEFORE", "StoreResult"]

STORED_BEFORE: Final = "stored before"
"""How the comment on an object begins that was not sent, since a journal says that it is stored."""


class StoreResult(NamedTuple):
    """What became of an object that was to be stored; true if the peer has it.

    Attributes:
        status: what the peer answered; None if it was not asked or did not answer.
        sop_instance_uid: the object; empty if it could not be read.
        source: what was given: a data set, a path, or bytes.
        comment: the peer's comment, or why there is no answer.
        error: the exception behind the comment, where there was one: of the file, of the data
            set in it, or of the association.
    """

    status: int | None
    sop_instance_uid: str
    source: Any
    comment: str = ""
    error: Exception | None = None

    def __repr__(self) -> str:
        """Show what was given as its name or length."""
        status = "None" if self.status is None else f"{self.status:04X}H"
        source = self.source
        if isinstance(source, bytes | bytearray | memoryview):
            source = f"<{len(source)} bytes>"
        elif isinstance(source, DataSet):
            source = repr(source)
        return f"StoreResult({status}, {self.sop_instance_uid!r}, {source}, {self.comment!r})"

    def __bool__(self) -> bool:
        """Whether the peer has it, as `is_stored`."""
        return self.is_stored

    @property
    def is_stored(self) -> bool:
        """Whether the peer has it, with or without a warning."""
        return self.status is not None and category_of(self.status) in {
            StatusCategory.SUCCESS,
            StatusCategory.WARNING,
        }
