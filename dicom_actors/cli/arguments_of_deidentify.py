"""The arguments of ``deidentify``."""

from __future__ import annotations

import argparse

from dicom_actors.cli.deidentify_options import CLEANED, RETAINED

__all__ = ["add_deidentify"]


def add_deidentify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it."""
    command = commands.add_parser(
        "deidentify",
        help="remove from DICOM files what identifies the patient, and prove it",
        description="De-identify DICOM files by the Basic Application Level Confidentiality\n"
        "Profile (PS3.15 Annex E) and write them as OUT/<study>/<series>/<instance>.dcm with new\n"
        "UIDs, references between them intact. The originals stay as they are. The same key makes\n"
        "the same UIDs and pseudonyms again: keep it secret.\n\n"
        "With --verify, search results for everything that identified the patient in the\n"
        "originals, by code that shares nothing with what de-identifies; exit code 1 if anything\n"
        "is found.",
        epilog="""examples:
  dicom-actors deidentify study/ -o clean --key-file trial.key
  dicom-actors deidentify study/ -o clean --retain modified-dates,device-identity \\
      --clean descriptors --rules rules.toml --map patients.csv --report report.json
  dicom-actors deidentify --verify study/ clean/

a mapping (--map) has the columns original and pseudonym, and may have level (patient or study),
name and shift_days; rules (--rules) are TOML:
  [[rule]]
  keyword = "StudyDescription"   # or tag; or creator, and tag = "0009xx01"
  action = "keep"                # remove, empty, dummy, clean, uid, shift, or set with a value
  [words]
  keep = ["CT", "chest"]         # what may stay in text that is cleaned
  [[region]]
  model = "MODEL 5"              # modality, manufacturer, rows, columns, image_type
  rectangles = [[0, 0, 640, 40]]""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="DICOM files or folders; with --verify ORIGINALS and RESULT",
    )
    command.add_argument("-o", "--output", metavar="OUT", help="the folder for the results")
    command.add_argument(
        "--verify", action="store_true", help="search RESULT for what identified in ORIGINALS"
    )
    command.add_argument("--profile", choices=("basic",), default="basic", help="default: basic")
    command.add_argument(
        "--retain",
        action="append",
        default=[],
        metavar="WHAT",
        help=f"options of the profile, with commas between: {', '.join(RETAINED)}",
    )
    command.add_argument(
        "--clean",
        action="append",
        default=[],
        metavar="WHAT",
        help=f"options of the profile: {', '.join(CLEANED)}",
    )
    command.add_argument("--map", metavar="FILE.csv", help="pseudonyms of patients and studies")
    command.add_argument(
        "--key-file", metavar="FILE", help="the key; made if it is not there (default: by chance)"
    )
    command.add_argument("--rules", metavar="FILE.toml", help="own rules, which come first")
    command.add_argument(
        "--uid-table", metavar="FILE.csv", help="write which UID became which: a secret, too"
    )
    command.add_argument("--report", metavar="FILE", help="write what was done as JSON, no values")
    command.add_argument(
        "--jobs", type=int, metavar="N", help="processes; default: one a processor"
    )
    command.add_argument("--dry-run", action="store_true", help="do all but write results")
    command.add_argument(
        "--allow-burned-in",
        action="store_true",
        help="take images with burned-in annotation as they are",
    )
    command.add_argument(
        "--allow-visual-features",
        action="store_true",
        help="take images with a recognizable face, in spite of --clean visual-features",
    )
    command.add_argument("--json", action="store_true", help="print lines of JSON")
    command.add_argument("--verbose", action="store_true", help="a line for each file")
    command.set_defaults(run=_deidentify, rest="inputs", trace=False)


def _deidentify(options: argparse.Namespace) -> int:
    if options.verify:
        from dicom_actors.cli.verify_deidentified import verify

        return verify(options)
    from dicom_actors.cli.deidentify import deidentify

    return deidentify(options)
