"""``dicom-actors get`` and ``move``, with DCMTK's archive and with a peer that is hostile."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from kit.fake_acceptor import EXPLICIT, FakeAcceptor, message, response, store_request
from kit.scp import dcmqrscp, free_port, storescp
from pydicom.data import get_testdata_file

from dicom_actors.cli import connecting
from dicom_actors.data import DataSet, read_file, write_file
from dicom_actors.dimse import Command, CommandElement, CommandField, encode_command

pytestmark = pytest.mark.usefixtures("nothing_left")

CT = Path(str(get_testdata_file("CT_small.dcm")))
JPEG = Path(str(get_testdata_file("JPEG-lossy.dcm")))
STUDY = "1.2.3.77"
QUERY = f"StudyInstanceUID={STUDY}"


class Giving(FakeAcceptor):
    """Sends one instance for a C-GET, and says that others failed."""

    def __init__(self, data: bytes, uid: str, failed: tuple[str, ...] = ()) -> None:
        super().__init__()
        self._given = data
        self._uid = uid
        self._failed = failed
        self._storage = 0
        self._request: tuple[int, Command] | None = None
        self.statuses: list[int | None] = []

    def on_associate(self, rq):
        for context in rq.presentation_contexts:
            of_ct = context.abstract_syntax == "1.2.840.10008.5.1.4.1.1.2"
            if of_ct and EXPLICIT in context.transfer_syntaxes:
                self._storage = context.context_id
        return super().on_associate(rq)

    def on_message(self, context_id, command, data):
        if command.command_field == CommandField.C_CANCEL_RQ:
            return
        if command.command_field == CommandField.C_FIND_RQ:
            yield response(context_id, command)
            return
        if not command.is_response:
            self._request = (context_id, command)
            yield store_request(self._storage, 1, self._uid, self._given)
            return
        self.statuses.append(command.status)
        assert self._request is not None
        context_id, request = self._request
        failed = DataSet.from_keywords(FailedSOPInstanceUIDList=list(self._failed))
        yield message(
            context_id,
            encode_command(
                {
                    CommandElement.AFFECTED_SOP_CLASS_UID: request.sop_class_uid,
                    CommandElement.COMMAND_FIELD: CommandField.C_GET_RQ | 0x8000,
                    CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id,
                    CommandElement.STATUS: 0xB000 if self._failed else 0,
                    CommandElement.NUMBER_OF_COMPLETED_SUBOPERATIONS: 1,
                    CommandElement.NUMBER_OF_FAILED_SUBOPERATIONS: len(self._failed),
                    CommandElement.NUMBER_OF_WARNING_SUBOPERATIONS: 0,
                },
                has_data_set=True,
            ),
            failed.to_bytes(EXPLICIT),
        )

    def connect_instead(self, host, port, **settings):
        """Stand in for `connect`."""
        return self.connect(**settings)


def element(tag: int, value: bytes) -> bytes:
    """An element of VR UI in Explicit VR Little Endian."""
    value += bytes(len(value) % 2)
    header = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return header + b"UI" + len(value).to_bytes(2, "little") + value


CLASS = element(0x0008_0016, b"1.2.840.10008.5.1.4.1.1.2")


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    data_set = read_file(CT)
    data_set.StudyInstanceUID = STUDY
    del data_set["DataSetTrailingPadding"]
    for number in range(1, 8):
        data_set.SOPInstanceUID = f"{STUDY}.{number}"
        write_file(folder / f"{number}.dcm", data_set)
    return folder


@pytest.mark.interop
def test_a_study_is_stored_found_and_got(command, study, tmp_path) -> None:
    with dcmqrscp(tmp_path) as port:
        peer = f"QRSCP@127.0.0.1:{port}"
        assert command("store", peer, study).code == 0
        output = tmp_path / "got"
        done = command("get", peer, QUERY, "--output", output)
        assert (done.code, done.errors) == (0, [])
        assert done.lines[0].startswith(f"7 objects in {output}, ")
        series = read_file(CT).SeriesInstanceUID
        names = {f"{STUDY}.{number}.dcm" for number in range(1, 8)}
        assert {path.name for path in (output / STUDY / series).iterdir()} == names
        got = pydicom.dcmread(output / STUDY / series / f"{STUDY}.3.dcm")
        assert got.PixelData == pydicom.dcmread(CT).PixelData
        assert got.file_meta.MediaStorageSOPInstanceUID == f"{STUDY}.3"

        one = f"SOPInstanceUID={STUDY}.5"
        done = command(
            "get", peer, QUERY, f"SeriesInstanceUID={series}", one, "--json", "--output", output
        )
        (line,) = map(json.loads, done.lines)
        assert line["sop_instance_uid"] == f"{STUDY}.5"
        assert Path(line["path"]).stat().st_size == line["bytes"]

        done = command("get", peer, "StudyInstanceUID=9.9", "--output", output)
        assert (done.code, done.lines) == (0, [f"0 objects in {output}, 0 bytes"])


@pytest.mark.interop
def test_a_compressed_study_is_got(command, tmp_path) -> None:
    wanted = f"StudyInstanceUID={read_file(JPEG).StudyInstanceUID}"
    with dcmqrscp(tmp_path, "+xx") as port:
        peer = f"QRSCP@127.0.0.1:{port}"
        if command("store", peer, JPEG).code:
            pytest.fail("it was not stored")
        plain = "ExplicitVRLittleEndian"
        output = tmp_path / "none"
        done = command("get", peer, wanted, "--output", output, "--transfer-syntax", plain)
        assert done.code == 1
        assert "1 failed" in done.errors[-1]
        assert "name it with transfer_syntaxes, or --transfer-syntax" in done.errors[-1]
        for name, words in (("got", ()), ("named", ("--transfer-syntax", "JPEGExtended12Bit"))):
            output = tmp_path / name
            done = command("get", peer, wanted, "--output", output, *words)
            assert (done.code, done.errors) == (0, [])
            (path,) = output.rglob("*.dcm")
            assert read_file(path).PixelData.fragments == read_file(JPEG).PixelData.fragments


@pytest.mark.interop
def test_a_study_is_moved(command, study, tmp_path) -> None:
    received = tmp_path / "received"
    received.mkdir()
    with (
        storescp(received, "-aet", "DEST", "+B") as target,
        dcmqrscp(tmp_path, DEST=target, DEAD=free_port()) as port,
    ):
        peer = f"QRSCP@127.0.0.1:{port}"
        assert command("store", peer, study).code == 0
        done = command("move", peer, QUERY, "--destination", "DEST")
        assert (done.code, done.errors) == (0, [])
        assert done.lines == ["7 objects sent to DEST, 0 with a warning, 0 failed"]
        assert len(list(received.iterdir())) == 7
        done = command("move", peer, QUERY, "--destination", "DEST", "--json")
        steps = [json.loads(line) for line in done.lines]
        assert [step["completed"] for step in steps] == [*range(1, 8), 7]
        assert steps[-1]["status"] == 0
        done = command("move", peer, QUERY, "--destination", "NOWHERE")
        assert done.code == 1
        assert "move destination unknown" in done.errors[-1]
        assert command("move", peer, QUERY, "--destination", "DEAD").code == 1


def test_names_never_come_from_the_peers_text(command, monkeypatch, tmp_path) -> None:
    evil = (
        CLASS
        + element(0x0008_0018, b"../../../escape")
        + element(0x0020_000D, b"/etc")
        + element(0x0020_000E, b"..")
    )
    peer = Giving(evil, "../../../escape")
    monkeypatch.setattr(connecting, "connect", peer.connect_instead)
    output = tmp_path / "got"
    done = command("get", "h:1", QUERY, "--output", output)
    assert (done.code, done.errors) == (0, [])
    assert {path.name for path in tmp_path.iterdir()} == {"got"}
    (path,) = [path for path in output.rglob("*") if path.is_file()]
    assert all(part.startswith("uid-") for part in path.relative_to(output).parts)


def test_what_the_peer_could_not_send_is_told(command, monkeypatch, tmp_path) -> None:
    peer = Giving(CLASS + element(0x0008_0018, b"1.2.9"), "1.2.9", failed=("1.2.10",))
    monkeypatch.setattr(connecting, "connect", peer.connect_instead)
    done = command("get", "h:1", QUERY, "--output", tmp_path / "got")
    assert done.code == 1
    assert done.lines[0].startswith("1 object in ")
    assert done.errors == [
        "dicom-actors: 1.2.10: the peer could not send it",
        (
            "dicom-actors: 1 object not sent by the peer; an object comes only in a transfer"
            " syntax that was proposed for its SOP class: name it with --transfer-syntax"
            " (`--verbose` shows what was negotiated)"
        ),
    ]


def test_a_folder_that_cannot_be_written_to_is_one_line(command, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    peer = Giving(CLASS + element(0x0008_0018, b"1.2.9"), "1.2.9")
    monkeypatch.setattr(connecting, "connect", peer.connect_instead)
    done = command("get", "h:1", QUERY, "--output", tmp_path / "file")
    assert done.code == 1
    (error,) = done.errors
    assert "Not a directory" in error
    assert peer.statuses == [0x0110]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["get", "h:1", "PatientName=X"], "keys: expected a value for one of SOPInstanceUID"),
        (["get", "h:1"], "KEY=VALUE"),
        (["get", "h:1", QUERY, "--transfer-syntax", "Best"], "transfer syntax: expected a UID"),
        (["get", "h:1", QUERY, "--model", "worklist"], "has no C-GET"),
        (["move", "h:1", QUERY], "--destination"),
        (["move", "h:1", QUERY, "--destination", "A_TITLE_THAT_IS_TOO_LONG"], "AE title"),
    ],
)
def test_wrong_arguments_are_exit_code_2_before_anybody_is_called(command, arguments, said) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert said in done.errors[-1]
