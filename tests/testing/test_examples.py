"""The examples in the documentation of the package run as they stand there."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest
from kit.endpoints import LIMIT, running

import dicom_actors.testing
from dicom_actors import messages
from dicom_actors.supervision import SupervisedRef

pytestmark = pytest.mark.usefixtures("nothing_left")


def examples() -> list[str]:
    found: list[str] = []
    lines = (dicom_actors.testing.__doc__ or "").splitlines()
    for line in lines:
        if line.endswith("::"):
            found.append("")
        elif found and (line.startswith("    ") or not line):
            found[-1] += line + "\n"
        elif found and found[-1].strip():
            found.append("")
    return [textwrap.dedent(block) for block in found if block.strip()]


def test_there_is_one_for_each_tool() -> None:
    text = "\n".join(examples())
    for name in ("crash_at", "FaultyHandler", "HostilePeer", "FaultyProxy", "ManualClock",
                 "assert_healthy"):  # fmt: skip
        assert name in text


@pytest.mark.parametrize("example", examples())
def test_the_example_runs(example: str) -> None:
    with running() as endpoint:
        names: dict[str, Any] = {
            "endpoint": endpoint.ref,
            "port": endpoint.port,
            "my_store": lambda event: None,
        }
        exec(compile(example, "example", "exec"), names)
        started = names["endpoint"]
        assert isinstance(started, SupervisedRef)
        assert started.ask(messages.GetStatus(), timeout=LIMIT).state == "running"
        if started is not endpoint.ref:
            started.stop(timeout=LIMIT)
