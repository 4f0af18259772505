"""What arguments may be: texts into values, for argparse."""

from __future__ import annotations

from argparse import ArgumentTypeError

__all__ = ["ae_title", "count", "duration", "positive", "seconds"]


def seconds(text: str) -> float:
    """A time in seconds, 0 or more."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"expected seconds, 0 or more, got {text}")
    return value


def duration(text: str) -> float:
    """A time in seconds, more than 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"expected seconds, more than 0, got {text}")
    return value


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"expected a whole number, 1 or more, got {text}")
    return int(text)


def count(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"expected a whole number, 0 or more, got {text}")
    return int(text)


def ae_title(text: str) -> str:
    """An application entity title (PS3.5 6.2)."""
    from dicom_actors.config import check_ae_title
    from dicom_actors.errors import ConfigurationError

    try:
        check_ae_title(text, "AE title")
    except ConfigurationError as error:
        raise ArgumentTypeError(str(error)) from error
    return text


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a number, got {text}") from None
