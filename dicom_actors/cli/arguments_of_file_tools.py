"""The arguments of ``edit``, ``compare``, ``check`` and ``table``."""

from __future__ import annotations

import argparse

__all__ = ["add_commands"]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    _add_edit(commands)
    _add_compare(commands)
    _add_check(commands)
    _add_table(commands)


def _add_edit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    edit = commands.add_parser(
        "edit",
        help="change elements of DICOM files",
        description="Change, add and delete elements of DICOM files. All others stay the bytes\n"
        "that they are. A KEY is a keyword or a tag (0010,0010); within a sequence it follows\n"
        "the sequence, the number of the item in brackets, and a period.",
        epilog="""examples:
  dicom-actors edit image.dcm PatientID=4711 -PatientBirthDate
  dicom-actors edit *.dcm --output changed 'BeamSequence[0].BeamName=AP'""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    edit.add_argument(
        "words",
        nargs="+",
        metavar="FILE or KEY=VALUE or -KEY",
        help="files, values to set, and elements to delete, in any order",
    )
    where = edit.add_mutually_exclusive_group()
    where.add_argument("--backup", action="store_true", help="keep each file as FILE.bak")
    where.add_argument("--output", metavar="DIR", help="write there, and leave the files alone")
    edit.set_defaults(run=_edit, rest="words", rest_has_dashes=True)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="show in which elements two DICOM files differ",
        description="Print the elements in which two files differ; long values by their hash.\n"
        "The exit code is 1 if they do.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("first", metavar="FILE", help="a DICOM file")
    compare.add_argument("second", metavar="FILE", help="another one")
    compare.add_argument("--json", action="store_true", help="print a line of JSON for each")
    compare.set_defaults(run=_compare)


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check",
        help="show where DICOM files depart from the standard",
        description="Print what is wrong with the encoding and the values of DICOM files, by the\n"
        "rules of PS3.5 and PS3.6. What a SOP class asks for is not checked. The exit code is 1\n"
        "if anything is wrong.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("files", nargs="+", metavar="PATH", help="DICOM files, or folders of them")
    check.add_argument("--json", action="store_true", help="print a line of JSON for each file")
    check.set_defaults(run=_check, rest="files")


def _add_table(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    table = commands.add_parser(
        "table",
        help="list chosen values of all DICOM files in a folder",
        description="Read chosen elements of all files in a folder and below.",
        epilog="""examples:
  dicom-actors table images PatientID StudyDate Modality
  dicom-actors table images PatientID SOPInstanceUID --sqlite images.db""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    table.add_argument("folder", metavar="DIR", help="where the files are")
    table.add_argument("keys", nargs="+", metavar="KEY", help="keywords or tags")
    table.add_argument("--json", action="store_true", help="print a line of JSON for each file")
    table.add_argument("--csv", action="store_true", help="print comma-separated values")
    table.add_argument(
        "--sqlite", metavar="FILE", help="write a table `files` of this SQLite database anew"
    )
    table.set_defaults(run=_table, rest="keys")


def _edit(options: argparse.Namespace) -> int:
    from dicom_actors.cli.edit import edit

    return edit(options)


def _compare(options: argparse.Namespace) -> int:
    from dicom_actors.cli.compare import compare

    return compare(options)


def _check(options: argparse.Namespace) -> int:
    from dicom_actors.cli.check_files import check

    return check(options)


def _table(options: argparse.Namespace) -> int:
    from dicom_actors.cli.tabulate import table

    return table(options)
