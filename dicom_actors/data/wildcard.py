"""Wild card matching in linear time: ``*`` for any characters, ``?`` for any one.

A pattern comes from a peer, so it never becomes a regular expression, and nothing is tried twice:
each part between two ``*`` is looked for once, from where the one before it ended.

Standard: PS3.4 C.2.2.2.4.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_PATTERN_LENGTH", "Wildcard"]

MAX_PATTERN_LENGTH: Final = 4_096
"""Characters of a pattern. It bounds what one character of a text costs where ``?`` is used."""


class Wildcard:
    """A pattern, prepared once and matched with many texts.

    Args:
        pattern: text with ``*`` and ``?``; upper and lower case are different.

    Raises:
        ValueError: it is longer than `MAX_PATTERN_LENGTH`.
    """

    __slots__ = ("_first", "_has_star", "_last", "_least", "_middle")

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN_LENGTH:
            raise ValueError(
                f"expected at most {MAX_PATTERN_LENGTH} characters with wild cards, "
                f"got {len(pattern)}"
            )
        first, *rest = pattern.split("*")
        self._has_star = bool(rest)
        self._first = _Part(first)
        self._last = _Part(rest.pop() if rest else "")
        self._middle = [_Part(part) for part in rest if part]
        self._least = sum(part.length for part in (self._first, *self._middle, self._last))

    def matches(self, text: str) -> bool:
        """Whether the whole text is what the pattern says."""
        if len(text) < self._least or (not self._has_star and len(text) > self._least):
            return False
        end = len(text) - self._last.length
        if not self._first.is_at(text, 0) or not self._last.is_at(text, end):
            return False
        at = self._first.length
        for part in self._middle:
            at = part.find(text, at, end)
            if at < 0:
                return False
            at += part.length
        return True


class _Part:
    """What stands between two ``*``: characters, some of which may be ``?``.

    Attributes:
        length: in characters.
    """

    __slots__ = ("_literals", "_masks", "_open", "_text", "length")

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text
        self._literals: list[tuple[int, str]] = []
        self._masks: dict[str, int] | None = None
        self._open = 0  # one bit for each "?"
        if "?" in text:
            self._take_apart(text)
        elif text:
            self._literals.append((0, text))

    def _take_apart(self, text: str) -> None:
        at = 0
        for literal in text.split("?"):
            if literal:
                self._literals.append((at, literal))
            at += len(literal) + 1
        for bit, character in enumerate(text):
            if character == "?":
                self._open |= 1 << bit

    def is_at(self, text: str, at: int) -> bool:
        """Whether it stands at an index of a text that is long enough."""
        return all(text.startswith(literal, at + offset) for offset, literal in self._literals)

    def find(self, text: str, start: int, end: int) -> int:
        """Find the first index between two where it stands; -1 if there is none."""
        if not self._open:
            return text.find(self._text, start, end)
        if not self._literals:
            return start if start + self.length <= end else -1
        if self._masks is None:
            self._masks = self._make_masks()
        # Bit i of `state` says that the i + 1 characters up to here are the first ones of the part.
        masks, others, state, last = self._masks, self._open, 0, 1 << (self.length - 1)
        for at in range(start, end):
            state = (state << 1 | 1) & masks.get(text[at], others)
            if state & last:
                return at + 1 - self.length
        return -1

    def _make_masks(self) -> dict[str, int]:
        """For each character that stands in the part: where it, or a ``?``, does."""
        masks: dict[str, int] = {}
        for bit, character in enumerate(self._text):
            if character != "?":
                masks[character] = masks.get(character, self._open) | 1 << bit
        return masks
