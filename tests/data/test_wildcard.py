"""Wild cards: against regular expressions made of the same patterns, and the work they take."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.steps import lines_run

from dicom_actors.data.query.matching_values import MAX_PATTERN_LENGTH, Wildcard


def by_expression(pattern: str, text: str) -> bool:
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("*", "", True),
        ("**", "anything", True),
        ("", "", True),
        ("", "a", False),
        ("?", "", False),
        ("?", "a", True),
        ("?*", "a", True),
        ("*?", "", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*ab*ab*", "ab", False),
        ("*ab*ab*", "xabab", True),
        ("*aab", "aaab", True),
        ("*a?b*", "aaxab", False),
        ("*a?b*", "aaxabb", True),
        ("*??*c", "abc", True),
        ("*??*c", "ac", False),
        ("[a-z]*", "abc", False),
        ("[a-z]*", "[a-z]", True),
        ("a.c", "abc", False),
        ("*\n*", "a\nb", True),
        ("J?rg", "Jörg", True),
    ],
)
def test_examples(pattern: str, text: str, is_match: bool) -> None:
    assert Wildcard(pattern).matches(text) is is_match
    assert by_expression(pattern, text) is is_match


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=14))
def test_few_letters_match_as_an_expression_does(pattern: str, text: str) -> None:
    assert Wildcard(pattern).matches(text) is by_expression(pattern, text)


@given(st.text("a.[\\^$*?ü\n", max_size=10), st.text("a.[\\^$ü\n", max_size=12))
def test_no_other_character_means_anything(pattern: str, text: str) -> None:
    assert Wildcard(pattern).matches(text) is by_expression(pattern, text)


@given(st.data())
def test_a_text_with_parts_left_open_matches(data: st.DataObject) -> None:
    text = data.draw(st.text("abc", max_size=30))
    pattern = ""
    at = 0
    while at < len(text):
        step = data.draw(st.integers(0, 3))
        pattern += data.draw(
            st.sampled_from([text[at : at + step], "?" * len(text[at : at + step]), "*"])
        )
        at += step
    assert Wildcard(pattern).matches(text)


HOSTILE = {
    "stars": lambda size: ("*" * size, "a" * size),
    "stars and a letter that is not there": lambda size: ("*a" * (size // 2) + "b", "a" * size),
    "many parts": lambda size: ("*a" * (size // 2) + "*", "a" * size),
    "one letter again and again": lambda size: ("*" + "a" * (size // 2) + "b*", "a" * size),
    "question marks": lambda size: ("?" * size, "a" * size),
    "question marks between": lambda size: ("*" + "a?" * (size // 4) + "b*", "a" * size),
    "question marks and stars": lambda size: ("*?a" * (size // 3) + "*b", "a" * size),
    "a part at the end": lambda size: ("*" + "?a" * (size // 4), "a" * size),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_the_work_grows_no_faster_than_pattern_and_text(case: str) -> None:
    costs = []
    for size in (500, 1_000, 2_000, 4_000):
        pattern, text = HOSTILE[case](size)
        costs.append(lines_run(Wildcard, pattern) + lines_run(Wildcard(pattern).matches, text))
    assert costs[0] < 20 * 500 + 200
    for smaller, larger in pairwise(costs):
        assert larger <= 2.1 * smaller + 50


def test_a_pattern_that_is_longer_than_the_text_costs_nothing() -> None:
    compiled = Wildcard("*a?" * 1_000)
    assert lines_run(compiled.matches, "a" * 1_999) < 10


def test_a_pattern_has_a_limit() -> None:
    assert Wildcard("?" * MAX_PATTERN_LENGTH).matches("a" * MAX_PATTERN_LENGTH)
    with pytest.raises(ValueError, match="at most 4096 characters with wild cards, got 4097"):
        Wildcard("?" * (MAX_PATTERN_LENGTH + 1))
