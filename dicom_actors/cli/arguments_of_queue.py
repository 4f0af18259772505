"""The arguments of ``queue``: what waits to be sent on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_queue"]

_ACTIONS = {
    "list": "how each queue is; of one destination, with what is set aside",
    "retry": "try again now what was set aside, and what waits for its time",
    "pause": "send no more; that is remembered over restarts",
    "resume": "send again",
    "drop": "forget what was set aside",
}


def add_queue(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``queue``."""
    queue = commands.add_parser(
        "queue",
        help="look at what waits to be sent on; pause, resume, retry, drop",
        description="The queues of the routes of `dicom-actors serve`, while that runs or not.",
    )
    actions = queue.add_subparsers(title="actions", metavar="ACTION")
    queue.set_defaults(run=_queue, action="list", destination=None)
    _add_options(queue)
    for name, help_text in _ACTIONS.items():
        action = actions.add_parser(name, help=help_text, description=help_text.capitalize())
        action.add_argument(
            "destination", nargs="?", metavar="DESTINATION", help="of which (default: all)"
        )
        _add_options(action)
        action.set_defaults(run=_queue, action=name)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=int, help="that of the running serve (default: of the configuration, 4242)"
    )
    parser.add_argument(
        "--store", metavar="DIR", help="the archive's folder, where nothing runs on that port"
    )
    parser.add_argument(
        "--index", metavar="ADDRESS", help="postgresql://...: the archive's index is there"
    )
    parser.add_argument("--config", metavar="FILE", help="the configuration file of serve")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")


def _queue(options: argparse.Namespace) -> int:
    from dicom_actors.cli import queue_tools

    return queue_tools.run(options)
