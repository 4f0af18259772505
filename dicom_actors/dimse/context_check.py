"""Whether a request may stand on its presentation context. PS3.7 9.1, 10.1, PS3.8 7.1.1.13.

What an association may be used for was negotiated by abstract syntax, so that a request whose SOP
class is another one, or whose operation is none of that SOP class, was never agreed on. Where the
standard has the two differ is written down here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.data.dictionary import sop_class_services, uid_entry
from dicom_actors.dimse.command import RESPONSE, CommandField
from dicom_actors.dimse.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dicom_actors.dimse.command import Command

__all__ = ["context_mismatch", "operation_mismatch"]

_C_STORE_RQ: Final = int(CommandField.C_STORE_RQ)
_C_CANCEL_RQ: Final = int(CommandField.C_CANCEL_RQ)
_FIRST_NORMALIZED: Final = int(CommandField.N_EVENT_REPORT_RQ)

_FILM_SESSION: Final = "1.2.840.10008.5.1.1.1"
_FILM_BOX: Final = "1.2.840.10008.5.1.1.2"
_GRAYSCALE_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4"
_COLOR_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4.1"
_REFERENCED_IMAGE_BOX: Final = "1.2.840.10008.5.1.1.4.2"
_PRINTER: Final = "1.2.840.10008.5.1.1.16"
_PULL_PRINT_REQUEST: Final = "1.2.840.10008.5.1.1.31"

# Meta SOP classes: they are negotiated, their members are named (PS3.4 H.3.2.2; the retired ones
# in PS3.4-1998, -2004 and -2011). What a print server does beyond is negotiated by itself.
_MEMBERS: Final[Mapping[str, frozenset[str]]] = {
    # Basic Grayscale, Referenced Grayscale, Basic Color and Referenced Color Print Management
    "1.2.840.10008.5.1.1.9": frozenset({_FILM_SESSION, _FILM_BOX, _GRAYSCALE_IMAGE_BOX, _PRINTER}),
    "1.2.840.10008.5.1.1.9.1": frozenset(
        {_FILM_SESSION, _FILM_BOX, _REFERENCED_IMAGE_BOX, _PRINTER}
    ),
    "1.2.840.10008.5.1.1.18": frozenset({_FILM_SESSION, _FILM_BOX, _COLOR_IMAGE_BOX, _PRINTER}),
    "1.2.840.10008.5.1.1.18.1": frozenset(
        {_FILM_SESSION, _FILM_BOX, _REFERENCED_IMAGE_BOX, _PRINTER}
    ),
    # Pull Stored Print Management
    "1.2.840.10008.5.1.1.32": frozenset({_PULL_PRINT_REQUEST, _PRINTER}),
    # Detached Patient Management: Patient, Visit
    "1.2.840.10008.3.1.2.1.4": frozenset({"1.2.840.10008.3.1.2.1.1", "1.2.840.10008.3.1.2.2.1"}),
    # Detached Results Management: Results, Interpretation
    "1.2.840.10008.3.1.2.5.4": frozenset({"1.2.840.10008.3.1.2.5.1", "1.2.840.10008.3.1.2.6.1"}),
    # Detached Study Management: Study, Study Component
    "1.2.840.10008.3.1.2.5.5": frozenset({"1.2.840.10008.3.1.2.3.1", "1.2.840.10008.3.1.2.3.2"}),
    # General Purpose Worklist Management: the query, Scheduled and Performed Procedure Step
    "1.2.840.10008.5.1.4.32": frozenset(
        {
            "1.2.840.10008.5.1.4.32.1",
            "1.2.840.10008.5.1.4.32.2",
            "1.2.840.10008.5.1.4.32.3",
        }
    ),
}

# Unified Procedure Steps are instances of UPS Push whatever was negotiated, and the N-services
# name the class of the instance (PS3.4 CC.3.1). A C-FIND names what was negotiated (CC.2.8.1.2).
_CLASS_OF_INSTANCES: Final[Mapping[str, str]] = {
    **{f"1.2.840.10008.5.1.4.34.6.{n}": "1.2.840.10008.5.1.4.34.6.1" for n in (2, 3, 4, 5)},
    # the trial classes
    **{f"1.2.840.10008.5.1.4.34.4.{n}": "1.2.840.10008.5.1.4.34.4.1" for n in (2, 3, 4)},
}

# The operations as the services of SOP classes name them.
_OPERATIONS: Final[Mapping[int, str]] = {
    int(field): field.name.removesuffix("_RQ").replace("_", "-")
    for field in CommandField
    if field != _C_CANCEL_RQ
}
_OF_STORAGE: Final = frozenset({"C-STORE"})
_NOTIFICATION: Final = frozenset({"N-EVENT-REPORT"})


def context_mismatch(command: Command, abstract_syntax: str) -> int | None:
    """Return what refuses a request whose SOP class is not that of its presentation context.

    Args:
        command: the request. A response or a C-CANCEL fits always: what they answer or cancel
            was looked at.
        abstract_syntax: of the presentation context on which it came.

    Returns:
        None if it fits; else the status to answer: A900H (data set does not match SOP class) for
        a C-STORE, 0122H (SOP class not supported) for the others. A request that names no SOP
        class does not fit.

    Standard: PS3.7 9.1.1.1.9 and Annex C; PS3.4 H.3.2, CC.3.1.
    """
    sop_class_uid = command.sop_class_uid
    if sop_class_uid == abstract_syntax:
        return None
    field = command.command_field
    if field & RESPONSE or field == _C_CANCEL_RQ:
        return None
    if sop_class_uid in _MEMBERS.get(abstract_syntax, ()):
        return None
    if field >= _FIRST_NORMALIZED and sop_class_uid == _CLASS_OF_INSTANCES.get(abstract_syntax):
        return None
    if field == _C_STORE_RQ:
        return Status.DATA_SET_DOES_NOT_MATCH_SOP_CLASS
    return Status.SOP_CLASS_NOT_SUPPORTED


def operation_mismatch(command_field: int, abstract_syntax: str) -> int | None:
    """Return what refuses a request whose operation is none of its presentation context's.

    A C-STORE on the context of a query, for one. It depends on nothing else, so that the answer
    may be kept.

    Args:
        command_field: of the request.
        abstract_syntax: of the presentation context on which it came. What an unregistered one
            is for is not known; everything fits there.

    Returns:
        None if it fits; else the status to answer: 0211H (unrecognized operation).

    Standard: PS3.7 Annex C, the DIMSE service groups of PS3.4.
    """
    if command_field & RESPONSE or command_field == _C_CANCEL_RQ:
        return None
    operations = _operations_of(abstract_syntax)
    if operations is None or _OPERATIONS.get(command_field) in operations:
        return None
    return Status.UNRECOGNIZED_OPERATION


def _operations_of(abstract_syntax: str) -> frozenset[str] | None:
    """Return what may be asked for on a context; None if that is not known."""
    entry = uid_entry(abstract_syntax)
    if entry is not None and entry.is_storage:
        return _OF_STORAGE
    services = sop_class_services().get(abstract_syntax)
    if services is None:
        return None
    return (
        services.operations | _NOTIFICATION if services.has_notifications else services.operations
    )
