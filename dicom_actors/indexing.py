"""Chosen values of many files, read by all processors.

What is read of a file, and which files there are, is `dicom_actors.data.files.file_values`; this
module hands the files out to processes, some hundred at a time, and takes the results in order.

Standard: PS3.10 7.
"""

from __future__ import annotations

import os
from collections import deque
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.data.files.file_values import ValueReader, files_below
from dicom_actors.data.scan.scope import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dicom_actors.data.dictionary.tag import Key
    from dicom_actors.errors import DicomError

    Values = dict[Key, Any] | DicomError | OSError
    Indexed = tuple[Path, Values]

__all__ = ["index_files"]

_CHUNK: Final = 128
# Up to here one process is done before others have started.
_FEW: Final = 2_000


def index_files(
    folder: str | os.PathLike[str],
    keywords: Iterable[Key],
    *,
    processes: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Indexed]:
    """Give chosen values of all files in a folder and below, read by several processes.

    The order is that of the files, whichever process is done first: those of a folder by name,
    then its subfolders by name. Links to folders are not followed. Processes are started by
    ``spawn``, so that a program that calls this from its main module needs the line
    ``if __name__ == "__main__":``. They end when the iterator does or is closed.

    Args:
        folder: where the files are.
        keywords: the elements to read, as keys of any form; those of the file meta information
            too. Little of a file is read beyond the last of them.
        processes: how many processes read; 1: this one alone. None: one for each processor, for
            2,000 files or fewer this one alone.
        limits: what a file may cost.

    Returns:
        An iterator over pairs: the path of a file, and the values that it has, by the keys that
        were asked for (None for an empty element), or the error because of which it could not be
        read. No file is left out.

    Raises:
        ElementNotFoundError: a name is no keyword.
        TypeError: `keywords` is one text, and not several.
        ValueError: less than one process.
        OSError: the folder cannot be listed.
    """
    if processes is not None and processes < 1:
        raise ValueError(f"expected 1 process or more, got {processes}")
    reader = ValueReader.of(keywords, limits)
    paths = files_below(folder)
    first = list(islice(paths, _FEW + 1 if processes is None else 1))
    paths = chain(first, paths)
    if processes is None:
        processes = _processors() if len(first) > _FEW else 1
    if processes == 1:
        return ((path, reader.read(path)) for path in paths)
    return _read_apart(reader, paths, processes)


def _read_apart(reader: ValueReader, paths: Iterator[Path], processes: int) -> Iterator[Indexed]:
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - slow to import
    from concurrent.futures.process import BrokenProcessPool  # noqa: PLC0415
    from multiprocessing import get_context  # noqa: PLC0415

    chunks = iter(lambda: list(islice(paths, _CHUNK)), [])
    # What is handed out and not taken yet: what is being read, and as much again.
    waiting: deque[list[Path]] = deque()
    futures: deque[Future[list[Values]]] = deque()

    def take() -> Iterator[Indexed]:
        results = futures.popleft().result()
        return zip(waiting.popleft(), results, strict=True)

    # A fork would copy the locks of other threads, held or not.
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"))
    try:
        for chunk in chunks:
            waiting.append(chunk)
            # Text goes to another process faster than paths.
            futures.append(pool.submit(reader.read_all, [str(path) for path in chunk]))
            if len(futures) >= 2 * processes:
                yield from take()
        while futures:
            yield from take()
    except BrokenProcessPool:
        # The system ended a process, or let none start: what is left is read here.
        for path in chain.from_iterable(chain(waiting, chunks)):
            yield path, reader.read(path)
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
