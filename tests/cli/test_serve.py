"""``dicom-actors serve``: what is sent is kept, and said in a line."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pydicom
import pytest
from kit.dcmtk import run, storescu
from kit.peer import Peer, smallest_data_set, store_pdus
from kit.serving import serving
from kit.waiting import until
from pydicom.data import get_testdata_file

from dicom_actors import connect
from dicom_actors.errors import AssociationRejected

pytestmark = pytest.mark.interop

CT = Path(str(get_testdata_file("CT_small.dcm")))


def test_objects_are_kept_by_study_series_and_instance(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving("--store", str(store), "--ae-title", "TEST") as server:
        assert run("echoscu", "-aec", "TEST", "127.0.0.1", server.port).returncode == 0
        assert run("echoscu", "-aec", "OTHER", "127.0.0.1", server.port).returncode != 0
        result = storescu(server.port, CT, CT, options=("-aet", "SENDER"))
        assert result.returncode == 0, result.stderr
        assert server.stop() == 0
    sent = pydicom.dcmread(CT)
    path = store / sent.StudyInstanceUID / sent.SeriesInstanceUID / f"{sent.SOPInstanceUID}.dcm"
    kept = pydicom.dcmread(path)
    assert kept.PatientName == sent.PatientName
    assert kept.PixelData == sent.PixelData
    assert [p for p in store.rglob("*") if p.is_file()] == [path]
    lines = server.output.splitlines()
    assert len([line for line in lines if "SENDER 127.0.0.1 CT Image Storage" in line]) == 2
    assert str(path) in server.output
    assert lines[-1] == "stopped"


def test_print_shows_the_data_set(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--print") as server:
        assert storescu(server.port, CT).returncode == 0
        assert server.stop(signal.SIGINT) == 0
    assert "CompressedSamples^CT1" in server.output


def test_one_user_is_taken_and_it_is_told_who_comes_and_goes(tmp_path: Path) -> None:
    passcode = tmp_path / "passcode"
    passcode.write_text("sesame\n")
    options = ("--user", "jane", "--passcode-file", str(passcode), "--verbose")
    with serving("--store", str(tmp_path / "store"), *options) as server:
        for identity in (None, "jane", ("jane", "Sesame"), ("john", "sesame")):
            with pytest.raises(AssociationRejected, match="no reason given"):
                connect("127.0.0.1", server.port, user_identity=identity)
        with connect("127.0.0.1", server.port, user_identity=("jane", "sesame")) as association:
            assert association.user_identity_response == b""
            association.echo()
        assert server.stop() == 0
    assert "sesame" not in server.output
    told = re.findall(r"association (\d): DICOM_ACTORS 127\.0\.0\.1:\d+ (.*)", server.output)
    refused = "rejected permanently by the service user: no reason given (1/1/1), 0 requests"
    # One connection waits for nobody else's end to be told.
    assert sorted(line for line in told if line[0] != "5") == [(n, refused) for n in "1234"]
    assert [words for number, words in told if number == "5"] == [
        "associated with ANY-SCP",
        "released, 1 request",
    ]


def test_an_association_on_which_nothing_comes_is_ended(tmp_path: Path) -> None:
    with serving("--store", str(tmp_path), "--timeout", "0.05", "--verbose") as server:
        with Peer.associated(server.port) as peer:
            peer.expect_abort(2, 0)
        assert server.stop() == 0
    assert "aborted: idle_timeout, 0 requests" in server.output


def test_names_never_come_from_the_peers_text(tmp_path: Path) -> None:
    store = tmp_path / "store"
    with serving("--store", str(store)) as server:
        with Peer.associated(server.port) as peer:
            for number, uid in enumerate(("../../escape", "/etc/x", "..", "1.2.3"), start=1):
                data = smallest_data_set(uid)
                data += _element(0x0020_000D, b"../../../x\0") + _element(0x0020_000E, b"/tmp/y\0")
                peer.send(*store_pdus(data, number, uid))
                assert peer.status() == 0
        assert server.stop() == 0
    assert [p.name for p in tmp_path.iterdir()] == ["store"]
    names = {part for p in store.rglob("*.dcm") for part in p.relative_to(store).parts}
    assert all(n == "1.2.3.dcm" or n.startswith("uid-") for n in names)


def test_a_planted_link_is_not_followed_and_the_object_refused(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    for folder in (store, outside):
        folder.mkdir()
    (store / "1.2").symlink_to(outside)
    data = smallest_data_set() + _element(0x0020_000D, b"1.2\0") + _element(0x0020_000E, b"1.3\0")
    with serving("--store", str(store)) as server:
        with Peer.associated(server.port) as peer:
            assert peer.store(data) == 0xA700
            (store / "1.2").unlink()
            assert peer.store(data, 2) == 0
        assert server.stop() == 0
    assert list(outside.iterdir()) == []
    assert [str(p.relative_to(store)) for p in store.rglob("*.dcm")] == ["1.2/1.3/1.2.3.dcm"]


def test_what_an_earlier_process_left_is_removed(tmp_path: Path) -> None:
    data = smallest_data_set() + bytes.fromhex("e07f1000 4f42 0000 00000200") + bytes(1 << 17)
    with serving("--store", str(tmp_path)) as server, Peer.associated(server.port) as peer:
        peer.send(*store_pdus(data)[:-2])
        until(lambda: list(tmp_path.glob(".dicom-actors-*.part")))
        server.process.kill()
    assert len(list(tmp_path.glob(".dicom-actors-*.part"))) == 1
    with serving("--store", str(tmp_path)) as server:
        with Peer.associated(server.port) as peer:
            assert peer.store(data) == 0
        assert server.stop() == 0
    assert not list(tmp_path.glob(".dicom-actors-*.part"))


def _element(tag: int, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    header = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
    return header + b"UI" + len(value).to_bytes(2, "little") + value
