from __future__ import annotations

import sqlite3
import threading

import pytest
from kit.stored_instances import data_set, new_instance

from dicom_actors.archive.index import Index, Owed
from dicom_actors.archive.index import migrating as module
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
    for table in ("header", "common_uid", "patient", "study", "series", "instance", "total"):
        connection.execute(f"INSERT INTO {table} SELECT * FROM new.{table}")
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


def test_steps_are_numbered_without_a_gap():
    numbers = sorted(number for number, _ in module._steps())
    assert numbers == list(range(1, len(numbers) + 1))
