"""``dicom-actors deidentify IN... -o OUT``: files without what identifies the patient."""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.deidentified_files import Outcome, Settings, Worker, start, work
from dicom_actors.cli.deidentified_media import is_directory_name, write_media_directory
from dicom_actors.cli.deidentify_options import option_names
from dicom_actors.cli.progress import progress
from dicom_actors.cli.terminal import complain, counted, in_words, say, show_anything, size_in_words
from dicom_actors.cli.usage import UsageError
from dicom_actors.data.files.file_values import files_below
from dicom_actors.deidentification import Pseudonyms, Report, Rules
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

__all__ = ["deidentify"]

_CHUNK: Final = 32
_FEW: Final = 200
"""Up to here one process is done before others have started."""


class _Tally:
    """What became of all files, by study."""

    def __init__(self) -> None:
        self.studies: dict[str, Report] = {}
        self.kinds: dict[str, int] = {}
        self.reasons: dict[str, int] = {}
        self.length = 0
        self.uids: dict[str, str] = {}

    def add(self, outcome: Outcome) -> None:
        self.kinds[outcome.kind] = self.kinds.get(outcome.kind, 0) + 1
        self.length += outcome.length
        if outcome.report is not None:
            self.studies.setdefault(outcome.study, Report()).add(outcome.report)
        elif outcome.message:
            self.reasons[outcome.message] = self.reasons.get(outcome.message, 0) + 1

    def count(self, *kinds: str) -> int:
        return sum(self.kinds.get(kind, 0) for kind in kinds)

    def as_dict(self, options: tuple[str, ...]) -> dict[str, Any]:
        return {
            "profile": "basic",
            "options": list(options),
            "files": dict(sorted(self.kinds.items())),
            "not done": dict(sorted(self.reasons.items())),
            "studies": [
                {"study": study, **report.as_dict()}
                for study, report in sorted(self.studies.items())
            ],
        }


def deidentify(options: Namespace) -> int:
    """De-identify the files.

    Returns:
        0, or 1 if one could not be, or was refused; the others are all the same.

    Raises:
        UsageError: an argument makes no sense, or a file with settings does not.
        OSError: a file of settings cannot be read, or a report not be written.
    """
    show_anything()
    if options.output is None:
        raise UsageError("expected -o OUT, the folder for the results")
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"expected --jobs 1 or more, got {options.jobs}")
    files = _files(options)
    settings = _settings(options, is_media=any(map(is_directory_name, files)))
    try:
        settings.deidentifier()
    except ValueError as error:
        raise UsageError(str(error)) from error
    tally = _Tally()
    with progress(options, nouns="files", objects=len(files)) as bar:
        for outcome in _outcomes(files, settings, options.jobs, tally):
            tally.add(outcome)
            bar.add(1, outcome.length)
            _tell(outcome, options)
    if settings.is_media and settings.writes and tally.count("done", "same"):
        _write_directory(settings.output)
    _write_tables(options, settings, tally)
    _print_summary(options, tally)
    return 1 if tally.count("failed", "refused") else 0


def _settings(options: Namespace, *, is_media: bool) -> Settings:
    return Settings(
        output=options.output,
        options=option_names(options),
        key=_key(options.key_file, is_made=not options.dry_run),
        rules=_text_of(options.rules, "utf-8", Rules.from_toml),
        mapping=_text_of(options.map, "utf-8-sig", Pseudonyms.from_csv),
        is_media=is_media,
        writes=not options.dry_run,
        keeps_uids=options.uid_table is not None,
        allow_burned_in=options.allow_burned_in,
        allow_visual_features=options.allow_visual_features,
    )


def _text_of(file: str | None, encoding: str, parse: Callable[[str], object]) -> str:
    """Read a file of settings that can be parsed, as each process that cleans does again."""
    if not file:
        return ""
    try:
        text = Path(file).read_text(encoding)
        parse(text)
    except UnicodeDecodeError:
        raise UsageError(f"{file}: expected text in UTF-8") from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from error
    return text


def _key(file: str | None, *, is_made: bool) -> bytes:
    """Read the key, or make one."""
    if file is None:
        return secrets.token_bytes(32)
    path = Path(file)
    try:
        key = path.read_bytes().strip()
    except FileNotFoundError:
        key = secrets.token_hex(32).encode()
        if is_made:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as made:
                made.write(key + b"\n")
            say(f"{path}: a new key; who has it can tell which patient a pseudonym is")
    if len(key) < 16:
        raise UsageError(f"{path}: expected a key of 16 bytes or more, got {len(key)}")
    return key


def _files(options: Namespace) -> list[str]:
    output = Path(options.output).resolve()
    found: list[str] = []
    for name in options.inputs:
        path = Path(name)
        if not path.is_dir():
            found.append(name)
            continue
        if output == path.resolve() or output in path.resolve().parents:
            raise UsageError(f"{name}: expected results to go somewhere else")
        found += [str(file) for file in files_below(path) if output not in file.resolve().parents]
    return found


def _outcomes(
    files: list[str], settings: Settings, jobs: int | None, tally: _Tally
) -> Iterator[Outcome]:
    """Give what became of each file, in order, by as many processes as it takes."""
    if jobs is None:
        jobs = _processors() if len(files) > _FEW else 1
    if jobs == 1:
        worker = Worker(settings)
        yield from map(worker.clean, files)
        tally.uids.update(worker.new_uids())
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    chunks = [files[at : at + _CHUNK] for at in range(0, len(files), _CHUNK)]
    waiting: deque[Future[tuple[list[Outcome], dict[str, str]]]] = deque()
    # A fork would copy the locks of other threads, held or not.
    context = get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=start, initargs=(settings,))
    try:
        for chunk in chunks:
            waiting.append(pool.submit(work, chunk))
            if len(waiting) >= 2 * jobs:
                outcomes, uids = waiting.popleft().result()
                tally.uids.update(uids)
                yield from outcomes
        while waiting:
            outcomes, uids = waiting.popleft().result()
            tally.uids.update(uids)
            yield from outcomes
    finally:
        pool.shutdown(cancel_futures=True)


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tell(outcome: Outcome, options: Namespace) -> None:
    if outcome.kind in {"failed", "refused"}:
        complain(f"{outcome.source}: {outcome.kind}: {outcome.message}")
    elif outcome.kind == "other":
        say(f"{outcome.source}: left out: {outcome.message}")
    elif outcome.kind == "directory" and options.verbose:
        say(f"{outcome.source}: a DICOMDIR; a new one is made of the results")
    elif options.verbose:
        say(f"{outcome.source}: {outcome.target}")
    if options.json and outcome.kind in {"done", "same"}:
        line = {"path": outcome.target, "study": outcome.study, "bytes": outcome.length}
        print(json.dumps(line))


def _write_directory(output: str) -> None:
    try:
        write_media_directory(output)
    except (DicomError, OSError) as error:
        complain(f"{output}: no DICOMDIR: {in_words(error)}")


def _write_tables(options: Namespace, settings: Settings, tally: _Tally) -> None:
    if options.uid_table is not None:
        handle = os.open(options.uid_table, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("original", "new"))
            writer.writerows(sorted(tally.uids.items()))
    if options.report is not None:
        text = json.dumps(tally.as_dict(settings.options), indent=2)
        Path(options.report).write_text(text + "\n", "utf-8")


def _print_summary(options: Namespace, tally: _Tally) -> None:
    if options.json:
        return
    if options.dry_run or options.report is None:
        for study, report in sorted(tally.studies.items()):
            _print_study(study, report)
    done = tally.count("done", "same")
    studies = counted(len(tally.studies), "study", "studies")
    line = f"{counted(done, 'file')} of {studies}, {size_in_words(tally.length)}"
    for kind, words in (
        ("same", "there already"),
        ("refused", "refused"),
        ("failed", "failed"),
        ("other", "no DICOM"),
    ):
        if tally.count(kind):
            line += f"; {tally.count(kind)} {words}"
    print(line + (" (nothing was written)" if options.dry_run else ""))


def _print_study(study: str, report: Report) -> None:
    actions = ", ".join(f"{count} {action}" for action, count in sorted(report.actions.items()))
    print(f"study {study or '(none)'}: {counted(report.instances, 'instance')}; {actions}")
    for title, counts in (("kept", report.kept), ("could not be judged", report.unjudged)):
        for (label, why), count in sorted(counts.items()):
            print(f"  {title}: {label}, {why} ({count})")
