"""``dicom-actors status``, ``top``, ``drain``, ``abort``: for a running endpoint."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from dicom_actors.cli.control import ask
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
        f"{answer['associations']} associations open, {answer['associations_opened']} so far, "
        f"{answer['requests']} requests, {answer['restarts']} restarts, "
        f"{answer['disowned_handlers']} disowned handlers"
    )
    for one in associations:
        host, number = one["peer"]
        print(
            f"{one['id']:>6}  {one['state']:<10}  {_title(one['calling_ae_title']):<16}  "
            f"{host}:{number}  {one['requests']} requests, {one['restarts']} restarts"
        )
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
    report = ask(port, "Drain", deadline=deadline)
    if as_json:
        print(json.dumps(report))
    else:
        print(f"{report['finished']} associations finished, {len(report['cut'])} were cut")
    return 1 if report["cut"] else 0


def abort(port: int, number: int, *, as_json: bool) -> int:
    """Abort an association; returns 1 if there is none of that number."""
    found: Any = ask(port, "AbortAssociation", id=number)
    if as_json:
        print(json.dumps({"aborted": found}))
    elif not found:
        print(f"dicom-actors: there is no association {number}", file=sys.stderr)
    return 0 if found else 1


def _title(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)
