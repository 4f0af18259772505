"""Times what pydcm does, in the interpreter that has it (Python 3.12 or newer).

`bench_pixels.py` starts it and writes a line of JSON for each call: ``{"call": ..., "path": ...}``
with what else that call takes. It answers a line each: milliseconds, or why there are none.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from pydcm import _native, pixels


def frame(path, number=0):
    """Return a frame of stored values of a file."""
    return _native.decode_stored(path, number)


def pixel_array(path):
    """Return all frames of a file."""
    return pixels.pixel_array(path)


def transcode(path, target, syntax):
    """Write a file in another transfer syntax."""
    Path(target).write_bytes(_native.transcode(Path(path).read_bytes(), syntax))


def transcode_tree(path, target, syntax):
    """Write all files of a folder in another transfer syntax, by as many processes as there are."""
    names = sorted(os.listdir(path))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        sources, targets = ([f"{folder}/{name}" for name in names] for folder in (path, target))
        list(pool.map(transcode, sources, targets, [syntax] * len(names), chunksize=8))


CALLS = {call.__name__: call for call in (frame, pixel_array, transcode, transcode_tree)}


def main() -> None:
    """Answer calls until there are no more."""
    for line in sys.stdin:
        arguments = json.loads(line)
        call = CALLS[arguments.pop("call")]
        start = time.perf_counter()
        try:
            call(**arguments)
        except Exception as error:
            print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
            continue
        print(json.dumps((time.perf_counter() - start) * 1000), flush=True)


if __name__ == "__main__":
    main()
