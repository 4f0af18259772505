"""Requests of ours to the peer of a connection, and its responses. PS3.7 9.1.3.

The sub-operations of a C-GET are C-STOREs on the same association: a Handler sends one and waits,
the Association receives the response. Both may be replaced meanwhile; what is awaited is not lost.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from dicom_actors.dimse import Command

__all__ = ["OutgoingRequests"]


_SECONDS_AFTER_CANCEL: Final = 0.5


class OutgoingRequests:
    """What is awaited of the peer of one connection; a part of its record.

    Args:
        changed: the record's lock, notified when something changes.
        check: raises unless it is called with the epoch of the present incarnation.
        may_wait: whether the Handler of a request should go on waiting.
        is_cancelled: whether it should not wait for long.
    """

    def __init__(
        self,
        changed: Condition,
        check: Callable[[int], None],
        may_wait: Callable[[int], bool],
        is_cancelled: Callable[[int], bool],
    ) -> None:
        self._changed = changed
        self._check = check
        self._may_wait = may_wait
        self._is_cancelled = is_cancelled
        self._message_ids = cycle(range(1, 0x10000))
        self._awaited: dict[int, Command | None] = {}
        self._unwanted: set[int] = set()

    def __bool__(self) -> bool:
        """Whether a response is awaited."""
        return bool(self._awaited)

    def begin(self) -> int:
        """Note that a Handler is about to send a request.

        Returns:
            Its Message ID, which no other one has that is not answered.
        """
        with self._changed:
            message_id = next(
                number
                for number in self._message_ids
                if number not in self._awaited and number not in self._unwanted
            )
            self._awaited[message_id] = None
            return message_id

    def wait(self, serial: int, message_id: int) -> Command | None:
        """Wait, as the Handler of the request `serial`, for the response.

        Returns:
            The response; None if the peer did not answer in time, or nobody wants it any more. One
            that comes later is dropped.
        """
        with self._changed:

            def is_over() -> bool:
                return self._awaited[message_id] is not None or not self._may_wait(serial)

            self._changed.wait_for(lambda: is_over() or self._is_cancelled(serial))
            if not is_over():
                # What is on its way should be counted; but who cancels wants an answer, too.
                self._changed.wait_for(is_over, _SECONDS_AFTER_CANCEL)
            response = self._awaited.pop(message_id)
            if response is None:
                self._unwanted.add(message_id)
            return response

    def answer(self, epoch: int, response: Command) -> bool:
        """Take a response, as the Association.

        Returns:
            Whether it answers anything that was asked.
        """
        with self._changed:
            self._check(epoch)
            message_id = response.message_id
            if message_id in self._unwanted:
                self._unwanted.discard(message_id)
                return True
            if message_id not in self._awaited or self._awaited[message_id] is not None:
                return False
            self._awaited[message_id] = response
            self._changed.notify_all()
            return True
