"""Which presentation contexts are proposed, and which accepted one an object goes out on.

PS3.8 9.3.2.2, PS3.7 D.3.3.4.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from dicom_actors.data import TransferSyntax
from dicom_actors.data.dictionary import (
    SOP_CLASSES,
    TRANSFER_SYNTAXES,
    storage_sop_classes,
    uid_entry,
    uid_named,
)
from dicom_actors.pdu import RoleSelection
from dicom_actors.upper_layer import propose_contexts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dicom_actors.pdu import PresentationContextRq
    from dicom_actors.upper_layer import AcceptedContext

__all__ = [
    "LOSSLESS",
    "LOSSY",
    "MAX_CONTEXTS",
    "UNCOMPRESSED",
    "VERIFICATION",
    "ContextLike",
    "Proposals",
    "ProposedContext",
    "choose_context",
    "contexts_of_found",
    "contexts_of_object",
    "default_contexts",
    "is_plain",
    "retrieve_contexts",
    "sop_class_named",
    "sop_classes_named",
    "to_context",
    "transfer_syntaxes_named",
]

VERIFICATION: Final = "1.2.840.10008.1.1"

UNCOMPRESSED: Final = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
)
"""What is proposed where we make or read the data sets ourselves, most preferred first."""

LOSSLESS: Final = (
    "1.2.840.10008.1.2.4.80",  # JPEG-LS
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.90",  # JPEG 2000
    "1.2.840.10008.1.2.5",  # RLE
)
"""What is proposed for objects that can be compressed, if need be."""

LOSSY: Final = (
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline, 8 bits
    "1.2.840.10008.1.2.4.51",  # JPEG Extended, 12 bits
    "1.2.840.10008.1.2.4.81",  # JPEG-LS, near lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)
"""What is proposed besides for objects that may lose information."""

MAX_CONTEXTS: Final = 128
"""As many as there are odd numbers in a byte (PS3.8 9.3.2.2)."""

# What people query and retrieve with.
_QUERY_RETRIEVE: Final = (
    "1.2.840.10008.5.1.4.1.2.1.1",  # Patient Root: FIND, MOVE, GET
    "1.2.840.10008.5.1.4.1.2.1.2",
    "1.2.840.10008.5.1.4.1.2.1.3",
    "1.2.840.10008.5.1.4.1.2.2.1",  # Study Root: FIND, MOVE, GET
    "1.2.840.10008.5.1.4.1.2.2.2",
    "1.2.840.10008.5.1.4.1.2.2.3",
    "1.2.840.10008.5.1.4.31",  # Modality Worklist
)

# Storage SOP classes that an archive of images seldom has, left out where not all can be
# proposed: retired ones aside, protocols, measurements of eyes, templates, security, DICONDE.
_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
_SELDOM: Final = (
    "1.2.840.10008.5.1.4.3",
    "1.2.840.10008.5.1.4.4",
    *(
        _STORAGE + family
        for family in (
            *("9.1.4", "9.5.", "9.6.", "9.7.", "9.8.", "9.100", "11.9", "11.10", "11.11"),
            *("68.", "77.1.5.3", "77.1.5.5", "77.1.5.6", "77.1.5.7", "77.1.5.8", "78.", "79.1"),
            *("80.", "81.", "82.", "88.7", "90.", "91.", "104.3", "104.4", "104.5", "131"),
            *("200.", "201.", "481.1", "481.2", "501.", "601.", "66.6", "66.8", "6.3", "14."),
        )
    ),
)
_COMMON: Final = tuple(
    _STORAGE + suffix
    for suffix in (
        *("2", "4", "1", "1.1", "7", "6.1", "3.1", "12.1", "1.2", "128"),  # images, CT first
        *("20", "12.2", "13.1.3", "2.1", "4.1", "1.1.1", "1.2.1", "77.1.4", "77.1.1", "77.1.6"),
        *("7.2", "7.4", "77.1.5.1", "77.1.5.4", "130", "1.3", "1.3.1", "481.1", "481.2"),
        *("481.3", "481.5", "88.11", "88.22", "88.33", "88.34", "88.50", "88.59", "88.67"),
        *("11.1", "66", "66.1", "66.4", "104.1"),
    )
)
"""The storage SOP classes that most archives have most of, images first."""

_COMMON_IMAGES: Final = 7
"""How many of the first of these are proposed in compressed transfer syntaxes, too."""

_COMPRESSED: Final = (
    "1.2.840.10008.1.2.4.50",  # JPEG Baseline
    "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless, and not
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.51",  # JPEG Extended
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.102",  # MPEG-4, MPEG-2, HEVC
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.201",  # HTJ2K lossless, and not
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.110",  # JPEG XL
    "1.2.840.10008.1.2.4.112",
    "1.2.840.10008.1.2.1.99",  # Deflated, Explicit VR Big Endian
    "1.2.840.10008.1.2.2",
)
"""What else objects come in, most common first."""

_COMMON_COMPRESSED: Final = 5
"""How many of these are proposed for what is to be stored, before it is known."""

_COMPRESSED_AT_ONCE: Final = 77
"""Contexts for compressed objects that a C-GET proposes at first, where nothing is known."""

_OF_MODALITY: Final = {
    "CT": ("2", "2.1"),
    "MR": ("4", "4.1"),
    "US": ("6.1", "3.1"),
    "IVUS": ("3.1",),
    "CR": ("1", "1.1"),
    "DX": ("1.1", "1.1.1"),
    "IO": ("1.3", "1.3.1"),
    "MG": ("1.2", "1.2.1", "13.1.3"),
    "XA": ("12.1", "12.1.1"),
    "RF": ("12.2", "12.1"),
    "NM": ("20",),
    "PT": ("128", "130"),
    "XC": ("77.1.4", "77.1.4.1"),
    "ES": ("77.1.1", "77.1.1.1"),
    "GM": ("77.1.2", "77.1.2.1"),
    "SM": ("77.1.6", "77.1.3"),
    "OP": ("77.1.5.1", "77.1.5.2"),
    "OPT": ("77.1.5.4",),
    "RTIMAGE": ("481.1",),
    "RTDOSE": ("481.2",),
    "SEG": ("66.4",),
}
"""What images of a modality are, beside secondary captures."""


class ProposedContext(NamedTuple):
    """A presentation context to propose.

    Attributes:
        abstract_syntax: a SOP class UID.
        transfer_syntaxes: their UIDs, most preferred first.
        scu: whether we want to be its user.
        scp: whether we want to be its provider, as of what a C-GET retrieves.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...] = UNCOMPRESSED
    scu: bool = True
    scp: bool = False


ContextLike = ProposedContext | str | tuple[str, "str | Sequence[str]"]
"""What `connect` takes as a context: a SOP class alone, or with one or several transfer syntaxes.

UIDs and the keywords of PS3.6 will do for both.
"""


def to_context(context: ContextLike) -> ProposedContext:
    """Make a proposal of what a user gave.

    Raises:
        ValueError: a name is neither a UID nor a keyword, or there is no transfer syntax.
    """
    if isinstance(context, str):
        return ProposedContext(sop_class_named(context))
    abstract_syntax, transfer_syntaxes, *roles = context
    if isinstance(transfer_syntaxes, str):
        transfer_syntaxes = (transfer_syntaxes,)
    if not transfer_syntaxes:
        raise ValueError(f"{abstract_syntax}: expected a transfer syntax at least, got none")
    return ProposedContext(
        sop_class_named(abstract_syntax), transfer_syntaxes_named(transfer_syntaxes), *roles
    )


def sop_class_named(name: str) -> str:
    """Return the UID of a SOP class that is given by UID or keyword.

    Raises:
        ValueError: it is neither.
    """
    try:
        return uid_named(name, SOP_CLASSES)
    except ValueError as error:
        raise ValueError(f"SOP class: {error}") from None


def sop_classes_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return the UIDs of SOP classes that are given by UID or keyword.

    Raises:
        ValueError: one is neither.
        TypeError: it is one text, whose letters are none.
    """
    if isinstance(names, str):
        raise TypeError(f"SOP classes: expected several, as in [{names!r}], got a text")
    return tuple(map(sop_class_named, names))


def transfer_syntaxes_named(names: Iterable[str]) -> tuple[str, ...]:
    """Return the UIDs of transfer syntaxes that are given by UID or keyword.

    Raises:
        ValueError: one is neither.
        TypeError: it is one text, whose letters are none.
    """
    if isinstance(names, str):
        raise TypeError(f"transfer syntaxes: expected several, as in [{names!r}], got a text")
    try:
        return tuple(uid_named(name, TRANSFER_SYNTAXES) for name in names)
    except ValueError as error:
        raise ValueError(f"transfer syntax: {error}") from None


@cache
def default_contexts() -> tuple[ProposedContext, ...]:
    """What is proposed before it is known what is wanted: as much as one association takes.

    Verification, queries and retrievals, and the most common objects to be stored.
    """
    images = _COMMON[:_COMMON_IMAGES]
    stored = (
        *(ProposedContext(uid, (syntax,)) for uid in _COMMON for syntax in UNCOMPRESSED),
        *_product(images, _COMPRESSED[:_COMMON_COMPRESSED], scp=False),
    )
    asked = (ProposedContext(uid) for uid in (VERIFICATION, *_QUERY_RETRIEVE))
    return (*asked, *stored)[:MAX_CONTEXTS]


def contexts_of_object(
    sop_class_uid: str,
    transfer_syntax: str,
    *,
    is_transcoded: bool = False,
    may_lose: bool = False,
) -> tuple[ProposedContext, ...]:
    """What to propose for sending an object.

    A context of its own for the transfer syntax that it has, so that the peer cannot choose
    another one; and one for what it may be converted to.

    Args:
        sop_class_uid: its SOP class.
        transfer_syntax: the one that it has.
        is_transcoded: whether its pixels can be compressed and decompressed, if need be.
        may_lose: whether that may lose information.
    """
    own = ProposedContext(sop_class_uid, (transfer_syntax,))
    others = tuple(uid for uid in UNCOMPRESSED if uid != transfer_syntax)
    found = [own]
    if is_plain(transfer_syntax) or is_transcoded:
        found.append(ProposedContext(sop_class_uid, others))
    if is_transcoded:
        lossless = tuple(uid for uid in LOSSLESS if uid != transfer_syntax)
        found.append(ProposedContext(sop_class_uid, lossless))
    if may_lose:
        # Each for itself: which one can keep how many bits the peer does not know.
        found += [ProposedContext(sop_class_uid, (uid,)) for uid in LOSSY if uid != transfer_syntax]
    return tuple(found)


def is_plain(transfer_syntax: str) -> bool:
    """Whether data sets in it can be converted to other uncompressed ones."""
    syntax = TransferSyntax.as_read(transfer_syntax)
    return syntax.is_known and not syntax.is_encapsulated and syntax.is_data_set_encoding


@cache
def retrieve_contexts(
    sop_classes: tuple[str, ...] | None,
    transfer_syntaxes: tuple[str, ...] | None,
    modalities: frozenset[str] = frozenset(),
) -> tuple[ProposedContext, ...]:
    """What to propose for getting objects with C-GET, one context for each class and syntax.

    A provider takes one of the transfer syntaxes of a context, and could not send then what it
    has in another one.

    Args:
        sop_classes: UIDs of what may come; None: the storage SOP classes in use.
        transfer_syntaxes: what they may come in; None: the common ones.
        modalities: of what may come, where nothing else is known; none: any.

    Returns:
        Most likely ones first; more, perhaps, than one association takes.
    """
    images = _images_of(modalities)
    usual = (uid for uid in storage_sop_classes() if _is_usual(uid))
    classes = sop_classes or tuple(dict.fromkeys((*images, *_COMMON, *usual)))
    if transfer_syntaxes is not None:
        return _product(classes, transfer_syntaxes)
    if sop_classes is not None:
        return _product(classes, (*UNCOMPRESSED, *_COMPRESSED))
    # Whoever has them uncompressed can convert them.
    plain = tuple(ProposedContext(uid, scu=False, scp=True) for uid in classes)
    common, count = len(_COMMON), _COMPRESSED_AT_ONCE // len(images)
    likely = _product(images, _COMPRESSED[:count])
    return (*plain[:common], *likely, *plain[common:], *_product(images, _COMPRESSED[count:]))


def _images_of(modalities: frozenset[str]) -> tuple[str, ...]:
    """The SOP classes that images of some modalities have, or any images."""
    if not modalities:
        return _COMMON[:_COMMON_IMAGES]
    suffixes = (suffix for name in sorted(modalities) for suffix in _OF_MODALITY.get(name, ()))
    return tuple(dict.fromkeys(_STORAGE + suffix for suffix in (*suffixes, "7")))


def contexts_of_found(found: Mapping[str, frozenset[str]]) -> tuple[ProposedContext, ...]:
    """What to propose for getting objects of which it is known what they are.

    Args:
        found: transfer syntaxes by SOP class; none: it is not known which.
    """
    known = [
        ProposedContext(uid, (syntax,), scu=False, scp=True)
        for uid, syntaxes in found.items()
        for syntax in sorted(syntaxes)
    ]
    unknown = [uid for uid, syntaxes in found.items() if not syntaxes]
    plain, compressed = _product(tuple(found), UNCOMPRESSED), _product(unknown, _COMPRESSED)
    return tuple(dict.fromkeys((*plain, *known, *compressed)))


def _product(
    sop_classes: Sequence[str], transfer_syntaxes: Sequence[str], *, scp: bool = True
) -> tuple[ProposedContext, ...]:
    return tuple(
        ProposedContext(uid, (syntax,), scu=not scp, scp=scp)
        for syntax in transfer_syntaxes
        for uid in sop_classes
    )


def _is_usual(uid: str) -> bool:
    entry = uid_entry(uid)
    if entry is None or entry.is_retired:
        return False
    return not uid.startswith(_SELDOM)


def choose_context(
    accepted: Iterable[AcceptedContext], transfer_syntax: str
) -> AcceptedContext | None:
    """Choose on which context an object goes out.

    Args:
        accepted: those of its SOP class.
        transfer_syntax: the one that it has.

    Returns:
        One with that transfer syntax if there is any, else one that it can be converted to,
        None if there is none.
    """
    usable = [context for context in accepted if context.as_scu]
    for context in usable:
        if context.transfer_syntax == transfer_syntax:
            return context
    if not is_plain(transfer_syntax):
        return None
    targets = [context for context in usable if is_plain(context.transfer_syntax)]
    return targets[0] if targets else None


class Proposals:
    """The presentation contexts of an association request, and what was asked for before.

    Args:
        contexts: those to begin with.

    Attributes:
        contexts: all of them.
    """

    def __init__(self, contexts: Iterable[ProposedContext]) -> None:
        self.contexts: tuple[ProposedContext, ...] = ()
        self.put_first(contexts)

    def covers(self, contexts: Iterable[ProposedContext]) -> bool:
        """Whether all of these are proposed."""
        return set(contexts) <= set(self.contexts)

    def put_first(self, contexts: Iterable[ProposedContext]) -> None:
        """Propose these, and of the others as many as there is room for.

        Raises:
            ValueError: there are more than 128 of them.
        """
        wanted = dict.fromkeys(contexts)
        if len(wanted) > MAX_CONTEXTS:
            raise ValueError(
                f"presentation contexts: expected {MAX_CONTEXTS} at most, got {len(wanted)}"
            )
        both = dict.fromkeys((*wanted, *self.contexts))
        self.contexts = tuple(both)[:MAX_CONTEXTS]

    def presentation_contexts(self) -> tuple[PresentationContextRq, ...]:
        """The items of the request."""
        return propose_contexts(
            (context.abstract_syntax, context.transfer_syntaxes) for context in self.contexts
        )

    def role_selections(self) -> tuple[RoleSelection, ...]:
        """The items for the SOP classes that the peer is to use, too."""
        served = {context.abstract_syntax for context in self.contexts if context.scp}
        used = {context.abstract_syntax for context in self.contexts if context.scu}
        return tuple(RoleSelection(uid, uid in used, True) for uid in sorted(served))
