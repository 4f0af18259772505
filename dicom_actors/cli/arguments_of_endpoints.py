"""The arguments of ``serve``, and of the commands that talk to a running one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dicom_actors.cli.argument_types import duration, seconds
from dicom_actors.cli.arguments_of_connections import add_certificates
from dicom_actors.cli.arguments_of_web import add_web
from dicom_actors.cli.usage import UsageError

if TYPE_CHECKING:
    from dicom_actors.tls import TlsConfig

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
        "--receive-only", action="store_true", help="keep files, without an index: no queries"
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
        "--worklist-folder", metavar="DIR", help="worklist items, as JSON or .wl files"
    )
    serve.add_argument("--config", metavar="FILE", help="all settings, and the peers")
    serve.add_argument("--check-config", action="store_true", help="look whether it is right")
    serve.add_argument(
        "--show-config", action="store_true", help="print all settings with their meaning"
    )
    serve.add_argument(
        "--drain",
        type=seconds,
        metavar="SECONDS",
        help="time for open associations to finish at the end (default: 10)",
    )
    serve.add_argument("--print", action="store_true", help="print each object that arrives")
    serve.add_argument(
        "--verbose",
        action="store_true",
        help="print who associates, and how it ends; rejections and aborts are always",
    )
    serve.add_argument("--trace", action="store_true", help="print each PDU in a line")
    serve.add_argument(
        "--log", metavar="FILE", help="append what is wrong, with tracebacks, to this file"
    )
    serve.add_argument("--debug", action="store_true", help="print tracebacks")
    serve.add_argument(
        "--timeout",
        type=duration,
        metavar="SECONDS",
        help="end an association on which nothing comes for so long (default: 600)",
    )
    serve.add_argument(
        "--show-policy", action="store_true", help="print what would be accepted, and end"
    )
    tls = serve.add_argument_group("TLS")
    add_certificates(tls)
    tls.add_argument(
        "--tls-anonymous", action="store_true", help="take peers without a certificate, too"
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
    from dicom_actors.cli.archive_config import load_options, show_config
    from dicom_actors.cli.serve import ServeOptions, serve, show_policy
    from dicom_actors.cli.web_options import load_web

    archive, web = load_options(options), load_web(options)
    if options.show_config:
        print(show_config(options, archive, web))
    if options.show_config or options.check_config:
        return 0
    settings = ServeOptions(
        archive=None if options.receive_only else archive,
        web=web,
        port=options.port,
        host=options.host,
        ae_title=options.ae_title,
        store=options.store,
        print_objects=options.print,
        verbose=options.verbose,
        trace=options.trace,
        log=options.log,
        debug=options.debug,
        timeout=options.timeout,
        user=options.user,
        passcode=_passcode(options),
        drain=options.drain,
        tls=_tls(options),
    )
    return show_policy(settings) if options.show_policy else serve(settings)


def _passcode(options: argparse.Namespace) -> str | None:
    if options.passcode_file is None:
        return None
    if options.user is None:
        raise UsageError("a passcode is of no use without --user NAME")
    from dicom_actors.cli.passcodes import read_passcode

    return read_passcode(options.passcode_file)


def _tls(options: argparse.Namespace) -> TlsConfig | None:
    if options.tls_certificate is None:
        if options.tls_key or options.tls_authorities or options.tls_anonymous:
            raise UsageError("TLS: expected --tls-certificate with the other options of TLS")
        return None
    from dicom_actors.tls import TlsConfig

    return TlsConfig(
        certificate=options.tls_certificate,
        key=options.tls_key,
        authorities=options.tls_authorities,
        require_peer_certificate=not options.tls_anonymous,
    )


def _control(options: argparse.Namespace) -> int:
    from dicom_actors.cli import operate

    if options.control == "status":
        return operate.status(options.port, as_json=options.json)
    if options.control == "top":
        return operate.top(options.port, once=options.once, as_json=options.json)
    if options.control == "drain":
        return operate.drain(options.port, options.deadline, as_json=options.json)
    return operate.abort(options.port, options.id, as_json=options.json)
