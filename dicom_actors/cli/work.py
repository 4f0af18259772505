"""``dicom-actors work``: a worker for the messages of an engine, until it is told to end."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING

from dicom_actors.cli.functions import function_of
from dicom_actors.cli.signals import EndSignals
from dicom_actors.cli.usage import UsageError
from dicom_actors.engine import EngineSettings, Job, Worker
from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

__all__ = ["run"]

_LAST_WORDS = 300


def run(options: Namespace) -> int:
    """Work; returns 0, or 1 if the worker gave up.

    Raises:
        UsageError: there is no such function or program, or an argument is out of its range.
    """
    if not 1 <= options.workers <= 1_000:
        raise UsageError(f"--workers: expected 1 to 1000, got {options.workers}")
    if options.handler is not None:
        handler = _calling(options.handler)
    else:
        handler = _running(options.command, options.deadline)
    try:
        job = Job(
            name=options.name, handler=handler, event=options.event, attempts=options.attempts
        )
        settings = EngineSettings(stream=options.stream)
        with EndSignals() as signals:
            worker = Worker.start(options.consume.split(","), job, settings, number=options.workers)
            code = 1
            try:
                print(f"working on {options.stream}.{options.event} as {options.name}", flush=True)
                with signals.awaited():
                    worker.stopped.wait()
            except KeyboardInterrupt:
                code = 0
            finally:
                worker.stop()
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
    done = worker.status()
    print(f"stopped: {done.done} done, {done.failed} failed, {done.set_aside} set aside")
    return code


def _calling(text: str) -> Callable[[str, bytes], object]:
    try:
        function = function_of(text)
    except ValueError as error:
        raise UsageError(f"--handler: {error}") from error
    return lambda _, body: function(json.loads(body))


def _running(command: str, deadline: float) -> Callable[[str, bytes], object]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--command: {error}") from error
    if not words:
        raise UsageError("--command: expected a program")

    def handler(_: str, body: bytes) -> None:
        done = subprocess.run(  # noqa: S603 - it is the user's
            words, input=body, capture_output=True, timeout=deadline, check=False
        )
        if done.returncode:
            said = done.stderr[-_LAST_WORDS:].decode("utf-8", "replace").strip()
            raise RuntimeError(f"exit code {done.returncode}: {said}")

    return handler
