"""Codecs in processes of their own, which are killed when one takes too long.

Codecs are C, and run on bytes that somebody sent. In a process of its own a bad frame costs one
error: if the process dies, hangs or wants too much memory, that frame is a `DecodeError`, and the
next one has a new process. Nothing that comes back is trusted beyond what it has to be: sizes are
checked, and nothing is unpickled.

Standard: none.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from dicom_actors.errors import ConfigurationError, DecodeError, DicomError, EncodeError
from dicom_actors.processes.child import ChildProcess

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from dicom_actors.pixels import ImageDescription
    from dicom_actors.pixels.codecs import Codecs, Decode, Decoded, Encode, Encoded
    from dicom_actors.processes.channel import Channel

__all__ = ["CodecProcess"]

_PROGRAM: Final = "dicom_actors.codec_process:work"
_MOST_BEYOND: Final = 1 << 20
_FAULTS: Final = (ArithmeticError, DicomError, MemoryError, RuntimeError, TypeError, ValueError)


class CodecProcess:
    """Runs the codecs of `dicom_actors.pixels` beside this process.

    ::

        with CodecProcess(deadline=10) as beside:
            frame(ds, 0, codecs=beside.codecs)

    It can be used by several threads, each with a process of its own at a time. A process is
    started when there is work and none is idle, and once more after one died; idle ones wait for
    more until `close`.

    Attributes:
        codecs: the table of codecs to hand over; with all that `CODECS` has.
    """

    codecs: Codecs

    def __init__(
        self,
        *,
        deadline: float = 30.0,
        max_memory_bytes: int | None = 4 << 30,
        max_processes: int = 2,
    ) -> None:
        """Make the table; no process is started yet.

        Args:
            deadline: seconds that a frame may take.
            max_memory_bytes: address space of a process, where the system can limit it; None: as
                much as there is.
            max_processes: how many work at a time; who comes when all do waits for one.

        Raises:
            ConfigurationError: a number is out of its range.
            MissingExtraError: the extra ``pixels`` is missing.
        """
        if deadline <= 0 or max_processes < 1:
            raise ConfigurationError(
                "expected a deadline above 0 and 1 process or more, got"
                f" {deadline} and {max_processes}"
            )
        from dicom_actors.pixels import CODECS

        self._deadline = deadline
        self._memory = max_memory_bytes
        self._room = threading.BoundedSemaphore(max_processes)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._is_closed = False
        self.codecs = {
            uid: replace(
                codec,
                decode=self._decoder(uid),
                encode=None if codec.encode is None else self._encoder(uid),
            )
            for uid, codec in CODECS.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; what is under way is done first. The codecs are of no use then."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()

    def _decoder(self, uid: str) -> Decode:
        def decode(
            data: bytes | memoryview,
            description: ImageDescription,
            rgb: bool,  # noqa: FBT001
        ) -> Decoded:
            from dicom_actors.pixels.codecs import Decoded
            from dicom_actors.pixels.native import dtype_of

            request = "decode", uid, bytes(data), description, rgb
            head, body = self._call(request, description.array_bytes, DecodeError)
            kind = dtype_of(description)
            array = _array_of(body, kind, description.shape)
            return Decoded(array, str(head.get("photometric")))

        return decode

    def _encoder(self, uid: str) -> Encode:
        def encode(
            array: NDArray[Any], description: ImageDescription, quality: float | None
        ) -> Encoded:
            from dicom_actors.pixels.codecs import Encoded

            request = "encode", uid, array, description, quality
            head, body = self._call(request, 2 * array.nbytes + _MOST_BEYOND, EncodeError)
            stored = head.get("bits_stored")
            if not isinstance(stored, int) or not 1 <= stored <= description.bits_allocated:
                raise EncodeError(f"expected a number of bits from a codec, got {stored!r:.60}")
            return Encoded(bytes(body), str(head.get("photometric")), stored)

        return encode

    def _call(
        self, request: tuple[Any, ...], most: int, failure: type[DecodeError | EncodeError]
    ) -> tuple[dict[str, Any], bytearray]:
        """Have a process do it, whose answer may have so many bytes.

        Raises `failure` with the reason if that does not work out.
        """
        with self._room:
            worker = self._take()
            answer = worker.call(request, most, self._deadline)
            if answer is None:
                why = worker.end()
                raise failure(f"the process with the codec {why}")
            with self._lock:
                if not self._is_closed:
                    self._idle.append(worker)
                    worker = None
            if worker is not None:
                worker.end()
        head, body = answer
        if "error" in head:
            raise failure(str(head["error"]))
        return head, body

    def _take(self) -> Any:
        while True:
            with self._lock:
                if self._is_closed:
                    raise DicomError("the codecs are closed")
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return _Worker(self._memory)
            if worker.is_alive:
                return worker
            worker.end()


def _array_of(body: bytearray, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    wanted = kind.itemsize
    for side in shape:
        wanted *= side
    if len(body) != wanted:
        raise DecodeError(f"expected {wanted} bytes from a codec, got {len(body)}")
    return np.frombuffer(body, kind).reshape(shape)


class _Worker:
    """A process that runs codecs."""

    def __init__(self, memory: int | None) -> None:
        self._process = ChildProcess(_PROGRAM, memory or 0, is_quiet=True)

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive

    def call(
        self, request: tuple[Any, ...], most: int, deadline: float
    ) -> tuple[dict[str, Any], bytearray] | None:
        """Send a request and wait for the answer; None if there is none."""
        channel, due = self._process.channel, time.monotonic() + deadline
        try:
            channel.send(pickle.dumps(request), due=due)
            found = channel.receive(most, due)
            return None if found is None else (json.loads(found.head), found.body)
        except TimeoutError:
            self._process.kill(is_late=True)
        except (OSError, ValueError):
            pass
        return None

    def end(self) -> str:
        """End it; returns why it gave no answer."""
        return self._process.end()


# --- in the process ----------------------------------------------------------------------------


def work(channel: Channel, memory: int) -> None:
    """Answer requests until there are no more; in the process.

    Args:
        channel: to who asks.
        memory: bytes of address space that there may be; 0: as much as there is.
    """
    from dicom_actors.pixels.codecs import CODECS, called

    _limit_memory(memory)
    while (found := channel.receive()) is not None:
        kind, uid, data, description, option = pickle.loads(found.head)  # noqa: S301 - the parent's
        head: dict[str, Any]
        body: bytes | memoryview = b""
        try:
            codec = CODECS[uid]
            if kind == "decode":
                decoded = called(codec, "its transfer syntax", data, description, option)
                head = {"photometric": decoded.photometric}
                body = decoded.array.tobytes()
            else:
                assert codec.encode is not None
                encoded = codec.encode(data, description, option)
                head = {"photometric": encoded.photometric, "bits_stored": encoded.bits_stored}
                body = encoded.data
        except _FAULTS as error:
            head = {"error": f"{error!s:.500}" or type(error).__name__}
        channel.send(json.dumps(head).encode(), body)


def _limit_memory(length: int) -> None:
    if length:
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (length, length))
