"""``dicom-actors transcode IN OUT --syntax NAME``: files in another transfer syntax.

A folder is all files below it; each is written to the same place below OUT, by several processes.
One that dies, which a codec may do on damaged bytes, costs the file that it had.
"""

from __future__ import annotations

import os
from argparse import Namespace
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import complain, counted, say, size_in_words, told_of
from dicom_actors.cli.usage import UsageError
from dicom_actors.data import TransferSyntax, write_file
from dicom_actors.data.files.file_values import files_below
from dicom_actors.data.files.large_value import read_large
from dicom_actors.errors import DicomError, EncodeError, NotPart10Error
from dicom_actors.pixels import require_extra

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

__all__ = ["transcode_files"]

_AT_A_TIME: Final = 8
"""Files of one process that are handed out ahead."""

_PIXEL_DATA: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)


class _Work(NamedTuple):
    """What is done to each file."""

    syntax: str
    quality: float | None
    overwrites: bool


class _Result(NamedTuple):
    """What became of a file: its bytes before and after, or why it was not written."""

    path: str
    before: int = 0
    after: int = 0
    failure: str = ""


def transcode_files(options: Namespace) -> int:
    """Write each file.

    Returns:
        0, or 1 if one could not be written; the others are all the same.

    Raises:
        UsageError: IN and OUT do not go together.
        DicomError: the extra ``pixels`` is missing.
        OSError: a folder cannot be listed or made.
    """
    require_extra()
    source, target = Path(options.source), Path(options.target)
    work = _Work(options.syntax, options.quality, options.overwrite)
    if not source.is_dir():
        place = target / source.name if target.is_dir() else target
        return _report([_transcode(source, place, work)], is_one=True)
    if target.exists() and not target.is_dir():
        raise UsageError(f"expected OUT to be a folder, since IN is one, got {target}")
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"expected OUT not to be in IN, got {target}")
    pairs = [(path, target / path.relative_to(source)) for path in files_below(source)]
    jobs = min(options.jobs or _processors(), max(len(pairs), 1))
    results = []
    quiet = Namespace(verbose=False, trace=False, json=False)
    with progress(quiet, nouns="files", objects=len(pairs)) as bar:
        for result in _in_processes(pairs, work, jobs) if jobs > 1 else _here(pairs, work):
            results.append(result)
            if result.failure:
                complain(f"{result.path}: {result.failure}")
            bar.add(1)
    return _report(results, is_one=False)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _here(pairs: list[tuple[Path, Path]], work: _Work) -> Iterator[_Result]:
    return (_transcode(source, target, work) for source, target in pairs)


def _in_processes(pairs: list[tuple[Path, Path]], work: _Work, jobs: int) -> Iterator[_Result]:
    """Transcode in processes; the files that one had when it died are done one at a time."""
    left = list(reversed(pairs))
    lone: list[tuple[Path, Path]] = []
    while left or lone:
        is_careful = bool(lone)
        waiting = lone if is_careful else left
        pool = ProcessPoolExecutor(1 if is_careful else jobs, mp_context=get_context("spawn"))
        running: dict[Future[_Result], tuple[Path, Path]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < (1 if is_careful else jobs * _AT_A_TIME):
                    pair = waiting.pop()
                    running[pool.submit(_transcode, *pair, work)] = pair
                for done in wait(running, return_when=FIRST_COMPLETED).done:
                    yield done.result()
                    del running[done]
        except BrokenProcessPool:
            if is_careful:
                ((path, _),) = running.values()
                yield _Result(str(path), failure="the process that had it died: a codec's fault")
            else:
                lone += running.values()
        finally:
            pool.shutdown(cancel_futures=True)


def _transcode(source: Path, target: Path, work: _Work) -> _Result:
    """Transcode a file; what goes wrong is in the result."""
    from dicom_actors.pixels import transcode

    name = str(source)
    try:
        if not work.overwrites and target.exists():
            return _Result(name, failure=f"{target} is there already; see --overwrite")
        if target.exists() and target.samefile(source):
            return _Result(name, failure="IN and OUT are the same file")
        data_set = read_large(source)
        has_pixels = any(tag in data_set for tag in _PIXEL_DATA)
        target.parent.mkdir(parents=True, exist_ok=True)
        if has_pixels or not TransferSyntax.of(work.syntax).is_encapsulated:
            made = transcode(data_set, work.syntax, quality=work.quality, lazily=True)
            write_file(target, made)
        else:
            write_file(target, data_set)
        return _Result(name, source.stat().st_size, target.stat().st_size)
    except NotPart10Error as error:
        return _Result(name, failure=str(error))
    except EncodeError as error:
        return _Result(name, failure=f"not transcoded: {error}")
    except (DicomError, OSError, MemoryError) as error:
        return _Result(name, failure=told_of(name, error).removeprefix(f"{name}: "))


def _report(results: list[_Result], *, is_one: bool) -> int:
    failed = [result for result in results if result.failure]
    if is_one:
        for result in failed:
            complain(f"{result.path}: {result.failure}")
    written = len(results) - len(failed)
    if written:
        before = sum(result.before for result in results)
        after = sum(result.after for result in results)
        say(
            f"{counted(written, 'file')} written: {size_in_words(before)} became"
            f" {size_in_words(after)}" + (f"; {len(failed)} failed" if failed else "")
        )
    return 1 if failed else 0
