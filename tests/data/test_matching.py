"""Queries: which data sets match, what is answered, what a hostile query costs."""

from __future__ import annotations

import fnmatch
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.steps import lines_run

from dicom_actors.data import DataElement, DataSet
from dicom_actors.data.query.matching import MAX_KEYS, Query
from dicom_actors.errors import DataError, DecodeError

EXPLICIT = "1.2.840.10008.1.2.1"
STEP = "ScheduledProcedureStepSequence"


def of(**values: Any) -> DataSet:
    return DataSet.from_keywords(**values)


def read(data_set: DataSet) -> DataSet:
    """The same data set as an index over bytes."""
    return DataSet.from_bytes(data_set.to_bytes(EXPLICIT), EXPLICIT)


def step(**values: Any) -> DataSet:
    """A worklist item."""
    return of(**{STEP: [of(**values)]})


def matches(query: DataSet, data_set: DataSet) -> bool:
    """Whether a data set matches, and that it makes no difference whether both were read."""
    verdict = Query(query).matches(data_set)
    assert Query(read(query)).matches(read(data_set)) is verdict
    return verdict


STUDY = of(
    SpecificCharacterSet="ISO_IR 100",
    StudyDate="20240705",
    StudyTime="103000",
    AccessionNumber="A1",
    ModalitiesInStudy=["CT", "MR"],
    PatientName="Müller^Jörg",
    PatientID="P1",
    StudyInstanceUID="1.2.3",
    StudyID="",
    NumberOfStudyRelatedInstances="12",
)


@pytest.mark.parametrize(
    ("key", "value", "is_match"),
    [
        ("PatientName", "MÜLLER*", True),
        ("PatientName", "Doe*", False),
        ("PatientID", "P1", True),
        ("PatientID", "p1", False),
        ("PatientID", "", True),
        ("PatientID", None, True),
        ("StudyDate", "20240701-20240731", True),
        ("StudyTime", "1030", True),
        ("StudyInstanceUID", ["1.2.4", "1.2.3"], True),
        ("StudyInstanceUID", ["1.2.4", "1.2.5"], False),
        ("ModalitiesInStudy", "MR", True),
        ("ModalitiesInStudy", "M?", True),
        ("ModalitiesInStudy", "PT", False),
        ("ModalitiesInStudy", ["PT", "CT"], True),
        ("NumberOfStudyRelatedInstances", "012", True),
        # Empty in the study, or not in it at all.
        ("StudyID", "*", True),
        ("StudyID", "?*", False),
        ("StudyID", "1", False),
        ("StudyID", '""', True),
        ("StudyDescription", "*", True),
        ("StudyDescription", "big", False),
        ("StudyDescription", '""', True),
        ("StudyDescription", ['""', "big"], True),
        ("AccessionNumber", '""', False),
        ("AccessionNumber", ['""', "A1"], True),
        ("AccessionNumber", ["", "A2"], False),
        ("SpecificCharacterSet", "ISO_IR 192", True),
        ("TimezoneOffsetFromUTC", "+0100", True),
        ("QueryRetrieveLevel", "STUDY", True),
    ],
)
def test_one_key(key: str, value: Any, is_match: bool) -> None:
    query = of(**{"SpecificCharacterSet": "ISO_IR 192", key: value})
    assert matches(query, STUDY) is is_match


def test_all_keys_must_match() -> None:
    assert matches(of(PatientID="P1", AccessionNumber="A1"), STUDY)
    assert not matches(of(PatientID="P1", AccessionNumber="A2"), STUDY)
    assert matches(of(), STUDY)


@pytest.mark.parametrize("key", ["StudyID", "StudyDescription"])
def test_unknown_values_match_where_that_is_wanted(key: str) -> None:
    query = Query(of(**{key: "1"}), matches_unknown=True)
    assert query.matches(STUDY)
    assert not query.matches(of(**{key: "2"}))
    in_a_step = Query(step(Modality="CT"), matches_unknown=True)
    assert in_a_step.matches(of())
    assert in_a_step.matches(step(Modality=""))
    assert not in_a_step.matches(step(Modality="MR"))


# --- sequences -----------------------------------------------------------------------------

TWO_STEPS = of(
    **{
        STEP: [
            of(Modality="CT", ScheduledStationAETitle="ONE", ScheduledProcedureStepID="1"),
            of(Modality="MR", ScheduledStationAETitle="TWO", ScheduledProcedureStepID="2"),
        ]
    }
)


def test_one_item_must_match_all_keys() -> None:
    assert matches(step(Modality="CT", ScheduledStationAETitle="ONE"), TWO_STEPS)
    assert not matches(step(Modality="CT", ScheduledStationAETitle="TWO"), TWO_STEPS)
    assert matches(step(Modality=""), TWO_STEPS)
    assert not matches(step(Modality="CT"), of())
    assert not matches(step(Modality="CT"), of(**{STEP: []}))
    assert matches(step(Modality="", ScheduledStationAETitle="*"), of())
    assert matches(of(**{STEP: []}), of())


def test_sequences_in_sequences() -> None:
    code = of(CodeValue="X1", CodingSchemeDesignator="99A")
    data_set = step(ScheduledProtocolCodeSequence=[of(CodeValue="X0"), code])
    inner = of(CodeValue="X1", CodingSchemeDesignator="*")
    assert matches(step(ScheduledProtocolCodeSequence=[inner]), data_set)
    inner.CodeValue = "X2"
    assert not matches(step(ScheduledProtocolCodeSequence=[inner]), data_set)


def test_date_and_time_of_a_scheduled_step_are_one_span() -> None:
    query = step(
        ScheduledProcedureStepStartDate="20060705-20060707",
        ScheduledProcedureStepStartTime="1000-1800",
    )
    for date, time, is_match in [
        ("20060705", "0959", False),
        ("20060705", "1000", True),
        ("20060706", "0300", True),
        ("20060707", "1801", False),
        ("20060706", "", False),
        ("", "1200", False),
    ]:
        start = step(ScheduledProcedureStepStartDate=date, ScheduledProcedureStepStartTime=time)
        assert matches(query, start) is is_match
    study = of(StudyDate="20060705-20060707", StudyTime="1000-1800")
    assert not matches(study, of(StudyDate="20060706", StudyTime="0300"))
    known = Query(query, matches_unknown=True)
    assert known.matches(step(ScheduledProcedureStepStartDate="20060706"))
    assert not known.matches(step(ScheduledProcedureStepStartDate="20060708"))


def test_other_forms_of_date_and_time_stay_apart() -> None:
    query = step(
        ScheduledProcedureStepStartDate="20060705", ScheduledProcedureStepStartTime="1000-1800"
    )
    start = {"ScheduledProcedureStepStartDate": "20060705"}
    assert matches(query, step(**start, ScheduledProcedureStepStartTime="1200"))
    assert not matches(query, step(**start, ScheduledProcedureStepStartTime="1900"))


# --- answers -------------------------------------------------------------------------------


def test_an_answer_has_what_is_asked_for() -> None:
    query = Query(
        of(
            QueryRetrieveLevel="STUDY",
            PatientName="mü*",
            StudyDate="",
            StudyDescription="",
            ReferencedStudySequence=[],
            SeriesDate=None,
        )
    )
    assert query.level == "STUDY"
    assert query.keys == (0x00080020, 0x00080021, 0x00080052, 0x00081030, 0x00081110, 0x00100010)
    for study in (STUDY, read(STUDY)):
        answer = query.answer(study)
        assert answer == of(
            SpecificCharacterSet="ISO_IR 100",
            StudyDate="20240705",
            SeriesDate="",
            QueryRetrieveLevel="STUDY",
            StudyDescription="",
            ReferencedStudySequence=[],
            PatientName="Müller^Jörg",
        )
        assert list(answer) == sorted(answer)
        assert answer.fetch("StudyDescription").vr == "LO"
        assert read(answer) == answer


def test_an_answer_without_level_and_character_set_has_neither() -> None:
    answer = Query(of(SpecificCharacterSet="ISO_IR 192", PatientID="")).answer(of(PatientID="7"))
    assert answer == of(PatientID="7")
    assert Query(of(PatientID="")).level == ""


def test_an_inherited_character_set_is_declared() -> None:
    outer = read(of(SpecificCharacterSet="ISO_IR 100", **{STEP: [of(PatientName="Jörg")]}))
    answer = Query(of(PatientName="")).answer(outer[STEP][0])
    assert answer.SpecificCharacterSet == "ISO_IR 100"
    assert read(answer).PatientName == "Jörg"


def test_an_answer_has_the_items_that_match_and_of_them_what_is_asked_for() -> None:
    answer = Query(step(Modality="M*", ScheduledStationAETitle="")).answer(read(TWO_STEPS))
    assert answer == step(Modality="MR", ScheduledStationAETitle="TWO")
    answer = Query(step(Modality="", ScheduledStationName="")).answer(TWO_STEPS)
    assert answer[STEP] == [
        of(Modality="CT", ScheduledStationName=""),
        of(Modality="MR", ScheduledStationName=""),
    ]
    assert Query(step(Modality="PT")).answer(TWO_STEPS)[STEP] == []
    assert Query(step(Modality="")).answer(of())[STEP] == []


@pytest.mark.parametrize("items", [[], [DataSet()]])
def test_a_sequence_without_keys_asks_for_all_of_it(items: list[DataSet]) -> None:
    assert Query(of(**{STEP: items})).answer(TWO_STEPS) == TWO_STEPS


def test_an_answer_shares_nothing_that_changes() -> None:
    data_set = TWO_STEPS.copy()
    data_set.ModalitiesInStudy = ["CT", "MR"]
    for query in (of(**{STEP: []}), step(Modality="")):
        query.ModalitiesInStudy = ""
        answer = Query(query).answer(data_set)
        answer[STEP][0].Modality = "XX"
        answer[STEP].pop()
        answer.ModalitiesInStudy.append("XX")
    assert data_set[STEP] == TWO_STEPS[STEP]
    assert data_set.ModalitiesInStudy == ["CT", "MR"]


def test_items_keep_their_own_character_set() -> None:
    items = [of(SpecificCharacterSet="ISO_IR 144", PatientName="Люк")]
    data_set = read(of(SpecificCharacterSet="ISO_IR 100", **{STEP: items}))
    answer = read(Query(step(PatientName="люк")).answer(data_set))
    assert answer[STEP] == items


def test_select_gives_the_answers_of_those_that_match_one_by_one() -> None:
    pulled = []

    def rows() -> Any:
        for number in range(10**9):
            pulled.append(number)
            yield of(PatientID=f"P{number}", PatientName="x")

    found = Query(of(PatientID="*5")).select(rows())
    assert pulled == []
    assert next(found) == of(PatientID="P5")
    assert pulled[-1] == 5
    assert next(found) == of(PatientID="P15")


def test_private_keys_and_those_of_other_groups() -> None:
    row, query = of(PatientID="1"), of(PatientID="1")
    for data_set in (row, query):
        data_set.put(0x00090010, "LO", "ACME")
        data_set.put(0x00091001, "LO", "thing")
    query.put(0x00020010, "UI", "1.2.840.10008.1.2")
    query.put(0x00100000, "UL", 7)
    assert matches(query, row)
    answer = Query(query).answer(row)
    assert answer == row
    query.put(0x00091001, "LO", "other")
    assert not matches(query, row)


def private(creator: str, value: str | None, block: int = 0x10) -> DataSet:
    made = of(PatientID="1", StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    made.put(0x00090000 | block, "LO", creator)
    made.put(0x00090001 | block << 8, "LO", value)
    return made


@pytest.mark.parametrize("block", [0x10, 0x11, 0xFF])
def test_a_private_creator_identifies_a_block(block: int) -> None:
    query = Query(private("ACME", "A"))
    rows = [
        private("ACME", "A", block),
        private("ACME", "B", block),
        private("OTHER", "A", block),
        of(PatientID="1", StudyInstanceUID="1.2", SeriesInstanceUID="1.3"),
    ]
    assert [query.matches(row) for row in rows] == [True, False, False, False]
    assert query.answer(rows[0]) == private("ACME", "A")
    asked = Query(private("ACME", None))
    assert all(map(asked.matches, rows))
    assert [asked.answer(row) for row in rows] == [
        private("ACME", value) for value in ("A", "B", None, None)
    ]


def test_blocks_of_two_creators_that_changed_places() -> None:
    def both(first: str, second: str) -> DataSet:
        made = private(first, first.lower(), 0x10)
        made.merge(private(second, second.lower(), 0x11))
        return made

    query = Query(both("ACME", "OTHER"))
    assert query.answer(both("OTHER", "ACME")) == both("ACME", "OTHER")
    assert query.matches(both("OTHER", "ACME"))
    swapped = both("OTHER", "ACME")
    swapped.put(0x00091001, "LO", "acme")
    assert not query.matches(swapped)


def test_private_blocks_in_items_and_in_groups() -> None:
    query = private("ACME", "A")
    query.QueryRetrieveLevel = "SERIES"
    query.PatientID = None
    row = private("ACME", "A", 0x20)
    (answer,) = Query(query).group([private("OTHER", "A"), row])
    assert (answer[0x00090010], answer[0x00091001], 0x00092001 in answer) == ("ACME", "A", False)
    nested = Query(of(**{STEP: [private("ACME", "A")]}))
    assert nested.matches(of(**{STEP: [private("ACME", "A", 0x30)]}))
    assert not nested.matches(of(**{STEP: [private("OTHER", "A")]}))


def test_the_identifier_is_not_changed() -> None:
    query = of(QueryRetrieveLevel="STUDY", PatientID=["", "1"], **{STEP: [of(Modality="")]})
    before = query.to_bytes()
    prepared = Query(query)
    prepared.matches(STUDY)
    prepared.answer(STUDY)
    assert query.to_bytes() == before


# --- malformed and hostile -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "tag", "path", "message"),
    [
        (of(StudyDate="20241399"), 0x00080020, (), "no day of the calendar"),
        (of(**{STEP: [of(), of()]}), 0x00400100, (), "one item as key, got 2 items"),
        (
            step(ScheduledProcedureStepStartTime="noon"),
            0x00400003,
            (f"{STEP}[0]",),
            "a time is HH",
        ),
        (step(**{STEP: [of(Modality="*" * 5_000 + "a")]}), 0x00080060, (f"{STEP}[0]",) * 2, "4096"),
    ],
)
def test_a_malformed_key_is_an_error_with_its_place(
    query: DataSet, tag: int, path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DecodeError, match=message) as caught:
        Query(query)
    assert isinstance(caught.value, DataError)
    assert (caught.value.tag, caught.value.path) == (tag, path)


def test_an_error_quotes_only_so_much_of_a_key() -> None:
    with pytest.raises(DecodeError) as caught:
        Query(of(StudyDate="x" * 100_000))
    assert len(str(caught.value)) < 300


def test_the_number_of_keys_has_a_limit() -> None:
    elements = [DataElement(0x00100020 + (n << 16 << 1), "LO", "") for n in range(MAX_KEYS)]
    assert len(Query(DataSet(elements)).keys) == MAX_KEYS
    assert len(Query(step(Modality="")).keys) == 1
    with pytest.raises(DecodeError, match="at most 2048 keys"):
        Query(DataSet([*elements, DataElement(STEP, "SQ", [of(Modality="")])]))


def nested(depth: int) -> DataSet:
    data_set = of(Modality="CT")
    for _ in range(depth):
        data_set = of(**{STEP: [data_set]})
    return data_set


def test_the_depth_of_sequences_has_a_limit() -> None:
    assert Query(nested(64)).matches(nested(64))
    assert Query(nested(64)).answer(nested(64)) == nested(64)
    assert not Query(nested(64)).matches(nested(63))
    with pytest.raises(DecodeError, match="at most 64 sequences deep"):
        Query(nested(65))


def test_the_work_of_deep_keys_grows_no_faster_than_their_depth() -> None:
    costs = []
    for depth in (8, 16, 32, 64):
        query, data_set = Query(nested(depth)), nested(depth)
        costs.append(lines_run(query.matches, data_set))
    for smaller, larger in pairwise(costs):
        assert larger <= 2.1 * smaller + 20


def test_stars_in_every_key_cost_nothing() -> None:
    keys = DataSet([DataElement(tag, "LO", "*") for tag in range(0x00100020, 0x00100820, 2)])
    assert lines_run(Query(keys).matches, of(PatientID="1")) < 20


def test_a_thousand_wild_cards_cost_no_more_than_text_and_key() -> None:
    costs = []
    for size in (1_000, 2_000, 4_000):
        query = Query(of(TextValue="*a" * (size // 2) + "b"))
        costs.append(lines_run(query.matches, of(TextValue="a" * size)))
    assert costs[0] < 10_000
    for smaller, larger in pairwise(costs):
        assert larger <= 2.1 * smaller + 50


def test_the_work_of_many_items_grows_no_faster_than_their_number() -> None:
    query = Query(step(Modality="MR", ScheduledStationAETitle="*b*"))
    costs = []
    for count in (100, 200, 400):
        items = [of(Modality="MR", ScheduledStationAETitle="aaa")] * count
        costs.append(lines_run(query.matches, of(**{STEP: items})))
    for smaller, larger in pairwise(costs):
        assert larger <= 2.1 * smaller + 20


# --- laws ----------------------------------------------------------------------------------

texts = st.text("ab", max_size=5)
patterns = st.text("ab*?", max_size=5)


@given(
    st.dictionaries(st.sampled_from(["PatientID", "StudyID", "Modality"]), patterns),
    st.dictionaries(st.sampled_from(["PatientID", "StudyID", "Modality"]), st.lists(texts)),
)
def test_text_keys_match_as_fnmatch_does(keys: dict[str, str], row: dict[str, Any]) -> None:
    expected = all(
        not key.strip("*")
        or any(value and fnmatch.fnmatchcase(value, key) for value in row.get(keyword, ()))
        for keyword, key in keys.items()
    )
    assert Query(of(**keys)).matches(of(**row)) is expected


@given(
    st.dictionaries(st.sampled_from(["PatientID", "StudyID", "Modality"]), texts, min_size=1),
    st.lists(st.dictionaries(st.sampled_from(["PatientID", "StudyID", "Modality"]), texts)),
)
def test_an_answer_to_a_query_matches_it(keys: dict[str, str], items: list[Any]) -> None:
    query = Query(step(**keys))
    data_set = of(**{STEP: [of(**item) for item in items]})
    if query.matches(data_set):
        answer = query.answer(data_set)
        assert query.matches(answer)
        assert query.answer(answer) == answer
        assert all(list(item) == list(of(**keys)) for item in answer[STEP])


# --- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "matches"),
    [
        ("muller", "Müller^Jürgen", False),
        ("muller^*", "Müller^Jürgen", True),
        ("MÜLLER^jurgen", "Muller^Jürgen", True),
        ("m?ller^*", "Mu\u0308ller", True),
        ("Mu\u0308ller", "Müller", True),
        ("sm\u00f8rgen", "smorgen", False),  # a letter of its own
        ("か*", "が^き", False),  # no accents
        ("*=muller", "a=Müller", True),
    ],
)
def test_accents_count_or_not(key, value, matches):
    identifier = DataSet.from_keywords(PatientName=key)
    found = DataSet.from_keywords(PatientName=value)

    assert Query(identifier, ignore_accents=True).matches(found) is matches
    if matches and key != "Mu\u0308ller":
        assert not Query(identifier).matches(found)


@pytest.mark.parametrize(
    ("date", "time", "apart", "together"),
    [
        ("20060705", "1100", True, True),
        ("20060705", "0900", False, False),
        ("20060706", "0900", False, True),
        ("20060707", "1900", False, False),
        ("20060707", "1700", True, True),
        ("20060706", "", False, False),
    ],
)
def test_a_date_and_a_time_are_one_span_where_that_was_negotiated(date, time, apart, together):
    identifier = DataSet.from_keywords(StudyDate="20060705-20060707", StudyTime="1000-1800")
    found = DataSet.from_keywords(StudyDate=date, StudyTime=time)

    assert Query(identifier).matches(found) is apart
    assert Query(identifier, combines_dates_and_times=True).matches(found) is together
