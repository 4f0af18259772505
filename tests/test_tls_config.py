"""Certificates that cannot be used: which file it is, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from pydicom.data import get_testdata_file

from dicom_actors import TlsConfig
from dicom_actors.errors import ConfigurationError
from dicom_actors.tls import client_context, server_context

NO_PEM = Path(str(get_testdata_file("CT_small.dcm")))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two certificates with their keys, a key with a password, and other files."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    found = {"dcm": NO_PEM, "absent": folder / "absent.pem"}
    for name in ("one", "two"):
        found[name] = folder / f"{name}.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
            str(found[name])
        )
    key = serialization.load_pem_private_key(found["one"].read_bytes(), None)
    found["locked"] = folder / "locked.pem"
    found["locked"].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"sesame"),
        )
    )
    return found


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"certificate": "absent"}, "absent.pem: No such file or directory"),
        ({"authorities": "absent"}, "absent.pem: No such file or directory"),
        ({"certificate": "one", "key": "absent"}, "one.pem and .*absent.pem: No such file"),
        ({"certificate": "dcm"}, "CT_small.dcm: expected a certificate with its private key"),
        ({"authorities": "dcm"}, "CT_small.dcm: expected certificates of authorities in PEM"),
        ({"certificate": "one", "key": "two"}, "one.pem and .*two.pem: .*key values mismatch"),
    ],
)
def test_the_file_is_named_with_what_is_wrong(
    files: dict[str, Path], config: dict[str, str], message: str
) -> None:
    chosen: dict[str, Any] = {option: files[name] for option, name in config.items()}
    with pytest.raises(ConfigurationError, match=f"^tls: .*{message}") as caught:
        client_context(TlsConfig(**chosen))
    assert "_ssl.c" not in str(caught.value)


def test_a_password_that_is_missing_or_wrong_is_an_error_and_never_asked_for(
    files: dict[str, Path],
) -> None:
    how: dict[str, Any] = {"certificate": files["one"], "key": files["locked"]}
    for password in (None, "wrong"):
        with pytest.raises(ConfigurationError, match=r"locked\.pem: expected a certificate"):
            server_context(TlsConfig(**how, password=password))
    server_context(TlsConfig(**how, password="sesame"))


def test_a_server_needs_a_certificate() -> None:
    with pytest.raises(ConfigurationError, match="a server needs a certificate"):
        server_context(TlsConfig())


@pytest.mark.parametrize("name", ["certificate", "key", "authorities"])
def test_what_is_no_path_is_named(name: str) -> None:
    settings: Any = {"certificate": "me.pem", name: 5}
    for make in (server_context, client_context):
        with pytest.raises(ConfigurationError, match=f"tls: {name}: expected a path, got 5"):
            make(TlsConfig(**settings))
