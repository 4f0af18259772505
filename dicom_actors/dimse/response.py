"""Responses to requests: their command sets, alone and in PDUs. PS3.7 9.3 and 10.3, Annex C."""

from __future__ import annotations

from struct import Struct
from struct import error as StructError  # noqa: N812 - an exception, named as one
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from dicom_actors.dimse.command import (
    RESPONSE,
    Command,
    CommandElement,
    CommandField,
    encode_command,
)
from dicom_actors.dimse.fragmenter import fragment
from dicom_actors.pdu import p_data_buffers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["ResponseEncoder", "ResponseTemplates", "encode_response"]

MAX_ERROR_COMMENT = 64
"""Error Comment is an LO of VM 1 (PS3.7 C.4): at most 64 characters."""

# The N-services whose requests name a Requested SOP instance still answer with Affected UIDs
# (PS3.7 10.3), so that one rule serves all.
_WITH_INSTANCE = frozenset(
    {
        CommandField.C_STORE_RQ,
        CommandField.N_EVENT_REPORT_RQ,
        CommandField.N_GET_RQ,
        CommandField.N_SET_RQ,
        CommandField.N_ACTION_RQ,
        CommandField.N_CREATE_RQ,
        CommandField.N_DELETE_RQ,
    }
)


def encode_response(
    request: Command,
    status: int,
    comment: str = "",
    *,
    has_data_set: bool = False,
    more: Mapping[int, int | str | bytes] | None = None,
) -> bytes:
    """Write the command set that answers `request`.

    Args:
        request: the request.
        status: the status code, 0 to 0xFFFF.
        comment: Error Comment; cut to 64 characters, what is no printable ASCII becomes ``?``.
        has_data_set: whether a data set follows.
        more: element numbers and values of what this response has besides.

    Returns:
        The command set in Implicit VR Little Endian.
    """
    values: dict[int, int | str | bytes] = {
        CommandElement.COMMAND_FIELD: request.command_field | RESPONSE,
        CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
        CommandElement.STATUS: status,
    }
    if request.sop_class_uid:
        values[CommandElement.AFFECTED_SOP_CLASS_UID] = request.sop_class_uid
    if request.sop_instance_uid and request.command_field in _WITH_INSTANCE:
        values[CommandElement.AFFECTED_SOP_INSTANCE_UID] = request.sop_instance_uid
    if comment:
        values[CommandElement.ERROR_COMMENT] = _printable(comment)
    if more:
        values.update(more)
    return encode_command(values, has_data_set=has_data_set)


MAX_TEMPLATES: Final = 128
"""Templates that are kept: for a sender one for each service, SOP class and length of UIDs."""

MAX_TEMPLATE_LENGTH: Final = 512
"""Bytes of a response of which a template is kept; the ordinary ones have 80 to 250."""

# What stands before the values that differ, in the order of a response: the header of the PDU and
# of its PDV; the group length; Command Field and the header of the Message ID; Command Data Set
# Type and the header of the status; the header of the SOP Instance UID.
_PDU_HEADERS: Final = 12
_GROUP_LENGTH: Final = 12
_BEFORE_MESSAGE_ID: Final = 18
_BEFORE_STATUS: Final = 18
_UID_HEADER: Final = 8


_Key: TypeAlias = tuple[int, int, str, int, bool, int]


class _Template(NamedTuple):
    """A response without its Message ID, its status and its SOP Instance UID.

    Attributes:
        pack: puts the PDU together.
        before: what stands before the Message ID.
        between: between that and the status.
        after: between that and the value of the UID, or the end.
    """

    pack: Callable[..., bytes]
    before: bytes
    between: bytes
    after: bytes


class ResponseTemplates:
    """Responses that were written before, without what differs; any thread may use it.

    Attributes:
        get: gives one that is kept, None if it is not.
    """

    __slots__ = ("_templates", "get")

    def __init__(self) -> None:
        self._templates: dict[_Key, _Template] = {}
        self.get: Callable[[_Key], _Template | None] = self._templates.get

    def keep(self, key: _Key, template: _Template) -> None:
        """Keep one more; when there are too many, it begins anew."""
        if len(self._templates) >= MAX_TEMPLATES:
            self._templates.clear()
        self._templates[key] = template


class ResponseEncoder:
    """Writes the responses on one association, in PDUs that are ready to be sent.

    Args:
        max_pdu_length: the peer's Maximum Length in bytes; 0 for no limit.
        templates: what was written on this association and on others.
    """

    __slots__ = ("_max_pdu_length", "_templates")

    def __init__(self, max_pdu_length: int, templates: ResponseTemplates) -> None:
        self._max_pdu_length = max_pdu_length
        self._templates = templates

    def encode(
        self,
        context_id: int,
        request: Command,
        status: int,
        comment: str = "",
        *,
        has_data_set: bool = False,
        more: Mapping[int, int | str | bytes] | None = None,
    ) -> bytes:
        """Write the command set that answers `request`, as `encode_response` does.

        Args:
            context_id: the presentation context of the request.
            request: see `encode_response`, as for the rest.
            status: likewise.
            comment: likewise.
            has_data_set: likewise.
            more: likewise.

        Returns:
            P-DATA-TF PDUs, one as a rule, that hold the command set and nothing else.

        Standard: PS3.7 6.3.1, PS3.8 9.3.5.
        """
        if comment or more:
            return self._framed(
                context_id,
                encode_response(request, status, comment, has_data_set=has_data_set, more=more),
            )
        _, command_field, message_id, sop_class_uid, uid, _, _ = request
        longest = self._max_pdu_length
        key = (context_id, command_field, sop_class_uid, len(uid) + 1 >> 1, has_data_set, longest)
        template = self._templates.get(key)
        if template is not None:
            pack, before, between, after = template
            try:
                value = uid.encode("ascii", "replace")
                return pack(before, message_id, between, status, after, value)
            except StructError:
                pass  # a number that does not fit, which is for `encode_response` to refuse
        pdus = self._framed(context_id, encode_response(request, status, has_data_set=has_data_set))
        if len(pdus) <= MAX_TEMPLATE_LENGTH:
            template = _template_of(pdus, request)
            if template is not None:
                self._templates.keep(key, template)
        return pdus

    def _framed(self, context_id: int, command_set: bytes) -> bytes:
        pdvs = fragment(context_id, command_set, self._max_pdu_length, is_command=True)
        return b"".join([part for pdv in pdvs for part in p_data_buffers((pdv,))])


def _template_of(pdus: bytes, request: Command) -> _Template | None:
    """Return the template of a response without comment; None if it is cut into several PDUs."""
    if len(pdus) != int.from_bytes(pdus[2:6], "big") + 6:
        return None
    sop_class_uid = request.sop_class_uid
    length = _UID_HEADER + len(sop_class_uid) + len(sop_class_uid) % 2 if sop_class_uid else 0
    message_id_at = _PDU_HEADERS + _GROUP_LENGTH + length + _BEFORE_MESSAGE_ID
    status_at = message_id_at + 2 + _BEFORE_STATUS
    value_at = min(status_at + 2 + _UID_HEADER, len(pdus))
    before = pdus[:message_id_at]
    between = pdus[message_id_at + 2 : status_at]
    after = pdus[status_at + 2 : value_at]
    code = f"<{len(before)}sH{len(between)}sH{len(after)}s{len(pdus) - value_at}s"
    return _Template(Struct(code).pack, before, between, after)


def _printable(comment: str) -> str:
    return "".join(
        character if " " <= character <= "~" and character != "\\" else "?"
        for character in comment[:MAX_ERROR_COMMENT]
    )
