"""What the standard names: data elements and their tags, VRs, UIDs, transfer syntaxes.

The lowest room of `dicom_actors.data`; it knows no bytes of any data set. Tables are package data
of the 2026c edition (PS3.6, PS3.7 Annex E), each read when the first look-up needs it, so that
importing this package costs nothing. The way through it: `tables` reads the files; `elements` has
the data elements, those of private creators too; `uids` the UIDs and SOP classes; `tag`, `vr` and
`transfer_syntax` the three kinds of names. `make_stub` writes the types of all keywords.
"""

from __future__ import annotations

from dicom_actors.data.dictionary.elements import (
    KEYWORD_TABLE,
    VR_TABLE,
    Entry,
    PrivateEntry,
    entry,
    keyword_of,
    keywords,
    private_entry,
    tag_of,
    vr_of,
    vr_of_private,
)
from dicom_actors.data.dictionary.tag import Key, Tag, to_tag
from dicom_actors.data.dictionary.transfer_syntax import TransferSyntax
from dicom_actors.data.dictionary.uids import (
    SOP_CLASSES,
    SOP_INSTANCES,
    TRANSFER_SYNTAXES,
    QueryRetrieveSopClass,
    SopClassServices,
    UidEntry,
    generate_uid,
    is_valid_uid,
    query_retrieve_sop_classes,
    sop_class_services,
    storage_sop_classes,
    uid_entry,
    uid_name,
    uid_named,
    uid_of,
)
from dicom_actors.data.dictionary.vr import VR

__all__ = [
    "KEYWORD_TABLE",
    "SOP_CLASSES",
    "SOP_INSTANCES",
    "TRANSFER_SYNTAXES",
    "VR",
    "VR_TABLE",
    "Entry",
    "Key",
    "PrivateEntry",
    "QueryRetrieveSopClass",
    "SopClassServices",
    "Tag",
    "TransferSyntax",
    "UidEntry",
    "entry",
    "generate_uid",
    "is_valid_uid",
    "keyword_of",
    "keywords",
    "private_entry",
    "query_retrieve_sop_classes",
    "sop_class_services",
    "storage_sop_classes",
    "tag_of",
    "to_tag",
    "uid_entry",
    "uid_name",
    "uid_named",
    "uid_of",
    "vr_of",
    "vr_of_private",
]
