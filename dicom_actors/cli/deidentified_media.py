"""How results are named; those of a file set as media demand, with a directory to them.

The File IDs of the originals are not used again: people name folders by patients.

Standard: PS3.10 8.2 and 8.5 (File IDs), PS3.3 F.5.2 (what a study record must have).
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Final

from dicom_actors.data import NewDirectory, read_file, write_file
from dicom_actors.data.dictionary import is_valid_uid
from dicom_actors.data.dictionary.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN

__all__ = ["DIRECTORY", "is_directory_name", "media_name", "result_name", "write_media_directory"]

DIRECTORY: Final = "DICOMDIR"
_NO_DATE: Final = {"StudyDate": "19000101", "StudyTime": "000000"}
"""What a study record must have and an instance may have empty."""


def is_directory_name(name: str) -> bool:
    """Whether a file is called as directories are."""
    return Path(name).stem.upper() == DIRECTORY


def result_name(study: str, series: str, instance: str) -> str:
    """Return the name of an instance below the folder of other results.

    Args:
        study: Study Instance UID.
        series: Series Instance UID.
        instance: SOP Instance UID.
    """
    return "/".join(map(_safe, (study, series, instance))) + ".dcm"


def media_name(study: str, series: str, instance: str, number: int = 1) -> str:
    """Return the name of an instance below the folder of a file set.

    Args:
        study: Study Instance UID.
        series: Series Instance UID.
        instance: SOP Instance UID.
        number: which one of those that have the same name otherwise.
    """
    last = instance if number == 1 else f"{instance} {number}"
    return "/".join(map(_component, (study, series, last)))


def write_media_directory(folder: str) -> None:
    """Write the directory of all files with names as `media_name` makes them.

    Args:
        folder: the folder of the file set; a directory that is there is replaced.

    Raises:
        DicomError: a file cannot be read, or not be in a directory.
        OSError: a file cannot be read, or the directory not be written.
    """
    directory = NewDirectory()
    for file in sorted(Path(folder).glob("/".join(["D???????"] * 3))):
        instance = read_file(file, keywords=NewDirectory.keywords)
        for keyword, value in _NO_DATE.items():
            if not instance.get(keyword):
                instance[keyword] = value
        directory.add(instance, file.relative_to(folder))
    write_file(
        Path(folder, DIRECTORY), directory.data_set(), transfer_syntax=EXPLICIT_VR_LITTLE_ENDIAN
    )


def _safe(uid: str) -> str:
    return uid if is_valid_uid(uid) else f"uid-{sha256(uid.encode()).hexdigest()}"


def _component(text: str) -> str:
    # Seven letters of a hash are 35 bits; where two are alike, the caller takes the next number.
    digest = blake2b(text.encode(), digest_size=5).digest()
    return "D" + b32encode(digest).decode()[:7]
