"""The arguments of ``dump`` and ``json``."""

from __future__ import annotations

import argparse

from dicom_actors.errors import DicomError

__all__ = ["add_commands"]

_EXAMPLES = """examples:
  dicom-actors {name} image.dcm
  dicom-actors {name} *.dcm --filter PatientName 0008,0060 BeamName
  unzip -p study.zip image.dcm | dicom-actors {name} -"""


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    dump = commands.add_parser(
        "dump",
        help="print DICOM files",
        description="Print the elements of DICOM files: tag, VR, length, name, value.",
        epilog=_EXAMPLES.format(name="dump"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    dump.add_argument("--json", action="store_true", help="print JSON, as `json` does")
    as_json = commands.add_parser(
        "json",
        help="print DICOM files as JSON",
        description="Print each DICOM file as an object of the DICOM JSON Model in one line.\n"
        "Long binary values are given as the URI of the file with the path of the element behind\n"
        "it.",
        epilog=_EXAMPLES.format(name="json"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    as_json.set_defaults(json=True)
    for command in (dump, as_json):
        command.add_argument(
            "files",
            nargs="+",
            metavar="PATH",
            help="DICOM files, folders of them, or - for standard input",
        )
        command.add_argument(
            "--filter",
            nargs="+",
            action="extend",
            default=[],
            type=_tag,
            metavar="KEY",
            help="print these elements alone, wherever they are nested; a keyword or a tag, "
            "such as PatientID, 0010,0020 or 0x00100020; after the files",
        )
        command.add_argument("--full", action="store_true", help="print long values as a whole")
        command.set_defaults(run=_dump, rest="files")


def _tag(text: str) -> int:
    from dicom_actors.data.dictionary.tag import to_tag

    try:
        return to_tag(text)
    except DicomError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _dump(options: argparse.Namespace) -> int:
    from dicom_actors.cli.dump import dump

    return dump(
        options.files,
        keys=frozenset(options.filter),
        as_json=options.json,
        full=options.full,
    )
