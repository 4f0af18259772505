"""What goes over associations, as lines on standard error: ``--verbose`` and ``--trace``.

Payloads are shown as lengths, and secrets not at all. Standard: PS3.8 9.3.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from dicom_actors.cli.terminal import counted
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.pdu import (
    AssociateAc,
    AssociateRj,
    AssociateRq,
    ContextResult,
    decode_pdu,
    describe_pdu,
    describe_stream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dicom_actors.pdu import Pdu

__all__ = ["ProtocolLog"]

_P_DATA_TF: Final = 4


class ProtocolLog:
    """Is told of each PDU, in the thread of its association, and prints what is wanted.

    Args:
        is_trace: whether each PDU is printed in a line; otherwise what was asked for and what
            was negotiated, in words.
    """

    def __init__(self, *, is_trace: bool) -> None:
        self._is_trace = is_trace
        self._numbers: dict[int, int] = {}
        self._requests: dict[int, AssociateRq] = {}

    def __call__(
        self,
        association: int,
        is_received: bool,  # noqa: FBT001 - as `connect` calls it
        buffers: Sequence[bytes | memoryview],
    ) -> None:
        """Take a PDU; see `connect`."""
        number = self._numbers.setdefault(association, len(self._numbers) + 1)
        if self._is_trace:
            arrow = "<-" if is_received else "->"
            for line in describe_stream(b"".join(buffers), _name_of):
                _print(f"{number:>3} {arrow} {line}")
        elif buffers[0][0] != _P_DATA_TF:
            # What cannot be decoded is the machine's business, which ends the association.
            pdu = _decoded(b"".join(buffers))
            if pdu is not None:
                for line in self._told(number, pdu, is_received=is_received):
                    _print(f"association {number}: {line}")

    def _told(self, number: int, pdu: Pdu, *, is_received: bool) -> Iterator[str]:
        if isinstance(pdu, AssociateRq):
            self._requests[number] = pdu
            contexts = counted(len(pdu.presentation_contexts), "presentation context")
            yield f"{pdu.calling_ae_title} asks {pdu.called_ae_title} for it, with {contexts}"
        elif isinstance(pdu, AssociateAc):
            yield from _acceptance(self._requests[number], pdu)
        else:
            who = "the peer" if is_received else "we"
            verb = {"A-RELEASE-RQ": "ask", "A-RELEASE-RP": "agree"}
            text = describe_pdu(pdu)
            if isinstance(pdu, AssociateRj):
                yield text.partition(": ")[2]
            elif text in verb:
                yield f"{who} {verb[text]}{'s' if is_received else ''} to release it"
            else:
                yield f"aborted: {text.partition(': ')[2]}"


def _acceptance(request: AssociateRq, answer: AssociateAc) -> Iterator[str]:
    user = answer.user_information
    software = f"{user.implementation_version_name} {user.implementation_class_uid}".strip()
    window = user.async_window
    yield (
        f"accepted by {software or 'unknown software'}, "
        f"maximum length {user.max_pdu_length or 'unlimited'}, "
        f"window {1 if window is None else window.invoked or 'unlimited'}"
    )
    if request.user_information.user_identity is not None:
        looked = user.user_identity_response is not None
        yield f"the peer {'accepts the user' if looked else 'says nothing about the user'}"
    asked = {context.context_id: context for context in request.presentation_contexts}
    for context in answer.presentation_contexts:
        if context.context_id not in asked:
            continue
        name = _name_of(asked[context.context_id].abstract_syntax)
        if context.result is ContextResult.ACCEPTANCE:
            yield f"  {name}: {_name_of(context.transfer_syntax)}"
        else:
            yield f"  {name}: refused, {context.result.name.lower().replace('_', ' ')}"


def _decoded(data: bytes) -> Pdu | None:
    from dicom_actors.errors import RemoteProtocolError

    try:
        return decode_pdu(data)
    except RemoteProtocolError:
        return None


def _name_of(uid: str) -> str:
    return uid_name(uid) or uid


def _print(line: str) -> None:
    # One write, so that the lines of several associations do not mix.
    sys.stderr.write(f"{line}\n")
