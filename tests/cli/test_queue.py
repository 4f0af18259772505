"""``dicom-actors queue``, where no serve answers: the index is looked into, wherever it is."""

from __future__ import annotations

import json

import pytest
from kit.archive_objects import make_file
from kit.waiting import until

from dicom_actors.archive import Archive
from dicom_actors.cli.main import main
from dicom_actors.flow import Call, DestinationSettings, Flow, Route


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    """The options that say where an archive is, and what opens it."""
    folder = str(tmp_path / "archive")
    if request.param == "sqlite":
        return ["--store", folder], {"folder": folder}
    index = request.getfixturevalue("postgresql").new_database()
    return ["--store", folder, "--index", index], {"folder": folder, "index": index}


def refuse(delivery):
    raise RuntimeError("not today")


def flowing(archive):
    settings = DestinationSettings(attempts=1, first_pause=0.01, longest_pause=0.02)
    return Flow.start(
        archive, [Route("all", [Call(refuse, name="host")])], destinations={"host": settings}
    )


def asked(capsys, *arguments):
    code = main(["queue", *arguments])
    return code, capsys.readouterr()


def test_queues_are_shown_and_changed_beside_who_has_the_archive_open(where, capsys):
    options, opened = where
    with Archive.open(**opened, durability="os", reserve_bytes=0) as archive:
        flow = flowing(archive)
        archive.add(make_file(1))
        until(lambda: archive.queues() and archive.queues()[0].set_aside == 1)
        flow.close()

        code, said = asked(capsys, "list", "host", *options, "--json")
        (queue,) = json.loads(said.out)
        assert code == 0
        assert queue["set_aside"] == 1
        assert queue["rows_set_aside"][0]["error"] == "host raised RuntimeError"
        assert asked(capsys, "pause", "host", *options)[0] == 0
        assert archive.queues()[0].is_paused
        code, said = asked(capsys, *options)
        assert "paused" in said.out
        assert asked(capsys, "resume", *options)[0] == 0
        assert not archive.queues()[0].is_paused
        code, said = asked(capsys, "retry", "host", *options)
        assert said.out == "1 object that was set aside\n"
        assert archive.queues()[0][2:5] == (1, 0, 0)

        flow = flowing(archive)
        until(lambda: archive.queues()[0].set_aside == 1)
        flow.close()
        assert asked(capsys, "drop", *options, "--json")[1].out == '{"drop": 1}\n'
        assert archive.queues()[0][2:5] == (0, 0, 0)
        code, said = asked(capsys, "retry", "nowhere", *options)
        assert code == 1
        assert "nowhere" in said.err


def test_where_no_archive_is_there_is_no_queue(tmp_path, capsys):
    code, said = asked(capsys, "--store", str(tmp_path))
    assert code == 2
    assert "expected an archive" in said.err
