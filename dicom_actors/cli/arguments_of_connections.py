"""The arguments that all commands have that ask a peer for something: whom, and how."""

from __future__ import annotations

import argparse
from typing import Final

from dicom_actors.cli.argument_types import ae_title, duration

__all__ = ["add_certificates", "connection_arguments"]

_PEER: Final = (
    "whom to ask: AE@host:port (host:port if any AE title will do; an IPv6 address in brackets), "
    "for store, find and get also http(s)://host:port/path (DICOMweb), or a name in the "
    "configuration file"
)


def connection_arguments() -> argparse.ArgumentParser:
    """Make a parser with them, to be the parent of those of the commands."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("peer", metavar="PEER", help=_PEER)
    shared.add_argument("--json", action="store_true", help="print lines of JSON")
    shared.add_argument(
        "--verbose", action="store_true", help="say on standard error what is negotiated and done"
    )
    shared.add_argument(
        "--trace", action="store_true", help="print each PDU in a line on standard error"
    )
    connection = shared.add_argument_group("connection")
    connection.add_argument(
        "--calling", type=ae_title, metavar="AE", help="our AE title (default: DICOM_ACTORS)"
    )
    connection.add_argument(
        "--timeout",
        type=duration,
        metavar="SECONDS",
        help="for each step, such as to connect or for an answer to come (default: 30)",
    )
    connection.add_argument(
        "--config", metavar="FILE", help="the configuration file; see `dicom-actors peers --help`"
    )
    tls = shared.add_argument_group("TLS")
    tls.add_argument("--tls", action="store_true", help="use TLS; the others imply it")
    add_certificates(tls)
    tls.add_argument(
        "--tls-hostname",
        metavar="NAME",
        help="what the peer's certificate must name (default: anything, if it is trusted)",
    )
    shared.add_argument(
        "--token-file",
        metavar="FILE",
        help="the first line of this file is the token for a peer that is asked by HTTP",
    )
    user = shared.add_argument_group("user identity")
    user.add_argument("--user", metavar="NAME", help="who the user is")
    user.add_argument("--passcode", action="store_true", help="prompt for the user's passcode")
    user.add_argument(
        "--passcode-file", metavar="FILE", help="the passcode is the first line of this file"
    )
    return shared


def add_certificates(tls: argparse._ArgumentGroup) -> None:
    """Add the files that TLS needs on either side."""
    tls.add_argument("--tls-certificate", metavar="FILE", help="our certificate, PEM")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key, if in another file")
    tls.add_argument(
        "--tls-authorities",
        metavar="FILE",
        help="certificates of the authorities to trust, PEM (default: those of the system)",
    )
