"""``dicom-actors token NAME``: make a token for the web server, and let it in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dicom_actors.cli.terminal import say
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import DicomError
from dicom_actors.web.tokens import Tokens, new_token

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["make_token"]


def make_token(options: Namespace) -> int:
    """Print a new token; its hash goes to the file of those that are let in, or is printed, too.

    Returns:
        0.

    Raises:
        UsageError: the name is none.
        DicomError: the file cannot be read or written.
    """
    name: str = options.name
    if not name.isprintable() or len(name.split()) != 1 or "#" in name:
        raise UsageError(f"expected a name without blanks and #, got {name!r}")
    token, line = new_token(name, options.right)
    if options.file is None:
        print(token)
        say(f"a line for the file that `serve --tokens FILE` reads: {line}")
        return 0
    try:
        # For our eyes only: a hash tells no token, but who may ask is nobody else's business.
        handle = os.open(options.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with open(handle, "r+b") as file:  # noqa: PTH123 - a descriptor
            content = file.read()
            Tokens(options.file)  # a line behind one that is wrong would let nobody in
            start = b"" if not content or content.endswith(b"\n") else b"\n"
            file.write(start + f"{line}\n".encode())
    except OSError as error:
        raise DicomError(f"{options.file}: {error.strerror or error}") from error
    print(token)
    say(f"added to {options.file}: {name}, for {options.right}; it is not shown again")
    return 0
