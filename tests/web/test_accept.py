"""What clients write of media types."""

from __future__ import annotations

import contextlib
import time

import pytest

from dicom_actors.web.accept import parse_content_type, ranges_of
from dicom_actors.web.exchange import HttpError, Request


@pytest.mark.parametrize(
    ("text", "kind", "parameters"),
    [
        ("a/b", "a/b", {}),
        ("", "", {}),
        (" A/B ;X = y ", "a/b", {"x": "y"}),
        ('a/b; x="y; z, \\"q\\""; q=0.5', "a/b", {"x": 'y; z, "q"', "q": "0.5"}),
        ('a/b; x=""', "a/b", {"x": ""}),
        ("a/b; type=application/dicom", "a/b", {"type": "application/dicom"}),
        ("a/b; x=1; x=2", "a/b", {"x": "1"}),
        ("a/b; x; =y; ;", "a/b", {}),
        ('a/b; x="y', "a/b", {"x": "y"}),
    ],
)
def test_a_type_is_taken_apart(text, kind, parameters):
    assert parse_content_type(text) == (kind, parameters)


def test_types_are_split_where_no_quotes_are():
    accept = 'multipart/related; type="a/b,c"; q=0.5 , d/e,,"'
    found = ranges_of(Request("GET", "/", "", (), {"accept": accept}))
    assert [(one.kind, one.quality) for one in found] == [("a/b,c", 0.5), ("d/e", 1.0), ('"', 1.0)]


def test_a_plus_of_an_address_is_one():
    text = 'application/dicom json, multipart/related; type="application/dicom xml"; q=0.5'
    found = ranges_of(Request("GET", "/", "", (("accept", text),)))
    assert [one.kind for one in found] == ["application/dicom+json", "application/dicom+xml"]


@pytest.mark.parametrize(
    "piece", ['"', '"\\', "\\", "a/b;a =", ";a ", "; ", " ", ",", 'a"', ';a="', "=", "\\,"]
)
def test_time_is_linear(piece):
    text = "a/b;" + piece * (60_000 // len(piece))
    since = time.process_time()
    with contextlib.suppress(HttpError):  # there may be too many
        ranges_of(Request("GET", "/", "", (("accept", text),)))
    parse_content_type(text)
    assert time.process_time() - since < 1
