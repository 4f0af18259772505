"""TLS for associations, by the profiles of PS3.15 B.12 (BCP 195).

What is made here are contexts of the standard library's `ssl`; one of your own will do as well.
"""

from __future__ import annotations

import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["TlsConfig", "client_context", "server_context"]

_CIPHERS_OF_TLS_1_2 = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "DHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES128-GCM-SHA256"
)
"""The cipher suites that BCP 195 (RFC 9325 4.2) recommends; those of TLS 1.3 all qualify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """Certificates as files in PEM format.

    Attributes:
        certificate: our certificate, followed by those that lead to a known authority.
        key: its private key; None if it stands in the same file.
        password: of the private key; None if it has none. Never shown.
        authorities: certificates of the authorities that we trust; None: the system's.
        require_peer_certificate: whether a peer without a certificate that we trust is refused;
            a client always verifies its server.
        check_hostname: whether a client insists on a certificate that names the host, or the
            `server_hostname` that it is told of. Certificates of DICOM peers seldom name any.
    """

    certificate: str | Path | None = None
    key: str | Path | None = None
    password: str | None = None
    authorities: str | Path | None = None
    require_peer_certificate: bool = True
    check_hostname: bool = False

    def __repr__(self) -> str:
        return f"TlsConfig(certificate={str(self.certificate)!r})"


def server_context(config: TlsConfig | ssl.SSLContext) -> ssl.SSLContext:
    """Make the context of a server; a ready one is given back as it is.

    Raises:
        ConfigurationError: there is no certificate, or a file cannot be read.
    """
    if isinstance(config, ssl.SSLContext):
        return config
    _check_kind(config)
    if config.certificate is None:
        raise ConfigurationError("tls: a server needs a certificate")
    context = _context(ssl.PROTOCOL_TLS_SERVER, config)
    if config.require_peer_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(config: TlsConfig | ssl.SSLContext) -> ssl.SSLContext:
    """Make the context of a client; a ready one is given back as it is.

    DICOM peers are named by AE titles, and their certificates seldom name hosts: that a trusted
    authority signed it is asked for, that it names the host only on wish (PS3.15 B.12).

    Raises:
        ConfigurationError: a file cannot be read.
    """
    if isinstance(config, ssl.SSLContext):
        return config
    _check_kind(config)
    context = _context(ssl.PROTOCOL_TLS_CLIENT, config)
    context.check_hostname = config.check_hostname
    return context


def _check_kind(config: object) -> None:
    if not isinstance(config, TlsConfig):
        raise ConfigurationError(
            f"tls: expected a TlsConfig or an ssl.SSLContext, got {shown(config)}"
        )
    for name in ("certificate", "key", "authorities"):
        file = getattr(config, name)
        if not isinstance(file, str | Path | None):
            raise ConfigurationError(f"tls: {name}: expected a path, got {shown(file)}")


def _context(protocol: int, config: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if config.certificate is not None:
        # An empty password, since OpenSSL would ask the terminal for one that is missing.
        with _naming(config.certificate, config.key, what="a certificate with its private key"):
            context.load_cert_chain(config.certificate, config.key, config.password or "")
    if config.authorities is None:
        context.load_default_certs()
    else:
        with _naming(config.authorities, what="certificates of authorities"):
            context.load_verify_locations(config.authorities)
    return context


@contextlib.contextmanager
def _naming(*files: str | Path | None, what: str) -> Iterator[None]:
    """Say in words what is wrong with which files."""
    names = " and ".join(str(file) for file in files if file is not None)
    try:
        yield
    except ssl.SSLError as error:
        reason = f": {error.reason.replace('_', ' ').lower()}" if error.reason else ""
        raise ConfigurationError(f"tls: {names}: expected {what} in PEM format{reason}") from error
    except OSError as error:
        raise ConfigurationError(f"tls: {names}: {error.strerror or error}") from error
