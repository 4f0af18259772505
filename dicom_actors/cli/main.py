"""The command ``dicom-actors``: its arguments, its exit codes, its one-line errors.

Exit codes: 0 all went well; 1 something failed (each failure is one line on standard error);
2 the arguments are wrong; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from dicom_actors.errors import DicomError
from dicom_actors.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.tls import TlsConfig

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what stands behind the command's name; None: those of the process.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has had enough; closing says so without a traceback.
        sys.stderr.close()
        return 0
    except (DicomError, OSError) as error:
        print(f"dicom-actors: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dicom-actors",
        description="DICOM files and a DICOM network endpoint. Not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_dump(commands)
    _add_control(commands)
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="receive objects over the network and keep them",
        description="Answer C-ECHO and C-STORE, and keep each object as "
        "DIR/<study>/<series>/<instance>.dcm. Ctrl-C ends it.",
    )
    serve.add_argument("--port", type=int, default=4242, help="TCP port (default: 4242)")
    serve.add_argument("--host", default="", help="address to bind to (default: all)")
    serve.add_argument(
        "--ae-title", default=None, help="our AE title; others are rejected (default: any)"
    )
    serve.add_argument(
        "--store", default="dicom-archive", metavar="DIR", help="where to (default: %(default)s)"
    )
    serve.add_argument(
        "--drain",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="time for open associations to finish at the end (default: 10)",
    )
    serve.add_argument("--print", action="store_true", help="print each object that arrives")
    serve.add_argument("--trace", action="store_true", help="print each PDU in a line")
    serve.add_argument(
        "--show-policy", action="store_true", help="print what would be accepted, and end"
    )
    tls = serve.add_argument_group("TLS")
    tls.add_argument("--tls-certificate", metavar="FILE", help="our certificate, PEM")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key, if in another file")
    tls.add_argument(
        "--tls-authorities",
        metavar="FILE",
        help="certificates of the authorities to trust, PEM (default: those of the system)",
    )
    tls.add_argument(
        "--tls-anonymous", action="store_true", help="take peers without a certificate, too"
    )
    serve.set_defaults(run=_serve)


def _add_dump(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    dump = commands.add_parser(
        "dump",
        help="print DICOM files",
        description="Print the elements of DICOM files: tag, VR, length, name, value.",
    )
    dump.add_argument("--json", action="store_true", help="print JSON, as `json` does")
    as_json = commands.add_parser(
        "json",
        help="print DICOM files as JSON",
        description="Print each DICOM file as an object of the DICOM JSON Model in one line. Long "
        "binary values are given as the URI of the file with the path of the element behind it.",
    )
    as_json.set_defaults(json=True)
    for command in (dump, as_json):
        command.add_argument("files", nargs="+", metavar="FILE", help="DICOM files")
        command.add_argument(
            "--filter",
            nargs="+",
            action="extend",
            default=[],
            type=_tag,
            metavar="KEY",
            help="print these elements alone, wherever they are nested; a keyword or a tag, "
            "such as PatientID or 0010,0020; after the files",
        )
        command.add_argument("--full", action="store_true", help="print long values as a whole")
        command.set_defaults(run=_dump)


def _add_control(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that talk to a running ``serve`` of the same user on this machine."""
    status = commands.add_parser("status", help="how a running endpoint is")
    top = commands.add_parser("top", help="watch the actors of a running endpoint")
    top.add_argument("--once", action="store_true", help="print it once instead of watching")
    drain = commands.add_parser(
        "drain", help="let open associations finish, accepting no more; abort the rest"
    )
    drain.add_argument(
        "--deadline", type=_seconds, default=30.0, metavar="SECONDS", help="default: 30"
    )
    abort = commands.add_parser("abort", help="abort an association")
    abort.add_argument("id", type=int, help="its number, as `status` prints it")
    for name, command in (("status", status), ("top", top), ("drain", drain), ("abort", abort)):
        command.add_argument("--port", type=int, default=4242, help="its port (default: 4242)")
        command.add_argument("--json", action="store_true", help="print one line of JSON")
        command.set_defaults(run=_control, control=name)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text}")
    return value


def _tag(text: str) -> int:
    from dicom_actors.data.tag import to_tag

    try:
        return to_tag(text)
    except DicomError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


# Each command's module is loaded when it runs, so that --help is quick.


def _serve(options: argparse.Namespace) -> int:
    from dicom_actors.cli.serve import ServeOptions, serve, show_policy

    settings = ServeOptions(
        port=options.port,
        host=options.host,
        ae_title=options.ae_title,
        store=options.store,
        print_objects=options.print,
        trace=options.trace,
        drain=options.drain,
        tls=_tls(options),
    )
    return show_policy(settings) if options.show_policy else serve(settings)


def _tls(options: argparse.Namespace) -> TlsConfig | None:
    if options.tls_certificate is None:
        return None
    from dicom_actors.tls import TlsConfig

    return TlsConfig(
        certificate=options.tls_certificate,
        key=options.tls_key,
        authorities=options.tls_authorities,
        require_peer_certificate=not options.tls_anonymous,
    )


def _dump(options: argparse.Namespace) -> int:
    from dicom_actors.cli.dump import dump

    return dump(
        options.files,
        keys=frozenset(options.filter),
        as_json=options.json,
        full=options.full,
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
