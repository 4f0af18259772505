"""How names are folded in columns: what that owes to matching, and to older versions."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from dicom_actors.archive.index.attributes import COLUMNS
from dicom_actors.archive.index.folding import folded, folded_again, stored_values
from dicom_actors.data.query.matching_values import _bare_group

EVERYTHING = [
    character
    for character in map(chr, range(1, sys.maxunicode + 1))
    if unicodedata.category(character) not in {"Cn", "Co", "Cs"}
]
"""All characters; what is none, or somebody's own, is as it is."""


def folded_once(text):
    """As the versions before did that did not know of widths."""
    text = text.strip(" ")
    if "^" in text:
        text = "^".join(part.strip(" ") for part in text.split("^")).rstrip("^")
    return text.lower() if text.isascii() else "".join(map(_old_character, text))


def _old_character(character):
    lower = character.casefold()
    lower = character if len(lower) > 1 else lower
    parts = unicodedata.normalize("NFD", lower)
    bare = "".join(part for part in parts if not "\u0300" <= part <= "\u036f")
    return lower if bare == parts else bare


def test_what_was_folded_before_is_folded_to_what_it_is_now():
    wrong = [one for one in EVERYTHING if folded(folded_once(one)) != folded(one)]
    assert wrong == []


def test_what_matches_is_the_same_in_columns():
    """Else the index would not find it; it may find more."""
    wrong = [one for one in EVERYTHING if folded(_bare_group(f"x{one}x")) != folded(f"x{one}x")]
    assert wrong == []


def test_a_part_of_a_name_is_a_part_of_it_when_it_is_folded():
    name = "Ｙａｍａ^ﾔﾏﾀﾞﾊﾟ ガ①㈱ß\u0301 神"  # noqa: RUF001
    for first in range(len(name)):
        for last in range(first + 1, len(name) + 1):
            part = name[first:last]
            if part == part.strip(" ^"):
                assert folded(part) in folded(name)


def test_nothing_becomes_a_wild_card_or_a_delimiter():
    special = set("*?^\\")
    others = [one for one in EVERYTHING if one not in special]
    assert special.isdisjoint("".join(map(folded, others)))
    assert special.isdisjoint("".join(map(_bare_group, others)))


@pytest.mark.parametrize(
    "value",
    ["Ｄｏｅ^Ｊ=山田=ﾔﾏﾀﾞ", "=\ufa19", "Doe", "ガ" * 400, "ｶﾞ" * 250, "É" * 512],  # noqa: RUF001
)
@pytest.mark.parametrize("keyword", ["PatientName", "OtherPatientNames"])
def test_columns_are_folded_again(monkeypatch, value, keyword):
    (column,) = [one for one in COLUMNS if one.keyword == keyword]
    now = stored_values(column, value)
    with monkeypatch.context() as past:
        past.setattr("dicom_actors.archive.index.folding.folded", folded_once)
        before = stored_values(column, value)
    assert folded_again(column, before) == now
    assert folded_again(column, ("\\", None, None)[: len(now)])[0] == "\\"
    assert folded_again(column, (None,) * len(now)) == (None,) * len(now)
