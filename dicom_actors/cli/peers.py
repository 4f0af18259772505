"""Peers as users name them: ``AE@host:port``, ``host:port``, an ``http(s)://`` address, or a name.

Names are those of a TOML file.

The file is given with ``--config``, or is ``dicom-actors.toml`` in the folder for configuration
files (``$XDG_CONFIG_HOME``, else ``~/.config``)::

    [peers.pacs]
    address = "PACS@pacs.example.org:104"
    calling = "WORKSTATION"             # the rest may be left out
    timeout = 60
    user = "jane"
    passcode_file = "pacs.passcode"     # relative to the folder of this file
    tls = {authorities = "hospital.pem", certificate = "me.pem", key = "me.key"}   # or true

    [peers.cloud]
    address = "https://pacs.example.org/dicom-web"
    token_file = "cloud.token"
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from dicom_actors.cli.config_file import check_keys, read_config
from dicom_actors.cli.usage import UsageError
from dicom_actors.config import check_ae_title, check_host
from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    from dicom_actors.cli.config_file import ConfigFile

__all__ = [
    "Peer",
    "TlsFiles",
    "find_peer",
    "load_peers",
    "parse_address",
    "peers_in",
]

_FORM: Final = "AE@host:port, host:port, http(s)://host/path, or the name of a peer"
_WEB: Final = ("http://", "https://")
_ROOT: Final = "/dicom-web"
"""Where DICOMweb is at an address without a path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What TLS is made of.

    Attributes:
        certificate: our certificate; None: we have none.
        key: its private key; None: it is in the same file.
        authorities: whom to trust; None: the authorities of the system.
        hostname: what the peer's certificate must name; None: anything.
    """

    certificate: str | None = None
    key: str | None = None
    authorities: str | None = None
    hostname: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Whom to connect to, and how; None stands for the default.

    Attributes:
        host: name or address.
        port: TCP port.
        called: its AE title; None: any will do.
        calling: our AE title.
        timeout: seconds for each step.
        tls: None: plain TCP.
        user: the name of the user.
        passcode_file: the file whose first line is the user's passcode.
        url: the root of its DICOMweb, for one that is asked by HTTP; None: it is asked by DIMSE.
        token_file: the file whose first line is the token for it.
    """

    host: str
    port: int
    called: str | None = None
    calling: str | None = None
    timeout: float | None = None
    tls: TlsFiles | None = None
    user: str | None = None
    passcode_file: str | None = None
    url: str | None = None
    token_file: str | None = None

    @property
    def address(self) -> str:
        """As it is written."""
        if self.url is not None:
            return self.url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.called}@{host}:{self.port}" if self.called else f"{host}:{self.port}"


def find_peer(text: str, config: str | None = None) -> Peer:
    """Return the peer that a user means.

    Args:
        text: an address, or a name in the configuration file.
        config: that file; None: the usual one, if it is there.

    Raises:
        UsageError: it is neither, or there is something wrong with the file.
    """
    if "@" in text or ":" in text:
        return parse_address(text)
    peers = load_peers(config)
    if text in peers:
        return peers[text]
    known = f"it has {', '.join(peers)}" if peers else "it has none"
    raise UsageError(f"peer: expected {_FORM} in {read_config(config).path}; {known}, got {text!r}")


def parse_address(text: str) -> Peer:
    """Take an address apart; the host may be an IPv6 address in brackets.

    Raises:
        UsageError: it is none.
    """
    if text.startswith(_WEB):
        return _parse_url(text)
    title, at, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UsageError(f"peer: expected an IPv6 address in brackets, [::1]:104; got {text!r}")
    if not (host and colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise UsageError(f"peer: expected {_FORM}; got {text!r}")
    _check_host(host)
    if at:
        _check_title(title, "peer: the AE title before the @")
    return Peer(host=host, port=int(port), called=title if at else None)


def _parse_url(text: str) -> Peer:
    try:
        parts = urlsplit(text)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise UsageError(f"peer: {error}; got {text!r}") from error
    if not parts.hostname or parts.query or parts.fragment or parts.username:
        raise UsageError(f"peer: expected http://host:port/path, or with https; got {text!r}")
    _check_host(parts.hostname)
    tls = TlsFiles() if parts.scheme == "https" else None
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or _ROOT}"
    return Peer(host=parts.hostname, port=port, url=url, tls=tls)


def load_peers(config: str | None = None) -> dict[str, Peer]:
    """Read the peers of the configuration file.

    Args:
        config: its path; None: the usual one, which need not be there.

    Returns:
        Peers by name, in the order of the file.

    Raises:
        UsageError: something in it is not as expected.
    """
    return peers_in(read_config(config))


def peers_in(file: ConfigFile) -> dict[str, Peer]:
    """Give the peers of a configuration file that was read; see `load_peers`.

    Raises:
        UsageError: something in it is not as expected; it names each peer of which that is so.
    """
    found: dict[str, Peer] = {}
    problems: list[str] = []
    for name, table in file.content.get("peers", {}).items():
        try:
            found[name] = _peer(name, table, file)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(*problems)
    return found


_PEER_KEYS: Final[dict[str, Any]] = {
    "address": str,
    "calling": str,
    "timeout": int | float,
    "user": str,
    "passcode_file": str,
    "token_file": str,
    "tls": bool | dict,
}
_TLS_KEYS: Final[dict[str, Any]] = {
    "certificate": str,
    "key": str,
    "authorities": str,
    "hostname": str,
}


def _peer(name: str, table: Any, file: ConfigFile) -> Peer:
    path, where = file.path, file.where("peers", name)
    if not isinstance(table, dict):
        raise UsageError(f"{where}: expected a table with an address, got {table!r}")
    check_keys(file, ("peers", name), table, _PEER_KEYS)
    if "address" not in table:
        raise UsageError(f'{where}: expected address = "AE@host:port"')
    try:
        peer = parse_address(table["address"])
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    timeout = table.get("timeout")
    if timeout is not None and not 0 < timeout < float("inf"):
        raise UsageError(f"{where}: timeout: expected seconds above 0, got {timeout}")
    if "calling" in table:
        _check_title(table["calling"], f"{where}: calling")
    return replace(
        peer,
        calling=table.get("calling"),
        timeout=timeout,
        token_file=_beside(table.get("token_file"), path),
        tls=_tls(table.get("tls", peer.tls is not None), file, name),
        user=table.get("user"),
        passcode_file=_beside(table.get("passcode_file"), path),
    )


def _tls(value: bool | dict[str, Any], file: ConfigFile, name: str) -> TlsFiles | None:  # noqa: FBT001
    if not isinstance(value, dict):
        return TlsFiles() if value else None
    check_keys(file, ("peers", name, "tls"), value, _TLS_KEYS)
    path = file.path
    return TlsFiles(
        certificate=_beside(value.get("certificate"), path),
        key=_beside(value.get("key"), path),
        authorities=_beside(value.get("authorities"), path),
        hostname=value.get("hostname"),
    )


def _beside(name: str | None, path: Path) -> str | None:
    """A file named in the configuration file: relative names are relative to its folder."""
    if name is None:
        return None
    try:
        return str(path.parent / Path(name).expanduser())
    except RuntimeError:  # of a user who has no home
        return str(path.parent / name)


def _check_host(host: str) -> None:
    try:
        check_host(host, "peer: the host")
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def _check_title(title: str, where: str) -> None:
    try:
        check_ae_title(title, where)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
