"""``dicom-actors image FILE``: frames as pictures, in files or in the terminal.

Standard: PS3.18 8.3.5.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dicom_actors.cli.pictures import check_format, write_picture
from dicom_actors.cli.usage import UsageError
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["image"]


def image(options: Namespace) -> int:
    """Write or show what was asked for.

    Returns:
        0.

    Raises:
        UsageError: neither a file to write nor ``--show`` is given, or there is no such frame.
        DicomError: the file cannot be read or rendered, or the extra ``pixels`` is missing.
        OSError: a file cannot be read or written.
    """
    if not options.output and not options.show:
        raise UsageError("expected --output PICTURE, or --show")
    if options.output:
        check_format(options.output)
    from dicom_actors.pixels import FrameReader, render

    try:
        reader = FrameReader(options.file, rgb=True)
    except DicomError as error:
        raise type_with(error, options.file) from error
    count = len(reader)
    if options.frame is not None and options.frame > count:
        raise UsageError(f"no frame {options.frame} in {options.file}, there are {count}")
    numbers = range(1, count + 1) if options.frame is None else [options.frame]
    for number in numbers:
        try:
            picture = render(
                reader,
                number - 1,
                window=options.window,
                size=options.size,
                overlays=not options.no_overlays,
            )
        except DicomError as error:
            raise type_with(error, f"{options.file}, frame {number}") from error
        if options.output:
            write_picture(picture, _name(options.output, number, count, options.frame is None))
        if options.show:
            from dicom_actors.cli.show_picture import show_picture

            show_picture(picture)
    return 0


def _name(output: str, number: int, count: int, has_all: bool) -> str:  # noqa: FBT001
    if not has_all or count == 1:
        return output
    path = Path(output)
    return str(path.with_name(f"{path.stem}-{number:0{len(str(count))}d}{path.suffix}"))


def type_with(error: DicomError, where: str) -> DicomError:
    """Return an error that says of which file it is."""
    return DicomError(f"{where}: {error}")
