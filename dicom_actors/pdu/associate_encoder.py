"""A-ASSOCIATE-RQ and A-ASSOCIATE-AC to bytes.

Items stand in the order of their types, as the standard wants it. Standard: PS3.8 9.3.2,
9.3.3, PS3.7 D.3.3.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from dicom_actors.errors import LocalProtocolError
from dicom_actors.pdu.text import encode_ae_title

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dicom_actors.pdu.items import (
        SopClassCommonExtended,
        UnknownItem,
        UserIdentity,
        UserInformation,
    )
    from dicom_actors.pdu.pdus import AssociateAc, AssociateRq

__all__ = ["encode_associate_ac", "encode_associate_rq"]

_ITEM: Final = Struct(">BBH")  # type, reserved or version, length of what follows
_UINT16: Final = Struct(">H")
_UINT32: Final = Struct(">I")
_WINDOW: Final = Struct(">HH")
_ECHO_LENGTH: Final = 64
_MAX_VERSION_NAME: Final = 16


def encode_associate_rq(rq: AssociateRq) -> bytes:
    """Return an A-ASSOCIATE-RQ without its header.

    Raises:
        LocalProtocolError: an AE title or a name that may not be sent.
        ValueError: a number or a text that does not fit into its field.
        struct.error: likewise.
    """
    contexts = (
        _item(
            0x20,
            bytes((context.context_id, 0, 0, 0)),
            _item(0x30, _ascii(context.abstract_syntax)),
            *(_item(0x40, _ascii(uid)) for uid in context.transfer_syntaxes),
        )
        for context in rq.presentation_contexts
    )
    return _associate(rq, _titles(rq), contexts)


def encode_associate_ac(ac: AssociateAc) -> bytes:
    """Return an A-ASSOCIATE-AC without its header.

    Raises:
        LocalProtocolError: an AE title or a name that may not be sent.
        ValueError: a number or a text that does not fit into its field.
        struct.error: likewise.
    """
    contexts = (
        _item(
            0x21,
            bytes((context.context_id, 0, context.result, 0)),
            _item(0x40, _ascii(context.transfer_syntax)),
        )
        for context in ac.presentation_contexts
    )
    return _associate(ac, ac.echo or _titles(ac), contexts)


def _associate(pdu: AssociateRq | AssociateAc, titles: bytes, contexts: Iterator[bytes]) -> bytes:
    return b"".join(
        (
            _UINT16.pack(pdu.protocol_version),
            bytes(2),
            titles,
            _item(0x10, _ascii(pdu.application_context_name)),
            *contexts,
            _item(0x50, *_user_information(pdu.user_information)),
            *_unknown(pdu.unknown_items),
        )
    )


def _titles(pdu: AssociateRq | AssociateAc) -> bytes:
    titles = encode_ae_title(pdu.called_ae_title) + encode_ae_title(pdu.calling_ae_title)
    return titles.ljust(_ECHO_LENGTH, b"\0")


def _user_information(user: UserInformation) -> Iterator[bytes]:
    yield _item(0x51, _UINT32.pack(user.max_pdu_length))
    if user.implementation_class_uid:
        yield _item(0x52, _ascii(user.implementation_class_uid))
    if user.async_window is not None:
        yield _item(0x53, _WINDOW.pack(*user.async_window))
    for uid, scu, scp in user.roles:
        yield _item(0x54, _counted(_ascii(uid)), bytes((scu, scp)))
    if user.implementation_version_name:
        name = _ascii(user.implementation_version_name)
        if len(name) > _MAX_VERSION_NAME:
            raise LocalProtocolError(
                f"implementation version name: expected {_MAX_VERSION_NAME} characters at most,"
                f" got {user.implementation_version_name!r}"
            )
        yield _item(0x55, name)
    for uid, information in user.extended:
        yield _item(0x56, _counted(_ascii(uid)), information)
    for common in user.common_extended:
        yield _common_extended(common)
    if user.user_identity is not None:
        yield _user_identity(user.user_identity)
    if user.user_identity_response is not None:
        yield _item(0x59, _counted(user.user_identity_response))
    yield from _unknown(user.unknown)


def _common_extended(common: SopClassCommonExtended) -> bytes:
    related = b"".join(_counted(_ascii(uid)) for uid in common.related_general)
    return _item(
        0x57,
        _counted(_ascii(common.sop_class_uid)),
        _counted(_ascii(common.service_class_uid)),
        _counted(related),
        version=common.version,
    )


def _user_identity(identity: UserIdentity) -> bytes:
    return _item(
        0x58,
        bytes((identity.identity_type, identity.positive_response_requested)),
        _counted(identity.primary_field),
        _counted(identity.secondary_field),
    )


def _unknown(items: tuple[UnknownItem, ...]) -> Iterator[bytes]:
    return (_item(item.item_type, item.data) for item in items)


def _item(item_type: int, *parts: bytes, version: int = 0) -> bytes:
    content = b"".join(parts)
    return _ITEM.pack(item_type, version, len(content)) + content


def _counted(field: bytes) -> bytes:
    return _UINT16.pack(len(field)) + field


def _ascii(text: str) -> bytes:
    return text.encode("ascii")
