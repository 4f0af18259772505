"""What callers hand in, looked at before it touches anything."""

from __future__ import annotations

import os
from typing import Any, cast

import pykka

__all__ = ["check_kinds", "check_path", "check_ref", "check_text", "expect"]


def expect(name: str, value: object, kinds: type | tuple[type, ...], what: str) -> None:
    """Refuse an argument that is of no such class.

    Args:
        name: of the argument.
        value: what came for it.
        kinds: the classes it may be of.
        what: what they are, in words.

    Raises:
        TypeError: it is of another one.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name}: expected {what}, got {type(value).__name__}")


def check_text(name: str, value: object) -> None:
    """Refuse what is neither a text nor None; raises TypeError."""
    expect(name, value, (str, type(None)), "a text")


def check_path(name: str, value: object) -> None:
    """Refuse what names no file or folder: bytes do not, here.

    Raises:
        TypeError: it is no path.
        ValueError: no path can be so.
    """
    expect(name, value, (str, os.PathLike), "a path")
    path: object = os.fspath(cast("str | os.PathLike[Any]", value))
    expect(name, path, str, "a path that is a text")
    if "\0" in str(path):
        raise ValueError(f"{name}: expected a path, got one with a NUL in it")


def check_ref(value: object) -> None:
    """Refuse what is no actor; raises TypeError."""
    expect("ref", value, pykka.ActorRef, "an ActorRef")


def check_kinds(kinds: Any) -> None:
    """Refuse what are no kinds of events; raises TypeError."""
    expect("kinds", kinds, tuple, "a tuple of classes of events")
    for kind in kinds:
        expect("kinds", kind, type, "a tuple of classes of events")
