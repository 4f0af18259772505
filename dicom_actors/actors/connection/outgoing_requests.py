"""Requests of ours to the peer of a connection, and its responses. PS3.7 9.1.3, 10.1.1.

The sub-operations of a C-GET are C-STOREs on the same association: a Handler sends one and waits,
the Association receives the response. Both may be replaced meanwhile; what is awaited is not lost.

An event report belongs to no request that runs: whoever has one posts it, from any thread, and the
Association sends it.
"""

from __future__ import annotations

from collections import deque
from itertools import cycle
from typing import TYPE_CHECKING, Final

from dicom_actors.dimse import CommandField
from dicom_actors.dimse.command import RESPONSE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Condition

    from dicom_actors.dimse import Command

__all__ = ["OutgoingRequests"]


_SECONDS_AFTER_CANCEL: Final = 0.1
_MOST_POSTED: Final = 16
"""Requests that wait for the Association to send them."""


class OutgoingRequests:
    """What is awaited of the peer of one connection; a part of its record.

    Args:
        changed: the record's lock, notified when something changes.
        check: raises unless it is called with the epoch of the present incarnation.
        may_wait: whether the Handler of a request should go on waiting.
        is_cancelled: whether it should not wait for long.
        is_over: whether the peer answers no more, whatever the number that it is called with: the
            association is being released, or over.
    """

    def __init__(
        self,
        changed: Condition,
        check: Callable[[int], None],
        may_wait: Callable[[int], bool],
        is_cancelled: Callable[[int], bool],
        is_over: Callable[[int], bool],
    ) -> None:
        self._changed = changed
        self._check = check
        self._may_wait = may_wait
        self._is_cancelled = is_cancelled
        self._is_over = is_over
        self._message_ids = cycle(range(1, 0x10000))
        self._awaited: dict[int, Command | None] = {}
        self._unwanted: set[int] = set()
        self._kinds: dict[int, int] = {}
        self._posted: deque[tuple[int, Sequence[bytes | memoryview]]] = deque()

    def __bool__(self) -> bool:
        """Whether a response is awaited."""
        return bool(self._awaited)

    @property
    def is_closed(self) -> bool:
        """Whether the peer answers no more."""
        return self._is_over(0)

    def begin(self) -> int:
        """Note that a Handler is about to send a request.

        Returns:
            Its Message ID, which no other one has that is not answered.
        """
        with self._changed:
            return self._begin(CommandField.C_STORE_RQ)

    def _begin(self, command_field: int) -> int:
        message_id = next(
            number
            for number in self._message_ids
            if number not in self._awaited and number not in self._unwanted
        )
        self._awaited[message_id] = None
        self._kinds[message_id] = command_field
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
            if self._kinds.get(message_id, 0) | RESPONSE != response.command_field:
                return False
            if message_id in self._unwanted:
                self._unwanted.discard(message_id)
                del self._kinds[message_id]
                return True
            if message_id not in self._awaited:
                return False
            del self._kinds[message_id]
            self._awaited[message_id] = response
            self._changed.notify_all()
            return True

    # --- what no Handler waits for ---------------------------------------------------------------

    def post(
        self, command_field: CommandField, make: Callable[[int], Sequence[bytes | memoryview]]
    ) -> int | None:
        """Leave a request to the Association, which is to be told of it then.

        Args:
            command_field: which request.
            make: gives the PDUs of it, in pieces, for its Message ID.

        Returns:
            Its Message ID, for `wait_for_posted`, which must follow; None: it cannot be sent any
            more, or too many are waiting.
        """
        with self._changed:
            if self.is_closed or len(self._posted) >= _MOST_POSTED:
                return None
            message_id = self._begin(command_field)
            self._posted.append((message_id, make(message_id)))
            return message_id

    def take_posted(self, epoch: int) -> Sequence[bytes | memoryview] | None:
        """Take a request that is to be sent now, as the Association; None: there is none."""
        with self._changed:
            self._check(epoch)
            return self._posted.popleft()[1] if self._posted and not self.is_closed else None

    def wait_for_posted(self, message_id: int, timeout: float) -> Command | None:
        """Wait for the response to what was posted.

        Args:
            message_id: what `post` gave.
            timeout: seconds.

        Returns:
            The response; None if there was none in time, or the association ends. One that comes
            later is dropped.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._awaited[message_id] is not None or self.is_closed, timeout
            )
            response = self._awaited.pop(message_id)
            if response is None:
                kept = [one for one in self._posted if one[0] != message_id]
                if len(kept) < len(self._posted):  # it was never sent
                    self._posted = deque(kept)
                    del self._kinds[message_id]
                else:
                    self._unwanted.add(message_id)
            return response
