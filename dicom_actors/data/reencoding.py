"""A data set in another transfer syntax, as a data set of its own.

Standard: PS3.5 Annex A.
"""

# ruff: noqa: SLF001 - a data set and its codec are one thing in several modules

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.data.transfer_syntax import TransferSyntax

if TYPE_CHECKING:
    from dicom_actors.data.data_set import DataSet

__all__ = ["reencoded"]


def reencoded(data_set: DataSet, transfer_syntax: str | TransferSyntax) -> DataSet:
    """Encode a data set and read it again; see `DataSet.with_transfer_syntax`."""
    syntax = TransferSyntax.of(transfer_syntax)
    reading = data_set._scope.reading
    # A declaration that was overridden is as wrong as before.
    override = reading.character_set
    made = type(data_set).from_bytes(
        data_set.to_bytes(syntax),
        syntax,
        limits=reading.limits,
        character_set=None if override is None else override.terms,
    )
    made.file_meta = data_set.file_meta.copy()
    made.file_meta.put("TransferSyntaxUID", "UI", syntax.uid)
    return made
