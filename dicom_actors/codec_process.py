"""Codecs in processes of their own, which are killed when one takes too long.

Codecs are C, and run on bytes that somebody sent. In a process of its own a bad frame costs one
error: if the process dies, hangs or wants too much memory, that frame is a `DecodeError`, and the
next one has a new process. Nothing that comes back is trusted beyond what it has to be: sizes are
checked, and nothing is unpickled.

Run as a program (``python -m dicom_actors.codec_process``) this module is such a process.

Standard: none.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from struct import Struct
from typing import IO, TYPE_CHECKING, Any, Final, Self

from dicom_actors.errors import ConfigurationError, DecodeError, DicomError, EncodeError

if TYPE_CHECKING:
    from types import TracebackType

    from numpy.typing import NDArray

    from dicom_actors.pixels import ImageDescription
    from dicom_actors.pixels.codecs import Codecs, Decode, Decoded, Encode, Encoded

__all__ = ["CodecProcess"]

_LENGTHS: Final = Struct("<IQ")
"""Of the head and of the body of a message."""

_MOST_OF_HEAD: Final = 1 << 16
_MOST_BEYOND: Final = 1 << 20
_ENDS_AFTER: Final = 5.0
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
            return Encoded(body, str(head.get("photometric")), stored)

        return encode

    def _call(
        self, request: tuple[Any, ...], most: int, failure: type[DecodeError | EncodeError]
    ) -> tuple[dict[str, Any], bytes]:
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


def _array_of(body: bytes, kind: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    import numpy as np

    wanted = kind.itemsize
    for side in shape:
        wanted *= side
    if len(body) != wanted:
        raise DecodeError(f"expected {wanted} bytes from a codec, got {len(body)}")
    return np.frombuffer(bytearray(body), kind).reshape(shape)


class _Worker:
    """A process, and the pipes to it."""

    def __init__(self, memory: int | None) -> None:
        words = [sys.executable, "-m", "dicom_actors.codec_process", str(memory or 0)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._was_late = False

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def call(
        self, request: tuple[Any, ...], most: int, deadline: float
    ) -> tuple[dict[str, Any], bytes] | None:
        """Send a request and wait for the answer; None if there is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        timer = threading.Timer(deadline, self._kill)
        timer.daemon = True
        timer.start()
        try:
            _write(self._process.stdin, pickle.dumps(request), b"")
            found = _read(self._process.stdout, most)
            return None if found is None else (json.loads(found[0]), found[1])
        except (OSError, ValueError):
            return None
        finally:
            timer.cancel()
            timer.join()

    def _kill(self) -> None:
        self._was_late = True
        self._process.kill()

    def end(self) -> str:
        """End it; returns why it gave no answer."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            code = process.wait(_ENDS_AFTER)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if self._was_late:
            return "took too long and was killed"
        return f"died by signal {-code}" if code < 0 else f"ended with code {code}"


def _write(pipe: IO[bytes], head: bytes, body: bytes | memoryview) -> None:
    pipe.write(_LENGTHS.pack(len(head), len(body)))
    pipe.write(head)
    pipe.write(body)
    pipe.flush()


def _read(pipe: IO[bytes], most: int | None = None) -> tuple[bytes, bytes] | None:
    lengths = pipe.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    of_head, of_body = _LENGTHS.unpack(lengths)
    if most is not None and (of_head > _MOST_OF_HEAD or of_body > most):
        return None
    head = pipe.read(of_head)
    body = pipe.read(of_body)
    return (head, body) if len(head) == of_head and len(body) == of_body else None


# --- in the process ----------------------------------------------------------------------------


def _serve(source: IO[bytes], target: IO[bytes]) -> None:
    """Answer requests until there are no more."""
    from dicom_actors.pixels.codecs import CODECS, called

    while (found := _read(source)) is not None:
        kind, uid, data, description, option = pickle.loads(found[0])  # noqa: S301 - the parent's
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
        _write(target, json.dumps(head).encode()[:_MOST_OF_HEAD], body)


def _limit_memory(length: int) -> None:
    if length:
        with contextlib.suppress(ImportError, OSError, ValueError):
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (length, length))


def _main() -> None:
    _limit_memory(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    # What a library prints must not come between the answers.
    target = io.BufferedWriter(io.FileIO(sys.stdout.fileno(), "wb", closefd=False))
    sys.stdout = sys.stderr
    _serve(sys.stdin.buffer, target)


if __name__ == "__main__":
    _main()
