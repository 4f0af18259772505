"""Transfer syntaxes: how a data set is encoded (PS3.5 Annex A, PS3.6 Table A-1).

The table of all known ones is read when one beyond the four plain ones is asked for.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data.dictionary.tables import read_columns
from dicom_actors.data.dictionary.uids import TRANSFER_SYNTAXES, uid_named
from dicom_actors.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN",
    "EXPLICIT_VR_BIG_ENDIAN",
    "EXPLICIT_VR_LITTLE_ENDIAN",
    "IMPLICIT_VR_LITTLE_ENDIAN",
    "TransferSyntax",
]


class _Row(NamedTuple):
    """What is known of a transfer syntax; `TransferSyntax` says what each is."""

    uid: str
    name: str = ""
    keyword: str = ""
    is_implicit_vr: bool = False
    is_little_endian: bool = True
    is_encapsulated: bool = False
    is_deflated: bool = False
    is_retired: bool = False
    lossy: bool | None = False
    codec: str = ""
    is_known: bool = True
    is_data_set_encoding: bool = True


class TransferSyntax(_Row):
    """How the data sets of a transfer syntax are encoded; made of what `of` takes.

    Attributes:
        uid: the transfer syntax UID.
        name: the name in PS3.6; empty if unknown.
        keyword: the keyword in PS3.6; empty if unknown.
        is_implicit_vr: whether elements carry no VR.
        is_little_endian: the byte order.
        is_encapsulated: whether pixel data comes in fragments (PS3.5 A.4).
        is_deflated: whether the data set is a deflate stream (PS3.5 A.5).
        is_retired: whether PS3.6 lists it as retired.
        lossy: whether pixel data loses information; None: that depends on the stream.
        codec: what compresses the pixel data, for example ``"JPEG-LS"``; empty if nothing does.
        is_known: whether it is in the table; an unknown one is taken to be Explicit VR Little
            Endian with encapsulated pixel data, as all new ones are.
        is_data_set_encoding: False for the two retired ones that encode something else (MIME
            and XML); such data sets cannot be read or written.
    """

    __slots__ = ()

    def __new__(cls, uid: str | TransferSyntax) -> TransferSyntax:  # noqa: PYI034 - a known one
        """Return the transfer syntax of a UID, as `of` does."""
        return cls.of(uid)

    @staticmethod
    def of(uid: str | TransferSyntax) -> TransferSyntax:
        """Return the transfer syntax of a UID.

        Args:
            uid: a UID (padding is ignored), a keyword such as ``"RLELossless"``, or a transfer
                syntax, which is given back.

        Returns:
            The transfer syntax; for an unknown UID one with `is_known` False.

        Raises:
            ValueError: it is neither a UID nor a keyword, or the UID of something else; the
                message has the keywords that are close.
            TypeError: it is no text either.
        """
        if isinstance(uid, TransferSyntax):
            return uid
        if not isinstance(uid, str):
            raise TypeError(f"expected a UID, keyword or TransferSyntax, got {shown(uid)}")
        found = _PLAIN.get(uid)
        if found is None:
            uid = uid.strip("\0 ")
            found = _by_uid().get(uid) or _by_keyword().get(uid)
        return found or TransferSyntax.as_read(uid_named(uid, TRANSFER_SYNTAXES))

    @staticmethod
    def as_read(uid: str) -> TransferSyntax:
        """Return the transfer syntax that a file or a peer names, whatever that is.

        Args:
            uid: what stands there; padding is ignored.

        Returns:
            The transfer syntax; for anything but the UID of one, one with `is_known` False.
        """
        uid = uid.strip("\0 ")
        found = _PLAIN.get(uid) or _by_uid().get(uid)
        return found or _made(_Row(uid, is_encapsulated=True, lossy=None, is_known=False))

    @staticmethod
    def all_known() -> tuple[TransferSyntax, ...]:
        """Return every transfer syntax of PS3.6, current and retired, in the order of UIDs."""
        return tuple(_by_uid().values())

    def __eq__(self, other: object) -> bool:
        """Whether it is the same transfer syntax; its UID as a text will do."""
        if isinstance(other, TransferSyntax):
            return self.uid == other.uid
        return self.uid == other if isinstance(other, str) else NotImplemented

    def __ne__(self, other: object) -> bool:
        is_equal = self.__eq__(other)
        return is_equal if is_equal is NotImplemented else not is_equal

    def __hash__(self) -> int:
        return hash(self.uid)

    def __str__(self) -> str:
        return self.name or self.uid

    def __reduce__(self) -> tuple[Callable[[str], TransferSyntax], tuple[str]]:
        return TransferSyntax.as_read, (self.uid,)


def _made(row: _Row) -> TransferSyntax:
    return TransferSyntax._make(row)


IMPLICIT_VR_LITTLE_ENDIAN: Final = _made(
    _Row(
        "1.2.840.10008.1.2",
        "Implicit VR Little Endian",
        "ImplicitVRLittleEndian",
        is_implicit_vr=True,
    )
)
EXPLICIT_VR_LITTLE_ENDIAN: Final = _made(
    _Row("1.2.840.10008.1.2.1", "Explicit VR Little Endian", "ExplicitVRLittleEndian")
)
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN: Final = _made(
    _Row(
        "1.2.840.10008.1.2.1.99",
        "Deflated Explicit VR Little Endian",
        "DeflatedExplicitVRLittleEndian",
        is_deflated=True,
    )
)
EXPLICIT_VR_BIG_ENDIAN: Final = _made(
    _Row(
        "1.2.840.10008.1.2.2",
        "Explicit VR Big Endian",
        "ExplicitVRBigEndian",
        is_little_endian=False,
        is_retired=True,
    )
)

_PLAIN: Final = {
    syntax.uid: syntax
    for syntax in (
        IMPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_LITTLE_ENDIAN,
        DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        EXPLICIT_VR_BIG_ENDIAN,
    )
}
_LOSSY: Final = {"": False, "Y": True, "E": None}


@cache
def _by_uid() -> dict[str, TransferSyntax]:
    rows = zip(*read_columns("transfer_syntaxes.tsv"), strict=True)
    return {row[0]: _PLAIN.get(row[0]) or _from_row(row) for row in rows}


@cache
def _by_keyword() -> dict[str, TransferSyntax]:
    return {syntax.keyword: syntax for syntax in _by_uid().values()}


def _from_row(row: tuple[str, ...]) -> TransferSyntax:
    uid, keyword, name, vr_encoding, byte_order, encapsulated, deflated, lossy, codec, retired = row
    return _made(
        _Row(
            uid,
            name,
            keyword,
            is_implicit_vr=vr_encoding == "implicit",
            is_little_endian=byte_order != "big",
            is_encapsulated=encapsulated == "Y",
            is_deflated=deflated == "Y",
            is_retired=retired == "Y",
            lossy=_LOSSY[lossy],
            codec=codec,
            is_data_set_encoding=bool(vr_encoding),
        )
    )
