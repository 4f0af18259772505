"""``dicom-actors work``: a worker for the messages of an engine, until it is told to end."""

from __future__ import annotations

import contextlib
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
    if (options.routes is None) != (options.archive is None):
        raise UsageError("--routes: expected --archive URL with it, where objects are fetched from")
    try:
        with contextlib.ExitStack() as stack:
            return _work(options, _handler(options, stack))
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def _handler(options: Namespace, stack: contextlib.ExitStack) -> Callable[[str, bytes], object]:
    if options.routes is not None:
        return _routing(options, stack)
    if options.handler is not None:
        return _calling(options.handler)
    return _running(options.command, options.deadline)


def _work(options: Namespace, handler: Callable[[str, bytes], object]) -> int:
    job = Job(name=options.name, handler=handler, event=options.event, attempts=options.attempts)
    settings = EngineSettings(stream=options.stream)
    with EndSignals() as signals:
        worker = Worker.start(options.consume.split(","), job, settings, number=options.workers)
        code = 1
        try:
            print(f"working on {options.stream}.{options.event} as {options.name}", flush=True)
            signals.wait(worker.stopped)
        except KeyboardInterrupt:
            code = 0
        finally:
            worker.stop()
    done = worker.status()
    print(f"stopped: {done.done} done, {done.failed} failed, {done.set_aside} set aside")
    return code


def _routing(options: Namespace, stack: contextlib.ExitStack) -> Callable[[str, bytes], object]:
    from argparse import Namespace

    from dicom_actors.cli.passcodes import read_passcode
    from dicom_actors.cli.serve_config import load_config
    from dicom_actors.flow import RouteWork, WebPeer

    flow = load_config(Namespace(config=options.routes)).flow
    if not flow.routes:
        raise UsageError(f"--routes: {options.routes}: expected a route, there is none")
    token = None if options.token_file is None else read_passcode(options.token_file)
    work = RouteWork(
        flow.routes,
        WebPeer(options.archive, token=token),
        peers=flow.peers,
        destinations=flow.destinations,
    )
    stack.callback(work.close)
    return lambda _, body: work(json.loads(body))


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
