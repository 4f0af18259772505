"""The command ``dicom-actors``: its exit codes and its one-line errors.

Exit codes: 0 all went well; 1 something failed (each failure is one line on standard error);
2 the arguments or the configuration file are wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dicom_actors.cli.output import (
    OutputEnded,
    OutputError,
    checked_output,
    open_missing_streams,
)
from dicom_actors.cli.parser import build_parser, parse_arguments
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_COMPLETE = "--complete"
"""What the scripts of `completion` call us with, before the words of a command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what stands behind the command's name; None: those of the process.

    Returns:
        The exit code.
    """
    open_missing_streams()
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    if words[:1] == [_COMPLETE]:
        from dicom_actors.cli.completion import print_candidates

        print_candidates(parser, words[1:])
        return 0
    options = parse_arguments(parser, words)
    try:
        with checked_output():
            return int(options.run(options))
    except KeyboardInterrupt:
        return 130
    except OutputEnded:
        return 0
    except BrokenPipeError:
        # The reader of our errors has had enough; closing says so without a traceback.
        sys.stderr.close()
        return 0
    except (UsageError, DicomError, OutputError, OSError) as error:
        from dicom_actors.cli.terminal import complain, in_words

        if isinstance(error, UsageError):
            for problem in error.problems:
                complain(problem)
            return 2
        complain(in_words(error))
        return 1
