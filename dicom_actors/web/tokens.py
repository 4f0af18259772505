"""Tokens: who may ask. A file has their hashes, so that nobody who reads it may.

A line has a name, the SHA-256 of a token in hexadecimal, and what it is for: ``read``, ``write``
(which reads, too) or ``admin`` (which does everything); all of it where nothing is said. What
follows a ``#`` is for people::

    # dicom-actors tokens
    workstation  9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08  read

A token is made of random bytes, so its hash needs neither salt nor time.

A viewer made by others cannot be told a token. Who has shown one to the page has a cookie with
which this server, until it ends or some hours are over, takes that browser for who has the token;
the token is not in it, and no script can read it.

Standard: RFC 6750 2.1; RFC 6265.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.errors import ConfigurationError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["SESSION_SECONDS", "Token", "Tokens", "new_token"]

_HASH: Final = re.compile(r"[0-9a-fA-F]{64}")
_RIGHTS: Final = ("read", "write", "admin")
_MOST_BYTES: Final = 1 << 20
SESSION_SECONDS: Final = 12 * 3600
"""How long a cookie is good."""


class Token(NamedTuple):
    """A token that is known.

    Attributes:
        name: whose it is.
        digest: the SHA-256 of it.
        right: what it is for.
    """

    name: str
    digest: bytes
    right: str

    def allows(self, right: str) -> bool:
        """Whether it is for that."""
        return _RIGHTS.index(right) <= _RIGHTS.index(self.right)


class Tokens:
    """The tokens of a file; it is read again when it has changed.

    Args:
        path: the file.
        clock: gives the time, in seconds, monotonic.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it.
    """

    def __init__(
        self, path: str | os.PathLike[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path: Final = Path(path)
        self._clock: Final = clock
        self._secret: Final = secrets.token_bytes(32)
        self._stamp, self._tokens = self._read()

    def find(self, token: str) -> Token | None:
        """Find a token; None if it is not known."""
        self._look_again()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        found = None
        for one in self._tokens:  # all of them, so that the time tells nothing
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def session(self, token: Token) -> str:
        """Make what a cookie has, for who has shown a token."""
        return self._signed(token, int(self._clock()) + SESSION_SECONDS)

    def find_session(self, text: str) -> Token | None:
        """Find the token that a cookie was made for; None: it is none, or good no more."""
        until = text.partition(".")[0]
        if not until.isascii() or not until.isdecimal() or len(until) > 15:
            return None
        if int(until) < self._clock():
            return None
        self._look_again()
        found = None
        for one in self._tokens:
            if hmac.compare_digest(self._signed(one, int(until)).encode(), text.encode()):
                found = one
        return found

    def _signed(self, token: Token, until: int) -> str:
        signed = b"%d " % until + token.digest
        return f"{until}.{hmac.new(self._secret, signed, hashlib.sha256).hexdigest()}"

    def _look_again(self) -> None:
        try:
            if self._stamp_now() != self._stamp:
                self._stamp, self._tokens = self._read()
        except (OSError, ConfigurationError):
            return  # what is half written is read next time

    def _stamp_now(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> tuple[tuple[int, int, int], tuple[Token, ...]]:
        try:
            stamp = self._stamp_now()
            if stamp[1] > _MOST_BYTES:
                raise ConfigurationError(f"{self._path}: expected up to {_MOST_BYTES} bytes")
            text = self._path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._path}: the tokens cannot be read: {error}") from error
        found = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if not 2 <= len(words) <= 3 or not _HASH.fullmatch(words[1]):
                raise ConfigurationError(
                    f"{self._path}, line {number}: expected a name and the SHA-256 of a token"
                )
            right = words[2] if len(words) == 3 else "admin"
            if right not in _RIGHTS:
                raise ConfigurationError(
                    f"{self._path}, line {number}: expected one of {', '.join(_RIGHTS)}"
                )
            found.append(Token(words[0], bytes.fromhex(words[1]), right))
        return stamp, tuple(found)


def new_token(name: str, right: str = "read") -> tuple[str, str]:
    """Make a token; returns it, and the line of the file that lets it in."""
    token = secrets.token_urlsafe(32)
    return token, f"{name}  {hashlib.sha256(token.encode()).hexdigest()}  {right}"
