"""A bar while a command works, where rich is installed and somebody is looking."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from dicom_actors.cli.terminal import Progress

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

__all__ = ["progress"]


@contextlib.contextmanager
def progress(
    options: Namespace,
    *,
    nouns: str = "objects",
    objects: int | None = None,
    length: int | None = None,
) -> Iterator[Progress]:
    """Show a bar on standard error for the length of the block, if somebody is looking.

    Args:
        options: with ``--verbose`` and ``--trace`` there are lines instead, as there are with
            ``--json`` where they go to the terminal, too.
        nouns: what is counted.
        objects: how many there are to do; None: nobody knows.
        length: how many bytes; None: nobody knows.
    """
    has_lines = options.verbose or options.trace or (options.json and sys.stdout.isatty())
    bar = None
    if sys.stderr.isatty() and not has_lines:
        with contextlib.suppress(ImportError):
            from dicom_actors.cli.progress_bar import ProgressBar

            bar = ProgressBar(nouns, objects, length)
    if bar is None:
        yield Progress()
        return
    with bar:
        yield bar
