"""De-identification of data sets by the standard, and a verifier that does not trust it.

Pure: data sets go in, data sets come out; keys and mappings are handed in. It leaves files,
processes and progress to the command line (`dicom-actors deidentify`).

The way through it: `options` has the profile and its options, `tables` the standard's rows;
`plan` decides from them, and from own `rules`, what becomes of an element; `replacing` makes the
new values (UIDs, pseudonyms, dates), `words` cleans text, `pixels` blanks regions; `cleaner` goes
over a data set and does it; `report` counts what was done. `deidentifier` is the front of all
that, and `handler` a step in front of an endpoint's handler. `verifier` stands apart: it reads
files with code of its own and imports nothing of the others.

Standard: PS3.15 Annex E.
"""

from __future__ import annotations

from dicom_actors.deidentification.deidentifier import Deidentifier
from dicom_actors.deidentification.handler import deidentifying, deidentifying_results
from dicom_actors.deidentification.options import Option, Profile
from dicom_actors.deidentification.replacing import Pseudonyms
from dicom_actors.deidentification.report import Report
from dicom_actors.deidentification.rules import Rules
from dicom_actors.deidentification.verifier import Finding, Verifier
from dicom_actors.errors import NotCleanError

__all__ = [
    "Deidentifier",
    "Finding",
    "NotCleanError",
    "Option",
    "Profile",
    "Pseudonyms",
    "Report",
    "Rules",
    "Verifier",
    "deidentifying",
    "deidentifying_results",
]
