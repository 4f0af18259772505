"""Identifiers that somebody made to do harm: each is answered, or refused, at little cost."""

from __future__ import annotations

import time

import pytest
from kit.stored_instances import data_set, new_instance

from dicom_actors import DataSet, DimseFailure
from dicom_actors.archive.index import Index
from dicom_actors.archive.query import Model, Settings, find, select

LOOSE = Settings(is_relational=True)


@pytest.fixture(scope="module")
def index(new_index):
    index = Index.open(new_index(), durability="os")
    index.write(
        [
            new_instance(data_set(n, PatientComments="a" * 1_000, PatientName="a" * 60))
            for n in range(200)
        ]
    )
    yield index
    index.close()


def ask(index, **keys):
    identifier = DataSet.from_keywords(
        **{"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": None, **keys}
    )
    return list(find(index, identifier, Model.STUDY_ROOT, LOOSE))


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": [f"*a?a*{n}^*=b*=c" for n in range(64)]},
        {"PatientComments": "*a" * 500 + "b"},
        {"PatientComments": ("a?" * 100 + "*") * 10 + "b"},
        {"PatientComments": "?" * 2_000 + "*b"},
        {"AccessionNumber": [f"*{n}*" for n in range(64)]},
        {"AccessionNumber": [f"{n}" for n in range(20_000)]},
        {"StudyInstanceUID": [f"1.9.{n}" for n in range(20_000)]},
        {"SOPClassesInStudy": [f"1.9.{n}" for n in range(20_000)]},
        {"ModalitiesInStudy": [f"X{n}*" for n in range(64)]},
        {"StudyDate": [f"2021{m:02}{d:02}-" for m in range(1, 9) for d in range(1, 9)]},
        {"OtherStudyNumbers": list(range(20_000))},
        {"PatientName": "\U0010ffff*"},
        {"PatientName": "\ud7ff*", "SpecificCharacterSet": "ISO_IR 192"},
        {"PatientComments": "a\0*"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_what_matches_nothing_costs_next_to_nothing(index, keys):
    started = time.process_time()
    assert ask(index, **keys) == []
    # A search that tries everything takes years; this is for a slow machine.
    assert time.process_time() - started < 20


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": [f"a{n}*" for n in range(65)]},
        {"AccessionNumber": "*" + "a" * 5_000},
        {"StudyDate": "20201301"},
        {"StudyDate": "'; DROP TABLE study"},
        {"StudyTime": "2561"},
        {"PatientName": "a=b=c=d"},
        {"ProcedureCodeSequence": [{"CodeValue": "1"}, {"CodeValue": "2"}]},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_what_cannot_be_asked_is_refused(index, keys):
    with pytest.raises(DimseFailure) as caught:
        ask(index, **keys)
    assert caught.value.status == 0xC000
    assert len(caught.value.comment) <= 64
    assert len(ask(index)) == 200


def test_there_are_no_more_keys_than_there_may_be(index):
    identifier = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID=None)
    identifier.put((0x0029, 0x0010), "LO", "ACME")
    for number in range(0x1000, 0x10FF):
        identifier.put((0x0029, number), "LO", None)
    assert len(list(find(index, identifier, Model.STUDY_ROOT, LOOSE))) == 200
    for group in range(0x0031, 0x0051, 2):
        for number in range(0x1000, 0x1090):
            identifier.put((group, number), "LO", None)
    with pytest.raises(DimseFailure) as caught:
        find(index, identifier, Model.STUDY_ROOT, LOOSE)
    assert caught.value.status == 0xC000


@pytest.mark.parametrize("uid", ["*", "?", "1.2.*", "%", "' OR 1=1 --"])
def test_nobody_gets_all_by_a_trick(index, uid):
    identifier = DataSet.from_keywords(QueryRetrieveLevel="STUDY")
    identifier.put("StudyInstanceUID", "LO", uid)
    if {"*", "?"} & set(uid):
        with pytest.raises(DimseFailure) as caught:
            select(index, identifier, Model.STUDY_ROOT, LOOSE)
        assert caught.value.status == 0xA900
    else:
        assert select(index, identifier, Model.STUDY_ROOT, LOOSE) == []
