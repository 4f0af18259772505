"""The last PDUs of a connection, for crash reports and traces.

Only headers are kept, nothing of what they carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from dicom_actors import events
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.pdu import describe_head, describe_stream

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PduLog"]

_KEPT: Final = 16
_HEAD_LENGTH: Final = 12


class Tracer(Protocol):
    """Who wants to know of each PDU: the endpoint's tracer.

    Attributes:
        is_traced: whether anybody does.
    """

    is_traced: bool

    def publish(self, event: Any) -> None:
        """Take an event."""


class PduLog:
    """What went over one connection.

    Args:
        record_id: the connection's number.
    """

    def __init__(self, record_id: int) -> None:
        self._record_id = record_id
        self._recent: list[tuple[bool, bytes, int]] = []

    def received(self, view: memoryview, length: int, tracer: Tracer) -> None:
        """Note PDUs that came: the first `length` bytes of `view`."""
        recent = self._recent
        if len(recent) == _KEPT:
            del recent[0]
        recent.append((True, bytes(view[: min(length, _HEAD_LENGTH)]), length))
        if tracer.is_traced:
            self._trace(view[:length], tracer, is_received=True)

    def sent(self, buffers: Sequence[bytes | memoryview], tracer: Tracer) -> None:
        """Note PDUs that go, in pieces."""
        recent = self._recent
        if len(recent) == _KEPT:
            del recent[0]
        length = len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))
        recent.append((False, bytes(buffers[0][:_HEAD_LENGTH]), length))
        if tracer.is_traced:
            # What is not read before it is sent is nothing that a trace shows.
            shown = (bytes, memoryview)
            data = b"".join(one if isinstance(one, shown) else bytes(len(one)) for one in buffers)
            self._trace(data, tracer, is_received=False)

    def report(self, unread: memoryview) -> str:
        """Describe the last PDUs and the one that begins `unread`; a line each."""
        lines = [
            f"  {'received' if is_received else 'sent'} {describe_head(head, length)}"
            for is_received, head, length in self._recent
        ]
        head = bytes(unread[:_HEAD_LENGTH])
        if len(head) >= 6:
            length = 6 + int.from_bytes(head[2:6], "big")
            lines.append(f"  not handled {describe_head(head, length)}")
        return "\n".join(lines)

    def _trace(self, data: bytes | memoryview, tracer: Tracer, *, is_received: bool) -> None:
        for text in describe_stream(data, _name_of):
            tracer.publish(events.PduTraced(self._record_id, is_received, text))


def _name_of(uid: str) -> str:
    return uid_name(uid) or uid
