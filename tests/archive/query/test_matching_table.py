from __future__ import annotations

import pytest
from kit.matching_table import ROWS, entities, of_row
from kit.stored_instances import new_instance

from dicom_actors import DataSet
from dicom_actors.archive.index import Index
from dicom_actors.archive.query import Model, Settings, find

LOOSE = Settings(is_relational=True)


@pytest.fixture(scope="module")
def index(new_index):
    index = Index.open(new_index(), durability="os")
    index.write([new_instance(made) for made in entities()])
    yield index
    index.close()


@pytest.mark.parametrize("row", range(len(ROWS)), ids=lambda row: "-".join(map(str, ROWS[row][:3])))
@pytest.mark.parametrize("level", ["STUDY", "IMAGE"])
def test_a_key_matches_or_not(index, row, level):
    keyword, key, _, matches = ROWS[row]
    identifier = DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel=level, StudyInstanceUID=f"1.2.{row}"
    )
    identifier[keyword] = of_row(key, row)

    found = [one.StudyInstanceUID for _, one in find(index, identifier, Model.STUDY_ROOT, LOOSE)]

    assert (f"1.2.{row}" in found) is matches


@pytest.mark.parametrize("row", range(0, len(ROWS), 4))
def test_a_key_alone_finds_its_row_among_all(index, row):
    keyword, key, _, matches = ROWS[row]
    identifier = DataSet.from_keywords(
        SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel="STUDY", StudyInstanceUID=None
    )
    identifier[keyword] = of_row(key, row)

    found = [one.StudyInstanceUID for _, one in find(index, identifier, Model.STUDY_ROOT, LOOSE)]

    assert (f"1.2.{row}" in found) is matches


def test_there_are_enough_rows():
    assert len(ROWS) >= 150
