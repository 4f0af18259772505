"""Associations for the commands of the user side, from their options."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.passcodes import read_passcode
from dicom_actors.cli.peers import Peer, TlsFiles, find_peer
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import ConfigurationError
from dicom_actors.scu import connect

if TYPE_CHECKING:
    import ssl
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from dicom_actors.scu import Association
    from dicom_actors.scu.settings import Credentials, PduTap
    from dicom_actors.storage.contexts import ContextLike
    from dicom_actors.tls import TlsConfig
    from dicom_actors.web_user import WebClient

__all__ = ["associated", "https_context", "peer_of", "tls_config", "user_identity", "web_client"]

_TIMEOUT: Final = 30.0
_CALLING: Final = "DICOM_ACTORS"
_ANY: Final = "ANY-SCP"


def peer_of(options: Namespace) -> Peer:
    """Return the peer that is meant; options go before what the configuration file says.

    Raises:
        UsageError: there is none of that name, or options contradict each other.
    """
    peer = find_peer(options.peer, options.config)
    files = {
        key: value
        for key in ("certificate", "key", "authorities", "hostname")
        if (value := getattr(options, f"tls_{key}")) is not None
    }
    tls = peer.tls
    if files or options.tls:
        tls = replace(tls or TlsFiles(), **files)
    if tls is not None and tls.key is not None and tls.certificate is None:
        raise UsageError("TLS: a key is of no use without a certificate")
    user = peer.user if options.user is None else options.user
    token_file = options.token_file or peer.token_file
    if token_file is not None and peer.url is None:
        raise UsageError("a token is of no use but for a peer at http:// or https://")
    if user is None and (options.passcode or options.passcode_file is not None):
        raise UsageError("a passcode is of no use without --user NAME")
    if options.passcode and options.passcode_file is not None:
        raise UsageError("expected --passcode or --passcode-file, got both")
    # The passcode of one user is not to be tried for another.
    passcode_file = None if options.user not in {None, peer.user} else peer.passcode_file
    return replace(
        peer,
        calling=options.calling or peer.calling,
        timeout=options.timeout or peer.timeout,
        tls=tls,
        token_file=token_file,
        user=user,
        passcode_file=None if options.passcode else options.passcode_file or passcode_file,
    )


@contextlib.contextmanager
def associated(
    options: Namespace, *, contexts: Iterable[ContextLike] | None = None, window: int = 1
) -> Iterator[Association]:
    """Associate with the peer for the length of the block; an exception in it aborts.

    Args:
        options: those that all commands of the user side have.
        contexts: the presentation contexts to propose; None: what is needed, when it is needed.
        window: how many operations we would like to have outstanding.

    Raises:
        UsageError: the arguments are wrong.
        AssociationError: it did not come about.
        ConfigurationError: a certificate or the passcode cannot be read.
    """
    peer = peer_of(options)
    if peer.url is not None:
        raise UsageError(
            f"expected AE@host:port, got {peer.address}: by HTTP there are store, find and get"
        )
    identity = user_identity(peer, prompt=options.passcode)
    if options.verbose:
        secured = "" if peer.tls is None else " with TLS"
        print(f"connecting to {peer.host} port {peer.port}{secured}", file=sys.stderr)
    with connect(
        peer.host,
        peer.port,
        called=peer.called or _ANY,
        calling=peer.calling or _CALLING,
        contexts=contexts,
        timeout=peer.timeout or _TIMEOUT,
        tls=None if peer.tls is None else tls_config(peer.tls),
        server_hostname=None if peer.tls is None else peer.tls.hostname,
        user_identity=identity,
        async_window=window,
        on_pdu=_log(options),
    ) as association:
        yield association


@contextlib.contextmanager
def web_client(options: Namespace, peer: Peer) -> Iterator[WebClient]:
    """Give the client for a peer that is asked by HTTP, for the length of the block.

    Raises:
        ConfigurationError: a certificate or the token cannot be read.
    """
    from dicom_actors.web_user import WebClient

    assert peer.url is not None
    token = None if peer.token_file is None else read_passcode(peer.token_file)
    if token is not None and peer.tls is None and not _is_here(peer.host):
        print("dicom-actors: warning: without TLS anybody can read the token", file=sys.stderr)
    tls = https_context(peer)
    if options.verbose:
        print(f"asking {peer.url}", file=sys.stderr)
    with WebClient(peer.url, token=token, tls=tls, timeout=peer.timeout or _TIMEOUT) as client:
        yield client


def _is_here(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _log(options: Namespace) -> PduTap | None:
    if not (options.trace or options.verbose):
        return None
    from dicom_actors.cli.protocol_log import ProtocolLog

    return ProtocolLog(is_trace=options.trace)


def tls_config(files: TlsFiles) -> TlsConfig:
    """Say of certificates what a connection needs.

    Raises:
        ConfigurationError: a certificate cannot be read.
    """
    from dicom_actors.tls import TlsConfig, client_context

    config = TlsConfig(
        certificate=files.certificate,
        key=files.key,
        authorities=files.authorities,
        check_hostname=files.hostname is not None,
    )
    client_context(config)  # while there is somebody to tell
    return config


def https_context(peer: Peer) -> ssl.SSLContext | None:
    """Make of certificates what HTTP needs, which names hosts; None: what is usual.

    Raises:
        ConfigurationError: a certificate cannot be read.
    """
    from dicom_actors.tls import client_context

    if peer.tls is None or peer.tls == TlsFiles():
        return None
    return client_context(replace(tls_config(peer.tls), check_hostname=True))


def user_identity(peer: Peer, *, prompt: bool) -> Credentials | None:
    """Say who we are for a peer; None if it need not know.

    Args:
        peer: the peer.
        prompt: whether to ask for the passcode.

    Raises:
        ConfigurationError: the passcode cannot be read.
    """
    if peer.user is None:
        return None
    if prompt:
        from getpass import getpass

        try:
            passcode = getpass(f"Passcode of {peer.user} at {peer.address}: ")
        except EOFError:
            raise ConfigurationError("--passcode: expected a passcode, nobody typed one") from None
    elif peer.passcode_file is not None:
        passcode = read_passcode(peer.passcode_file)
    else:
        return peer.user
    if peer.tls is None:
        print("dicom-actors: warning: without TLS anybody can read the passcode", file=sys.stderr)
    return peer.user, passcode
