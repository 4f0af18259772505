"""The arguments of ``image``, ``contact-sheet`` and ``transcode``."""

from __future__ import annotations

import argparse
import re

from dicom_actors.cli.argument_types import positive

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_image(commands)
    _add_contact_sheet(commands)
    _add_transcode(commands)


def _add_image(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    image = commands.add_parser(
        "image",
        help="make pictures of the frames of a DICOM file",
        description="Write frames of a DICOM file as pictures, or show one in the terminal. Gray\n"
        "images go through their rescale or Modality LUT, and the first window or VOI LUT that\n"
        "there is; without any, from the lowest to the highest value. Overlays are drawn in white.",
        epilog="""examples:
  dicom-actors image ct.dcm -o ct.png --window 40,400
  dicom-actors image cine.dcm -o cine.jpg --frame all --size 512x512
  dicom-actors image ct.dcm --show""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    image.add_argument("file", metavar="FILE", help="a DICOM file")
    image.add_argument(
        "-o",
        "--output",
        metavar="PICTURE",
        help="the file to write; its suffix says what it becomes (.png, .jpg, .tif, .webp and "
        "others); of several frames, each has its number before the suffix",
    )
    image.add_argument(
        "--show",
        action="store_true",
        help="show it in the terminal: by kitty's or sixel graphics where it has these, else in "
        "half blocks",
    )
    image.add_argument(
        "--frame",
        type=_frame,
        default=1,
        metavar="N",
        help="which frame, counted from 1, or all; the first by default",
    )
    _add_looks(image)
    image.set_defaults(run=_image)


def _add_contact_sheet(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sheet = commands.add_parser(
        "contact-sheet",
        help="make one picture of all series of a folder",
        description="Write a picture with a small one of each series below a folder: its middle\n"
        "image, with modality, number and description of the series below it.",
        epilog="""examples:
  dicom-actors contact-sheet study/ -o sheet.png
  dicom-actors contact-sheet study/ -o sheet.jpg --all --columns 12 --size 128x128""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sheet.add_argument("folder", metavar="DIR", help="where the DICOM files are")
    sheet.add_argument("-o", "--output", metavar="PICTURE", required=True, help="file to write")
    sheet.add_argument("--all", action="store_true", help="every image, and not one of a series")
    sheet.add_argument(
        "--columns",
        type=positive,
        metavar="N",
        help="pictures in a row; by default, a square",
    )
    _add_looks(sheet, size="192x192")
    sheet.set_defaults(run=_contact_sheet)


def _add_looks(command: argparse.ArgumentParser, size: str | None = None) -> None:
    command.add_argument(
        "--window",
        type=_window,
        metavar="C,W",
        help="center and width of the window in measured values, such as 40,400; or minmax",
    )
    command.add_argument(
        "--size",
        type=_size,
        default=None if size is None else _size(size),
        metavar="WxH",
        help="width and height in pixels in which a picture is to fit, keeping its shape"
        + (f"; {size} by default" if size else ""),
    )
    command.add_argument("--no-overlays", action="store_true", help="do not draw overlays")


def _add_transcode(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    transcode = commands.add_parser(
        "transcode",
        help="compress or decompress DICOM files",
        description="Write a DICOM file, or all of a folder, in another transfer syntax. In one\n"
        "that keeps everything, every frame is decoded again and compared before it is written.\n"
        "In one that loses information, objects are marked as the standard has it, and get a new\n"
        "SOP Instance UID. What cannot be kept is not written, and the reason is said. Files\n"
        "without pixel data are encoded anew, as far as the transfer syntax is for them.",
        epilog="""examples:
  dicom-actors transcode ct.dcm small.dcm --syntax JPEGLSLossless
  dicom-actors transcode study/ plain/ --syntax ExplicitVRLittleEndian
  dicom-actors transcode study/ lossy/ --syntax JPEGBaseline8Bit --quality 85""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    transcode.add_argument("source", metavar="IN", help="a DICOM file, or a folder of them")
    transcode.add_argument("target", metavar="OUT", help="the file to write, or the folder")
    transcode.add_argument(
        "--syntax",
        required=True,
        type=_syntax,
        metavar="NAME",
        help="the transfer syntax: a keyword such as JPEGLSLossless, or a UID",
    )
    transcode.add_argument(
        "--quality",
        type=float,
        metavar="Q",
        help="of one that loses information, in its own measure: JPEG 1 to 100 (90), JPEG-LS the "
        "largest difference (2), JPEG 2000 decibels, JPEG XL distance (1)",
    )
    transcode.add_argument(
        "--jobs", type=positive, metavar="N", help="processes; by default one for each processor"
    )
    transcode.add_argument(
        "--overwrite", action="store_true", help="write anew what is there already"
    )
    transcode.set_defaults(run=_transcode)


def _frame(text: str) -> int | None:
    """Return the number of a frame, from 1; None for all."""
    if text == "all":
        return None
    return positive(text)


def _window(text: str) -> tuple[float, float] | str:
    if text == "minmax":
        return text
    try:
        center, width = map(float, text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected C,W, such as 40,400, got {text!r}") from error
    return center, width


def _size(text: str) -> tuple[int | None, int | None]:
    match = re.fullmatch(r"(\d{1,5})?x(\d{1,5})?", text)
    if match is None or not any(match.groups()):
        raise argparse.ArgumentTypeError(f"expected WxH, such as 512x512, or 512x, got {text!r}")
    width, height = (int(part) if part else None for part in match.groups())
    if width == 0 or height == 0:
        raise argparse.ArgumentTypeError(f"expected 1 pixel or more, got {text!r}")
    return width, height


def _syntax(text: str) -> str:
    from dicom_actors.data import TransferSyntax

    try:
        return TransferSyntax.of(text).uid
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _image(options: argparse.Namespace) -> int:
    from dicom_actors.cli.image import image

    return image(options)


def _contact_sheet(options: argparse.Namespace) -> int:
    from dicom_actors.cli.contact_sheet import contact_sheet

    return contact_sheet(options)


def _transcode(options: argparse.Namespace) -> int:
    from dicom_actors.cli.transcode import transcode_files

    return transcode_files(options)
