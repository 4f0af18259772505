from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.stored_instances import EXPLICIT, data_set, new_instance

from dicom_actors.archive.index import (
    Counts,
    Deleted,
    Duplicates,
    Index,
    Moved,
    Result,
    StudyTold,
)
from dicom_actors.archive.index.attributes import LEVELS, Kind, columns_of
from dicom_actors.archive.index.index import READERS
from dicom_actors.archive.index.migrating import newest_version
from dicom_actors.errors import ArchiveError


@pytest.fixture
def index(new_index):
    index = Index.open(new_index())
    yield index
    index.close()


@pytest.fixture
def index_file(tmp_path):
    index = Index.open(tmp_path / "index.db")
    yield index
    index.close()


def results(outcomes):
    return [outcome.result for outcome in outcomes]


# --- writing ---------------------------------------------------------------------------------


def test_an_instance_is_found_where_it_is(index):
    new = new_instance(data_set(), b"1234", header_length=3, received=7.5, pixel_data=b"where")

    assert results(index.write([new])) == [Result.NEW]

    found = index.location_of("1.2.1.1.1.1")
    assert found is not None
    assert found[:3] == ("1.2.1.1", "1.2.1.1.1", "1.2.1.1.1.1")
    assert found.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"
    assert found.transfer_syntax_uid == EXPLICIT
    assert found.location == "1.2.1.1/1.2.1.1.1/1.2.1.1.1.1.dcm"
    assert found[6:] == (4, new.checksum, 3, 7.5, b"where")
    assert index.location_of("1.2.1.1.1.2") is None


@pytest.mark.parametrize(
    "location", ["a", "{}", "{study}", "{{series}}", "1.2.1.1.1.1/1.2.1.1/{1.2.1.1.1}", "é\\%_"]
)
def test_a_location_comes_out_as_it_went_in(index, location):
    index.write([new_instance(data_set(), location=location)])

    assert index.location_of("1.2.1.1.1.1").location == location


def test_locations_take_no_room_for_the_uids_in_them(index_file, tmp_path):
    index = index_file

    index.write([new_instance(data_set())])

    with sqlite3.connect(tmp_path / "index.db") as other:
        assert other.execute("SELECT location FROM instance").fetchone() == (
            "{study}/{series}/{instance}.dcm",
        )
    other.close()


def test_the_same_bytes_again_change_nothing(index):
    index.write([new_instance(data_set())])
    (outcome,) = index.write([new_instance(data_set(), location="elsewhere")])

    assert outcome.result is Result.SAME
    assert outcome.existing == index.location_of("1.2.1.1.1.1")
    assert outcome.existing.location != "elsewhere"
    assert index.counts() == Counts(1, 1, 1, 1, 5)


def test_other_bytes_of_the_same_instance_in_one_transaction(index):
    outcomes = index.write([new_instance(data_set()), new_instance(data_set(), b"other")])

    assert results(outcomes) == [Result.NEW, Result.DIFFERENT]


def test_the_first_is_kept(index):
    index.write([new_instance(data_set(), location="first")])
    (outcome,) = index.write([new_instance(data_set(), b"other", location="second")])

    assert outcome.result is Result.DIFFERENT
    assert outcome.existing.location == "first"
    assert index.location_of("1.2.1.1.1.1").location == "first"
    assert index.counts() == Counts(1, 1, 1, 1, 5)


def test_the_last_is_kept(index):
    index.write([new_instance(data_set(), location="first")])
    moved = data_set(StudyInstanceUID="1.9", SeriesInstanceUID="1.9.1", Modality="MR")
    new = new_instance(moved, b"longer", location="second", duplicates=Duplicates.REPLACE)
    (outcome,) = index.write([new])

    assert outcome.result is Result.DIFFERENT
    assert outcome.existing.location == "first"
    found = index.location_of("1.2.1.1.1.1")
    assert (found.location, found.study_instance_uid, found.size) == ("second", "1.9", 6)
    assert index.counts() == Counts(1, 1, 1, 1, 6)


def test_both_are_kept(index):
    both = {"duplicates": Duplicates.KEEP_BOTH}
    index.write([new_instance(data_set(), location="first", **both)])
    outcomes = index.write(
        [
            new_instance(data_set(), b"second", location="1.2.1.1/2", **both),
            new_instance(data_set(), b"second", location="again", **both),
            new_instance(data_set(), b"third", location="third", **both),
        ]
    )

    assert results(outcomes) == [Result.DIFFERENT, Result.SAME, Result.DIFFERENT]
    assert index.location_of("1.2.1.1.1.1").location == "first"
    with index.reader() as reader:
        versions = reader.versions_of("1.2.1.1.1.1")
        assert reader.versions_of("1.2") == []
    assert [(one.location, one.size) for one in versions] == [
        ("first", 5),
        ("1.2.1.1/2", 6),
        ("third", 5),
    ]
    assert index.counts() == Counts(1, 1, 1, 1, 16)

    (outcome,) = index.write([Moved("1.2.1.1.1.1", "third", "1.2.1.1.1/3", size=6)])
    assert outcome.result is Result.MOVED
    (outcome,) = index.write([Deleted("1.2.1.1.1.1")])
    assert outcome.others == ("1.2.1.1/2", "1.2.1.1.1/3")
    assert index.counts() == Counts(0, 0, 0, 0, 0)


@pytest.mark.parametrize("duplicates", [Duplicates.KEEP_FIRST, Duplicates.REPLACE])
@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("at_once", [True, False])
def test_of_what_is_found_the_age_says_which_is_the_current_one(index, duplicates, order, at_once):
    found = [
        new_instance(
            data_set(study=number + 1, SOPInstanceUID="1.2.9"),
            bytes(number + 1),
            location=f"1.2.{number + 1}/{number + 1}/1.2.9",
            received=100.0 + number,
            duplicates=duplicates,
            goes_by_age=True,
        )
        for number in range(3)
    ]
    for changes in [[found[at] for at in order]] if at_once else [[found[at]] for at in order]:
        index.write(changes)

    with index.reader() as reader:
        versions = reader.versions_of("1.2.9")
    assert versions[0].received == (102.0 if duplicates is Duplicates.REPLACE else 100.0)
    assert versions[0].study_instance_uid == found[int(versions[0].received) - 100].description[0]
    assert sorted((one.received, one.location, one.size) for one in versions) == [
        (one.received, one.location, one.size) for one in found
    ]
    assert index.counts() == Counts(1, 1, 1, 1, 6)
    again = index.write(found)
    assert results(again) == [Result.SAME] * 3


def test_bytes_are_moved(index):
    index.write([new_instance(data_set(), location="journal:7", header_length=1)])

    (outcome,) = index.write([Moved("1.2.1.1.1.1", "journal:7", "file", header_length=2, size=9)])

    assert outcome.result is Result.MOVED
    found = index.location_of("1.2.1.1.1.1")
    assert (found.location, found.header_length, found.size) == ("file", 2, 9)
    assert index.counts().bytes == 9


def test_what_is_no_more_is_not_moved(index):
    index.write([new_instance(data_set(), location="file")])

    outcomes = index.write([Moved("1.2.1.1.1.1", "journal:7", "x"), Moved("1.2", "file", "x")])

    assert results(outcomes) == [Result.MISSING, Result.MISSING]
    assert index.location_of("1.2.1.1.1.1").location == "file"


def test_one_version_is_deleted_where_it_is(index):
    both = {"duplicates": Duplicates.KEEP_BOTH}
    index.write([new_instance(data_set(), b"first", location="first")])
    index.write([new_instance(data_set(), b"second", location="second", **both)])

    for where in ("elsewhere", "first"):  # of the instance itself there is another version
        assert results(index.write([Deleted("1.2.1.1.1.1", where)])) == [Result.MISSING]
    assert index.counts() == Counts(1, 1, 1, 1, 11)
    assert results(index.write([Deleted("1.2.1.1.1.1", "second")])) == [Result.DELETED]
    assert index.counts() == Counts(1, 1, 1, 1, 5)
    assert results(index.write([Deleted("1.2.1.1.1.1", "second")])) == [Result.MISSING]
    assert results(index.write([Deleted("1.2.1.1.1.1", "first")])) == [Result.DELETED]
    assert index.counts() == Counts(0, 0, 0, 0, 0)


def test_deleting_leaves_nothing_behind(index, tmp_path):
    index.write([new_instance(data_set(series=s, instance=i)) for s in (1, 2) for i in (1, 2)])
    first = [Deleted("1.2.1.1.1.1"), Deleted("1.2.1.1.1.2"), Deleted("1.2.1.1.1.2")]

    assert results(index.write(first)) == [Result.DELETED, Result.DELETED, Result.MISSING]
    assert index.counts() == Counts(1, 1, 1, 2, 10)
    index.write([Deleted("1.2.1.1.2.1"), Deleted("1.2.1.1.2.2")])

    assert index.counts() == Counts(0, 0, 0, 0, 0)
    index.copy_to(tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "copy.db") as other:
        for table in (
            *("patient", "study", "series", "instance", "header"),
            *("modality_in_study", "sop_class_in_study"),
        ):
            assert other.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    other.close()


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.booleans(),
                *[st.integers(1, 2)] * 4,
                st.sampled_from(["CT", "MR", ""]),
                st.sampled_from(Duplicates),
                st.sampled_from([b"a", b"bb"]),
            ),
            max_size=6,
        ),
        max_size=6,
    )
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_counters_say_what_there_is(tmp_path_factory, index, batches):
    path = tmp_path_factory.mktemp("copy") / "copy.db"
    with index.reader() as reader:
        before = [Deleted(one.sop_instance_uid) for one in reader.instances()]
    index.write(before)
    assert index.counts() == Counts(0, 0, 0, 0, 0)
    for batch in batches:
        changes = []
        for is_new, patient, study, series, instance, modality, duplicates, content in batch:
            sop_class = f"1.2.840.10008.5.1.4.1.1.{len(content)}"
            made = data_set(
                patient, study, series, instance, Modality=modality, SOPClassUID=sop_class
            )
            new = new_instance(made, content, duplicates=duplicates)
            changes.append(new if is_new else Deleted(made.SOPInstanceUID))
        index.write(changes)
    counts = index.counts()
    index.copy_to(path)
    other = sqlite3.connect(path)
    rows = other.execute(
        "SELECT study.patient, study.id, series.id, series.modality, sop_class FROM instance"
        " JOIN series ON series.id = instance.series JOIN study ON study.id = series.study"
    ).fetchall()
    (size,) = other.execute(
        "SELECT (SELECT total(size) FROM instance) + (SELECT total(size) FROM other_version)"
    ).fetchone()
    assert counts == Counts(*[len({row[n] for row in rows}) for n in range(3)], len(rows), size)
    assert dict(other.execute("SELECT id, number_of_series_related_instances FROM series")) == (
        Counter(row[2] for row in rows)
    )
    for study, series, instances in other.execute(
        "SELECT id, number_of_study_related_series, number_of_study_related_instances FROM study"
    ):
        own = [row for row in rows if row[1] == study]
        assert (series, instances) == (len({row[2] for row in own}), len(own))
    there = {(row[1], row[3]) for row in rows if row[3]}
    assert set(other.execute("SELECT study, modality FROM modality_in_study")) == there
    assert set(other.execute("SELECT study, sop_class FROM sop_class_in_study")) == {
        (row[1], row[4]) for row in rows
    }
    assert other.execute("PRAGMA foreign_key_check").fetchall() == []
    unused = "SELECT count(*) FROM header WHERE id NOT IN (SELECT header FROM series UNION ALL "
    unused += "SELECT header FROM study UNION ALL SELECT header FROM patient)"
    assert other.execute(unused).fetchone() == (0,)
    other.close()


def test_an_error_in_a_transaction_leaves_nothing_of_it(index):
    index.write([new_instance(data_set())])
    bad = new_instance(data_set(instance=2), header_length="many")

    with pytest.raises((ArchiveError, ValueError)):
        index.write([new_instance(data_set(patient=2)), bad])

    assert index.counts() == Counts(1, 1, 1, 1, 5)
    assert results(index.write([new_instance(data_set(patient=2))])) == [Result.NEW]
    assert index.counts() == Counts(2, 2, 2, 2, 10)


def test_another_process_may_write_as_well(new_index):
    place = new_index()
    index = Index.open(place)
    index.write([new_instance(data_set())])
    other = Index.open(place)
    other.write([Deleted("1.2.1.1.1.1")])
    other.write([new_instance(data_set(patient=9))])
    other.close()

    assert results(index.write([new_instance(data_set(instance=2))])) == [Result.NEW]
    with index.reader() as reader:
        assert {one.sop_instance_uid for one in reader.instances()} == {
            "1.2.9.1.1.1",
            "1.2.1.1.1.2",
        }
    index.close()


def test_who_has_no_id_is_nobody_else(index):
    index.write(
        [
            new_instance(data_set(patient=1, PatientID="")),
            new_instance(data_set(patient=2, PatientID="")),
            new_instance(data_set(patient=3, PatientID="A", IssuerOfPatientID="x")),
            new_instance(data_set(patient=4, PatientID="A", IssuerOfPatientID="y")),
            new_instance(data_set(patient=5, PatientID="A", IssuerOfPatientID="y")),
        ]
    )

    assert index.counts()[:2] == (4, 5)


def test_studies_are_told_of_once_for_each_change(index):
    def pending():
        with index.reader() as reader:
            found = dict(reader.pending_studies())
            assert all(reader.pending_revision(study) == found[study] for study in found)
            return found

    def told(study, revision):
        (outcome,) = index.write([StudyTold(study, revision, "quiet")])
        return outcome.result

    one, two, three = (new_instance(data_set(instance=number)) for number in (1, 2, 3))
    study = one.description.study_instance_uid
    assert told(study, 1) is Result.MISSING
    index.write([one])
    assert pending() == {study: 1}
    index.write([one])
    assert pending() == {study: 1}
    index.write([two])
    assert told(study, 1) is Result.MISSING
    assert told(study, 2) is Result.COMPLETE
    assert told(study, 2) is Result.MISSING
    assert pending() == {}
    index.write([three._replace(is_arrival=False)])
    assert pending() == {}
    index.write([Deleted(three.description.sop_instance_uid), three])
    assert pending() == {study: 3}
    assert told(study, 3) is Result.UPDATED
    index.write([Deleted(one.description.sop_instance_uid) for one in (one, two, three)])
    index.write([one._replace(is_arrival=False)])
    assert pending() == {}
    # Of what was there before, somebody was told.
    index.write([two])
    assert told(study, 2) is Result.UPDATED


# --- reading ---------------------------------------------------------------------------------


def test_instances_of_a_patient_a_study_a_series(index):
    every = [(p, s, r, i) for p in (1, 2) for s in (1, 2) for r in (1, 2) for i in (1, 2)]
    index.write([new_instance(data_set(*one)) for one in every])

    def found(**keys):
        with index.reader() as reader:
            return [one.sop_instance_uid for one in reader.instances(**keys)]

    uids = ["1.2.{}.{}.{}.{}".format(*one) for one in every]
    assert found() == uids
    assert found(patient_id="P2") == uids[8:]
    assert found(study_instance_uid="1.2.1.2") == uids[4:8]
    assert found(series_instance_uid="1.2.1.2.1") == uids[4:6]
    assert found(patient_id="P2", study_instance_uid="1.2.1.2") == []


def test_many_instances_come_in_pages(index):
    index.write([new_instance(data_set(instance=i)) for i in range(1, 600)])

    with index.reader() as reader:
        found = [one.sop_instance_uid for one in reader.instances(study_instance_uid="1.2.1.1")]
    assert found == [f"1.2.1.1.1.{i}" for i in range(1, 600)]


def test_a_reader_sees_a_snapshot(index):
    index.write([new_instance(data_set())])
    with index.reader() as reader:
        assert reader.counts().instances == 1
        index.write([new_instance(data_set(instance=2))])
        assert reader.counts().instances == 1
    assert index.counts().instances == 2


def test_a_reader_does_not_write(index):
    with pytest.raises(ArchiveError, match="cannot be written") as caught:
        with index.reader() as reader:
            reader.connection.execute("DELETE FROM instance")
    assert caught.value.reason == "read-only"


def test_readers_are_as_many_as_there_may_be(index, monkeypatch):
    monkeypatch.setattr("dicom_actors.archive.index.index.WAIT_FOR_READER", 0.01)
    lent = [index.reader() for _ in range(READERS)]
    for one in lent:
        one.__enter__()
    with pytest.raises(ArchiveError, match="readers") as caught:
        index.counts()
    assert caught.value.reason == "busy"
    for one in lent:
        one.__exit__(None, None, None)
    assert index.counts().instances == 0


def test_threads_write_and_read_at_once(index):
    def work(patient):
        for instance in range(1, 21):
            index.write([new_instance(data_set(patient=patient, instance=instance))])
            index.counts()

    threads = [threading.Thread(target=work, args=(patient,)) for patient in range(1, 5)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert index.counts() == Counts(4, 4, 4, 80, 400)


# --- files -----------------------------------------------------------------------------------


def test_the_schema_has_the_columns_of_the_table(tmp_path):
    Index.open(tmp_path / "index.db").close()
    other = sqlite3.connect(tmp_path / "index.db")
    tables = {"PATIENT": "patient", "STUDY": "study", "SERIES": "series", "IMAGE": "instance"}
    types = {Kind.NUMBER: "REAL"}
    whole = (Kind.DATE, Kind.TIME, Kind.INTEGER, Kind.COUNT, Kind.CLASS)
    for level in LEVELS:
        info = other.execute(f"PRAGMA table_info({tables[level.value]})")
        there = {name: kind for _, name, kind, *_ in info}
        for column in columns_of(level):
            expected = types.get(column.kind, "INTEGER" if column.kind in whole else "TEXT")
            for name in column.names:
                assert there.get(name) == expected, name
    other.close()


def test_what_was_written_is_there_after_the_end_of_the_process(tmp_path):
    script = """
import os, sys
from kit.stored_instances import data_set, new_instance
from dicom_actors.archive.index import Index
index = Index.open(sys.argv[1])
index.write([new_instance(data_set())])
os._exit(9)
"""
    path = tmp_path / "index.db"
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd="tests", timeout=60, check=False
    )
    assert done.returncode == 9
    index = Index.open(path)
    assert index.counts().instances == 1
    index.close()


def test_a_newer_index_is_left_alone(tmp_path):
    path = tmp_path / "index.db"
    Index.open(path).close()
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA user_version = {newest_version() + 1}")
    other.close()

    with pytest.raises(ArchiveError, match="newer dicom-actors") as caught:
        Index.open(path)
    assert caught.value.reason == "newer"


def test_a_damaged_index_is_called_so(tmp_path):
    path = tmp_path / "index.db"
    path.write_bytes(b"no database, but more than a hundred bytes of something else " * 3)

    with pytest.raises(ArchiveError, match="reindex") as caught:
        Index.open(path)
    assert caught.value.reason == "damaged"


def test_another_program_s_database_is_left_alone(tmp_path):
    path = tmp_path / "index.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.close()

    with pytest.raises(ArchiveError, match="another program"):
        Index.open(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    other.close()


def test_a_locked_index_is_called_so(tmp_path, monkeypatch):
    path = tmp_path / "index.db"
    index = Index.open(path)
    index._connection.patience = 0
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(ArchiveError, match="another process") as caught:
        index.write([new_instance(data_set())])
    assert caught.value.reason == "locked"
    other.close()
    assert results(index.write([new_instance(data_set())])) == [Result.NEW]
    index.close()


def test_a_full_disk_is_called_so_and_leaves_what_there_was(tmp_path):
    path = tmp_path / "index.db"
    index = Index.open(path)
    index.write([new_instance(data_set())])
    (pages,) = index._connection.execute("PRAGMA page_count").fetchone()
    index._connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(ArchiveError, match="no room") as caught:
        index.write([new_instance(data_set(patient=p)) for p in range(2, 200)])
    assert caught.value.reason == "full"
    assert index.counts() == Counts(1, 1, 1, 1, 5)
    index._connection.execute("PRAGMA max_page_count = 1000000")
    index.write([new_instance(data_set(patient=p)) for p in range(2, 200)])
    assert index.counts().patients == 199
    index.close()


def test_no_folder_no_index(tmp_path):
    with pytest.raises(ArchiveError) as caught:
        Index.open(tmp_path / "nowhere" / "index.db")
    assert caught.value.reason == "absent"


def test_what_is_closed_is_closed(index):
    index.close()
    index.close()
    with pytest.raises(ArchiveError, match="closed"):
        index.write([])
    with pytest.raises(ArchiveError, match="closed"):
        index.counts()


def test_an_index_that_was_removed_is_not_made_anew_by_who_reads(index_file, tmp_path):
    index = index_file

    for path in tmp_path.glob("index.db*"):
        path.unlink()

    with pytest.raises(ArchiveError) as caught:
        index.counts()
    assert caught.value.reason == "absent"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a ?mode=ro&x#%41.db", "ä.db"])
def test_a_path_is_a_path_whatever_is_in_it(tmp_path, name):
    index = Index.open(tmp_path / name)
    index.write([new_instance(data_set())])
    assert index.counts().instances == 1
    index.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
