"""Passcodes out of files."""

from __future__ import annotations

from pathlib import Path

from dicom_actors.errors import ConfigurationError

__all__ = ["read_passcode"]


def read_passcode(path: str) -> str:
    """Return the first line of a file.

    Raises:
        ConfigurationError: it cannot be read, or there is nothing in that line.
    """
    try:
        line = Path(path).read_text(encoding="utf-8").partition("\n")[0]
    except OSError as error:
        raise ConfigurationError(f"passcode file: {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"passcode file: {path}: expected UTF-8") from error
    passcode = line.removesuffix("\r")
    if not passcode:
        raise ConfigurationError(f"passcode file: {path}: expected a passcode in its first line")
    return passcode
