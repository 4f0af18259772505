"""``dicom-actors get`` and ``dicom-actors move``: objects out of an archive.

C-GET brings them here, C-MOVE has them sent to an application entity. PS3.4 C.4.2 and C.4.3.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.connecting import associated, peer_of, web_client
from dicom_actors.cli.keys import retrieval_for
from dicom_actors.cli.last_result import are_numbers, identifier_of_rows
from dicom_actors.cli.models import (
    sop_class_of,
    sop_classes_of_retrieval,
    transfer_syntaxes_of,
)
from dicom_actors.cli.object_files import ObjectFolder
from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import (
    complain,
    counted,
    show_anything,
)
from dicom_actors.cli.usage import UsageError
from dicom_actors.dimse import describe_status

if TYPE_CHECKING:
    from argparse import Namespace

    from dicom_actors.cli.peers import Peer
    from dicom_actors.cli.terminal import Progress
    from dicom_actors.data import DataSet
    from dicom_actors.scu import MoveProgress, Operation

__all__ = ["get", "move"]

_SERVICE: Final = "Query/Retrieve C-MOVE"
_UIDS: Final = {
    "STUDY": ("StudyInstanceUID",),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
}
_HINT: Final = (
    "; an object comes only in a transfer syntax that was proposed for its SOP class: name it"
    " with --transfer-syntax (`--verbose` shows what was negotiated)"
)


def get(options: Namespace) -> int:
    """Keep what the peer sends as files.

    Returns:
        0, or 1 if the peer could not send everything.

    Raises:
        UsageError: the keys are wrong.
        DimseFailure: the peer says that it cannot do it.
        AssociationError: there is no association, or it was lost.
        OSError: a file cannot be written.
    """
    identifier = _identifier(options)
    peer = peer_of(options)
    if peer.url is None:
        sop_class_of(options.model, "C-GET", identifier)
    syntaxes = transfer_syntaxes_of(options.transfer_syntax)
    show_anything()
    folder = ObjectFolder(options)
    if peer.url is not None:
        return _get_by_web(options, peer, identifier, folder, syntaxes)
    try:
        operation = _fetch(options, identifier, folder)
    except BaseException:
        if folder.count:
            folder.print_summary()
        raise
    folder.print_summary()
    return _report(operation, as_json=options.json, hint=_HINT)


def _fetch(
    options: Namespace,
    identifier: DataSet,
    folder: ObjectFolder,
) -> Operation[DataSet]:
    with associated(options) as association, progress(options) as bar:
        operation = association.get(
            identifier,
            model=options.model,
            transfer_syntaxes=options.transfer_syntax or None,
            on_warning="ignore",
        )
        with contextlib.closing(operation) as instances:
            for instance in instances:
                length = folder.keep(instance)
                _show(bar, operation, folder.count, length)
    return operation


def _get_by_web(
    options: Namespace, peer: Peer, identifier: DataSet, folder: ObjectFolder, syntaxes: Any
) -> int:
    """Find what there is, since DICOMweb retrieves by UIDs alone, and retrieve it (WADO-RS)."""
    level = str(identifier.get("QueryRetrieveLevel") or "STUDY")
    if level not in _UIDS:
        raise UsageError(f"by HTTP: expected the level STUDY, SERIES or IMAGE, got {level}")
    wanted = syntaxes[0] if syntaxes else "*"
    try:
        with web_client(options, peer) as client, progress(options) as bar:
            asked = identifier.copy()
            for keyword in _UIDS[level]:
                if keyword not in asked:
                    asked[keyword] = None
            for found in list(client.find(level, asked)):
                uids = [str(found.get(keyword) or "") for keyword in _UIDS[level]]
                for instance in client.retrieve(*uids, transfer_syntax=wanted):
                    bar.add(length=folder.keep(instance))
    finally:
        folder.print_summary()
    return 0


def _show(bar: Progress, operation: Operation[DataSet], count: int, length: int) -> None:
    bar.add(length=length)
    counts = operation.progress
    if counts is not None and counts.remaining is not None:
        # What it counts as remaining is what it told before this object.
        bar.move_to(count, max(count, _done(counts) + counts.remaining))


def move(options: Namespace) -> int:
    """Have objects sent to an application entity that the peer knows, and say how far it is.

    Returns:
        0, or 1 if some could not be sent.

    Raises:
        UsageError: the keys are wrong.
        DimseFailure: the peer says that it cannot do it.
        AssociationError: there is no association, or it was lost.
    """
    identifier = _identifier(options)
    sop_classes = sop_classes_of_retrieval(options.model, "C-MOVE", identifier)
    with (
        associated(options, contexts=sop_classes) as association,
        progress(options) as bar,
    ):
        operation = association.move(
            identifier, options.destination, model=sop_classes[0], on_warning="ignore"
        )
        with contextlib.closing(operation) as steps:
            for step in steps:
                if options.json:
                    print(json.dumps(step._asdict()), flush=True)
                done = _done(step)
                bar.move_to(done, None if step.remaining is None else done + step.remaining)
    counts = operation.progress
    if not options.json and counts is not None:
        print(
            f"{counted(counts.completed or 0, 'object')} sent to {options.destination}, "
            f"{counts.warning or 0} with a warning, {counts.failed or 0} failed"
        )
    return _report(operation, as_json=False)


def _identifier(options: Namespace) -> DataSet:
    """What is to be retrieved: what the keys say, or rows of the last table of ``find``."""
    if are_numbers(options.keys):
        return identifier_of_rows(peer_of(options).address, options.keys)
    return retrieval_for(options.keys, options.level)


def _done(counts: MoveProgress) -> int:
    return (counts.completed or 0) + (counts.failed or 0) + (counts.warning or 0)


def _report(operation: Operation[Any], *, as_json: bool, hint: str = "") -> int:
    """Say which objects failed and how it ended; returns the exit code."""
    counts, status = operation.progress, operation.status
    failed = counts.failed or 0 if counts is not None else 0
    for uid in counts.failed_sop_instance_uids if counts is not None else ():
        complain(f"{uid}: the peer could not send it")
        if as_json:
            print(json.dumps({"path": None, "sop_instance_uid": uid, "bytes": None}))
    if failed:
        complain(f"{counted(failed, 'object')} not sent by the peer{hint}")
    elif status:
        complain(f"the peer ended it with {describe_status(status, _SERVICE)}")
    return 1 if failed or status else 0
