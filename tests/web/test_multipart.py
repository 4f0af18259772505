"""Multipart bodies as they come, whole, byte by byte and in pieces."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.web.exchange import HttpError
from dicom_actors.web.multipart import (
    Limits,
    MultipartReader,
    Part,
    PartData,
    PartEnd,
    PartStart,
    write_parts,
)


def read(body, boundary="b", size=None, limits=None):
    """The parts of a body that comes in pieces of a size."""
    reader = MultipartReader(boundary, limits or Limits())
    parts, is_open = [], False
    size = size or max(1, len(body))
    for at in range(0, len(body), size):
        for event in reader.feed(body[at : at + size]):
            if isinstance(event, PartStart):
                assert not is_open
                parts.append((event.headers, bytearray()))
                is_open = True
            elif isinstance(event, PartData):
                assert is_open
                parts[-1][1].extend(event.data)
            else:
                assert isinstance(event, PartEnd)
                is_open = False
    reader.finish()
    assert not is_open
    return [(headers, bytes(data)) for headers, data in parts]


A = {"content-type": "a/b"}
GOOD = {
    "usual": (b"--b\r\nContent-Type: a/b\r\n\r\none\r\n--b--\r\n", [(A, b"one")]),
    "no end of the last line": (b"--b\r\nContent-Type: a/b\r\n\r\none\r\n--b--", [(A, b"one")]),
    "two parts": (
        b"--b\r\nContent-Type: a/b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--",
        [(A, b"one"), ({}, b"two")],
    ),
    "preamble": (b"hello\r\nthere\r\n--b\r\n\r\none\r\n--b--", [({}, b"one")]),
    "an empty line first": (b"\r\n--b\r\n\r\none\r\n--b--", [({}, b"one")]),
    "preamble that looks like a boundary": (b"x--b\r\n--b\r\n\r\none\r\n--b--", [({}, b"one")]),
    "epilogue": (b"--b\r\n\r\none\r\n--b--\r\nbye --b\r\n--b\r\n", [({}, b"one")]),
    "blanks behind the boundary": (
        b"--b  \t\r\n\r\none\r\n--b  \r\n\r\n\r\n--b--",
        [({}, b"one"), ({}, b"")],
    ),
    "lines of LF": (b"--b\nContent-Type: a/b\n\none\n--b--\n", [(A, b"one")]),
    "no headers, no body": (b"--b\r\n\r\n\r\n--b--", [({}, b"")]),
    "no body, one line less": (b"--b\r\nContent-Type: a/b\r\n\r\n--b--", [(A, b"")]),
    "a longer boundary is data": (b"--b\r\n\r\n1\r\n--bc\r\n2\r\n--b--", [({}, b"1\r\n--bc\r\n2")]),
    "a boundary within a line is data": (b"--b\r\n\r\n1 --b 2\r\n--b--", [({}, b"1 --b 2")]),
    "ends of lines are data": (b"--b\r\n\r\n\r\n\r\n\r\n\r\n--b--", [({}, b"\r\n\r\n\r\n")]),
    "nested": (
        b"--b\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n\r\n--b--",
        [({}, b"--c\r\n\r\nx\r\n--c--\r\n")],
    ),
    "no dashes at the end": (
        b"--b\r\n\r\none\r\n--b\r\n".removesuffix(b"\r\n") + b"  ",
        [({}, b"one")],
    ),
    "no dashes at the end, but that of the line": (b"--b\r\n\r\none\r\n--b\r\n", [({}, b"one")]),
    "a header of several lines": (
        b"--b\r\nContent-Type:\r\n a/b;\r\n\t c=d\r\nE: f\r\n\r\none\r\n--b--",
        [({"content-type": "a/b; c=d", "e": "f"}, b"one")],
    ),
    "names in any case": (b"--b\r\nCONTENT-type:a/b\r\n\r\none\r\n--b--", [(A, b"one")]),
    "no parts": (b"--b--", []),
}


@pytest.mark.parametrize("size", [None, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("name", GOOD)
def test_a_body(name, size):
    body, parts = GOOD[name]

    assert read(body, size=size) == parts


BAD = {
    "nothing": (b"", 400),
    "no boundary": (b"hello", 400),
    "another boundary": (b"--c\r\n\r\none\r\n--c--", 400),
    "cut in the preamble": (b"--", 400),
    "cut in the headers": (b"--b\r\nContent-Ty", 400),
    "cut in the body": (b"--b\r\n\r\none", 400),
    "headers without colons": (b"--b\r\nhello\r\n\r\none\r\n--b--", 400),
    "text behind a boundary": (b"--b hello\r\n\r\none\r\n--b--", 400),
    "long headers": (b"--b\r\nA: " + b"x" * 9000 + b"\r\n\r\none\r\n--b--", 413),
    "headers without an end": (b"--b\r\n" + b"A: b\r\n" * 3000, 413),
    "a long line behind a boundary": (b"--b" + b" " * 9000, 400),
    "a long preamble": (b"hello\r\n" * 20_000, 400),
    "many parts": (b"--b\r\n\r\n\r\n" * 11 + b"--b--", 413),
}


@pytest.mark.parametrize("size", [None, 1, 1000])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_body(name, size):
    body, status = BAD[name]
    if size == 1 and len(body) > 50_000:
        size = 13

    with pytest.raises(HttpError) as caught:
        read(body, size=size, limits=Limits(parts=10))

    assert caught.value.status == status


@pytest.mark.parametrize("boundary", ["", "x" * 201, "ä", "a\nb"])
def test_a_bad_boundary(boundary):
    with pytest.raises(HttpError):
        MultipartReader(boundary)


@given(
    st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"b", b"--b", b"x"])), max_size=4),
    st.integers(1, 9),
)
def test_what_is_written_is_read(parts, size):
    bodies = [b"".join(part) for part in parts]
    kind, written = write_parts("a/b", [Part(dict(A), len(one), (one,)) for one in bodies])
    body = b"".join(written)

    found = read(body, kind.partition("boundary=")[2], size)

    assert [data for _, data in found] == bodies
    assert all(headers["content-length"] == str(len(data)) for headers, data in found)


TOKENS = (
    b"\r",
    b"\n",
    b"\r\n",
    b"-",
    b"--",
    b"b",
    b"--b",
    b"\r\n--b",
    b"\r\n--b\r\n\r\n",
    b"xxxxxxxx",
)


@given(st.lists(st.sampled_from(TOKENS), max_size=30).map(b"".join), st.integers(1, 12))
def test_pieces_make_no_difference(inside, size):
    def outcome(size):
        try:
            return read(b"--b\r\n\r\n" + inside + b"\r\n--b--", size=size)
        except HttpError as error:
            return error.status, error.text

    assert outcome(size) == outcome(None)


def test_what_is_surely_of_a_part_is_not_copied():
    reader = MultipartReader("b")
    list(reader.feed(b"--b\r\n\r\n" + bytes(20)))
    piece = bytes(100)

    views = [event.data for event in reader.feed(piece) if isinstance(event.data, memoryview)]

    assert [view.obj is piece for view in views] == [True]


def test_time_is_linear():
    def seconds(count):
        body = b"--b\r\n\r\n" + b"\r\n--bx" * count + b"\r\n--b--"
        before = time.process_time()
        read(body, size=4096)
        return time.process_time() - before

    seconds(1000)
    small, large = (min(seconds(count) for _ in range(3)) for count in (20_000, 160_000))

    assert large < 8 * 4 * small + 0.05
