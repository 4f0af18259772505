"""One value and one key: every way of matching, VR by VR."""

from __future__ import annotations

import datetime as dt
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.steps import lines_run

from dicom_actors.data import DataElement, PersonName
from dicom_actors.data.query.matching_values import MAX_ALTERNATIVES, DateTimeTest, value_test


def values_of(vr: str, value: Any) -> list[Any]:
    """The values as a data set gives them."""
    return DataElement(0x00090010, vr, value).values


def matches(vr: str, key: Any, value: Any) -> bool:
    test = value_test(vr, values_of(vr, key))
    (one,) = values_of(vr, value)
    return test is None or test(one)


@pytest.mark.parametrize(
    ("vr", "key", "value", "is_match"),
    [
        # Text: exact, case counts, padding does not.
        ("LO", "ABC", "ABC", True),
        ("LO", "ABC ", " ABC", True),
        ("LO", "ABC", "abc", False),
        ("LO", "ABC", "ABCD", False),
        ("LO", "a.c", "abc", False),
        ("SH", "[1-3]", "2", False),
        ("CS", "C?", "CT", True),
        ("CS", "c?", "CT", False),
        ("AE", "CT*", "CT1", True),
        ("UC", "*b*", "abc", True),
        ("UR", "http://*", "http://example.org/a?b", True),
        ("LT", "*\n*", "one\ntwo", True),
        ("ST", "a\\b", "a\\b", True),
        ("UT", " lead*", " leading", True),
        ("UT", "lead*", " leading", False),
        # No wild cards, except for a star alone.
        ("UI", "1.2.*", "1.2.3", False),
        ("UI", "1.2.?", "1.2.3", False),
        ("UI", "1.2.3", "1.2.3", True),
        ("UI", "*", "1.2.3", True),
        ("AS", "018?", "018M", False),
        ("AS", "018M", "018M", True),
        # Numbers as numbers.
        ("IS", "007", "7", True),
        ("IS", "+7", " 7 ", True),
        ("IS", "7", "70", False),
        ("DS", "1.50", "1.5", True),
        ("DS", "15e-1", "1.5", True),
        ("DS", "1.5", "-1.5", False),
        ("US", 7, 7, True),
        ("US", 7, 8, False),
        ("SL", -7, -7, True),
        ("FD", 0.5, 0.5, True),
        ("FL", 0.5, 0.25, False),
        ("SV", 1 << 40, 1 << 40, True),
        ("AT", 0x00100010, 0x00100010, True),
        ("AT", 0x00100010, 0x00100020, False),
        ("OB", b"\x00\x01", b"\x00\x01", True),
        ("OB", b"\x00\x01", memoryview(b"\x00\x01"), True),
        ("OB", b"\x00\x01", b"\x00\x02", False),
        ("UN", b"ab", b"ab", True),
    ],
)
def test_text_and_numbers(vr: str, key: Any, value: Any, is_match: bool) -> None:
    assert matches(vr, key, value) is is_match


@pytest.mark.parametrize(
    ("key", "value", "is_match"),
    [
        ("DOE^JOHN", "Doe^John", True),
        ("doe^john^^^", "Doe^John", True),
        ("Doe ^ John", "Doe^John^", True),
        ("Doe", "Doe^John", False),
        ("Doe*", "Doe^John", True),
        ("doe^j*", "Doe^John", True),
        ("*john", "Doe^John", True),
        ("D?E^*", "Doe^John", True),
        ("Do?", "Doe^John", False),
        # A component that is not there is empty, and a star matches it.
        ("Doe^*", "Doe", True),
        ("Doe*^*", "Doe", True),
        ("Doe^John^*^*", "Doe^John", True),
        ("Doe^?*", "Doe", False),
        ("*^John*^*", "Doe^John", True),
        ("*^*^*^*^*^*^*", "Doe", True),
        # Case, but not accents.
        ("MÜLLER*", "Müller^Jörg", True),
        ("Muller*", "Müller^Jörg", False),
        ("STRA?E", "Straße", True),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
        # Groups.
        ("王^小東", "Wang^XiaoDong=王^小東", True),
        ("*東", "Wang^XiaoDong=王^小東", True),
        ("wang*", "Wang^XiaoDong=王^小東", True),
        ("Yamada*", "Wang^XiaoDong=王^小東", False),
        ("wang*=王*", "Wang^XiaoDong=王^小東", True),
        ("wang*=李*", "Wang^XiaoDong=王^小東", False),
        ("=王*", "Wang^XiaoDong=王^小東", True),
        ("王*=", "Wang^XiaoDong=王^小東", False),
        ("Wang*=*", "Wang^XiaoDong", True),
        ("Wang*=王*", "Wang^XiaoDong", False),
        ("*=*", "Doe", True),
        ("*", "Doe", True),
        ("^", "Doe", True),
        ("==やまだ*", "Yamada=山田=やまだ", True),
    ],
)
def test_person_names(key: str, value: str, is_match: bool) -> None:
    assert matches("PN", key, value) is is_match


@pytest.mark.parametrize(
    ("vr", "key", "value", "is_match"),
    [
        ("DA", "20240705", "20240705", True),
        ("DA", "20240705", "2024.07.05", True),
        ("DA", "2024.07.05", "20240705", True),
        ("DA", "20240705", "20240706", False),
        ("DA", "20240701-20240731", "20240701", True),
        ("DA", "20240701-20240731", "20240731", True),
        ("DA", "20240701 - 20240731", "20240705", True),
        ("DA", "20240701-20240731", "20240801", False),
        ("DA", "-20240731", "19000101", True),
        ("DA", "-20240731", "20240801", False),
        ("DA", "20240701-", "20240701", True),
        ("DA", "20240701-", "20240630", False),
        ("DA", "20240731-20240701", "20240705", False),
        ("DA", "20240705", "yesterday", False),
        ("DA", "*", "20240705", True),
        ("TM", "2230", "223000", True),
        ("TM", "223000", "2230", True),
        ("TM", "223000", "22:30:00", True),
        ("TM", "103000.000000", "103000", True),
        ("TM", "103000", "103001", False),
        ("TM", "10", "1030", True),
        ("TM", "1000-1800", "180000", True),
        ("TM", "1000-1800", "180100", False),
        ("TM", "1000-1800", "095959.999999", False),
        ("TM", "-1000", "000000", True),
        ("TM", "2200-", "235959", True),
        ("TM", "2200-0600", "2300", False),
        ("DT", "19980128103000.0000", "19980128103000", True),
        ("DT", "2024", "20240705103000", True),
        ("DT", "2024-2025", "20251231235959", True),
        ("DT", "2024-2025", "20260101", False),
        ("DT", "20240705-", "2024070510", True),
        ("DT", "-20240705", "2024070600", False),
        ("DT", "19980128103000+0000", "19980128073000-0300", True),
        ("DT", "19980128103000+0000", "19980128103000-0300", False),
        ("DT", "199801281000+0100-199801281200+0100", "199801280930+0000", True),
        ("DT", "199801281000+0100-199801281200+0100", "199801281130+0000", False),
        ("DT", "19980128103000", "19980128103000-0300", True),
    ],
)
def test_dates_and_times(vr: str, key: str, value: str, is_match: bool) -> None:
    assert matches(vr, key, value) is is_match


@pytest.mark.parametrize(
    ("vr", "keys", "value", "is_match"),
    [
        ("UI", ["1.2", "1.3"], "1.3", True),
        ("UI", ["1.2", "1.3"], "1.4", False),
        ("CS", ["CT", "M*"], "MR", True),
        ("CS", ["CT", "M*"], "PT", False),
        ("CS", ["CT", "*"], "PT", True),
        ("DA", ["20240705", "20250101-"], "20250606", True),
        ("IS", ["1", "2"], "02", True),
        ("PN", ["Doe*", "Roe*"], "ROE^JANE", True),
        ("PN", ["Doe*", "Roe*"], "Poe", False),
        ("PN", ["Doe*", "*=*"], "Poe", True),
    ],
)
def test_one_of_several_values(vr: str, keys: Any, value: Any, is_match: bool) -> None:
    assert matches(vr, keys, value) is is_match


@pytest.mark.parametrize(
    ("vr", "values", "message"),
    [
        ("DA", ["20241399"], "no day of the calendar"),
        ("DA", ["2024*"], "a date is YYYYMMDD"),
        ("DA", ["-"], "a range needs at least one end"),
        ("TM", ["25"], "no time of day"),
        ("DT", ["soon"], "a date and time is"),
        ("IS", ["7*"], "expected values of IS, got '7\\*'"),
        ("US", [b"\x01"], "expected values of US, got b'"),
        ("PN", ["a=b=c=d"], "at most 3 groups in a name, got 4"),
        ("LO", ["a*" * 3_000], "at most 4096 characters"),
        ("CS", [f"A{n}*" for n in range(MAX_ALTERNATIVES + 1)], "at most 64 alternatives"),
        ("TM", ["1000"] * (MAX_ALTERNATIVES + 1), "at most 64 alternatives"),
        ("PN", ["x"] * (MAX_ALTERNATIVES + 1), "at most 64 alternatives"),
        ("OB", [[]], "can be compared"),
    ],
)
def test_keys_that_mean_nothing(vr: str, values: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        value_test(vr, values)


@pytest.mark.parametrize(("vr", "key"), [("LO", "a*"), ("PN", "a"), ("DA", "20240101"), ("US", 1)])
def test_values_of_another_kind_do_not_match(vr: str, key: Any) -> None:
    test = value_test(vr, [key])
    assert test is not None
    for value in (b"a", 2.5, [], PersonName("b"), "no date"):
        assert not test(value)


def test_a_long_list_of_uids_costs_no_more_than_one() -> None:
    one, many = (value_test("UI", [f"1.2.{n}" for n in range(count)]) for count in (1, 50_000))
    assert one is not None
    assert many is not None
    assert many("1.2.49999")
    assert lines_run(many, "1.3") == lines_run(one, "1.3")


def test_the_work_for_a_name_grows_no_faster_than_the_name() -> None:
    test = value_test("PN", ["*a?" * 300 + "b^*^*"])
    assert test is not None
    costs = [lines_run(test, "a^ =" * size) for size in (1_000, 2_000, 4_000)]
    costs += [lines_run(test, "ab" * size) for size in (1_000, 2_000, 4_000)]
    assert all(cost < 60_000 for cost in costs)
    for smaller, larger in pairwise(costs[3:]):
        assert larger <= 2.1 * smaller + 50


@pytest.mark.parametrize(
    ("dates", "times", "is_one_span"),
    [
        ("20060705-20060707", "1000-1800", True),
        ("20060705-", "1000 -", True),
        ("-20060705", " -1000", True),
        ("20060705-20060707", "1000-", False),
        ("20060705-", "-1000", False),
        ("20060705", "1000-1800", False),
        ("20060705-20060707", "1000", False),
    ],
)
def test_ranges_of_the_same_form_are_one_span(dates: str, times: str, is_one_span: bool) -> None:
    assert DateTimeTest.applies_to([dates], [times]) is is_one_span
    assert not DateTimeTest.applies_to([dates, dates], [times])
    assert not DateTimeTest.applies_to([dates], [])


def test_a_span_of_days_and_times() -> None:
    closed = DateTimeTest("20060705-20060707", "1000-1800")
    assert closed("20060705", "1000")
    assert closed("20060706", "0300")
    assert closed("20060707", "1800")
    assert not closed("20060705", "0959")
    assert not closed("20060707", "1801")
    assert not closed("20060706", "noon")
    assert not closed(None, "1200")
    later = DateTimeTest("20060705-", "1000-")
    assert later("20060706", "0100")
    assert not later("20060705", "0100")
    earlier = DateTimeTest("-20060705", "-1000")
    assert earlier("20060704", "2300")
    assert not earlier("20060705", "2300")


# --- laws ----------------------------------------------------------------------------------

days = st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1))
moments = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001 - local


@given(days, days, days)
def test_a_range_of_dates_is_an_interval(first: dt.date, last: dt.date, day: dt.date) -> None:
    text, start, end = (f"{date:%Y%m%d}" for date in (day, first, last))
    assert matches("DA", f"{start}-{end}", text) is (first <= day <= last)
    assert matches("DA", f"{start}-", text) is (first <= day)
    assert matches("DA", f"-{end}", text) is (day <= last)
    assert matches("DA", start, text) is (first == day)


@given(moments, moments, moments)
def test_a_range_of_moments_is_an_interval(
    first: dt.datetime, last: dt.datetime, moment: dt.datetime
) -> None:
    text, start, end = (f"{when:%Y%m%d%H%M%S.%f}" for when in (moment, first, last))
    assert matches("DT", f"{start}-{end}", text) is (first <= moment <= last)
    assert DateTimeTest(f"{start[:8]}-{end[:8]}", f"{start[8:]}-{end[8:]}")(text[:8], text[8:]) is (
        first <= moment <= last
    )


@given(st.text("aAbB*?", min_size=1, max_size=8), st.text("aAbB", min_size=1, max_size=8))
def test_a_name_of_one_component_matches_as_an_expression(key: str, name: str) -> None:
    parts = {"*": ".*", "?": "."}
    expression = "".join(parts.get(character, character) for character in key)
    assert matches("PN", key, name) is (re.fullmatch(expression, name, re.IGNORECASE) is not None)


@given(st.text("aA^*?", min_size=1, max_size=8), st.text("aA^", min_size=1, max_size=8))
def test_a_name_that_matches_letter_for_letter_matches(key: str, name: str) -> None:
    parts = {"*": ".*", "?": "[^^]", "^": r"\^"}
    expression = "".join(parts.get(character, character) for character in key.rstrip("^"))
    if name.strip("^") and re.fullmatch(expression, name.rstrip("^"), re.IGNORECASE):
        assert matches("PN", key, name)


@given(st.integers(-(10**9), 10**9), st.integers(0, 2))
def test_integers_match_however_they_are_written(number: int, zeros: int) -> None:
    sign = "-" if number < 0 else "+"
    assert matches("IS", f"{sign}{'0' * zeros}{abs(number)}", str(number))
    assert not matches("IS", str(number), str(number + 1))
