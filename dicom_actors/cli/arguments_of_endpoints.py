"""The arguments of ``serve``, and of the commands that talk to a running one."""

from __future__ import annotations

import argparse

from dicom_actors.cli.argument_types import duration, seconds
from dicom_actors.cli.arguments_of_connections import add_certificates
from dicom_actors.cli.arguments_of_web import add_web

__all__ = ["add_control", "add_serve"]


def add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve``."""
    serve = commands.add_parser(
        "serve",
        help="run an archive: keep what is sent, find it, serve it",
        description="Answer C-ECHO, C-STORE, C-FIND, C-GET and C-MOVE, and keep each object as\n"
        "DIR/<study>/<series>/<instance>.dcm. Ctrl-C ends it.",
        epilog="""examples:
  dicom-actors serve                                      port 4242, ./dicom-archive
  dicom-actors serve --port 11112 --ae-title STORE --store images
  dicom-actors serve --tls-certificate me.pem --tls-key me.key --tls-authorities hospital.pem""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.add_argument("--port", type=int, help="TCP port (default: 4242)")
    serve.add_argument("--host", help="address to bind to (default: all)")
    serve.add_argument(
        "--ae-title", default=None, help="our AE title; others are rejected (default: any)"
    )
    serve.add_argument("--store", metavar="DIR", help="where to (default: dicom-archive)")
    serve.add_argument(
        "--index",
        metavar="ADDRESS",
        help="postgresql://...: have the index there, for several processes",
    )
    serve.add_argument(
        "--receive-only",
        action="store_true",
        default=None,
        help="keep files, without an index: no queries",
    )
    serve.add_argument(
        "--duplicates",
        choices=("keep-first", "replace", "keep-both"),
        help="other bytes of a UID that is there (default: keep-first)",
    )
    serve.add_argument(
        "--durability",
        choices=("disk", "os"),
        help="what Success outlives: a power cut, or the process (default: disk)",
    )
    serve.add_argument(
        "--bucket",
        metavar="URL",
        help="keep objects in s3://BUCKET/PREFIX instead of the archive's folder",
    )
    serve.add_argument(
        "--nats",
        dest="nats_servers",
        metavar="SERVERS",
        help="tell NATS JetStream of events: nats://HOST:PORT, several with commas between",
    )
    serve.add_argument(
        "--worklist-folder", metavar="DIR", help="worklist items, as JSON or .wl files"
    )
    serve.add_argument(
        "--transcode",
        nargs="?",
        choices=("off", "lossless", "lossy"),
        const="lossless",
        help="have C-GET and C-MOVE send what they have in a transfer syntax that is accepted;"
        " lossy: where only such a one is accepted, too, as another instance (default: off)",
    )
    config = serve.add_argument_group("configuration")
    config.add_argument("--config", metavar="FILE", help="all settings, and the peers")
    config.add_argument(
        "--set",
        action="append",
        metavar="TABLE.NAME=VALUE",
        help="any other setting, as --show-config names it",
    )
    config.add_argument(
        "--check-config", action="store_true", help="say what is wrong with it, and end"
    )
    config.add_argument(
        "--show-config",
        action="store_true",
        help="print all settings with their meaning and where each comes from, and end",
    )
    serve.add_argument(
        "--drain",
        type=seconds,
        metavar="SECONDS",
        help="time for open associations to finish at the end (default: 10)",
    )
    serve.add_argument(
        "--timeout",
        type=duration,
        metavar="SECONDS",
        help="end an association on which nothing comes for so long (default: 600)",
    )
    serve.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that serve associations, watched by this one (default: 1, no other)",
    )
    serve.add_argument(
        "--show-policy", action="store_true", help="print what would be accepted, and end"
    )
    output = serve.add_argument_group("what is shown")
    output.add_argument(
        "--output",
        choices=("auto", "live", "lines", "json"),
        help="a view that fills the terminal, lines, or lines of JSON (default: live on a terminal,"
        " else lines)",
    )
    output.add_argument(
        "--json",
        dest="output",
        action="store_const",
        const="json",
        help="the same as --output json",
    )
    output.add_argument(
        "--verbose",
        action="store_true",
        default=None,
        help="say who associates, and how it ends; rejections and aborts are always",
    )
    output.add_argument("--trace", action="store_true", default=None, help="say each PDU in a line")
    output.add_argument(
        "--print",
        action="store_true",
        default=None,
        help="print each object that arrives, patient data and all",
    )
    output.add_argument(
        "--log", metavar="FILE", help="append what is wrong, with tracebacks, to this file"
    )
    output.add_argument("--debug", action="store_true", default=None, help="show tracebacks")
    output.add_argument(
        "--metrics",
        metavar="[HOST:]PORT",
        help="serve /metrics for Prometheus and /health over HTTP (default: nowhere; HOST is the"
        " loopback)",
    )
    tls = serve.add_argument_group("TLS")
    add_certificates(tls)
    tls.add_argument(
        "--tls-anonymous",
        action="store_true",
        default=None,
        help="take peers without a certificate, too",
    )
    user = serve.add_argument_group("user identity")
    user.add_argument("--user", metavar="NAME", help="take associations of this user alone")
    user.add_argument(
        "--passcode-file", metavar="FILE", help="who has to give the first line of this file"
    )
    add_web(serve)
    serve.set_defaults(run=_serve)


def add_control(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that talk to a running ``serve`` of the same user on this machine."""
    status = commands.add_parser(
        "status",
        help="how a running endpoint is",
        description="Print how a `dicom-actors serve` on this machine is, and a line for each open"
        " association.",
    )
    top = commands.add_parser(
        "top",
        help="watch the actors of a running endpoint",
        description="Show the supervision tree of a `dicom-actors serve` on this machine, each"
        " second anew; Ctrl-C ends it.",
    )
    top.add_argument("--once", action="store_true", help="print it once instead of watching")
    drain = commands.add_parser(
        "drain",
        help="let open associations finish, accepting no more; abort the rest",
        description="Have a `dicom-actors serve` on this machine accept no more associations, and"
        " wait until the open ones are over. The exit code is 1 if some had to be aborted.",
    )
    drain.add_argument(
        "--deadline",
        type=seconds,
        default=30.0,
        metavar="SECONDS",
        help="abort what is not over by then (default: 30)",
    )
    abort = commands.add_parser(
        "abort",
        help="abort an association",
        description="Abort an association of a `dicom-actors serve` on this machine.",
    )
    abort.add_argument("id", type=int, help="its number, as `status` prints it")
    for name, command in (("status", status), ("top", top), ("drain", drain), ("abort", abort)):
        command.add_argument("--port", type=int, default=4242, help="its port (default: 4242)")
        command.add_argument("--json", action="store_true", help="print one line of JSON")
        command.set_defaults(run=_control, control=name)


def _serve(options: argparse.Namespace) -> int:
    from dicom_actors.cli.serve_config import load_config, show_config
    from dicom_actors.cli.serve_options import check_options, options_of

    config = load_config(options)
    if options.show_config:
        from dicom_actors.cli.terminal import show_anything

        show_anything()
        print(show_config(config))
        return 0
    chosen = options_of(config)
    if options.check_config:
        print(check_options(config, chosen))
        return 0
    from dicom_actors.cli.serve import serve, show_policy

    return show_policy(chosen) if options.show_policy else serve(chosen)


def _control(options: argparse.Namespace) -> int:
    from dicom_actors.cli import operate

    if options.control == "status":
        return operate.status(options.port, as_json=options.json)
    if options.control == "top":
        return operate.top(options.port, once=options.once, as_json=options.json)
    if options.control == "drain":
        return operate.drain(options.port, options.deadline, as_json=options.json)
    return operate.abort(options.port, options.id, as_json=options.json)
