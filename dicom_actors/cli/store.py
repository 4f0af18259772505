"""``dicom-actors store PEER PATH...``: send files and folders of them (C-STORE, PS3.4 B)."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.connecting import associated, peer_of, web_client
from dicom_actors.cli.progress import progress
from dicom_actors.cli.store_report import Report
from dicom_actors.cli.terminal import show_anything
from dicom_actors.cli.transcoder import transcoder_of
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import AssociationError, DicomError
from dicom_actors.scu import contexts_for

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from dicom_actors.cli.peers import Peer
    from dicom_actors.pixels import Transcoder
    from dicom_actors.scu import ProposedContext

__all__ = ["store"]

_MEDIA_DIRECTORY: Final = "DICOMDIR"
_FEW: Final = 256


def store(options: Namespace) -> int:
    """Send what the user named, and report what could not be stored.

    Returns:
        0, or 1 if anything was not stored.

    Raises:
        UsageError: what is to be watched is no folder.
        DicomError: there is nothing to store.
    """
    show_anything()
    report = Report(as_json=options.json, verbose=options.verbose)
    peer = peer_of(options)
    if options.watch:
        return _watch(options, report)
    files = _files(options.paths, report)
    if not files and not report.failures:
        raise DicomError(f"there are no files in {', '.join(options.paths)}")
    try:
        if files and peer.url is not None:
            _send_by_web(options, peer, files, report)
        elif files:
            _send(options, files, report)
    except AssociationError as error:
        report.end = str(error)
    except KeyboardInterrupt:
        report.finish("interrupted")
        raise
    return report.finish(report.end)


def _watch(options: Namespace, report: Report) -> int:
    from dicom_actors.cli.watching import watch

    if missing := [path for path in options.paths if not Path(path).is_dir()]:
        raise UsageError(f"--watch: expected folders, got {', '.join(missing)}")
    try:
        watch(options, report, lambda: time.sleep(options.interval))
    except KeyboardInterrupt:
        report.finish("interrupted")
        raise
    return 0


def _files(paths: Sequence[str], report: Report) -> dict[str, int]:
    """Find the files and their sizes; of folders all below, but for indexes of media."""
    found: dict[str, int] = {}

    def failed(error: OSError) -> None:
        report.fail(str(error.filename), f"not sent: {error.strerror}")

    for path in paths:
        if not Path(path).is_dir():
            found[path] = _size_of(path)
            continue
        for folder, folders, names in os.walk(path, onerror=failed):
            folders.sort()
            for name in sorted(names):
                if name != _MEDIA_DIRECTORY:
                    file = str(Path(folder, name))
                    found[file] = _size_of(file)
    return found


def _size_of(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # sending it says why


def _send(options: Namespace, files: dict[str, int], report: Report) -> None:
    contexts = _contexts(files, transcoder_of(options.transcode))
    report.begin(files)
    with associated(options, contexts=contexts, window=options.window) as association:
        stored = association.store_many(
            list(files),
            parallel=options.parallel,
            retries=options.retries,
            journal=options.resume,
            send_damaged=options.send_damaged,
            on_warning="ignore",
            transcode=transcoder_of(options.transcode) or False,
        )
        length = sum(files.values())
        with (
            contextlib.closing(stored) as results,
            progress(options, objects=len(files), length=length) as bar,
        ):
            for result in results:
                bar.add(length=report.add(result))


def _send_by_web(options: Namespace, peer: Peer, files: dict[str, int], report: Report) -> None:
    report.begin(files)
    length = sum(files.values())
    with (
        web_client(options, peer) as client,
        progress(options, objects=len(files), length=length) as bar,
    ):
        for result in client.store(files):
            bar.add(length=report.add(result))


def _contexts(
    files: dict[str, int], transcode: Transcoder | None
) -> tuple[ProposedContext, ...] | None:
    """What to propose for so few files that looking into them first costs nothing.

    For others it is found out on the way, at the cost of a second association.
    """
    if len(files) > _FEW:
        return None
    try:
        return contexts_for(list(files), transcode) or None
    except ValueError:
        return None  # they are too many for one association
