"""A function of the user's, by its name."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["function_of"]


def function_of(text: str) -> Callable[..., Any]:
    """Find a function.

    Args:
        text: ``module:function``; modules of the current folder are found, too.

    Raises:
        ValueError: there is no such function; it says why.
    """
    module, colon, name = text.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        function: Any = getattr(importlib.import_module(module), name) if colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{text}: {error}") from error
    if not callable(function):
        raise ValueError(f"expected MODULE:FUNCTION, got {text!r}")  # noqa: TRY004
    found: Callable[..., Any] = function
    return found
