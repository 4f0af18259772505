"""Queries of an archive: identifiers in, answers or instances out.

The way through it: `models` says what an identifier asks for, at which level, and whether it may;
`conditions` makes SQL of single keys, `plan` of all of them; `rows` reads what answers need,
`answers` makes data sets of it, `json_answers` text; `finding` has the two that others call, `find`
and `select`, and `paging` those for pages.

The database narrows down, and never loses a match; what it gives is judged by
`dicom_actors.Query`, so that there is one meaning of a key. No file is opened for it: what an
instance says of itself is in the index, but for what is longer than `describe` keeps.

Standard: PS3.4 C.2.2, C.4.1, C.6.
"""

from __future__ import annotations

from dicom_actors.archive.query.finding import Settings, find, select
from dicom_actors.archive.query.models import Model
from dicom_actors.archive.query.paging import Paging, find_page, find_page_as_json

__all__ = ["Model", "Paging", "Settings", "find", "find_page", "find_page_as_json", "select"]
