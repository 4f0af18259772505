"""Certificates for tests of TLS, made anew in each run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


class Certificates:
    """An authority, and the files that peers want."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authority = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))

    def issue(self, name: str, *hosts: str) -> tuple[Path, Path]:
        """A certificate and its key, as files; it names this machine, unless others are given."""
        issued = self._authority.issue_cert(
            *(hosts or ("localhost", "127.0.0.1")), common_name=name
        )
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.private_key_pem.write_to_path(str(key))
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return certificate, key
