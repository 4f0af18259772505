"""Searches by addresses against the table of what keys mean, and against what C-FIND answers."""

from __future__ import annotations

import json

import pytest
from kit.matching_table import ROWS, entities, of_row

from dicom_actors import DataSet, Endpoint, connect, messages
from dicom_actors.archive import Archive
from dicom_actors.web import DicomWeb, Request

UNASKED = "StudyInstanceUID PatientID AccessionNumber StudyDate NumberOfStudyRelatedInstances"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    with Archive.open(tmp_path_factory.mktemp("archive"), durability="os") as archive:
        for made in entities():
            archive.add(made)
        archive.settle()
        yield archive


@pytest.fixture(scope="module")
def application(archive):
    application = DicomWeb(archive)
    yield application
    application.close()


@pytest.fixture(scope="module")
def association(archive):
    endpoint = Endpoint.start(port=0, event_handlers=archive.event_handlers())
    port = endpoint.ask(messages.GetStatus()).port
    with connect("127.0.0.1", port, called="ANY") as association:
        yield association
    endpoint.stop()


def query_of(keyword, key, row):
    """A key as names and values of an address; a sequence by its item's keys with dots."""
    if isinstance(key, dict):
        return [(f"{keyword}.{name}", value) for name, value in key.items()]
    value = of_row(key, row)
    return [(keyword, one) for one in (value if isinstance(value, list) else [value])]


def ask(application, level, keyword, key, row):
    path = {"STUDY": "/studies", "SERIES": "/series", "IMAGE": "/instances"}[level]
    query = query_of(keyword, key, row)
    if keyword != "StudyInstanceUID":
        query.append(("StudyInstanceUID", f"1.2.{row}"))
    response = application.begin(Request("GET", path, "http://here", tuple(query)))
    body = b"".join(response.body)
    assert response.status == 200, body
    return [DataSet.from_json(model) for model in json.loads(body)]


@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda row: "-".join(map(str, ROWS[row][:3])))
def test_a_key_matches_or_not(application, row):
    keyword, key, _, matches = ROWS[row]
    for level in ("STUDY", "SERIES", "IMAGE"):
        found = [one.StudyInstanceUID for one in ask(application, level, keyword, key, row)]

        assert (f"1.2.{row}" in found) is matches, level


@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda row: "-".join(map(str, ROWS[row][:3])))
def test_the_answers_are_those_of_c_find(application, association, row):
    keyword, key, _, _ = ROWS[row]
    identifier = DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel="STUDY"
    )
    for name in UNASKED.split():
        identifier.put(name, None, None)
    if keyword != "StudyInstanceUID":
        identifier.StudyInstanceUID = f"1.2.{row}"
    identifier[keyword] = of_row(key, row)
    if isinstance(key, dict):
        identifier.put(keyword, "SQ", [DataSet.from_keywords(**key)])

    answered = list(association.find(identifier, check=False))

    found = ask(application, "STUDY", keyword, key, row)
    names = {*UNASKED.split(), keyword}
    assert shown(found, names) == shown(answered, names)


def shown(answers, names):
    """What they say under these names, in an order of their own."""
    return sorted(str([str(one.get(name)) for name in sorted(names)]) for one in answers)
