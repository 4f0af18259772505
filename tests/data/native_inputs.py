"""A program: feeds inputs of every length to the compiled scan, each at the end of its memory.

``guard`` places them before a page that cannot be read, ``heap MODULE`` in heap blocks of their
own, for a module that was built to notice what is read beside them. Prints ``done``.
"""

from __future__ import annotations

import ctypes
import importlib.util
import mmap
import random
import sys
from struct import pack

STOP = 0xFFFEE000
VRS = [b"LO", b"UI", b"OB", b"SQ", b"UN", b"PN", b"??", b"\0\0"]
VALUES = [b"DS", b"IS", b"US", b"SS", b"FD", b"FL", b"UL", b"PN", b"ST", b"UI", b"AT", b"OW", b"CS"]


class Text(str):
    """What texts are made as."""

    __slots__ = ()


class Real(float):
    """What decimal numbers are made as."""


class Whole(int):
    """What whole numbers are made as."""


class Listed(list):
    """What several values are made as, and the items of a sequence."""

    __slots__ = ("number", "scope")


def shape(name, slots):
    """A class of so many slots, and these."""
    names = tuple(f"slot_{at}" for at in range(slots))
    made = type(name, (), {"__slots__": names})
    return (made, *map(made.__dict__.get, names))


LISTED = (Listed, Listed.__dict__["scope"], Listed.__dict__["number"])
ELEMENT, PLACE = shape("Element", 5), shape("Place", 12)
DATA_SETS = (PLACE, LISTED, shape("DataSet", 1), shape("Content", 10))
KINDS = (*[Text] * 6, Real, Whole, LISTED)


def inputs():
    """Runs of elements, cut and with wrong lengths."""
    draw = random.Random(1)
    for number in range(6_000):
        data = b""
        for at in range(draw.randrange(5)):
            vr = draw.choice(VRS)
            length = draw.choice((0, 0, 2, 6, 16, 0xFFFE, 0xFFFF))
            tag = draw.choice((8 + at, 8 + at, 2, 0xFFFE, 0xFFFF)), draw.choice((at, 0xE000))
            if vr in {b"OB", b"SQ", b"UN"}:
                length = draw.choice((length, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000))
                data += pack("<HH2s2xI", *tag, vr, length)
            else:
                data += pack("<HH2sH", *tag, vr, length)
            data += _items(draw) if length == 0xFFFFFFFF else bytes(min(length, 20))
        if number % 3 == 0:
            data += b"".join(_value(draw, tag) for tag in range(draw.randrange(6)))
        if number % 7 == 0:
            item = pack("<HHI", 0xFFFE, 0xE000, len(data)) + data
            length = 2 * len(item) + draw.choice((0, 0, 0, 1))
            data += pack("<HH2s2xI", 0x30, 1, b"SQ", length) + item * 2
        if number % 5 == 0:
            data = pack("<HHI", 0xFFFE, 0xE000, len(data) + draw.choice((0, 0, 0, 1))) + data
        cut = draw.randrange(len(data) + 1) if number % 2 else len(data)
        yield data[:cut]


def metas():
    """File meta information, most of it usual, cut or with wrong lengths."""
    draw = random.Random(3)
    uid = b"1.2.840.10008.1.2.1\0"
    for number in range(3_000):
        parts = [pack("<HH2s2xI2s", 2, 1, b"OB", draw.choice((2, 2, 2, 3)), b"\0\1")]
        parts += [
            pack("<HH2sH", 2, at, vr, draw.choice((len(value), len(value), 64))) + value
            for at, vr, value in ((2, b"UI", b"1.22"), (16, b"UI", uid), (18, b"UI", b"1.23"))
            if draw.random() < 0.9
        ]
        meta = b"".join(parts)
        data = bytes(128) + b"DICM" + pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta + bytes(8)
        yield data[: draw.randrange(len(data) + 1)] if number % 2 else data


def _items(draw, depth=0):
    """Make what may be in a sequence of undefined length, or may not quite."""
    data = b""
    for _ in range(draw.randrange(3)):
        inner = pack("<HH2sH", 8, 8, b"LO", 2) + b"AB"
        if draw.random() < 0.3 and depth < 12:
            inner = pack("<HH2s2xI", 8, 9, b"SQ", 0xFFFFFFFF) + _items(draw, depth + 1)
        if draw.random() < 0.5:
            inner += pack("<HHI", 0xFFFE, 0xE00D, draw.choice((0, 0, 0, 4)))
            data += pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner
        else:
            data += pack("<HHI", 0xFFFE, 0xE000, len(inner) + draw.choice((0, 0, 0, 8))) + inner
    return data + pack("<HHI", 0xFFFE, draw.choice((0xE0DD, 0xE0DD, 0xE00D)), 0)


def _value(draw, tag):
    """Make an element, with a value or what is not quite one."""
    value = bytes(draw.choices(b"0123456789.-+eE\\ \0A^=\xc3", k=draw.randrange(20)))
    vr = draw.choice(VALUES)
    head = "<HH2sH" if vr != b"OW" else "<HH2s2xI"
    return pack(head, 0x20, tag, vr, draw.choice((len(value), len(value), 2, 4, 8))) + value


def feed(module, view, draw):
    """Ask all functions, from positions and to ends that may be beyond the input."""
    wanted = pack("<5I", 0x00080000, 0x00090001, 0x000A0002, 0x000B0003, 0xFFFE0000)
    length = len(view)
    for pos in {0, draw.randrange(length + 1), length, length + 3}:
        for end in (length, length + 100, 1 << 62):
            for is_explicit in (True, False):
                at, _ = module.index_usual(view, {}, pos, end, -1, STOP, is_explicit)
                assert at >= pos
                found = module.offsets_usual(view, end, is_explicit)
                assert found is None or len(found[1]) == 2 * len(found[0]) + 8
            at, *_ = module.pick_usual(view, {}, pos, end, 0, -1, -1, 0, wanted)
            assert at >= pos
            at, count = module.items_usual(view, [], pos, end, draw.randrange(4))
            assert at >= pos
            assert count < 4
    index = {tag: draw.randrange(-2, length + 3) for tag in range(4)}
    at, _ = module.index_usual(view, index, 0, length, -1, STOP, True)
    rows = []
    module.items_usual(view, rows, 0, length, 1 << 40)
    for one in (index, *[row[2] for row in rows]):
        values = {}
        runs = module.runs_usual(view, one, values, None, (7, 0), tuple, ELEMENT, None)
        tags = [path[-1] for pairs, *_ in runs for path, _ in pairs]
        assert sorted([*tags, *[run[1] for run in runs[:-1]]]) == sorted(one)
        sequences = module.values_usual(view, one, values, KINDS, draw.random() < 0.5, None, 0)
        assert all(0 <= start <= end <= length for _, start, end in sequences)
        most = draw.choice((3, 1 << 40))
        place = (*range(8), 0, *range(3))
        made = view, sequences, values, most, draw.randrange(12), place, DATA_SETS
        kinds = draw.choice((None, KINDS))
        assert module.data_sets_usual(*made, kinds, draw.random() < 0.5) <= most
        assert values.keys() <= one.keys()


def assert_ends(module, view):
    found = module.meta_usual(view)
    assert found is None or len(view) - 8 >= found[0] > 144


def guarded():
    """A page, and behind it one that cannot be read."""
    size = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    assert libc.mprotect(address + size, size, 0) == 0
    return memory, size


def main() -> None:
    draw = random.Random(2)
    if sys.argv[1] == "heap":
        spec = importlib.util.spec_from_file_location("_native", sys.argv[2])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for data in inputs():
            feed(module, bytearray(data), draw)
        for data in metas():
            assert_ends(module, bytearray(data))
    else:
        from dicom_actors.data.scan import native as module

        memory, size = guarded()
        view = memoryview(memory)
        for data in inputs():
            memory[size - len(data) : size] = data
            feed(module, view[size - len(data) : size], draw)
        for data in metas():
            memory[size - len(data) : size] = data
            assert_ends(module, view[size - len(data) : size])
        # It does notice: a view of one byte more is the end of this process.
    print("done")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
