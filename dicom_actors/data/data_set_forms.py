"""What a data set has beside its mapping: typed keywords, other encodings, JSON, private blocks.

Methods that hand over to the module that does it, imported when it is first used. `DataSet`
inherits them; nothing else does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dicom_actors.data.data_element import DataElement
    from dicom_actors.data.data_set import DataSet, Path

    # Declares every keyword with the type of its value, for editors and type checkers.
    from dicom_actors.data.keywords import Keywords
    from dicom_actors.data.private import PrivateBlock
    from dicom_actors.data.transfer_syntax import TransferSyntax
else:
    Keywords = object

__all__ = ["DataSetForms"]


class DataSetForms(Keywords):
    """The other forms and views of a data set."""

    __slots__ = ()

    def with_transfer_syntax(self, transfer_syntax: str | TransferSyntax) -> DataSet:
        """Return the data set as it is in another transfer syntax; its file meta says so.

        It is encoded at once. What is written or sent later without saying how is in that
        transfer syntax, and `transfer_syntax` is that one.

        Args:
            transfer_syntax: a UID, keyword or `TransferSyntax`.

        Raises:
            EncodeError: a value cannot be encoded; it has the path.
            UnsupportedTransferSyntaxError: the pixel data would have to be compressed or
                decompressed, or no data set is encoded in that way.
        """
        from dicom_actors.data.reencoding import reencoded  # noqa: PLC0415 - seldom needed

        return reencoded(cast("DataSet", self), transfer_syntax)

    def to_json(
        self,
        *,
        bulk_data_uri: Callable[[Path, DataElement], str | None] | None = None,
        keep_number_text: bool = False,
        indent: int | None = None,
    ) -> str:
        """Return the data set as text in the DICOM JSON Model (PS3.18 Annex F).

        Args:
            bulk_data_uri: called with the path and the element for each one whose VR may be
                given by a URI; what it returns is written as BulkDataURI, and for None the
                value itself.
            keep_number_text: whether a DS or IS whose text a JSON number would not bring back,
                such as ``1.50``, is written as a string.
            indent: by how many spaces a level is indented; None puts all in one line.

        Raises:
            EncodeError: sequences are nested too deep.
        """
        from dicom_actors.data.json import to_json  # noqa: PLC0415 - needs this module

        return to_json(
            cast("DataSet", self),
            bulk_data_uri=bulk_data_uri,
            keep_number_text=keep_number_text,
            indent=indent,
        )

    @staticmethod
    def from_json(
        model: str | bytes | Mapping[str, Any],
        *,
        bulk_data: Callable[[str], bytes] | None = None,
    ) -> DataSet:
        """Read a data set in the DICOM JSON Model (PS3.18 Annex F).

        Args:
            model: the text, or the object that `json.loads` made of it.
            bulk_data: called with each BulkDataURI for the bytes of the value, in little endian;
                ``lambda uri: b""`` leaves such elements empty. None: they are an error.

        Raises:
            DecodeError: it is no data set; the error has the path to what is wrong.
        """
        from dicom_actors.data.json import from_json, from_json_dict  # noqa: PLC0415 - as above

        if isinstance(model, str | bytes):
            return from_json(model, bulk_data=bulk_data)
        return from_json_dict(model, bulk_data=bulk_data)

    def private_block(self, group: int, creator: str, *, create: bool = False) -> PrivateBlock:
        """Return the block of elements that a private creator has in a group (PS3.5 7.8).

        Args:
            group: the group, an odd number.
            creator: the private creator.
            create: whether to reserve the first free block if the creator has none.

        Raises:
            ElementNotFoundError: the creator has no block there, and none is to be created.
            EncodeError: a block cannot be reserved.
            ValueError: the group is no private group.
        """
        from dicom_actors.data.private import private_block  # noqa: PLC0415 - seldom needed

        return private_block(cast("DataSet", self), group, creator, create=create)

    def private_creators(self, group: int) -> dict[int, str]:
        """Return the private creators of a group: their names by block, 0x10 to 0xFF."""
        from dicom_actors.data.private import private_creators  # noqa: PLC0415 - seldom needed

        return private_creators(cast("DataSet", self), group)
