"""The arguments of ``serve`` for its web side, and of ``token``."""

from __future__ import annotations

import argparse

__all__ = ["add_token", "add_web"]


def add_web(serve: argparse.ArgumentParser) -> None:
    """Add the options of the web side to ``serve``."""
    web = serve.add_argument_group("web: DICOMweb at /dicom-web, and a page")
    web.add_argument(
        "--no-web",
        dest="web_enabled",
        action="store_const",
        const=False,
        help="no web server",
    )
    web.add_argument("--web-port", type=int, metavar="PORT", help="its port (default: 8042)")
    web.add_argument(
        "--web-host",
        metavar="HOST",
        help="its address (default: 127.0.0.1, this machine alone)",
    )
    web.add_argument(
        "--public-url",
        "--web-public-url",
        dest="web_public_url",
        metavar="URL",
        help="the address that clients reach it by, if another one",
    )
    web.add_argument(
        "--tokens",
        "--web-tokens",
        dest="web_tokens",
        metavar="FILE",
        help="names and SHA-256 of tokens: who may ask",
    )
    web.add_argument(
        "--insecure",
        "--web-insecure",
        dest="web_insecure",
        action="store_true",
        default=None,
        help="let others than this machine ask without tokens",
    )
    web.add_argument("--web-certificate", metavar="FILE", help="serve https:// with it")
    web.add_argument("--web-key", metavar="FILE", help="its key, if in another file")
    web.add_argument(
        "--cors-origin",
        "--web-cors-origins",
        dest="web_cors_origins",
        action="append",
        metavar="ORIGIN",
        help="let pages of that origin ask; * for all; may be repeated",
    )
    web.add_argument(
        "--allow-delete",
        "--web-allow-delete",
        dest="web_allow_delete",
        action="store_true",
        default=None,
        help="let DELETE delete",
    )
    web.add_argument(
        "--ups",
        "--web-ups",
        dest="web_ups",
        action="store_true",
        default=None,
        help="a worklist of unified procedure steps (UPS-RS), at /dicom-web/workitems",
    )
    web.add_argument(
        "--viewer",
        "--web-viewer",
        dest="web_viewer",
        metavar="DIR",
        help="serve a ready-built viewer below /viewer/",
    )


def add_token(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``token``."""
    token = commands.add_parser(
        "token",
        help="make a token for the web server",
        description="Make a token that lets somebody ask the web server of `serve --tokens FILE`,\n"
        "print it once, and add its SHA-256 to that file. A running server sees it at once; to\n"
        "take the token back, remove its line.",
        epilog="""examples:
  dicom-actors token workstation --file tokens.txt
  dicom-actors token scanner --for write --file tokens.txt > scanner.token""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    token.add_argument("name", metavar="NAME", help="whose it is")
    token.add_argument(
        "--for",
        dest="right",
        choices=("read", "write", "admin"),
        default="read",
        help="what it is for; write reads, too, and admin does everything (default: read)",
    )
    token.add_argument("--file", metavar="FILE", help="the file; made if it is not there")
    token.set_defaults(run=_token)


def _token(options: argparse.Namespace) -> int:
    from dicom_actors.cli.token import make_token

    return make_token(options)
