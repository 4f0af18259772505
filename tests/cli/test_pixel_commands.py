"""``image``, ``contact-sheet`` and ``transcode``."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from kit.pixel_files import image_of
from PIL import Image

from dicom_actors import DataSet, read_file, write_file
from dicom_actors.cli import show_picture
from dicom_actors.cli.main import main
from dicom_actors.pixels import frame, render, volume


@pytest.fixture
def cine(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 4096, (3, 20, 30)).astype(np.uint16)
    path = tmp_path / "cine.dcm"
    write_file(path, image_of(pixels, bits_stored=12, multi_frame=True))
    return path


def picture(path):
    with Image.open(path) as found:
        return np.asarray(found)


def test_image_writes_what_render_gives(cine, tmp_path):
    target = tmp_path / "two.png"

    assert main(["image", str(cine), "-o", str(target), "--frame", "2"]) == 0
    assert np.array_equal(picture(target), np.asarray(render(read_file(cine), 1)))


def test_image_takes_window_and_size(cine, tmp_path):
    target = tmp_path / "small.png"
    words = ["image", str(cine), "-o", str(target), "--window", "-600,1500", "--size", "15x"]

    assert main(words) == 0
    expected = render(read_file(cine), window=(-600.0, 1500.0), size=(15, None))
    assert np.array_equal(picture(target), np.asarray(expected))


def test_image_writes_all_frames(cine, tmp_path):
    assert main(["image", str(cine), "-o", str(tmp_path / "f.jpg"), "--frame", "all"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.jpg")) == ["f-1.jpg", "f-2.jpg", "f-3.jpg"]


def test_image_shows_half_blocks_where_there_is_no_terminal(cine, capsys):
    assert main(["image", str(cine), "--show"]) == 0
    text = capsys.readouterr().out
    assert len(text.splitlines()) == 10
    assert text.count("\u2580") == 10 * 30


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["image", "{}"], 2, "expected --output PICTURE, or --show"),
        (["image", "{}", "-o", "x.dcm"], 2, "expected a suffix such as .png"),
        (["image", "{}", "-o", "x.png", "--frame", "4"], 2, "no frame 4 in"),
        (["image", "absent.dcm", "-o", "x.png"], 1, "absent.dcm: No such file"),
        (["contact-sheet", "{}.d", "-o", "x.png"], 1, "No such file"),
        (["transcode", "{}", "out.dcm", "--syntax", "JPEGBaseline8Bit"], 1, "Bits Stored up to 8"),
        (["transcode", "{}", "out.dcm", "--syntax", "MPEG2MPML"], 1, "video"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(cine, capsys, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())

    assert main([word.format(cine) for word in words]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("option", ["--frame=0", "--window=a", "--size=0x5", "--size=x"])
def test_wrong_arguments_are_refused(cine, option):
    with pytest.raises(SystemExit) as ended:
        main(["image", str(cine), "-o", "x.png", option])
    assert ended.value.code == 2


def series(folder, number, uid, count=3):
    for instance in range(1, count + 1):
        pixels = np.full((8, 8), 50 * instance, np.uint8)
        pixels[0, 0], pixels[0, 1] = 0, 255
        image = image_of(
            pixels,
            SeriesInstanceUID=uid,
            SeriesNumber=str(number),
            SeriesDescription=f"series {number}",
            Modality="OT",
            InstanceNumber=str(instance),
        )
        image.SOPInstanceUID = f"{uid}.{instance}"
        write_file(folder / f"{number}-{instance}.dcm", image)


def test_a_contact_sheet_has_the_middle_image_of_each_series(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    for number in (1, 2, 3, 4):
        series(folder, number, f"1.2.{number}")
    (folder / "notes.txt").write_text("no DICOM")
    target = tmp_path / "sheet.png"

    assert main(["contact-sheet", str(folder), "-o", str(target), "--size", "32x32"]) == 0
    sheet = picture(target)
    # Two in a row, 6 pixels around each, two lines of text below.
    assert sheet.shape == (2 * (32 + 6 + 24) + 6, 2 * (32 + 6) + 6, 3)
    assert sheet[6 + 16, 6 + 16].tolist() == [100, 100, 100]
    assert sheet[6 + 62 + 16, 6 + 38 + 16].tolist() == [100, 100, 100]

    assert main(["contact-sheet", str(folder), "-o", str(target), "--size", "32x32", "--all"]) == 0
    assert picture(target).shape == (3 * 62 + 6, 4 * 38 + 6, 3)


def test_a_damaged_image_leaves_its_place_empty(tmp_path, capsys):
    folder = tmp_path / "study"
    folder.mkdir()
    series(folder, 1, "1.2.1", count=1)
    image = image_of(np.zeros((8, 8), np.uint8), SeriesInstanceUID="1.2.9")
    image.Rows = 9
    write_file(folder / "damaged.dcm", image)

    assert main(["contact-sheet", str(folder), "-o", str(tmp_path / "sheet.png")]) == 1
    assert "damaged.dcm: expected 1 frames in 72 bytes" in capsys.readouterr().err
    assert (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_transcode_writes_a_tree(tmp_path, capsys, jobs):
    source, target = tmp_path / "in", tmp_path / "out"
    (source / "deep").mkdir(parents=True)
    rng = np.random.default_rng(2)
    arrays = {}
    for name in ("a.dcm", "deep/b.dcm", "deep/c.dcm"):
        arrays[name] = rng.integers(-500, 500, (16, 16)).astype(np.int16)
        write_file(source / name, image_of(arrays[name]))
    report = DataSet.from_keywords(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", SOPInstanceUID="1.2.9"
    )
    write_file(source / "report.dcm", report)
    (source / "notes.txt").write_text("no DICOM")
    words = ["transcode", str(source), str(target), "--syntax", "JPEGLSLossless", "--jobs", jobs]

    assert main(words) == 1  # for the notes
    error = capsys.readouterr().err
    assert "notes.txt: expected a DICOM file" in error
    assert "4 files written" in error
    for name, array in arrays.items():
        found = read_file(target / name)
        assert found.transfer_syntax.keyword == "JPEGLSLossless"
        assert np.array_equal(frame(found), array)
    assert not read_file(target / "report.dcm").transfer_syntax.is_encapsulated
    assert not (target / "notes.txt").exists()

    assert main(words) == 1
    assert "is there already" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 1


def test_transcode_takes_quality(cine, tmp_path):
    sizes = []
    for quality in ("10", "95"):
        target = tmp_path / f"{quality}.dcm"
        words = ["transcode", str(cine), str(target), "--syntax", "JPEGExtended12Bit"]
        assert main([*words, "--quality", quality]) == 0
        found = read_file(target)
        assert found.LossyImageCompression == "01"
        assert volume(found).shape == (3, 20, 30)
        sizes.append(target.stat().st_size)
    assert sizes[0] < sizes[1]


def test_out_must_not_be_in_in(cine, tmp_path, capsys):
    words = ["transcode", str(tmp_path), str(tmp_path / "out"), "--syntax", "RLELossless"]
    assert main(words) == 2
    assert "expected OUT not to be in IN" in capsys.readouterr().err


def test_without_the_extra_they_say_which_one_to_install(cine, tmp_path):
    program = (
        "import sys\n"
        "sys.modules['numpy'] = sys.modules['PIL'] = sys.modules['imagecodecs'] = None\n"
        "from dicom_actors.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for words in (
        ["image", str(cine), "-o", "x.png"],
        ["contact-sheet", str(tmp_path), "-o", "x.png"],
        ["transcode", str(cine), "x.dcm", "--syntax", "RLELossless"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *words],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
        assert done.returncode == 1
        assert "pip install 'dicom-actors[pixels]'" in done.stderr
        assert done.stderr.count("\n") == 1


# --- in the terminal ---------------------------------------------------------------------------


def test_kitty_gets_the_picture_in_chunks():
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    text = show_picture.kitty(Image.fromarray(pixels))
    parts = [part.removeprefix("\x1b_G") for part in text.split("\x1b\\")][:-1]
    import base64

    data = "".join(part.partition(";")[2] for part in parts)
    assert len(parts) > 1
    assert parts[0].startswith("a=T,f=100,m=1;")
    assert parts[-1].startswith("m=0;")
    with Image.open(io.BytesIO(base64.b64decode(data))) as again:
        assert np.array_equal(np.asarray(again), pixels)


def test_sixels_draw_every_pixel_once():
    pixels = np.zeros((13, 10, 3), np.uint8)
    pixels[:7], pixels[7:] = (255, 0, 0), (0, 0, 255)
    text = show_picture.sixels(Image.fromarray(pixels))
    body = text.removeprefix("\x1bPq").removesuffix("\x1b\\")
    drawn = np.zeros((18, 10), int)
    row = column = at = 0
    import re

    for match in re.finditer(r'"[\d;]+|#\d+(?:;[\d;]+)?|!(\d+)([?-~])|([?-~])|([$-])', body):
        count, repeated, sign, control = match.groups()
        if control == "-":
            row, column = row + 6, 0
        elif control == "$":
            column = 0
        elif repeated or sign:
            bits = ord(repeated or sign) - 63
            end = column + int(count or 1)
            for bit in range(6):
                drawn[row + bit, column:end] += bits >> bit & 1
            column = end
        at = match.end()
    assert at == len(body)
    assert (drawn[:13] == 1).all()
    assert (drawn[13:] == 0).all()
