"""The arguments of all commands.

Each command's module is loaded when it runs, so that ``--help`` and completion are quick.
"""

from __future__ import annotations

import argparse
from typing import Any, Final, NoReturn

from dicom_actors.cli import (
    arguments_of_archive,
    arguments_of_deidentify,
    arguments_of_endpoints,
    arguments_of_file_tools,
    arguments_of_files,
    arguments_of_pixels,
    arguments_of_queue,
    arguments_of_users,
    arguments_of_web,
    arguments_of_work,
)
from dicom_actors.version import __version__

__all__ = ["build_parser", "parse_arguments"]


_PLACES: Final = frozenset({"PATH", "FILE", "DIR", "DEST", "IN", "OUT", "PICTURE"})
"""What arguments are called, as metavar, that name files and folders."""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, where argparse prints the usage, too."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: {message}; see `{self.prog} --help`\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Say also whose arguments these are: `parser`, that of the innermost command."""
        options, left = super().parse_known_args(args, namespace)
        if not hasattr(options, "parser"):
            options.parser = self
        return options, left

    def check_places(self, options: argparse.Namespace) -> None:
        """End with exit code 2 if a file or a folder has no name.

        It is what a variable of a shell gives that is not set, and would be the current folder.
        """
        for action in self._actions:
            values = getattr(options, action.dest, None)
            if action.metavar in _PLACES and "" in (
                values if isinstance(values, list) else [values]
            ):
                name = "/".join(action.option_strings) or action.metavar
                self.error(f"argument {name}: expected the name of a file or a folder, got ''")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser: argparse.ArgumentParser = _Parser(
        prog="dicom-actors",
        description="DICOM files, a DICOM network endpoint, and the other side of it.\n"
        "Not a medical device.",
        epilog="`dicom-actors COMMAND --help` tells more of a command, with examples.\n\n"
        "Exit codes: 0 all went well, 1 something failed (each failure is one line on standard\n"
        "error), 2 wrong arguments or configuration file, 130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    arguments_of_endpoints.add_serve(commands)
    arguments_of_archive.add_archive(commands)
    arguments_of_queue.add_queue(commands)
    arguments_of_work.add_work(commands)
    arguments_of_users.add_commands(commands)
    arguments_of_files.add_commands(commands)
    arguments_of_file_tools.add_commands(commands)
    arguments_of_pixels.add_commands(commands)
    arguments_of_deidentify.add_deidentify(commands)
    arguments_of_endpoints.add_control(commands)
    arguments_of_web.add_token(commands)
    return parser


def parse_arguments(parser: argparse.ArgumentParser, words: list[str] | None) -> argparse.Namespace:
    """Parse the arguments; options may stand between those that are none.

    argparse takes all the values of an argument such as ``KEY=VALUE...`` from one place. What it
    leaves over goes to the one that a command names as its `rest`.
    """
    options, left = parser.parse_known_args(None if words is None else _joined(words))
    innermost = vars(options).pop("parser")
    rest: str | None = getattr(options, "rest", None)
    dash = "--" if getattr(options, "rest_has_dashes", False) else "-"
    if left and (rest is None or any(word.startswith(dash) for word in left)):
        innermost.error(f"unrecognized arguments: {' '.join(left)}")
    if left and rest is not None:
        getattr(options, rest).extend(left)
    innermost.check_places(options)
    return options


def _joined(words: list[str]) -> list[str]:
    """Join ``--window`` with a center below 0, which argparse takes for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--window" and word[:1] == "-" and word[1:2].isdigit():
            joined[-1] = f"--window={word}"
        else:
            joined.append(word)
    return joined
