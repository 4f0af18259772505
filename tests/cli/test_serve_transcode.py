"""``serve --transcode`` and ``store --transcode``, asked by DCMTK and pynetdicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from kit.dcmtk import run
from kit.pixel_files import image_of
from kit.scp import free_port
from kit.serving import Server, serving
from pynetdicom import AE, build_role, evt

from dicom_actors import connect, read_file, write_file
from dicom_actors.cli.main import main
from dicom_actors.pixels import frame, transcode

pytestmark = pytest.mark.interop

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
JPEG = "1.2.840.10008.1.2.4.50"
JPEG_LS = "1.2.840.10008.1.2.4.80"
PIXELS = np.random.default_rng(1).integers(0, 4096, (20, 30)).astype(np.uint16)


@pytest.fixture
def compressed(tmp_path: Path) -> Path:
    made = transcode(
        image_of(PIXELS, bits_stored=12, StudyInstanceUID="1.2", SeriesInstanceUID="1.3"),
        "JPEG2000Lossless",
    )
    write_file(tmp_path / "compressed.dcm", made)
    return tmp_path / "compressed.dcm"


def keep(server: Server, path: Path) -> None:
    with connect("127.0.0.1", server.port, called="ANY") as association:
        association.store(path, check=True)


def got_by_pynetdicom(port: int, syntaxes: list[str]) -> list[pydicom.Dataset]:
    kept = []

    def store(event: evt.Event) -> int:
        data_set = event.dataset
        data_set.file_meta = event.file_meta
        kept.append(data_set)
        return 0

    ae = AE("GETTER")
    ae.add_requested_context(STUDY_GET)
    ae.add_requested_context(SECONDARY_CAPTURE, syntaxes)
    association = ae.associate(
        "127.0.0.1",
        port,
        ext_neg=[build_role(SECONDARY_CAPTURE, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
    )
    assert association.is_established
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", "1.2"
    for _ in association.send_c_get(query, STUDY_GET):
        pass
    association.release()
    return kept


def test_pynetdicom_gets_what_it_asks_for(tmp_path: Path, compressed: Path) -> None:
    with serving("--store", str(tmp_path / "store"), "--transcode") as server:
        keep(server, compressed)
        for syntax in (EXPLICIT, IMPLICIT, JPEG_LS):
            (found,) = got_by_pynetdicom(server.port, [syntax])
            assert found.file_meta.TransferSyntaxUID == syntax
            assert found.SOPInstanceUID == "1.2.3.4"
            found.save_as(tmp_path / "got.dcm")
            assert np.array_equal(frame(read_file(tmp_path / "got.dcm")), PIXELS)
        assert got_by_pynetdicom(server.port, [JPEG]) == []  # which would lose something
        assert server.stop() == 0


@pytest.mark.parametrize(("options", "expected"), [((), 0), (("--transcode", "lossy"), 1)])
def test_lossy_only_on_wish(tmp_path: Path, options: tuple[str, ...], expected: int) -> None:
    grey = image_of((PIXELS >> 4).astype(np.uint8), StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    write_file(tmp_path / "grey.dcm", grey)
    with serving("--store", str(tmp_path / "store"), *options) as server:
        keep(server, tmp_path / "grey.dcm")
        found = got_by_pynetdicom(server.port, [JPEG])
        assert server.stop() == 0
    assert len(found) == expected
    assert all(one.LossyImageCompression == "01" for one in found)
    assert all(one.SOPInstanceUID != "1.2.3.4" for one in found)


def test_getscu_gets_native_pixels(tmp_path: Path, compressed: Path) -> None:
    target = tmp_path / "got"
    target.mkdir()
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
    with serving("--store", str(tmp_path / "store"), "--transcode", "lossless") as server:
        keep(server, compressed)
        options = ("+B", "+xe", "-S", "-od", str(target))
        run("getscu", *options, *keys, "127.0.0.1", server.port)
        assert server.stop() == 0
    (path,) = target.iterdir()
    found = read_file(path)
    assert found.transfer_syntax.uid in {EXPLICIT, IMPLICIT}
    assert np.array_equal(frame(found), PIXELS)


def test_movescu_has_it_moved_to_who_takes_native_alone(tmp_path: Path, compressed: Path) -> None:
    target = tmp_path / "moved"
    target.mkdir()
    port = free_port()
    config = tmp_path / "config.toml"
    config.write_text(
        f'[peers.here]\naddress = "MOVER@127.0.0.1:{port}"\n[serve]\ntranscode = "lossless"\n'
    )
    keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2")
    with serving("--store", str(tmp_path / "store"), "--config", str(config)) as server:
        keep(server, compressed)
        options = ("-S", "+P", str(port), "-aet", "MOVER", "-aem", "MOVER", "-od", str(target))
        result = run("movescu", *options, *keys, "127.0.0.1", server.port)
        assert result.returncode == 0, result.stderr
        assert server.stop() == 0
    (path,) = target.iterdir()
    assert np.array_equal(frame(read_file(path)), PIXELS)


def test_store_transcodes_where_it_is_told_to(
    tmp_path: Path, compressed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[endpoint]\ntransfer_syntaxes = ["{EXPLICIT}"]\n')
    store = tmp_path / "store"
    with serving("--receive-only", "--store", str(store), "--config", str(config)) as server:
        peer = f"127.0.0.1:{server.port}"
        assert main(["store", peer, str(compressed)]) == 1
        assert main(["store", peer, str(compressed), "--transcode"]) == 0
        assert server.stop() == 0
    (path,) = store.rglob("*.dcm")
    assert np.array_equal(frame(read_file(path)), PIXELS)
    assert "accepts no" in capsys.readouterr().err


def test_what_it_may_be_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[serve]\ntranscode = "sometimes"\n')
    assert main(["serve", "--config", str(config), "--check-config"]) == 2
    assert "expected one of off, lossless, lossy, got 'sometimes'" in capsys.readouterr().err
