"""Everything that data sets need of files, loaded at once.

Modules, tables and character sets are loaded when they are first needed, which a program that
reads one file is glad of. A service is not: when the process has no descriptors left, it would
fail on a file of its own. So it calls `preload` when it starts.
"""

from __future__ import annotations

import codecs
import difflib  # noqa: F401 - as all that is imported here and not used: for who needs it late
import linecache  # noqa: F401 - with the next one it prints tracebacks
import tokenize  # noqa: F401
import zlib  # noqa: F401
from contextlib import suppress
from typing import Final

from dicom_actors.data import dictionary
from dicom_actors.data.dataset import checks, private, whole  # noqa: F401
from dicom_actors.data.dictionary.transfer_syntax import TransferSyntax
from dicom_actors.data.files import directory_links  # noqa: F401
from dicom_actors.data.forms import frames, json, text  # noqa: F401
from dicom_actors.data.values import checks as value_checks  # noqa: F401
from dicom_actors.data.values.character_sets import SETS, STAND_ALONE

__all__ = ["preload"]

_FOR_ANY_TEXT: Final = ("utf_8", "latin_1", "ascii")


def preload() -> None:
    """Load all that this package, and Python for it, reads from files; once is enough.

    It takes some 20 ms the first time. What only optional libraries do is not loaded.
    """
    of_sets = {element.codec for element in SETS.values()}
    for codec in {*_FOR_ANY_TEXT, *STAND_ALONE.values(), *of_sets}:
        with suppress(LookupError):  # not every Python has them all
            codecs.lookup(codec)
    TransferSyntax.of("RLELossless")  # by keyword, which needs both tables
    dictionary.vr_of(0x00100010)
    dictionary.tag_of("PatientName")
    dictionary.uid_entry("")
    dictionary.sop_class_services()
    dictionary.private_entry("", 0)
