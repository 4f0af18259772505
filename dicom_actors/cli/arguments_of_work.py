"""The arguments of ``work``: what is done for the messages of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_work"]


def add_work(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``work``."""
    work = commands.add_parser(
        "work",
        help="do something for each event in NATS JetStream",
        description="Call a Python function, run a program, or follow routes, for each event that"
        " `dicom-actors serve --nats` has told an engine of. A message is acknowledged once that"
        " has succeeded;"
        " else it comes again, and after --attempts failures it is set aside in the stream"
        " STREAM-aside. Workers of one --name share the messages, on as many machines as there are."
        " Ctrl-C ends it; what is being worked on is finished first.",
    )
    work.add_argument(
        "--consume",
        required=True,
        metavar="SERVERS",
        help="nats://HOST:PORT, several of a cluster with commas between",
    )
    work.add_argument("--name", required=True, help="of these workers: they share the messages")
    what = work.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--handler",
        metavar="MODULE:FUNCTION",
        help="called with each message: a dict, of its JSON; an exception is a failure",
    )
    what.add_argument(
        "--command",
        metavar="COMMAND",
        help="run for each message, which is on its standard input, as JSON; without a shell;"
        " another exit code than 0 is a failure",
    )
    what.add_argument(
        "--routes",
        metavar="FILE",
        help="do what the routes of this configuration file of serve say with objects that are"
        " fetched by DICOMweb (--archive)",
    )
    work.add_argument(
        "--archive", metavar="URL", help="for --routes: http://HOST:8042/dicom-web, of any serve"
    )
    work.add_argument(
        "--token-file", metavar="FILE", help="for --archive: its first line is a token for it"
    )
    work.add_argument("--event", default="*", help="the only event (default: all)")
    work.add_argument("--stream", default="dicom", help="the stream (default: dicom)")
    work.add_argument(
        "--attempts", type=int, default=5, help="after so many one is set aside (default: 5)"
    )
    work.add_argument(
        "--deadline",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="after which a command is killed (default: 600)",
    )
    work.add_argument(
        "--workers", type=int, default=1, help="messages that are worked on at once (default: 1)"
    )
    work.set_defaults(run=_work)


def _work(options: argparse.Namespace) -> int:
    from dicom_actors.cli.work import run

    return run(options)
