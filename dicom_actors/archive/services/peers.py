"""Whom an archive knows: where instances and reports may be sent.

Addresses come from the configuration alone, never from what a peer says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dicom_actors import MoveTo

if TYPE_CHECKING:
    import ssl

    from dicom_actors import TlsConfig

__all__ = ["Peer"]


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer by its AE title.

    Attributes:
        host: its name or address.
        port: its port.
        calling: our AE title for it; None: that of the endpoint.
        timeout: seconds to connect, and for each response.
        tls: makes the connection secure.
        server_hostname: the name in its certificate; None: `host`.
        user_identity: as for `connect`.
    """

    host: str
    port: int
    calling: str | None = None
    timeout: float = 30.0
    tls: TlsConfig | ssl.SSLContext | None = field(default=None, repr=False)
    server_hostname: str | None = None
    user_identity: Any = field(default=None, repr=False)

    def move(self, ae_title: str, instances: Any) -> MoveTo:
        """What a ``cmove`` handler returns for instances that go to it."""
        return MoveTo(
            self.host,
            self.port,
            ae_title,
            instances,
            calling=self.calling,
            timeout=self.timeout,
            tls=self.tls,
            server_hostname=self.server_hostname,
            user_identity=self.user_identity,
        )

    def connection(self, ae_title: str, default_calling: str) -> tuple[tuple[str, int], Any]:
        """What `connect` takes: the address, and its keyword arguments."""
        return (self.host, self.port), {
            "called": ae_title,
            "calling": self.calling or default_calling,
            "timeout": self.timeout,
            "tls": self.tls,
            "server_hostname": self.server_hostname,
            "user_identity": self.user_identity,
        }
