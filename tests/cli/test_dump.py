"""``dicom-actors dump`` and ``dicom-actors json``: what they print, and what they survive."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from dicom_actors.cli.main import main
from dicom_actors.data import DataSet, read_file, write_file

CT = str(get_testdata_file("CT_small.dcm"))
PLAN = str(get_testdata_file("rtplan.dcm"))
LIMIT = 60.0


@pytest.fixture
def run(capsys):
    """Run the command; give its exit code, the lines it printed and its error lines."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out.splitlines(), err.splitlines()

    return run


class TestText:
    def test_each_element_has_a_line_with_its_length_and_name(self, run):
        code, lines, errors = run("dump", CT)
        assert (code, errors) == (0, [])
        assert sum(line.startswith("(0002,") for line in lines) == 8
        assert len(lines) == 8 + len(read_file(CT)) + 2 * (1 + 2)  # two items of two elements
        assert (
            "(0010,0010) PN      22 Patient's Name                     CompressedSamples^CT1"
            in lines
        )

    def test_private_elements_are_named_where_that_is_known(self, run):
        _, lines, _ = run("dump", CT)
        assert "(0009,0010) LO      12 Private Creator                    GEMS_IDEN_01" in lines
        assert "(0009,1001) LO      14 [Full fidelity]                    GE_GENESIS_FF" in lines

    def test_nesting_is_shown(self, run):
        _, lines, _ = run("dump", PLAN)
        at = lines.index("   item 0")
        assert lines[at - 1].startswith("(300A,0010) SQ")
        assert lines[at + 1].startswith("   (300A,0012) IS       2 Dose Reference Number")

    def test_long_values_are_cut_unless_they_are_asked_for(self, run):
        _, lines, _ = run("dump", CT, "--filter", "PixelData")
        assert len(lines) == 1
        assert lines[0].endswith("... (32768 bytes)")
        _, lines, _ = run("dump", CT, "--filter", "PixelData", "--full")
        assert lines[0].endswith(bytes(read_file(CT).PixelData).hex(" "))

    def test_a_filter_finds_elements_wherever_they_are(self, run):
        _, lines, _ = run("dump", PLAN, "--filter", "BeamName", "0010,0020", "TransferSyntaxUID")
        assert [line[:11] for line in lines] == ["(0002,0010)", "(0010,0020)", "(300A,00C2)"]
        assert lines[2].endswith("Field 1  in BeamSequence[0]")

    def test_a_sequence_that_is_asked_for_comes_whole_and_once(self, run):
        _, every, _ = run("dump", PLAN)
        _, lines, _ = run("dump", PLAN, "--filter", "BeamSequence", "BeamName")
        start = next(n for n, line in enumerate(every) if line.startswith("(300A,00B0)"))
        assert lines == every[start : start + len(lines)]
        assert not every[start + len(lines)].startswith(" ")

    def test_several_files_have_headings(self, run):
        code, lines, _ = run("dump", CT, PLAN, "--filter", "SOPClassUID")
        assert code == 0
        assert [line[:11] for line in lines[1::3]] == ["(0008,0016)"] * 2
        assert [lines[0], *lines[2:4]] == [f"# {CT}", "", f"# {PLAN}"]
        assert len(lines) == 5

    def test_tags_are_understood_in_all_their_forms(self, run):
        for tag in ("00100020", "0x00100020", "(0010,0020)", "0010,0020", "PatientID"):
            _, lines, errors = run("dump", PLAN, "--filter", tag)
            assert [line[:11] for line in lines] == ["(0010,0020)"], errors

    def test_a_folder_is_all_below_it(self, run, tmp_path):
        (tmp_path / "b" / "c").mkdir(parents=True)
        shutil.copy(CT, tmp_path / "b" / "c" / "x.dcm")
        shutil.copy(PLAN, tmp_path / "a.dcm")
        code, lines, errors = run("dump", tmp_path, "--filter", "SOPClassUID")
        assert (code, errors) == (0, [])
        assert [lines[0], *lines[2:4]] == [
            f"# {tmp_path / 'a.dcm'}",
            "",
            f"# {tmp_path / 'b' / 'c' / 'x.dcm'}",
        ]
        assert len(run("json", tmp_path)[1]) == 2
        (tmp_path / "notes.txt").write_text("this is no DICOM file, whatever anybody says")
        code, lines, errors = run("json", tmp_path)
        assert (code, len(lines), len(errors)) == (1, 2, 1)
        assert "notes.txt: expected a DICOM file" in errors[0]

    def test_what_the_reader_forgave_is_said(self, run, tmp_path):
        (tmp_path / "cut.dcm").write_bytes(Path(CT).read_bytes()[:-200])
        code, lines, errors = run("dump", tmp_path / "cut.dcm")
        assert (code, errors) == (0, [])
        assert lines[-1].startswith("# warning: ")
        assert "left" in lines[-1]

    def test_neither_names_nor_values_act_on_the_terminal(self, run, tmp_path):
        path = tmp_path / "a\x1b[31m.dcm"
        write_file(
            path, DataSet.from_keywords(SOPClassUID="1.1", SOPInstanceUID="1.2", PatientID="x")
        )
        path.write_bytes(path.read_bytes().replace(b"x ", b"\x1b["))
        code, lines, errors = run("dump", path, path, tmp_path / "b\x1b")
        assert code == 1
        assert "\x1b" not in "".join([*lines, *errors])


class TestJson:
    def test_one_object_in_one_line_for_each_file(self, run):
        code, lines, errors = run("dump", "--json", CT, PLAN)
        assert (code, errors) == (0, [])
        assert len(lines) == 2
        for line, file in zip(lines, (CT, PLAN), strict=True):
            model = json.loads(line)
            assert list(model) == [f"{tag:08X}" for tag in read_file(file) if tag.element]
        assert json.loads(lines[0])["00100010"] == {
            "vr": "PN",
            "Value": [{"Alphabetic": "CompressedSamples^CT1"}],
        }

    def test_json_is_a_command_too(self, run):
        assert run("json", CT, PLAN) == run("dump", CT, PLAN, "--json")

    def test_long_binary_values_are_uris_unless_they_are_asked_for(self, run):
        _, lines, _ = run("json", CT)
        uri = f"{Path(CT).as_uri()}#PixelData"
        assert json.loads(lines[0])["7FE00010"] == {"vr": "OW", "BulkDataURI": uri}
        _, lines, _ = run("json", CT, "--full")
        inline = b64encode(read_file(CT).PixelData).decode()
        assert json.loads(lines[0])["7FE00010"] == {"vr": "OW", "InlineBinary": inline}
        assert DataSet.from_json(lines[0]).PixelData == read_file(CT).PixelData

    def test_a_filter_keeps_the_places_of_items(self, run):
        _, lines, _ = run("json", PLAN, "--filter", "BeamLimitingDeviceAngle", "PatientID")
        assert json.loads(lines[0]) == {
            "00100020": {"vr": "LO", "Value": ["id00001"]},
            "300A00B0": {
                "vr": "SQ",
                "Value": [
                    {
                        "300A0111": {
                            "vr": "SQ",
                            "Value": [{"300A0120": {"vr": "DS", "Value": [0.0]}}, {}],
                        }
                    }
                ],
            },
        }

    def test_of_a_file_that_is_cut_short_what_is_whole_is_given(self, run, tmp_path):
        (tmp_path / "cut.dcm").write_bytes(Path(CT).read_bytes()[:-200])
        code, lines, errors = run("json", tmp_path / "cut.dcm", CT)
        assert code == 1
        cut, whole = map(json.loads, lines)
        assert set(cut) == set(whole) - {"7FE00010", "FFFCFFFC"}
        assert cut["00280010"] == whole["00280010"]
        assert "cut.dcm: note: the file is damaged" in errors[0]

    def test_rubbish_in_the_middle_is_left_out(self, run, tmp_path):
        data = Path(CT).read_bytes()
        at = data.index(b"\x28\0\x02\0US")
        (tmp_path / "bad.dcm").write_bytes(data[:at] + b"rubbish" * 9 + data[at:])
        code, lines, errors = run("json", tmp_path / "bad.dcm")
        _, whole, _ = run("json", CT)
        bad, good = json.loads(lines[0]), json.loads(whole[0])
        assert bad.keys() == good.keys()
        assert bad["00280002"] == good["00280002"]
        assert code == 1
        assert "note: the file is damaged" in errors[0]
        assert "63 bytes are left out" in errors[1]
        code, lines, errors = run("dump", tmp_path / "bad.dcm")
        assert (code, errors) == (1, [])
        assert "# note: the file is damaged" in lines[0]
        assert any("Samples per Pixel" in line for line in lines)

    def test_what_the_reader_forgave_is_said_apart(self, run, tmp_path):
        (tmp_path / "bare.dcm").write_bytes(Path(CT).read_bytes()[132:])
        code, lines, errors = run("json", tmp_path / "bare.dcm")
        assert code == 0
        assert json.loads(lines[0])["00100020"] == {"vr": "LO", "Value": ["1CT1"]}
        assert len(errors) == 1
        assert "warning: no preamble" in errors[0]


def test_an_unknown_keyword_is_an_argument_that_is_wrong(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["dump", CT, "--filter", "PatientsName"])
    assert caught.value.code == 2
    assert "PatientsName" in capsys.readouterr().err


def test_a_reader_that_has_had_enough_ends_it_quietly():
    command = [sys.executable, "-m", "dicom_actors", "dump", "--full", CT, CT, CT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(LIMIT) == 0


def test_a_terminal_that_cannot_show_a_name_shows_it_escaped(tmp_path):
    ds = DataSet.from_keywords(
        SOPClassUID="1.1",
        SOPInstanceUID="1.2",
        SpecificCharacterSet="ISO_IR 192",
        PatientName="\u5c71\u7530",
    )
    write_file(tmp_path / "x.dcm", ds)
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "dicom_actors", "dump", tmp_path / "x.dcm"],
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
        timeout=LIMIT,
    )
    assert b"\\u5c71\\u7530" in done.stdout


def dumped(*arguments, stdout=subprocess.PIPE, stdin=b""):
    return subprocess.run(
        [sys.executable, "-m", "dicom_actors", *arguments],
        input=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=LIMIT,
        check=False,
    )


def test_standard_input_is_read():
    data = Path(CT).read_bytes()
    done = dumped("dump", "-", stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == dumped("dump", CT).stdout
    done = dumped("json", "-", stdin=data)
    assert DataSet.from_json(done.stdout.decode()).PixelData == read_file(CT).PixelData
    done = dumped("dump", "-", stdin=b"rubbish")
    assert done.returncode == 1
    assert done.stderr.startswith(b"dicom-actors: standard input: expected a DICOM file")


@pytest.mark.parametrize("files", [(CT,), (CT,) * 20], ids=["at the end", "in the middle"])
@pytest.mark.parametrize("command", ["dump", "json", "check", "table"])
def test_a_full_output_is_blamed_and_not_the_file(command, files, tmp_path):
    if command == "check":  # of something that there is a line for
        bad = tmp_path / "bad.dcm"
        bad.write_bytes(Path(CT).read_bytes().replace(b"ORIGINAL\\PRI", b"original\\PRI", 1))
        files = (str(bad),) * len(files) * 20
    if command == "table":
        for number in range(len(files) * 20):
            (tmp_path / str(number)).hardlink_to(shutil.copy(CT, tmp_path / "copy"))
        files = (str(tmp_path), "SOPInstanceUID")
    with open("/dev/full", "wb") as full:
        done = dumped(command, *files, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"dicom-actors: standard output: No space left on device\n"
