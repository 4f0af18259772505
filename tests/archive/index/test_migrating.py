from __future__ import annotations

import json
import sqlite3
import threading

import pytest
from archive.index.test_folding import folded_once
from kit.stored_instances import EXPLICIT, data_set, new_instance

from dicom_actors import DataSet
from dicom_actors.archive.index import Index, Owed, Record, Result, WorkitemCreated
from dicom_actors.archive.index import migrating as module
from dicom_actors.archive.index.workitems import workitem_row
from dicom_actors.archive.query import Model, Settings, find
from dicom_actors.errors import ArchiveError


@pytest.fixture
def first_version(tmp_path, monkeypatch):
    """An index as the first version made it, with an instance in it."""
    path, new = tmp_path / "index.db", tmp_path / "new.db"
    index = Index.open(new)
    index.write([new_instance(data_set())])
    index.close()
    steps = [step for step in module._steps() if step[0] == 1]
    with monkeypatch.context() as past:
        past.setattr(module, "_steps", lambda: iter(steps))
        Index.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute("ATTACH ? AS new", (str(new),))
    connection.execute("DELETE FROM total")
    for table in (
        *("header", "common_uid", "patient", "study", "series", "instance", "total"),
        *("modality_in_study", "sop_class_in_study"),
    ):
        columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA new.table_info({table})"))
        counted = ("", "") if "_in_" not in table else (", instances", ", 1")
        connection.execute(
            f"INSERT INTO {table} ({columns}{counted[0]}) SELECT {columns}{counted[1]}"
            f" FROM new.{table}"
        )
    connection.commit()
    connection.close()
    return path


def version_of(path):
    connection = sqlite3.connect(path)
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return number


def test_an_older_index_becomes_what_it_is_today(first_version):
    assert version_of(first_version) == 1

    index = Index.open(first_version)
    assert index.location_of("1.2.1.1.1.1")
    index.write([Owed("1.2", "A", (("1.3", "1.4"),), 0.0)])
    with index.reader() as reader:
        assert reader.next_owed() == (1, 0.0)
        assert list(reader.pending_studies()) == []
    index.write([new_instance(data_set(instance=2))])
    with index.reader() as reader:
        assert list(reader.pending_studies()) == [("1.2.1.1", 2)]
    index.close()
    assert version_of(first_version) == module.newest_version()


def test_a_step_that_fails_leaves_the_one_before(first_version, monkeypatch):
    steps = list(module._steps())
    bad = (module.newest_version() + 1, "CREATE TABLE half (x);\nCREATE TABLE patient (x);\n")
    with monkeypatch.context() as broken:
        broken.setattr(module, "_steps", lambda: iter([*steps, bad]))
        with pytest.raises(ArchiveError, match="already exists"):
            Index.open(first_version)

    assert version_of(first_version) == bad[0] - 1
    connection = sqlite3.connect(first_version)
    assert connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").fetchall() == []
    connection.close()
    index = Index.open(first_version)
    assert index.location_of("1.2.1.1.1.1")
    index.close()


def test_an_index_is_migrated_while_it_is_read(first_version):
    reading = sqlite3.connect(first_version, isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM instance").fetchall()

    Index.open(first_version).close()

    assert len(reading.execute("SELECT * FROM instance").fetchall()) == 1
    reading.close()


def test_several_open_an_older_one_at_once(first_version):
    failures = []

    def work():
        try:
            Index.open(first_version).close()
        except ArchiveError as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert failures == []
    assert version_of(first_version) == module.newest_version()


NAMES = ["Ｙａｍａｄａ^Ｔａｒｏ=山田^太郎=ﾔﾏﾀﾞ^ﾀﾛｳ", "Doe^John", "", "Müller", "ガ" * 600]  # noqa: RUF001


def named(number):
    """A study whose names are as hard to fold as there are."""
    name = NAMES[number % len(NAMES)]
    return data_set(
        patient=number,
        study=number,
        SpecificCharacterSet="ISO_IR 192",
        PatientName=name,
        OtherPatientNames=[name, "Roe"],
        ReferringPhysicianName=name,
    )


def columns_of_names(index):
    with index.reader() as reader:
        rows = [
            reader.connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()
            for table in ("patient", "study")
        ]
    return [[value for value in row if not isinstance(value, float)] for one in rows for row in one]


def test_names_are_folded_again(monkeypatch, new_place):
    """An index that did not know of widths becomes one that does, row by row."""
    monkeypatch.setattr(module, "_BATCH", 3)
    addresses = new_place(), new_place()
    with monkeypatch.context() as past:
        past.setattr("dicom_actors.archive.index.folding.folded", folded_once)
        old = Index.open(addresses[0])
        old.write([new_instance(named(number)) for number in range(11)])
        before = columns_of_names(old)
        old.close()
    new = Index.open(addresses[1])
    new.write([new_instance(named(number)) for number in range(11)])

    # The step of today's schema once more, as rows of an older one cannot be written.
    steps, number = list(module._steps()), module.newest_version() + 1
    monkeypatch.setattr(module, "_steps", lambda: iter([*steps, (number, "SELECT 1;\n")]))
    monkeypatch.setitem(module._FUNCTIONS, number, module._FUNCTIONS[7])
    old = Index.open(addresses[0])

    assert columns_of_names(old) == columns_of_names(new) != before
    for key in ("yamada*", "ヤマダ*", "ﾔﾏﾀﾞ^ﾀﾛｳ"):
        keys = DataSet.from_keywords(
            SpecificCharacterSet="ISO_IR 192", QueryRetrieveLevel="STUDY", PatientName=key
        )
        keys.put("StudyInstanceUID", "UI", None)
        assert len(list(find(old, keys, Model.STUDY_ROOT, Settings()))) == 3
    old.close()
    new.close()


LIVER = DataSet.from_keywords(WorklistLabel="LIVER")


def test_workitems_and_subscriptions_are_still_there(monkeypatch, new_place):
    """An index whose workitems were records, as they were kept before they had tables."""
    address = new_place()
    steps = [step for step in module._steps() if step[0] < 8]
    kept = {
        uid: DataSet.from_keywords(
            SOPInstanceUID=uid,
            ProcedureStepState=state,
            ScheduledProcedureStepStartDateTime=f"2026010{5 - number}",
            ScheduledProcedureStepModificationDateTime=f"2026020{number}",
            PatientID="P1",
        )
        for number, (uid, state) in enumerate([("1.2.1", "SCHEDULED"), ("1.2.2", "COMPLETED")], 1)
    }
    filtered = {"all": None, "filtered": True, "keys": LIVER.to_json_dict()}
    with monkeypatch.context() as past:
        past.setattr(module, "_steps", lambda: iter(steps))
        old = Index.open(address)
        old.write(
            [
                *(Record("workitem", uid, one.to_bytes(EXPLICIT)) for uid, one in kept.items()),
                Record("workitem subscription", "1.2.1", b'{"ONE": false, "TWO": true}'),
                Record("worklist subscription", "ALL", b'{"all": false}'),
                Record("worklist subscription", "TWO", json.dumps(filtered).encode()),
                Record("procedure step", "1.2.9", b"kept"),
            ]
        )
        old.close()

    new = Index.open(address)

    with new.reader() as reader:
        found = reader.workitems
        assert list(found.find()) == [
            (uid, kept[uid].to_bytes(EXPLICIT)) for uid in ("1.2.2", "1.2.1")
        ]
        assert [uid for uid, _ in found.find(states=["COMPLETED"], patient_id="P1")] == ["1.2.2"]
        assert found.subscribers("1.2.1") == {"ONE": False, "TWO": True}
        assert found.subscribers("1.2.2") == {}
        assert found.ae_titles() == ["ALL", "ONE", "TWO"]
        _, (everything, matching) = found.worklists()
        assert everything == ("ALL", False, None, None)
        assert matching[:3] == ("TWO", None, True)
        assert DataSet.from_json(matching.keys) == LIVER
        assert reader.record("procedure step", "1.2.9") == b"kept"
        assert list(reader.records("workitem")) == []
    ended = new.write([WorkitemCreated(workitem_row("1.2.3", b""), (), 0, (), most=2)])
    assert ended[0].result is Result.NEW
    with new.reader() as reader:
        assert {uid for uid, _ in reader.workitems.find()} == {"1.2.1", "1.2.3"}
    new.close()


def test_steps_are_numbered_without_a_gap():
    numbers = sorted(number for number, _ in module._steps())
    assert numbers == list(range(1, len(numbers) + 1))
