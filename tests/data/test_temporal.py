"""Dates, times and ages (PS3.5 6.2) and their ranges in queries (PS3.4 C.2.2.2.5)."""

import contextlib
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_actors.data.values.value_types import AS, DA, DT, TM

law = settings(derandomize=True, deadline=None, max_examples=200)
offsets = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(timezones=st.none() | offsets)
LAST_INSTANT = time.max


def at(*parts, tz=None):
    """A moment; without a time zone, as most of DICOM's are."""
    return datetime(*parts, tzinfo=tz)


@pytest.mark.parametrize("text", ["20240229", "2024.02.29", "20240229 "])
def test_dates(text):
    assert DA(text).as_date() == date(2024, 2, 29)
    assert DA(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024",
        "202402",
        "20230229",
        "2024-02-29",
        "20241301",
        "00000101",
        "2024022x",
        "202402290",
        "2024.02.2",
        "20240101-20240102",
        "٢٠٢٤٠١٠١",
    ],
)
def test_texts_that_are_no_date(text):
    with pytest.raises(ValueError) as caught:
        DA(text).as_date()
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "first", "last", "is_range"),
    [
        ("20240101-20240131", date(2024, 1, 1), date(2024, 1, 31), True),
        ("20240101-", date(2024, 1, 1), None, True),
        ("-20240131", None, date(2024, 1, 31), True),
        ("20240101 - 20240131", date(2024, 1, 1), date(2024, 1, 31), True),
        ("20240101", date(2024, 1, 1), date(2024, 1, 1), False),
    ],
)
def test_ranges_of_dates(text, first, last, is_range):
    assert DA(text).as_range() == (first, last)
    assert DA(text).is_range is is_range


@pytest.mark.parametrize("text", ["-", "2024-2025", "20240101-20240102-", "--20240101", "*"])
def test_texts_that_are_no_range_of_dates(text):
    with pytest.raises(ValueError):
        DA(text).as_range()


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10", time(10), time(10, 59, 59, 999999)),
        ("1030", time(10, 30), time(10, 30, 59, 999999)),
        ("103015", time(10, 30, 15), time(10, 30, 15, 999999)),
        ("103015.5", time(10, 30, 15, 500000), time(10, 30, 15, 599999)),
        ("103015.000001", time(10, 30, 15, 1), time(10, 30, 15, 1)),
        ("10:30:15", time(10, 30, 15), time(10, 30, 15, 999999)),
        ("10:30", time(10, 30), time(10, 30, 59, 999999)),
        ("235960", time(23, 59, 59), time(23, 59, 59, 999999)),
        ("103015 ", time(10, 30, 15), time(10, 30, 15, 999999)),
    ],
)
def test_times(text, first, last):
    assert TM(text).as_time() == first
    assert TM(text).as_range() == (first, last)
    assert not TM(text).is_range


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "103",
        "24",
        "1060",
        "103061",
        "103015.",
        "103015.1234567",
        "10:3015",
        "1030:15",
        "10-11",
        "10.5",
        "noon",
    ],
)
def test_texts_that_are_no_time(text):
    with pytest.raises(ValueError) as caught:
        TM(text).as_time()
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("10-11", time(10), time(11, 59, 59, 999999)),
        ("1000-", time(10), None),
        ("-1030", None, time(10, 30, 59, 999999)),
        ("100000.5-110000", time(10, 0, 0, 500000), time(11, 0, 0, 999999)),
    ],
)
def test_ranges_of_times(text, first, last):
    assert TM(text).as_range() == (first, last)
    assert TM(text).is_range


EAST = timezone(timedelta(hours=5, minutes=30))
WEST = timezone(timedelta(hours=-5))


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", at(2024, 1, 1), datetime.combine(date(2024, 12, 31), LAST_INSTANT)),
        ("202402", at(2024, 2, 1), datetime.combine(date(2024, 2, 29), LAST_INSTANT)),
        ("9999", at(9999, 1, 1), datetime.combine(date.max, LAST_INSTANT)),
        ("20240229", at(2024, 2, 29), datetime.combine(date(2024, 2, 29), LAST_INSTANT)),
        ("2024022910", at(2024, 2, 29, 10), at(2024, 2, 29, 10, 59, 59, 999999)),
        (
            "20240229103015.25+0530",
            at(2024, 2, 29, 10, 30, 15, 250000, tz=EAST),
            at(2024, 2, 29, 10, 30, 15, 259999, tz=EAST),
        ),
        (
            "20240101-0500",
            at(2024, 1, 1, tz=WEST),
            datetime.combine(date(2024, 1, 1), LAST_INSTANT, WEST),
        ),
    ],
)
def test_dates_with_times(text, first, last):
    assert DT(text).as_datetime() == first
    assert DT(text).as_range() == (first, last)
    assert not DT(text).is_range


@pytest.mark.parametrize(
    "text",
    [
        "",
        "24",
        "2024022",
        "20230229",
        "202413",
        "2024022924",
        "20240229103015.",
        "20240101+1500",
        "20240101+0160",
        "20240101Z",
        "2024-2025",
        "20240101-0500-",
    ],
)
def test_texts_that_are_no_date_with_time(text):
    with pytest.raises(ValueError) as caught:
        DT(text).as_datetime()
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2023-2024", at(2023, 1, 1), datetime.combine(date(2024, 12, 31), LAST_INSTANT)),
        ("20240101-", at(2024, 1, 1), None),
        ("-20240101", None, datetime.combine(date(2024, 1, 1), LAST_INSTANT)),
        ("20240101-0500-", at(2024, 1, 1, tz=WEST), None),
        (
            "20240101-0500-20240102-0500",
            at(2024, 1, 1, tz=WEST),
            datetime.combine(date(2024, 1, 2), LAST_INSTANT, WEST),
        ),
        (
            "20240101-20240102-0500",
            at(2024, 1, 1),
            datetime.combine(date(2024, 1, 2), LAST_INSTANT, WEST),
        ),
    ],
)
def test_ranges_of_dates_with_times(text, first, last):
    assert DT(text).as_range() == (first, last)
    assert DT(text).is_range


def test_a_range_needs_an_end():
    with pytest.raises(ValueError, match="end"):
        DT("-").as_range()
    for kind in (DA, TM, DT):
        with pytest.raises(ValueError, match="end"):
            kind.between(None, None)


def test_text_of_values():
    assert DA.of(date(987, 6, 5)) == "09870605"
    assert TM.of(time(1, 2, 3)) == "010203"
    assert TM.of(time(1, 2, 3, 4)) == "010203.000004"
    assert DT.of(at(2024, 1, 2, 3, 4, 5)) == "20240102030405"
    assert DT.of(at(2024, 1, 2, 3, 4, 5, tz=UTC)) == "20240102030405+0000"
    assert DT.of(at(2024, 1, 2, tz=WEST)) == "20240102000000-0500"
    assert DA.between(date(2024, 1, 1), None) == "20240101-"
    assert TM.between(None, time(12)) == "-120000"
    assert isinstance(DA.between(date(2024, 1, 1), None), DA)


@law
@given(st.dates(), st.dates())
def test_every_date_and_range_comes_back(first, last):
    assert DA.of(first).as_date() == first
    assert DA.between(first, last).as_range() == (first, last)
    assert DA.between(None, last).as_range() == (None, last)


@law
@given(st.times())
def test_every_time_comes_back(value):
    assert TM.of(value).as_time() == value
    assert TM.between(value, None).as_range() == (value, None)


@law
@given(moments, moments)
def test_every_moment_and_range_comes_back(first, last):
    assert DT.of(first).as_datetime() == first
    assert DT.of(first).as_datetime().utcoffset() == first.utcoffset()
    text = DT.between(first, last)
    assert text.is_range
    begin, end = text.as_range()
    assert begin == first
    assert (
        timedelta(0) <= end.replace(tzinfo=None) - last.replace(tzinfo=None) < timedelta(seconds=1)
    )


@law
@given(st.text(alphabet="0123456789-+.: ", max_size=30))
def test_any_text_has_a_meaning_or_a_value_error(text):
    for ask in (DA(text).as_date, DA(text).as_range, TM(text).as_time, TM(text).as_range):
        _answers_or_refuses(ask)
    for ask in (DT(text).as_datetime, DT(text).as_range, AS(text).as_age):
        _answers_or_refuses(ask)


def _answers_or_refuses(ask):
    with contextlib.suppress(ValueError):
        assert ask() is not None


@pytest.mark.parametrize(
    ("text", "number", "unit", "days"),
    [
        ("018M", 18, "M", 547.9),
        ("003W", 3, "W", 21),
        ("045Y", 45, "Y", 16436),
        ("007D ", 7, "D", 7),
    ],
)
def test_ages(text, number, unit, days):
    age = AS(text).as_age()
    assert age == (number, unit)
    assert age.days == pytest.approx(days, rel=1e-3)


@pytest.mark.parametrize("text", ["", "18M", "018m", "018", "0018M", "01YM", "\u0966\u0967\u0968M"])
def test_texts_that_are_no_age(text):
    with pytest.raises(ValueError) as caught:
        AS(text).as_age()
    assert repr(text) in str(caught.value)
