"""``dicom-actors status``, ``top``, ``drain``, ``abort``: for a running endpoint."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from dicom_actors.cli.control import ask
from dicom_actors.cli.terminal import counted, say
from dicom_actors.cli.tree_view import TreeView

__all__ = ["abort", "drain", "status", "top"]

_REFRESH = 1.0


def status(port: int, *, as_json: bool) -> int:
    """Print how the endpoint is, and its associations."""
    answer = ask(port, "GetStatus")
    associations = ask(port, "ListAssociations")
    if as_json:
        print(json.dumps({**answer, "associations": associations}))
        return 0
    print(
        f"{answer['state']} on {answer['host']} port {answer['port']}: "
        f"{counted(answer['associations'], 'association')} open, "
        f"{answer['associations_opened']} so far, "
        f"{counted(answer['requests'], 'request')}, {counted(answer['restarts'], 'restart')}, "
        f"{counted(answer['disowned_handlers'], 'disowned handler')}"
    )
    for one in associations:
        print(_line(one))
    return 0


def top(port: int, *, once: bool, as_json: bool) -> int:
    """Print the supervision tree, again each second unless `once` or not on a terminal."""
    if as_json:
        print(json.dumps(ask(port, "GetTree")))
        return 0
    with TreeView() as view:
        while True:
            view.show(ask(port, "GetTree"), ask(port, "GetStatus"))
            if once or not sys.stdout.isatty():
                return 0
            time.sleep(_REFRESH)


def drain(port: int, deadline: float, *, as_json: bool) -> int:
    """Let the open associations finish; returns 1 if some had to be aborted."""
    if waiting := ask(port, "ListAssociations"):
        say(f"waiting {deadline:g} s at the most for {counted(len(waiting), 'association')}:")
        for one in waiting:
            say(_line(one))
    report = ask(port, "Drain", deadline=deadline)
    if as_json:
        print(json.dumps(report))
    else:
        cut = len(report["cut"])
        print(
            f"{counted(report['finished'], 'association')} finished, "
            f"{cut} {'was' if cut == 1 else 'were'} cut"
        )
    return 1 if report["cut"] else 0


def abort(port: int, number: int, *, as_json: bool) -> int:
    """Abort an association; returns 1 if there is none of that number."""
    found: Any = ask(port, "AbortAssociation", id=number)
    if as_json:
        print(json.dumps({"aborted": found}))
    elif not found:
        print(f"dicom-actors: there is no association {number}", file=sys.stderr)
    return 0 if found else 1


def _line(one: dict[str, Any]) -> str:
    host, port = one["peer"]
    since = one["since"].partition("T")[2].partition(".")[0]
    return (
        f"{one['id']:>6}  {one['state']:<10}  {_title(one['calling_ae_title']):<16}  "
        f"{host}:{port}  since {since}  {counted(one['requests'], 'request')}, "
        f"{counted(one['restarts'], 'restart')}"
    )


def _title(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
