"""The arguments of ``archive``: work on an archive as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_archive"]


def add_archive(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``archive``."""
    archive = commands.add_parser(
        "archive",
        help="check, rebuild, fill, copy or delete from an archive",
        description="Work on the archive of `dicom-actors serve`, while that runs or not.",
    )
    actions = archive.add_subparsers(title="actions", required=True, metavar="ACTION")
    stats = actions.add_parser("stats", help="how much there is")
    verify = actions.add_parser(
        "verify",
        help="read every file, and look for what has no row or no file",
        description="The exit code is 1 if anything is not as it should be.",
    )
    reindex = actions.add_parser(
        "reindex",
        help="give a row to each file that has none; after the index was lost",
        description="A damaged index is set aside, and a new one made of the files, unless the"
        " archive is open. Worklist, procedure steps and commitments that are owed are in the index"
        " alone.",
    )
    adopt = actions.add_parser("adopt", help="take in all objects of a folder")
    adopt.add_argument("folder", metavar="DIR", help="the folder")
    adopt.add_argument(
        "--in-place", action="store_true", help="leave the files where they are, for good"
    )
    backup = actions.add_parser("backup", help="make a copy that can be opened")
    backup.add_argument("folder", metavar="DEST", help="where to; what is there already stays")
    delete = actions.add_parser(
        "delete",
        help="delete a patient, a study, a series or an instance",
        description="Keys are PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID;"
        " what all of them mean is deleted.",
    )
    delete.add_argument("keys", nargs="+", metavar="KEY=VALUE", help="what to delete")
    actions_by_name = {
        "stats": stats,
        "verify": verify,
        "reindex": reindex,
        "adopt": adopt,
        "backup": backup,
        "delete": delete,
    }
    for name, action in actions_by_name.items():
        action.add_argument("--store", metavar="DIR", help="the archive (default: dicom-archive)")
        action.add_argument(
            "--index", metavar="ADDRESS", help="postgresql://...: its index is there"
        )
        action.add_argument("--config", metavar="FILE", help="the configuration file of `serve`")
        action.add_argument("--json", action="store_true", help="print one line of JSON")
        action.set_defaults(run=_run, action=name)


def _run(options: argparse.Namespace) -> int:
    from dicom_actors.cli.archive_tools import run

    return run(options)
