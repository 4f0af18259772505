"""The words of ``--retain`` and ``--clean`` of ``deidentify``, and the options that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dicom_actors.cli.usage import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["CLEANED", "RETAINED", "option_names"]

RETAINED: Final = (
    "safe-private",
    "uids",
    "device-identity",
    "institution-identity",
    "patient-characteristics",
    "full-dates",
    "modified-dates",
)
CLEANED: Final = (
    "descriptors",
    "structured-content",
    "graphics",
    "visual-features",
    "pixel-data",
)


def option_names(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the options of the profile that are asked for, by their names.

    Raises:
        UsageError: a word is none.
    """
    names = []
    for verb, given, known in (
        ("retain", options.retain, RETAINED),
        ("clean", options.clean, CLEANED),
    ):
        for word in (part.strip() for each in given for part in each.split(",")):
            name = word.removeprefix(f"{verb}-")
            if name not in known:
                raise UsageError(f"--{verb}: expected {', '.join(known)}, got {word!r}")
            names.append(f"{verb}-{name}")
    return tuple(names)
