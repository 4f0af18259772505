"""What is wrong with the arguments of a command, where argparse could not say so."""

from __future__ import annotations

__all__ = ["UsageError"]


class UsageError(Exception):
    """An argument or the configuration file is wrong; the message says what was expected.

    The command ends with exit code 2.

    Args:
        *problems: each of them, in a line.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        return "; ".join(self.problems)
