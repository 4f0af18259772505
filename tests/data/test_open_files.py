"""What reading holds of the file system: nothing, unless asked to."""

from __future__ import annotations

import os

import pytest
from kit.descriptors import open_below

from dicom_actors.data import DataSet, read_file, read_large, write_file


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "x.dcm"
    ds = DataSet.from_keywords(SOPClassUID="1.2", SOPInstanceUID="1.2.3", PixelData=bytes(1 << 20))
    write_file(path, ds)
    return path


@pytest.mark.parametrize("options", [{}, {"until": "PixelData"}, {"keywords": ["SOPClassUID"]}])
def test_no_descriptor_is_held(path, options):
    held = [read_file(path, **options) for _ in range(20)]
    assert open_below(path) == []
    assert {ds.SOPClassUID for ds in held} == {"1.2"}


def test_a_file_that_is_made_shorter_harms_nobody(path):
    ds = read_file(path)
    os.truncate(path, 200)
    assert bytes(ds.PixelData) == bytes(1 << 20)


def test_a_map_on_wish(path):
    ds = read_file(path, mapped=True)
    path.unlink()
    assert isinstance(ds.PixelData, memoryview)
    assert ds.PixelData.nbytes == 1 << 20


@pytest.mark.parametrize("options", [{}, {"until": "PixelData"}, {"mapped": True}])
def test_what_may_never_end_is_refused(tmp_path, options):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, "/dev/zero"):
        with pytest.raises(OSError, match="expected a regular file"):
            read_file(place, **options)


def test_a_folder_is_no_file(tmp_path):
    for read in (read_file, read_large):
        with pytest.raises(IsADirectoryError) as caught:
            read(tmp_path)
        assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", IsADirectoryError),
        (".", IsADirectoryError),
        ("folder", IsADirectoryError),
        ("absent/a.dcm", FileNotFoundError),
        ("a.dcm/b.dcm", NotADirectoryError),
    ],
)
def test_an_error_of_writing_names_the_file_that_was_wanted(tmp_path, monkeypatch, name, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.dcm").touch()
    ds = DataSet.from_keywords(SOPClassUID="1.2", SOPInstanceUID="1.2.3")
    with pytest.raises(kind) as caught:
        write_file(name, ds)
    assert (caught.value.filename, caught.value.filename2) == (name, None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.dcm", "folder"]


def test_a_file_of_text_is_refused_before_it_is_decoded_or_written(tmp_path, path):
    with path.open(encoding="utf-8") as file, pytest.raises(TypeError, match="got one of text"):
        read_file(file)
    with path.open(encoding="utf-8") as file, pytest.raises(TypeError, match="got one of text"):
        read_file(file, until="PixelData")
    with (
        (tmp_path / "new.dcm").open("w", encoding="utf-8") as file,
        pytest.raises(TypeError, match="got one of text"),
    ):
        write_file(file, read_file(path))
    assert not (tmp_path / "new.dcm").read_bytes()
