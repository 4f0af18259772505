"""Searches: the same answers as C-FIND's, in an order, page by page."""

from __future__ import annotations

import gzip
import io
import json
from urllib.parse import urlencode

import pytest
from web.serving import file_of, image

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Archive
from dicom_actors.archive.query import answers
from dicom_actors.web import DicomWeb, Request

PEOPLE = [
    ("1.1", "Doe^John", "P1", "20240101", "CT"),
    ("1.2", "Doe^Jane", "P2", "20240102", "MR"),
    ("1.3", "Müller^Jörg", "P3", "20240103", "CT"),
    ("1.4", "Roe^Richard^A", "P4", "20231231", "US"),
    ("1.5", "Doering^Jon", "P5", "20240105", "CT"),
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with Archive.open(tmp_path_factory.mktemp("archive"), durability="os") as archive:
        for study, name, patient, date, modality in PEOPLE:
            for number in (1, 2):
                archive.add(
                    image(
                        number,
                        study=study,
                        PatientName=name,
                        PatientID=patient,
                        StudyDate=date,
                        Modality=modality,
                        SpecificCharacterSet="ISO_IR 192",
                    )
                )
        yield archive


@pytest.fixture(scope="module")
def application(archive):
    application = DicomWeb(archive)
    yield application
    application.close()


def ask(application, path, *query, **named):
    pairs = tuple(query) + tuple((name, str(value)) for name, value in named.items())
    response = application.begin(Request("GET", path, "http://here", pairs))
    return response.status, b"".join(response.body), response.headers


def found(application, *query, path="/studies", tag="0020000D", **named):
    status, body, _ = ask(application, path, *query, **named)
    assert status == 200, body
    return [one[tag]["Value"][0] for one in json.loads(body)]


KEYS = [
    ({"PatientName": "Doe^John"}, ["1.1"]),
    ({"PatientName": "doe*"}, ["1.1", "1.2", "1.5"]),
    ({"PatientName": "muller*"}, ["1.3"]),
    ({"00100010": "Roe*"}, ["1.4"]),
    ({"PatientID": "P2"}, ["1.2"]),
    ({"PatientID": "P?"}, ["1.1", "1.2", "1.3", "1.4", "1.5"]),
    ({"StudyDate": "20240102"}, ["1.2"]),
    ({"StudyDate": "20240102-"}, ["1.2", "1.3", "1.5"]),
    ({"StudyDate": "-20240101"}, ["1.1", "1.4"]),
    ({"StudyDate": "20240101-20240103"}, ["1.1", "1.2", "1.3"]),
    ({"StudyInstanceUID": "1.1"}, ["1.1"]),
    ({"StudyInstanceUID": "1.1,1.4"}, ["1.1", "1.4"]),
    ({"StudyInstanceUID": "1.1\\1.4"}, ["1.1", "1.4"]),
    ({"ModalitiesInStudy": "CT"}, ["1.1", "1.3", "1.5"]),
    ({"ModalitiesInStudy": "MR,US"}, ["1.2", "1.4"]),
    ({"ModalitiesInStudy": "CT", "PatientName": "Doe*"}, ["1.1", "1.5"]),
    ({"PatientName": ""}, ["1.1", "1.2", "1.3", "1.4", "1.5"]),
    ({"AccessionNumber": "nothing"}, []),
    ({"StudyInstanceUID": "1.1,1.2", "PatientName": "Doe*"}, ["1.1", "1.2"]),
    ({"PatientName": "jon", "fuzzymatching": "true"}, ["1.5"]),
    ({"PatientName": "do jo", "fuzzymatching": "true"}, ["1.1", "1.5"]),
    ({"PatientName": "rich roe", "fuzzymatching": "true"}, ["1.4"]),
    ({"PatientName": "do", "fuzzymatching": "true", "limit": "1", "offset": "1"}, ["1.2"]),
]


@pytest.mark.parametrize(("query", "studies"), KEYS)
def test_a_key(application, query, studies):
    assert found(application, **query) == studies


@pytest.mark.parametrize(
    "query",
    [query for query, _ in KEYS if not {"fuzzymatching", "StudyInstanceUID"} & query.keys()],
)
def test_it_is_what_c_find_answers(application, archive, query):
    keys = DataSet.from_keywords(QueryRetrieveLevel="STUDY", SpecificCharacterSet="ISO_IR 192")
    for name, value in query.items():
        keys.put(int(name, 16) if name.isdigit() else name, None, value.split(",") or None)
    keys.put("StudyInstanceUID", "UI", None)

    assert sorted(found(application, **query)) == sorted(
        str(one.StudyInstanceUID) for one in archive.find(keys)
    )


def test_a_fuzzy_search_looks_at_nothing_that_cannot_match(application, monkeypatch):
    seen, real = [], answers.Page

    def noted(reader, level, ids, **named):
        seen.extend(ids)
        return real(reader, level, ids, **named)

    monkeypatch.setattr(answers, "Page", noted)

    assert found(application, PatientName="rich roe", fuzzymatching="true") == ["1.4"]
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Groß^Anna", "gross"),
        ("Gross^Anna", "GROß"),
        ("Müller^Jörg", "muller jorg"),
        ("Muller^Jorg", "Müller"),
        ("=김^희중", "희"),
        ("=山田^太郎=ヤマダ^タロウ", "太"),
        ("=山田^太郎=ヤマダ^タロウ", "ヤマ"),
        ("=山田^太郎=やまだ^たろう", "やまだ"),
        ("=山田^太郎=やまだ^たろう", "やまた"),
        ("Иванов^Иван", "иван"),
        ("Ｙａｍａｄａ^Ｔａｒｏ", "Ｙａｍａ"),  # noqa: RUF001
        ("Ｙａｍａｄａ^Ｔａｒｏ", "yama taro"),  # noqa: RUF001
        ("Yamada^Taro", "ＴＡＲＯ"),  # noqa: RUF001
        ("=山田^太郎=ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ"),
        ("=山田^太郎=ヤマダ^タロウ", "ﾔﾏﾀﾞ ﾀﾛｳ"),
        ("Ｇｒｏß", "gross"),
        ("ＧＲＯＳＳ", "groß"),  # noqa: RUF001
    ],
)
def test_a_fuzzy_search_knows_all_scripts(tmp_path, stored, asked):
    with Archive.open(tmp_path / "archive", durability="os") as archive:
        for number, name in enumerate((stored, "Nobody^Else")):
            study = f"1.{number}"
            archive.add(image(study=study, PatientName=name, SpecificCharacterSet="ISO_IR 192"))
        made = DicomWeb(archive)
        assert found(made, PatientName=asked, fuzzymatching="true") == ["1.0"]


def test_several_keys_of_a_name_are_alternatives(application):
    query = [("ModalitiesInStudy", "MR"), ("ModalitiesInStudy", "US")]

    assert found(application, *query) == ["1.2", "1.4"]


def test_levels_and_paths(application):
    series = found(application, path="/series", tag="0020000E")
    assert series == [f"{study}.1" for study, *_ in PEOPLE]
    assert found(application, path="/series", tag="0020000E", PatientName="Roe*") == ["1.4.1"]
    assert len(found(application, path="/instances", tag="00080018")) == 10
    assert found(application, path="/studies/1.2/series", tag="0020000E") == ["1.2.1"]
    for path in ("/studies/1.2/instances", "/studies/1.2/series/1.2.1/instances"):
        assert found(application, path=path, tag="00080018") == ["1.2.1.1", "1.2.1.2"]
    assert found(application, path="/studies/9.9/series") == []


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"Rows": "4"}, [1, 2]),
        ({"00280010": "5"}, []),
        ({"Rows": "3,4"}, [1, 2]),
        ({"InstanceNumber": "2", "Columns": "6"}, [2]),
        ({"RescaleSlope": "2.50"}, [3]),
        ({"PixelSpacing": "0.5"}, [3]),
        ({"RecommendedDisplayFrameRateInFloat": "12.5"}, [3]),
        ({"SmallestImagePixelValue": "1"}, [3]),
        ({"FrameIncrementPointer": "00181063"}, [3]),
        ({"FrameIncrementPointer": "00181065"}, []),
    ],
)
def test_a_number_that_is_no_text_in_an_instance(tmp_path, query, numbers):
    odd = {
        "RescaleSlope": 2.5,
        "PixelSpacing": [0.5, 0.5],
        "RecommendedDisplayFrameRateInFloat": 12.5,
        "SmallestImagePixelValue": 1,
        "FrameIncrementPointer": [0x00181063],
        "Rows": 2,
        "Columns": 12,
    }
    with Archive.open(tmp_path, durability="os") as archive:
        for number in (1, 2, 3):
            archive.add(image(number, **(odd if number == 3 else {})))
        application = DicomWeb(archive)
        assert found(application, path="/instances", tag="00200013", **query) == numbers
        assert ask(application, "/instances", Rows="four")[0] == 400
        application.close()


def test_text_where_a_number_should_be_spoils_no_answer(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        archive.add(image(1))
        head = image(2)
        head.NumberOfFrames = 9
        file = file_of(head).replace(b"(\0\x08\0IS\x02\x009 ", b"(\0\x08\0IS\x02\x001A")
        archive.add(read_file(io.BytesIO(file)))
        application = DicomWeb(archive)
        for query in ({}, {"includefield": "all"}, {"limit": 9}):
            status, body, _ = ask(application, "/instances", **query)
            assert status == 200
            odd = json.loads(body)[1]["00280008"]
            assert odd == {"vr": "UN", "InlineBinary": "MUE="}
        application.close()


def test_fields(application):
    _, body, _ = ask(
        application,
        "/studies/1.1/series/1.1.1/instances",
        ("includefield", "BitsStored,00280102"),
        ("includefield", "RequestAttributesSequence.RequestedProcedureID"),
    )
    first = json.loads(body)[0]
    assert first["00280101"]["Value"] == [12]
    assert first["00280102"]["Value"] == [11]
    assert first["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    assert "00280103" not in first
    _, body, _ = ask(application, "/instances", includefield="all", limit=1)
    assert json.loads(body)[0]["00280103"]["Value"] == [0]
    _, body, _ = ask(application, "/studies", includefield="all", limit=1)
    assert json.loads(body)[0]["00081030"]["Value"] == ["Head"]


def test_pages(application):
    _, _, headers = ask(application, "/studies", limit=2)
    assert "additional results" in headers["warning"]
    assert found(application, limit=2) == ["1.1", "1.2"]
    assert found(application, limit=2, offset=4) == ["1.5"]
    assert found(application, limit=2, offset=5) == []
    assert found(application, limit=0) == []
    assert found(application, offset=3) == ["1.4", "1.5"]
    assert found(application, PatientName="Doe*", limit=1, offset=1) == ["1.2"]
    assert found(application, sort="newest", limit=2) == ["1.5", "1.4"]


def test_pages_neither_repeat_nor_skip_while_more_comes(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive)
        for number in range(10):
            archive.add(image(study=f"1.{number}", PatientName=f"Doe^{number % 2}"))
        for query in ({}, {"PatientName": "Doe*"}):
            seen = []
            more = found(application, limit=3, offset=0, **query)
            while more:
                seen += more
                archive.add(image(study=f"0.{len(query)}.{len(seen)}"))
                if len(seen) > 60:
                    break
                more = found(application, limit=3, offset=len(seen), **query)
                more = [one for one in more if one.startswith("1.")]
            assert seen == [f"1.{number}" for number in range(10)]
        application.close()


def test_many_answers_are_a_stream(tmp_path):
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive)
        for number in range(150):
            archive.add(image(number, study="1.2"))

        response = application.begin(Request("GET", "/instances", "http://here"))

        assert response.length is None
        pieces = list(response.body)
        assert len(pieces) > 2
        listed = [one["00200013"]["Value"][0] for one in json.loads(b"".join(pieces))]
        assert listed == list(range(150))
        application.close()


@pytest.mark.parametrize("count", [1, 20, 150])
@pytest.mark.parametrize("limit", [None, 200])
def test_answers_are_compressed_where_that_is_asked_for(tmp_path, count, limit):
    query = () if limit is None else (("limit", str(limit)),)
    with Archive.open(tmp_path, durability="os") as archive:
        application = DicomWeb(archive)
        for number in range(count):
            archive.add(image(number, study="1.2"))
        asked = {"accept-encoding": "br, gzip;q=0.5"}
        plain = application.begin(Request("GET", "/instances", "http://here", query))
        packed = application.begin(Request("GET", "/instances", "http://here", query, asked))
        assert plain.headers["vary"] == packed.headers["vary"] == "accept, accept-encoding"
        assert "content-encoding" not in plain.headers
        body, small = b"".join(plain.body), b"".join(packed.body)
        if packed.headers.get("content-encoding") == "gzip":
            assert len(small) < len(body)
            small = gzip.decompress(small)
        else:
            assert count == 1
        assert small == body
        assert len(json.loads(body)) == count
        application.close()


def test_what_is_no_query_is_refused(application):
    for query in ({"limit": "x"}, {"nothing": "1"}, {"sort": "x"}, {"includefield": "x"}):
        assert ask(application, "/studies", **query)[0] == 400, urlencode(query)


def test_what_frames_a_query_is_not_for_who_asks_to_say(application):
    """The level is the path's, and the character set that of JSON."""
    assert len(found(application, QueryRetrieveLevel="STUDY")) == 5
    for name in ("QueryRetrieveLevel", "00080052"):
        assert ask(application, "/studies", **{name: "IMAGE"})[0] == 400
    _, plain, _ = ask(application, "/studies")
    for name in ("SpecificCharacterSet", "00080005"):
        assert ask(application, "/studies", **{name: "ISO_IR 100"})[1] == plain
