"""What the database gives, judged by `dicom_actors.Query` over everything there is."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.stored_instances import data_set, new_instance

from dicom_actors import DataSet, Query
from dicom_actors.archive.index import Index
from dicom_actors.archive.query import Model, Settings, find
from dicom_actors.errors import EncodeError

LOOSE = Settings(is_relational=True)
UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}

_letters = st.text("aAéÉbz^= *?_%[]\\ß山\u0301'", max_size=6).map(lambda t: t.replace("\\", "/"))
_texts = st.one_of(_letters, st.sampled_from(["", "a", "ab", "abc", "a*", "*c", "a?c", '""']))
_wide = st.text("Ａａa^*?＊？＾　 ｶﾞカガﾊﾟパ\u3099神神①㈱ﬁ가ﾡ", max_size=6)  # noqa: RUF001
_names = st.one_of(
    _letters,
    _wide,
    st.sampled_from(["Doe^John", "doe^*", "D*^J*", "=山田", "*=山*", "Doé^john", "Doe", "*e"]),
)
_dates = st.sampled_from(["", "20200101", "20200102", "20191231", "2020.01.01"])
_date_keys = st.one_of(
    _dates, st.sampled_from(["20200101-", "-20200101", "20200101-20200102", "20191231-20200101"])
)
_times = st.sampled_from(["", "10", "1030", "103000", "103000.5", "235959.999999", "000000"])
_time_keys = st.one_of(_times, st.sampled_from(["10-", "-1030", "1030-11", "103000-103000.5"]))
_numbers = st.sampled_from(["", "1", "01", "2", "-1", "2147483647"])
_KINDS = {
    "PatientName": (_names, _names),
    "OtherPatientNames": (_names, st.lists(_names, max_size=2)),
    "ReferringPhysicianName": (_names, _names),
    "PatientComments": (_texts, _texts),
    "PatientSex": (st.sampled_from(["", "M", "?", "*", "O"]), st.sampled_from(["", "M", "F"])),
    "PatientBirthDate": (_date_keys, _dates),
    "StudyDate": (_date_keys, _dates),
    "StudyTime": (_time_keys, _times),
    "StudyDescription": (_texts, _texts),
    "AccessionNumber": (_texts, _texts),
    "AdmittingDiagnosesDescription": (_texts, st.lists(_texts, max_size=3)),
    "PatientAge": (st.sampled_from(["", "010Y", "01?Y"]), st.sampled_from(["", "010Y", "020Y"])),
    "PatientWeight": (st.sampled_from(["", "70", "70.0", "1"]), st.sampled_from(["", "70", "1.0"])),
    "OtherStudyNumbers": (_numbers, st.lists(_numbers, max_size=2)),
    "AcquisitionNumber": (_numbers, _numbers),
    "Modality": (st.sampled_from(["", "CT", "M*", "?T"]), st.sampled_from(["CT", "MR", "MG"])),
    "SeriesNumber": (_numbers, _numbers),
    "SeriesDescription": (_texts, _texts),
    "InstanceNumber": (_numbers, _numbers),
    "ImageComments": (_texts, _texts),
}
_LEVELS = {  # where a key may stand
    "STUDY": list(_KINDS)[:14],
    "SERIES": [*list(_KINDS)[:14], "Modality", "SeriesNumber", "SeriesDescription"],
    "IMAGE": list(_KINDS),
}


def _put(data_set, keyword, value):
    try:
        data_set[keyword] = value
    except EncodeError:
        return


@st.composite
def _stored(draw):
    return draw(st.fixed_dictionaries({}, optional={k: v for k, (_, v) in _KINDS.items()}))


KINDS_OF_INDEX = ["sqlite", "postgresql"]
if os.environ.get("DICOM_ACTORS_TEST_INDEX") != "postgresql":
    KINDS_OF_INDEX.remove("postgresql")  # where a new one for each example takes its time


@pytest.fixture(scope="module", params=KINDS_OF_INDEX)
def an_index(request, tmp_path_factory):
    """Gives, each time, an index for the length of a block."""
    server = request.getfixturevalue("postgresql") if request.param == "postgresql" else None

    @contextmanager
    def lent():
        path = server.new_index() if server else tmp_path_factory.mktemp("index") / "index.db"
        index = Index.open(path, durability="os")
        try:
            yield index
        finally:
            index.close()
            if server:
                server.give_back(path)

    return lent


@given(
    stored=st.lists(_stored(), min_size=1, max_size=6),
    level=st.sampled_from(sorted(_LEVELS)),
    data=st.data(),
    ignore_accents=st.booleans(),
    combines=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_database_loses_no_match_and_adds_none(
    an_index, stored, level, data, ignore_accents, combines
):
    sets = []
    for number, values in enumerate(stored):
        made = data_set(study=number, SpecificCharacterSet="ISO_IR 192")
        for keyword, value in values.items():
            _put(made, keyword, value)
        sets.append(made)
    with an_index() as index:
        index.write([new_instance(made) for made in sets])
        queries = data.draw(
            st.lists(
                st.dictionaries(st.sampled_from(_LEVELS[level]), st.none(), min_size=1, max_size=3),
                min_size=1,
                max_size=8,
            )
        )
        for keys in queries:
            identifier = DataSet.from_keywords(
                SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel=level
            )
            identifier[UNIQUE[level]] = None
            for keyword in keys:
                _put(identifier, keyword, data.draw(_KINDS[keyword][0], keyword))
            judge = Query(
                identifier, ignore_accents=ignore_accents, combines_dates_and_times=combines
            )
            # As it is once it is stored: what was written is what is read.
            rows = [
                DataSet.from_bytes(made.to_bytes("1.2.840.10008.1.2.1"), "1.2.840.10008.1.2.1")
                for made in sets
            ]
            expected = {row[UNIQUE[level]] for row in rows if judge.matches(row)}
            own = LOOSE._replace(ignore_accents=ignore_accents, combines_dates_and_times=combines)
            found = [
                answer[UNIQUE[level]]
                for _, answer in find(index, identifier, Model.STUDY_ROOT, own)
            ]
            assert sorted(found) == sorted(expected)
