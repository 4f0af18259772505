"""Rules of a site's own, which come before the standard's: what becomes of which element.

A rule names an element by its keyword or tag, or a private one by its creator and its tag without
a block (``0009xx01``), and an action. Words that may stay in text, and regions of images, are
rules as well. `Rules.from_toml` says how they are written.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dicom_actors.data.dictionary import to_tag
from dicom_actors.deidentification.tables import Region
from dicom_actors.deidentification.words import Words
from dicom_actors.errors import DicomError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ACTIONS", "Rule", "Rules"]

ACTIONS: Final = frozenset({"remove", "empty", "dummy", "keep", "clean", "uid", "shift", "set"})
_PRIVATE: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),?[xX]{2}([0-9A-Fa-f]{2})\)?")
_RULE_KEYS: Final = {"keyword", "tag", "creator", "action", "value"}
_REGION_KEYS: Final = {
    "modality",
    "manufacturer",
    "model",
    "rows",
    "columns",
    "image_type",
    "rectangles",
}


class Rule(NamedTuple):
    """What becomes of an element.

    Attributes:
        tag: the element; of a private one without its block.
        creator: the private creator; empty for elements of the standard.
        action: one of `ACTIONS`.
        value: what is written, where the action is ``"set"``.
    """

    tag: int
    creator: str
    action: str
    value: str = ""


class Rules:
    """Rules of a site's own.

    Args:
        rules: what becomes of which element.
        words: the words that may stay in text that is cleaned.
        regions: where to blank images, before those that come with the package.
    """

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        words: Words | None = None,
        regions: Iterable[Region] = (),
    ) -> None:
        self.by_tag: dict[tuple[str, int], Rule] = {
            (rule.creator, rule.tag): rule for rule in rules
        }
        self.words = Words() if words is None else words
        self.regions = tuple(regions)

    @classmethod
    def from_toml(cls, text: str) -> Rules:
        """Read rules.

        ::

            [[rule]]
            keyword = "StudyDescription"     # or tag = "0008,1030"
            action = "keep"                  # remove, empty, dummy, clean, uid, shift, set

            [[rule]]
            creator = "ACME 1.1"
            tag = "0009xx01"
            action = "keep"

            [[rule]]
            keyword = "ClinicalTrialProtocolID"
            action = "set"
            value = "TRIAL-7"

            [words]
            keep = ["CT", "chest", "axial"]

            [[region]]
            modality = "US"
            model = "MODEL 5"
            rows = 480
            columns = 640
            rectangles = [[0, 0, 640, 40]]   # left, top, width, height

        Raises:
            ValueError: it is no TOML, or not of this form.
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            raise TypeError(f"rules: expected a text, got {type(text).__name__}")
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"expected TOML: {error}") from error
        unknown = set(found) - {"rule", "words", "region"}
        if unknown:
            raise ValueError(f"expected rule, words and region, got {min(unknown)!r}")
        rules = [_rule(each, number) for number, each in enumerate(_tables(found, "rule"), 1)]
        words = found.get("words", {})
        kept = words.get("keep", []) if isinstance(words, dict) else None
        if not isinstance(kept, list) or not all(isinstance(word, str) for word in kept):
            raise ValueError("words: expected keep = [...] with texts")
        regions = [_region(each, number) for number, each in enumerate(_tables(found, "region"), 1)]
        return cls(rules, Words(kept), regions)


def _tables(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    tables = found.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise ValueError(f"{name}: expected it as [[{name}]]")
    return tables


def _rule(found: dict[str, Any], number: int) -> Rule:
    where = f"rule {number}"
    if set(found) - _RULE_KEYS or not all(isinstance(each, str) for each in found.values()):
        raise ValueError(f"{where}: expected texts named {', '.join(sorted(_RULE_KEYS))}")
    action, value, creator = (
        found.get("action", ""),
        found.get("value", ""),
        found.get("creator", ""),
    )
    if action not in ACTIONS:
        raise ValueError(f"{where}: expected an action of {', '.join(sorted(ACTIONS))}")
    if ("value" in found) != (action == "set"):
        raise ValueError(f"{where}: expected a value with the action set, and with no other")
    key = found.get("keyword") or found.get("tag") or ""
    if ("keyword" in found) == ("tag" in found):
        raise ValueError(f"{where}: expected a keyword or a tag")
    if creator:
        match = _PRIVATE.fullmatch(key)
        if match is None or int(match[1], 16) & 1 == 0:
            raise ValueError(f"{where}: expected the tag of a private element as 0009xx01")
        return Rule(int(match[1] + "00" + match[2], 16), creator, action, value)
    try:
        tag = to_tag(key)
    except DicomError as error:
        raise ValueError(f"{where}: {error}") from error
    if tag & 0x10000:
        raise ValueError(f"{where}: expected the creator of a private element as well")
    return Rule(int(tag), "", action, value)


def _region(found: dict[str, Any], number: int) -> Region:
    where = f"region {number}"
    if set(found) - _REGION_KEYS:
        raise ValueError(f"{where}: expected {', '.join(sorted(_REGION_KEYS))} and nothing else")
    texts = [found.get(key, "") for key in ("modality", "manufacturer", "model", "image_type")]
    numbers = [found.get(key, 0) for key in ("rows", "columns")]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{where}: expected texts")
    if not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError(f"{where}: expected rows and columns as numbers")
    rectangles = []
    given = found.get("rectangles", [])
    for each in given if isinstance(given, list) else [given]:
        is_four = isinstance(each, list) and len(each) == 4
        if not is_four or not all(type(side) is int and side >= 0 for side in each):
            raise ValueError(f"{where}: expected rectangles as [left, top, width, height]")
        rectangles.append((each[0], each[1], each[2], each[3]))
    if not rectangles:
        raise ValueError(f"{where}: expected rectangles")
    modality, manufacturer, model, image_type = (text.upper() for text in texts)
    rows, columns = numbers
    return Region(modality, manufacturer, model, rows, columns, image_type, tuple(rectangles))
