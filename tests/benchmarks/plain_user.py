"""A service class user that costs next to nothing, so that it is the server that is measured.

What it sends is encoded once; for each message two numbers are patched in place: the Message ID
and the last digits of the SOP Instance UID (in the command and in the data set). A C-STORE of up
to 1 MiB is one `sendall`, a longer one repeats a block of 1 MiB that stays in the processor's
cache. A response is taken with one `recv` if it comes in one piece, and is searched for Success
and the Message ID. Sockets block without a time-out of Python's, which would cost a `poll` for
each call; the kernel's time-outs end a wait for a server that hangs.

TCP_QUICKACK is renewed after each receipt (the kernel forgets it), so that a server which writes a
response in two pieces, and leaves Nagle's algorithm on, does not wait 40 ms for our delayed ACK.
"""

from __future__ import annotations

import multiprocessing
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

sys.path.insert(0, str(Path(__file__).parent.parent))
from kit.peer import (
    CT_IMAGE,
    EXPLICIT,
    IMPLICIT,
    VERIFICATION,
    associate_rq,
    echo_pdus,
    store_pdus,
)

from dicom_actors.pdu import PresentationContextRq, ReleaseRq, encode_pdu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

LIMIT = 30
"""Seconds that a server may take for a step."""

TURN_LIMIT = 120.0
"""Seconds that a turn may take."""

ECHO_CONTEXT, STORE_CONTEXT = 1, 3
UID = "1.2.826.0.1.3680043.8.498.1000000000"
"""What the data sets to send have as SOP Instance UID; the last nine digits are patched."""

MIB = 1 << 20
MAX_PDU_LENGTH = 131_072
_REQUEST = encode_pdu(
    associate_rq(
        "ANY-SCP",
        "BENCHMARK",
        (
            PresentationContextRq(ECHO_CONTEXT, VERIFICATION, (IMPLICIT,)),
            PresentationContextRq(STORE_CONTEXT, CT_IMAGE, (EXPLICIT,)),
        ),
        MAX_PDU_LENGTH,
    )
)
_RELEASE = encode_pdu(ReleaseRq())
_ECHO = b"".join(map(encode_pdu, echo_pdus()))
_MESSAGE_ID = b"\0\0\x10\x01\2\0\0\0"
_RESPONDED_TO = b"\0\0\x20\x01\2\0\0\0"
_SUCCESS = b"\0\0\0\x09\2\0\0\0\0\0"
_ACK = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class UserProcess:
    """A process that does one thing at a time for this one, and is killed at the end.

    A pool of `multiprocessing` would wait for ever for a worker that was killed with a lock of it.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of a module there.

        Raises:
            TimeoutError: it is not done within `TURN_LIMIT` seconds.
            Exception: what it raised.
        """
        self._connection.send((function, arguments))
        if not self._connection.poll(TURN_LIMIT):
            raise TimeoutError(f"{function.__name__} is not done after {TURN_LIMIT} s")
        is_done, outcome = self._connection.recv()
        if not is_done:
            raise outcome
        return outcome


def _serve(connection: Connection) -> None:
    while True:
        function, arguments = connection.recv()
        try:
            answer = True, function(*arguments)
        except Exception as error:
            answer = False, error
        connection.send(answer)


class Timing(NamedTuple):
    """How long a turn took.

    Attributes:
        seconds: from its first byte to its last answer.
        cpu: of it, what this process computed.
    """

    seconds: float
    cpu: float


class Contents(NamedTuple):
    """What a data set to send is made of.

    Attributes:
        elements: all elements up to Pixel Data, in Explicit VR Little Endian, with `UID` in them.
        pixels: the length of Pixel Data in bytes, which are zeros.
    """

    elements: bytes
    pixels: int


class PlainUser:
    """One association. It has asked for it when it is made; `accepted` waits for the answer."""

    def __init__(self, port: int, limit: int = LIMIT) -> None:
        self.socket = socket.socket()
        seconds = struct.pack("@qq", limit, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(*_ACK)
        self.socket.sendall(_REQUEST)
        self.max_pdu_length = 0
        self._echo = bytearray(_ECHO)
        self._echo_id = _ECHO.index(_MESSAGE_ID) + len(_MESSAGE_ID)

    def accepted(self) -> PlainUser:
        """Return when the association is established.

        Raises:
            OSError: it is not, or nothing came for as long as the limit says.
        """
        answer = self.receive()
        if answer[0] != 2 or answer.count(b"\x21\0") < 2:
            raise ConnectionError(f"the association was not accepted: {answer!r}")
        at = answer.index(b"\x51\0\0\4") + 4  # Maximum Length sub-item, PS3.8 D.1
        announced = int.from_bytes(answer[at : at + 4], "big")
        self.max_pdu_length = min(announced or MAX_PDU_LENGTH, MAX_PDU_LENGTH)
        return self

    def receive(self) -> bytes:
        """Take one PDU."""
        data = self.socket.recv(65536)
        self.socket.setsockopt(*_ACK)
        while len(data) < 6 or len(data) < 6 + int.from_bytes(data[2:6], "big"):
            if not data:
                raise ConnectionError("the server closed the connection")
            more = self.socket.recv(65536)
            self.socket.setsockopt(*_ACK)
            if not more:
                raise ConnectionError("the server closed the connection in the middle of a PDU")
            data += more
        return data

    def succeed(self, message_id: bytes) -> None:
        """Take a response; it must be to that message, and its status Success."""
        response = self.receive()
        if _SUCCESS not in response or _RESPONDED_TO + message_id not in response:
            raise ConnectionError(f"expected Success, got {response!r}")

    def echo(self, number: int) -> None:
        """One C-ECHO."""
        message_id = (number & 0xFFFF).to_bytes(2, "little")
        self._echo[self._echo_id : self._echo_id + 2] = message_id
        self.socket.sendall(self._echo)
        self.succeed(message_id)

    def release(self) -> None:
        """End the association."""
        self.socket.sendall(_RELEASE)
        if self.receive()[0] != 6:
            raise ConnectionError("the release was not answered")
        self.socket.close()


class StoreRequest:
    """A C-STORE-RQ in PDUs of one length, to be sent again and again."""

    def __init__(self, contents: Contents, max_pdu_length: int) -> None:
        assert len(UID) % 2 == 0
        command = encode_pdu(store_pdus(b"", uid=UID, context_id=STORE_CONTEXT)[0])
        header = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, contents.pixels)
        elements = contents.elements + header
        room = max_pdu_length - 6  # what the PDV's own header leaves
        first = elements + bytes(min(room - len(elements), contents.pixels))
        full, last = divmod(len(elements) + contents.pixels - len(first), room)
        if full and not last:
            full, last = full - 1, room
        head = bytearray(command + _pdu(first, is_last=not last))
        tail = _pdu(bytes(last), is_last=True) if last else b""
        block = _pdu(bytes(room), is_last=False)
        if full * len(block) <= MIB:
            self.parts: list[bytes | bytearray] = [head + block * full + tail]
        else:
            many = MIB // len(block)
            repeated = block * many
            self.parts = [head, *[repeated] * (full // many), block * (full % many) + tail]
        found = self.parts[0]
        assert found.count(UID.encode()) == 2, "expected the UID in the command and the data set"
        in_command = found.index(UID.encode())
        in_data_set = found.index(UID.encode(), in_command + 1)
        self._digits = [start + len(UID) - 9 for start in (in_command, in_data_set)]
        self._id = found.index(_MESSAGE_ID) + len(_MESSAGE_ID)

    def send(self, user: PlainUser, number: int) -> bytes:
        """Send it as the object of that number; returns the Message ID."""
        head = self.parts[0]
        assert isinstance(head, bytearray)
        message_id = (number & 0xFFFF).to_bytes(2, "little")
        digits = b"%09d" % number
        head[self._id : self._id + 2] = message_id
        for start in self._digits:
            head[start : start + 9] = digits
        for part in self.parts:
            user.socket.sendall(part)
        return message_id


def _pdu(data: bytes, *, is_last: bool) -> bytes:
    length = len(data)
    control = 2 if is_last else 0
    return struct.pack(">BxIIBB", 4, length + 6, length + 2, STORE_CONTEXT, control) + data


def in_turn(steps: Sequence[Callable[[], None]]) -> Timing:
    """Time the steps, each in a thread of its own if they are several."""
    if len(steps) == 1:
        cpu, began = time.process_time(), time.perf_counter()
        steps[0]()
        return Timing(time.perf_counter() - began, time.process_time() - cpu)
    failed: list[BaseException] = []
    start = threading.Barrier(len(steps) + 1)

    def run(step: Callable[[], None]) -> None:
        start.wait(LIMIT)
        try:
            step()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    cpu, began = time.process_time(), time.perf_counter()
    start.wait(LIMIT)
    for thread in threads:
        thread.join(10 * LIMIT)
    timing = Timing(time.perf_counter() - began, time.process_time() - cpu)
    for error in failed:
        raise error
    return timing


def store(port: int, contents: Contents, count: int, associations: int = 1) -> Timing:
    """Send so many objects, evenly over the associations, each with its answer before the next."""
    each = count // associations
    users = [PlainUser(port).accepted() for _ in range(associations)]

    def sending(place: int, user: PlainUser) -> Callable[[], None]:
        request = StoreRequest(contents, user.max_pdu_length)

        def send() -> None:
            for number in range(place * each, (place + 1) * each):
                user.succeed(request.send(user, number))

        return send

    timing = in_turn([sending(place, user) for place, user in enumerate(users)])
    for user in users:
        user.release()
    return timing


def echo(port: int, count: int) -> Timing:
    """So many C-ECHOs on one association."""
    user = PlainUser(port).accepted()

    def send() -> None:
        for number in range(count):
            user.echo(number)

    timing = in_turn([send])
    user.release()
    return timing


def associate(port: int, count: int) -> Timing:
    """So many associations, one after the other, with a C-ECHO on each."""

    def step() -> None:
        for number in range(count):
            user = PlainUser(port).accepted()
            user.echo(number)
            user.release()

    return in_turn([step])


def echo_times(
    port: int, seconds: float, beside: Contents | None = None, skipped: float = 0.2
) -> list[float]:
    """The time of each C-ECHO on one association for so many seconds.

    Args:
        port: the server's.
        seconds: how long.
        beside: an object to send on another association first; its answer must not come before
            the last C-ECHO is answered.
        skipped: seconds at the beginning that do not count: the handler has to start.
    """
    user, other = PlainUser(port).accepted(), PlainUser(port).accepted()
    if beside is not None:
        message_id = StoreRequest(beside, other.max_pdu_length).send(other, 1)
    times = []
    began = now = time.perf_counter()
    number = 0
    while now - began < seconds:
        user.echo(number)
        number += 1
        before, now = now, time.perf_counter()
        if before - began >= skipped:
            times.append(now - before)
    if beside is not None:
        try:
            other.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            other.succeed(message_id)
        else:
            raise ConnectionError("the other handler was over too soon")
    user.release()
    other.release()
    return times
