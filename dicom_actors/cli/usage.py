"""What is wrong with the arguments of a command, where argparse could not say so."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """An argument or the configuration file is wrong; the message says what was expected.

    The command ends with exit code 2.
    """
