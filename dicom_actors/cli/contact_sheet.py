"""``dicom-actors contact-sheet DIR -o PICTURE``: all series of a folder at a glance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors import index_files
from dicom_actors.cli.pictures import check_format, write_picture
from dicom_actors.cli.terminal import complain, in_words
from dicom_actors.cli.usage import UsageError
from dicom_actors.data.forms.text import printable
from dicom_actors.errors import DicomError, NotPart10Error

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from PIL.Image import Image

__all__ = ["contact_sheet"]

_KEYS: Final = (
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Modality",
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
)
_GAP: Final = 6
_LINE: Final = 12
_LINES: Final = 2
_MOST: Final = 10_000
_LONGEST_SIDE: Final = 32_768


class _Entry(NamedTuple):
    """A picture of the sheet: the file, the frame in it, and the text below."""

    path: Path
    frame: int
    label: tuple[str, str]


def contact_sheet(options: Namespace) -> int:
    """Write the sheet.

    Returns:
        0, or 1 if an image could not be shown; its place is empty then.

    Raises:
        UsageError: the suffix stands for no format, or the sheet would be too large.
        DicomError: there is no image, or the extra ``pixels`` is missing.
        OSError: the folder cannot be listed, or the picture not be written.
    """
    check_format(options.output)
    from dicom_actors.pixels import render

    entries = _entries(options.folder, has_all=options.all)
    if not entries:
        raise DicomError(f"{options.folder}: no images")
    width, height = (side or 192 for side in options.size)
    columns = options.columns or math.ceil(math.sqrt(len(entries)))
    sheet = _Sheet(len(entries), columns, width, height)
    failed = False
    for number, entry in enumerate(entries):
        picture: Image | None = None
        try:
            picture = render(
                entry.path,
                entry.frame,
                window=options.window,
                size=(width, height),
                overlays=not options.no_overlays,
            )
        except (DicomError, OSError) as error:
            failed = True
            complain(f"{entry.path}: {in_words(error)}")
        sheet.put(number, picture, entry.label)
    write_picture(sheet.picture, options.output)
    return 1 if failed else 0


def _entries(folder: str, *, has_all: bool) -> list[_Entry]:
    series: dict[Any, list[tuple[int, str, Path, dict[Any, Any]]]] = {}
    count = 0
    for path, values in index_files(folder, _KEYS):
        if isinstance(values, NotPart10Error):
            continue
        if isinstance(values, Exception):
            complain(f"{path}: {in_words(values)}")
            continue
        if not values.get("Rows"):
            continue
        count += 1
        if has_all and count > _MOST:
            raise UsageError(f"expected {_MOST} images at most; leave out --all")
        number = values.get("InstanceNumber")
        key = values.get("SeriesInstanceUID") if not has_all else path
        place = int(number) if isinstance(number, int) else 0
        series.setdefault(key, []).append((place, str(path), path, values))
    if len(series) > _MOST:
        raise UsageError(f"expected {_MOST} series at most, got {len(series)}")
    entries = []
    for images in series.values():
        images.sort(key=lambda image: image[:2])
        _, _, path, values = images[len(images) // 2]
        frames = values.get("NumberOfFrames")
        frames = int(frames) if isinstance(frames, int) and frames > 0 else 1
        entries.append(_Entry(path, frames // 2, _label(values, max(len(images), frames))))
    return entries


def _label(values: dict[Any, Any], count: int) -> tuple[str, str]:
    number, description = values.get("SeriesNumber"), values.get("SeriesDescription")
    words = [str(values.get("Modality") or "")]
    if number is not None:
        words.append(f"#{number}")
    if count > 1:
        words.append(f"({count})")
    return printable(" ".join(words)), printable(str(description or ""))


class _Sheet:
    """The picture."""

    def __init__(self, count: int, columns: int, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self._columns = min(columns, count)
        self._width, self._height = width, height
        self._step = (width + _GAP, height + _GAP + _LINES * _LINE)
        rows = math.ceil(count / self._columns)
        size = (self._columns * self._step[0] + _GAP, rows * self._step[1] + _GAP)
        if max(size) > _LONGEST_SIDE:
            raise UsageError(
                f"expected a sheet of {_LONGEST_SIDE} pixels at most, got {size[0]} x {size[1]};"
                " choose --columns and --size"
            )
        self.picture = Image.new("RGB", size, (32, 32, 32))
        self._draw = ImageDraw.Draw(self.picture)

    def put(self, number: int, picture: Image | None, label: tuple[str, str]) -> None:
        """Put a picture in its place, with its text below; none leaves the place empty."""
        row, column = divmod(number, self._columns)
        left, top = _GAP + column * self._step[0], _GAP + row * self._step[1]
        if picture is not None:
            left_of_it = left + (self._width - picture.width) // 2
            top_of_it = top + (self._height - picture.height) // 2
            self.picture.paste(picture.convert("RGB"), (left_of_it, top_of_it))
        else:
            box = (left, top, left + self._width - 1, top + self._height - 1)
            self._draw.rectangle(box, outline=(160, 64, 64))
        for line, text in enumerate(label):
            shown = text.encode("latin-1", "replace").decode("latin-1")
            while shown and self._draw.textlength(shown) > self._width:
                shown = shown[:-1]
            at = (left, top + self._height + line * _LINE)
            self._draw.text(at, shown, fill=(200, 200, 200))
