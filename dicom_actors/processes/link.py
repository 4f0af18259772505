"""Questions, answers and news between two processes that know each other, in both directions.

Any thread may ask. What comes in is taken by one thread, in the order in which it was sent. A
side that takes nothing for some seconds counts as gone: nobody waits longer for it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
import threading
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.errors import DicomError
from dicom_actors.supervision import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dicom_actors.processes.channel import Channel, Message

__all__ = ["Answer", "Link", "LinkLost"]

_SEND_SECONDS: Final = 10


class LinkLost(DicomError):
    """The other process is gone, or takes nothing any more."""


class Answer:
    """Where the answer to a question goes; the first one counts.

    Args:
        link: to who asks.
        number: of the question; 0: nobody waits.
    """

    def __init__(self, link: Link, number: int) -> None:
        self._link = link
        self._number = number

    def offer(self, value: Any = None) -> None:
        """Answer."""
        self._send("answer", value)

    def fail(self, error: BaseException) -> None:
        """Answer with an exception."""
        self._send("failure", error)

    def _send(self, kind: str, value: Any) -> None:
        number, self._number = self._number, 0
        if number:
            with contextlib.suppress(LinkLost):
                self._link.send(kind, number, value)


class Link:
    """One end; see the module.

    Args:
        channel: to the other process.
        take: called with what comes, where an answer goes, and descriptors, which are its to
            close; in the link's thread, which it must not hold up.
        at_end: called once when the other side is gone; in the link's thread.
    """

    def __init__(
        self,
        channel: Channel,
        take: Callable[[Any, Answer, tuple[int, ...]], None],
        at_end: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._take = take
        self._at_end = at_end
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._waiting: dict[int, Reply] = {}
        self._is_lost = False
        limit = struct.pack("@ll", _SEND_SECONDS, 0)
        channel.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    def start(self) -> None:
        """Take what comes from now on."""
        self._thread.start()

    def join(self, seconds: float | None = None) -> None:
        """Wait for the end of its thread, after the end of the other side."""
        self._thread.join(seconds)

    def ask(self, value: Any, timeout: float | None, descriptors: Sequence[int] = ()) -> Any:
        """Ask, and wait for the answer.

        Raises:
            LinkLost: the other side is gone.
            CallTimeout: there was no answer in time.
            Exception: that is the answer.
        """
        return self.begin(value, descriptors).get(timeout=timeout)

    def begin(self, value: Any, descriptors: Sequence[int] = ()) -> Reply:
        """Ask; the answer comes later, and if it is only that the other side is gone."""
        reply = Reply()
        number = next(self._numbers)
        self._waiting[number] = reply
        try:
            self.send("question", number, value, descriptors)
        except LinkLost as error:
            self._waiting.pop(number, None)
            reply.fail(error)
        return reply

    def tell(self, value: Any) -> None:
        """Send news; nothing happens if the other side is gone."""
        with contextlib.suppress(LinkLost):
            self.send("question", 0, value)

    def send(self, kind: str, number: int, value: Any, descriptors: Sequence[int] = ()) -> None:
        """Send something; for the link and its answers.

        Raises:
            LinkLost: the other side is gone.
        """
        try:
            data = pickle.dumps((kind, number, value), protocol=5)
        except Exception as error:
            if kind == "question":
                raise
            data = pickle.dumps(("failure", number, DicomError(f"no answer: {error!r:.200}")))
        with self._lock:
            if self._is_lost:
                raise LinkLost("the other process is gone")
            try:
                self._channel.send(data, descriptors=descriptors)
            except OSError as error:
                # Half of a message may be sent: what follows could not be read.
                self._is_lost = True
                with contextlib.suppress(OSError):
                    self._channel.socket.shutdown(socket.SHUT_RDWR)
                raise LinkLost(f"the other process is gone: {error}") from error

    def close(self) -> None:
        """End it: the other side sees that, and so does the thread here."""
        with contextlib.suppress(OSError):
            self._channel.socket.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        try:
            while (message := self._channel.receive()) is not None:
                self._handle(message)
        except (OSError, ValueError):
            pass
        with self._lock:
            self._is_lost = True
        waiting, self._waiting = self._waiting, {}
        for reply in waiting.values():
            reply.fail(LinkLost("the other process has ended"))
        self._at_end()

    def _handle(self, message: Message) -> None:
        kind, number, value = pickle.loads(message.head)  # noqa: S301 - our own program's
        if kind == "question":
            answer = Answer(self, number)
            try:
                self._take(value, answer, message.descriptors)
            except Exception as error:  # noqa: BLE001 - the asker's to hear
                answer.fail(error)
            return
        for descriptor in message.descriptors:
            os.close(descriptor)
        reply = self._waiting.pop(number, None)
        if reply is None:
            return
        if kind == "failure":
            reply.fail(value)
        else:
            reply.offer(value)
