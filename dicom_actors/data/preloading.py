"""Everything that data sets need of files, loaded at once.

Modules, tables and character sets are loaded when they are first needed, which a program that
reads one file is glad of. A service is not: when the process has no descriptors left, it would
fail on a file of its own. So it calls `preload` when it starts.
"""

from __future__ import annotations

import codecs
import importlib
from typing import Final

from dicom_actors.data import dictionary
from dicom_actors.data.charset import STAND_ALONE
from dicom_actors.data.code_elements import SETS
from dicom_actors.data.dictionary import private_elements
from dicom_actors.data.transfer_syntax import TransferSyntax

__all__ = ["preload"]

_WHEN_NEEDED: Final = (
    "dicom_actors.data.checks",
    "dicom_actors.data.directory_links",
    "dicom_actors.data.frames",
    "dicom_actors.data.json",
    "dicom_actors.data.private",
    "dicom_actors.data.reencoding",
    "dicom_actors.data.text",
    "difflib",
    "linecache",
    "tokenize",
    "zlib",
)
"""Modules that others import where they need them; the last but one print a traceback."""

_FOR_ANY_TEXT: Final = ("utf_8", "latin_1", "ascii")


def preload() -> None:
    """Load all that this package, and Python for it, reads from files; once is enough.

    It takes some 20 ms the first time. What only optional libraries do is not loaded.
    """
    for name in _WHEN_NEEDED:
        importlib.import_module(name)
    of_sets = {element.codec for element in SETS.values()}
    for codec in {*_FOR_ANY_TEXT, *STAND_ALONE.values(), *of_sets}:
        codecs.lookup(codec)
    TransferSyntax.of("RLELossless")  # by keyword, which needs both tables
    dictionary.vr_of(0x00100010)
    dictionary.tag_of("PatientName")
    dictionary.uid_entry("")
    dictionary.sop_class_services()
    private_elements.registry()
