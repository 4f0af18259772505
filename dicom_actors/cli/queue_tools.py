"""``dicom-actors queue``: the queues of what is to be sent on.

A running ``serve`` is asked by its control socket. Where none answers, it is the index of the
archive that is looked into, and changed, whoever else has it open.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dicom_actors.archive.index_handle import INDEX_NAME
from dicom_actors.archive.visit import Visit
from dicom_actors.cli.serve_config import load_config
from dicom_actors.cli.terminal import complain, counted
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import TransportError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from dicom_actors.archive import Archive
    from dicom_actors.flow import Flow

__all__ = ["queue_messages", "run"]

_SHOWN = 100
_HEADINGS = ("DESTINATION", "STATE", "WAITING", "COMMITTING", "SET ASIDE", "DONE", "OLDEST")


def run(options: Namespace) -> int:
    """Do it; returns the exit code: 1 if there is no such destination.

    Raises:
        UsageError: the arguments are wrong.
        DicomError: the archive cannot be used, or serve refuses.
    """
    config = load_config(options)
    ask = _asking(config["port"], config["store"], config["index"], options)
    if options.action == "list":
        queues = ask("ListQueues", destination=options.destination)
        if options.json:
            print(json.dumps(queues))
        else:
            _show(queues)
        is_known = bool(queues) or options.destination is None
    else:
        rows = ask("ChangeQueues", action=options.action, destination=options.destination)
        is_known = rows is not None or options.destination is None
        if options.json:
            print(json.dumps({options.action: rows}))
        elif rows is not None and options.action in {"retry", "drop"}:
            print(f"{counted(rows, 'object')} that {'was' if rows == 1 else 'were'} set aside")
    if not is_known:
        complain(f"there is no destination {options.destination!r}, or nothing ever went there")
    return 0 if is_known else 1


def _asking(port: int, store: str, index: str | None, options: Namespace) -> Callable[..., Any]:
    """What asks: the running serve, or who looks into the folder."""

    def ask_folder(message: str, **arguments: Any) -> Any:
        if index is None and not (Path(store) / INDEX_NAME).exists():
            raise UsageError(f"{store}: expected an archive, there is no {INDEX_NAME}")
        with Visit(store, index=index) as archive:
            return queue_messages(archive, None)[message](**arguments)

    def ask_serve(message: str, **arguments: Any) -> Any:
        from dicom_actors.cli.control import ask

        try:
            return ask(port, message, **arguments)
        except TransportError:
            return ask_folder(message, **arguments)

    return ask_folder if options.store is not None and options.port is None else ask_serve


def queue_messages(archive: Archive | Visit, flow: Flow | None) -> dict[str, Callable[..., Any]]:
    """What the control socket answers about queues.

    Args:
        archive: the archive.
        flow: its flow; None: nothing is sent on just now.
    """

    def list_queues(destination: str | None = None) -> list[dict[str, Any]]:
        states = {}
        if flow is not None:
            states = {one.name: one for one in flow.destinations()}
        found = []
        for queue in archive.queues():
            state = states.pop(queue.destination, None)
            found.append(
                {
                    **queue._asdict(),
                    "state": "" if state is None else state.state,
                    "breaker": "" if state is None else state.breaker,
                    "error_now": "" if state is None else state.last_error,
                }
            )
        for name, state in states.items():  # nothing ever went there
            found.append(_nothing_of(name, state.state, state.breaker))
        if destination is not None:
            found = [one for one in found if one["destination"] == destination]
            with archive.reader() as reader:
                for one in found:
                    rows = reader.queue.set_aside(destination, _SHOWN)
                    one["rows_set_aside"] = [row._asdict() for row in rows]
        return found

    def change_queues(action: str, destination: str | None = None) -> int | None:
        rows = archive.change_queues(action, destination)
        if flow is not None:
            flow.look_again(destination)
        return rows

    return {"ListQueues": list_queues, "ChangeQueues": change_queues}


def _nothing_of(name: str, state: str, breaker: str) -> dict[str, Any]:
    counts = dict.fromkeys(("waiting", "committing", "set_aside", "delivered"), 0)
    return {
        "destination": name,
        "is_paused": False,
        **counts,
        "oldest": None,
        "last_error": None,
        "state": state,
        "breaker": breaker,
        "error_now": "",
    }


def _show(queues: list[dict[str, Any]]) -> None:
    if not queues:
        return
    lines = [_HEADINGS, *map(_columns, queues)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEADINGS))]
    for line, queue in zip(lines, [None, *queues], strict=True):
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )
        if queue is not None:
            for text in filter(None, {queue["error_now"], queue["last_error"] or ""}):
                print(f"    last error: {text}")
            for row in queue.get("rows_set_aside", ()):
                uid = row["sop_instance_uid"] or row["series_instance_uid"]
                print(f"    set aside: {uid or row['study_instance_uid']}: {row['error']}")


def _columns(queue: dict[str, Any]) -> tuple[str, ...]:
    state = "paused" if queue["is_paused"] else queue["state"] or "-"
    oldest = "-" if queue["oldest"] is None else _ago(time.time() - queue["oldest"])
    counts = (queue[name] for name in ("waiting", "committing", "set_aside", "delivered"))
    return (queue["destination"], state, *map(str, counts), oldest)


def _ago(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
