"""The information models that ``find``, ``get`` and ``move`` are asked for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dicom_actors.cli.usage import UsageError
from dicom_actors.scu.query_models import sop_class_for
from dicom_actors.storage.contexts import transfer_syntaxes_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dicom_actors.data import DataSet

__all__ = ["sop_class_of", "sop_classes_of_retrieval", "transfer_syntaxes_of"]


def sop_class_of(model: str | None, operation: str, identifier: DataSet) -> str:
    """Return the SOP class of a query or retrieval, before anybody is called.

    Raises:
        UsageError: there is none.
    """
    try:
        return sop_class_for(model, operation, identifier)
    except ValueError as error:
        raise UsageError(str(error)) from error


def sop_classes_of_retrieval(
    model: str | None, operation: str, identifier: DataSet
) -> tuple[str, ...]:
    """Return the SOP class of a retrieval, and that of the queries of its model if it has any.

    Some archives expect both to be proposed.

    Raises:
        UsageError: there is none.
    """
    sop_class = sop_class_of(model, operation, identifier)
    try:
        return sop_class, sop_class_for(model, "C-FIND", identifier)
    except ValueError:
        return (sop_class,)


def transfer_syntaxes_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the UIDs of transfer syntaxes that are given by UID or keyword.

    Raises:
        UsageError: a name is neither.
    """
    try:
        return transfer_syntaxes_named(names)
    except ValueError as error:
        raise UsageError(str(error)) from error
