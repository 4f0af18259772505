"""Files of received objects: whole or not there, and never outside their folder."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dicom_actors.actors.storing import object_file
from dicom_actors.actors.storing.object_file import file_name_for, map_data, save_object
from dicom_actors.actors.storing.receiver import ReceivedObject


def in_memory(data: bytes = b"data") -> ReceivedObject:
    return ReceivedObject(b"head", len(data), data=memoryview(data))


def spooled(path: Path, data: bytes = b"data") -> ReceivedObject:
    path.write_bytes(b"head" + data)
    return ReceivedObject(b"head", len(data), path=str(path))


def test_an_object_in_memory_is_written(tmp_path: Path) -> None:
    save_object(in_memory(), tmp_path / "a" / "b.dcm")
    assert (tmp_path / "a" / "b.dcm").read_bytes() == b"headdata"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.dcm"]


def test_a_spooled_object_is_renamed_and_stays_readable(tmp_path: Path) -> None:
    received = spooled(tmp_path / "spool")
    number = (tmp_path / "spool").stat().st_ino
    data = map_data(received)
    save_object(received, tmp_path / "b.dcm")
    assert (tmp_path / "b.dcm").stat().st_ino == number
    assert [p.name for p in tmp_path.iterdir()] == ["b.dcm"]
    assert bytes(data) == b"data"


def test_another_file_system_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received = spooled(tmp_path / "spool")
    replace = Path.replace

    def replace_within(self: Path, target: Path) -> Path:
        if self.name == "spool":
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_within)
    save_object(received, tmp_path / "b.dcm")
    assert (tmp_path / "b.dcm").read_bytes() == b"headdata"


def test_the_umask_decides_who_may_read(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_object(in_memory(), tmp_path / "a.dcm")
        save_object(spooled(tmp_path / "spool"), tmp_path / "b.dcm")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.dcm", "b.dcm")] == [0o640] * 2


@pytest.mark.parametrize("kind", ["memory", "spool"])
def test_a_failure_leaves_nothing_and_keeps_what_was(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b.dcm").write_bytes(b"before")
    spool = tmp_path / "spools"
    spool.mkdir()
    received = in_memory() if kind == "memory" else spooled(spool / "spool")

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(object_file.os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        save_object(received, tmp_path / "b.dcm")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.dcm", "spools"]
    assert (tmp_path / "b.dcm").read_bytes() == b"before"


@pytest.mark.parametrize("uid", ["1.2.840.10008.1", "2.25.1", "0.0"])
def test_a_valid_uid_is_its_own_name(uid: str) -> None:
    assert file_name_for(uid) == uid


@pytest.mark.parametrize(
    "uid",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "1.2\0",
        "1.2/3",
        "CON",
        "1..2",
        "1." * 40,
        "1.2\\3",
        "1.02",
        "\udcff",
        "é",
    ],
)
def test_anything_else_becomes_a_hash(uid: str) -> None:
    name = file_name_for(uid)
    assert name.startswith("uid-")
    assert len(name) == 68
    assert name == file_name_for(uid)
    assert Path(name).name == name


def test_texts_that_differ_get_names_that_differ() -> None:
    assert len({file_name_for(uid) for uid in ("../a", "../A", "../b", "")}) == 4
