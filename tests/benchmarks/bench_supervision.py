"""What supervision costs, and how fast it mends: ``python tests/benchmarks/bench_supervision.py``.

1. From a crash of an Association to its next answer on the same connection, beside what a fresh
   association takes; each the median of many.
2. C-ECHO and C-STORE with the connection record as it is, against the same code with a record
   that guards nothing: no lock, no epoch, no log of PDUs. Both in turn, in one process; the ratio
   is that of the medians.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from kit.endpoints import running
from kit.peer import Peer, echo_pdus, smallest_data_set, store_pdus

from dicom_actors.actors.connection.pdu_log import PduLog
from dicom_actors.actors.connection.record import ConnectionRecord
from dicom_actors.pdu import encode_pdu
from dicom_actors.testing import crash_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CRASHES = 200
ROUNDS = 15
ECHOES = 300
STORES = 100
PIXELS = 512 * 1024
OBJECT = (
    smallest_data_set() + b"\xe0\x7f\x10\0OB\0\0" + PIXELS.to_bytes(4, "little") + bytes(PIXELS)
)


def seconds(step: Callable[[], object]) -> float:
    """How long a step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def mending() -> None:
    """Print the times of the first benchmark."""
    with running(connection_restarts=1_000) as endpoint:
        with Peer.associated(endpoint.port) as peer:
            peer.echo()
            plain = [seconds(peer.echo) for _ in range(CRASHES)]
            mended = []
            for _ in range(CRASHES):
                crash_at(endpoint.ref, "association.complete")
                mended.append(seconds(peer.echo))

        def fresh() -> None:
            with Peer.associated(endpoint.port) as other:
                other.echo()

        begun = [seconds(fresh) for _ in range(CRASHES)]
    for name, times in (
        ("C-ECHO", plain),
        ("crash, restart and C-ECHO on the same connection", mended),
        ("fresh association and C-ECHO", begun),
    ):
        print(f"{name:<52} {statistics.median(times) * 1e3:8.3f} ms")


class _NoLock:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


@contextlib.contextmanager
def unguarded() -> Iterator[None]:
    """Connection records of this block guard nothing."""
    init = ConnectionRecord.__init__

    def without_lock(self: ConnectionRecord, *arguments: Any) -> None:
        init(self, *arguments)
        self._lock = _NoLock()  # type: ignore[assignment]

    kept = {
        (ConnectionRecord, "__init__"): without_lock,
        (ConnectionRecord, "_check"): lambda self, epoch: None,
        (PduLog, "received"): lambda self, pdu, kernel: None,
        (PduLog, "sent"): lambda self, buffers, kernel: None,
    }
    before = {key: getattr(*key) for key in kept}
    for (owner, name), replacement in kept.items():
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for (owner, name), original in before.items():
            setattr(owner, name, original)


def rate(pdus: list[bytes]) -> float:
    """Requests a second, one after the other on one association."""
    with (
        running({"cstore": lambda event: None}) as endpoint,
        Peer.associated(endpoint.port) as peer,
    ):

        def talk() -> None:
            for data in pdus:
                peer.send_bytes(data)
                peer.status()

        talk()
        return len(pdus) / seconds(talk)


def costs() -> None:
    """Print the ratios of the second benchmark."""
    echo = [b"".join(map(encode_pdu, echo_pdus(1)))] * ECHOES
    store = [b"".join(map(encode_pdu, store_pdus(OBJECT, 1, max_pdu_length=131072)))] * STORES
    for name, pdus in (("C-ECHO", echo), ("C-STORE of 512 KiB", store)):
        guarded, bare = [], []
        for _ in range(ROUNDS):
            guarded.append(rate(pdus))
            with unguarded():
                bare.append(rate(pdus))
        ratio = statistics.median(guarded) / statistics.median(bare)
        print(
            f"{name:<20} {statistics.median(guarded):9.0f} a second, "
            f"unguarded {statistics.median(bare):9.0f}, ratio {ratio:.3f}"
        )


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    mending()
    costs()
