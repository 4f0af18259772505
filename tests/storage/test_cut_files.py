"""A file that another process makes shorter while it is sent costs that object, and no process.

What is tried runs in a process of its own: what must not happen would end the one of the tests.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

PREPARED = """
import subprocess, sys
from pathlib import Path
from dicom_actors import DataSet, Endpoint, MoveTo, connect, write_file
from dicom_actors.errors import AssociationError, FileChangedError, RetrievalIncomplete
from dicom_actors.scu import FileBytes, OutgoingObject
from dicom_actors.storage.outgoing import outgoing_object
sys.path.insert(0, sys.argv[2])
from kit.endpoints import running

CT = "1.2.840.10008.5.1.4.1.1.2"
SIZE = 3 << 20
folder = Path(sys.argv[1])

def path(number):
    path = folder / f"{number}.dcm"
    ds = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID=f"1.2.{number}", Rows=1, Columns=1)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2", "1.2.3"
    ds.QueryRetrieveLevel = None
    ds.put("PixelData", "OW", bytes(SIZE))
    write_file(path, ds)
    return path

def cut_while_sent(number):
    # It is open, and whoever has opened it knows how long it was.
    file = path(number)
    found = outgoing_object(file)
    def opened():
        made = found.pieces(found.transfer_syntax)[0]
        assert isinstance(made, FileBytes), type(made)
        subprocess.run(["truncate", "-s", str(SIZE // 2), str(file)], check=True)
        return made
    return found._replace(source=opened, start=0)

received = []
def store(event):
    received.append((str(event.dataset.SOPInstanceUID), len(event.dataset["PixelData"])))

"""


def in_a_process(tmp_path: Path, script: str) -> list[str]:
    """Run a script; returns the lines that it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + textwrap.dedent(script), str(tmp_path), str(TESTS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout.splitlines()


@pytest.mark.parametrize("way", ["", "tls"])
def test_the_others_are_stored(tmp_path: Path, way: str) -> None:
    lines = in_a_process(
        tmp_path,
        f"""
        tls = {{}}
        if {way!r}:
            from kit.certificates import Certificates
            from dicom_actors import TlsConfig
            made = Certificates(folder)
            certificate, key = made.issue("server")
            both = TlsConfig(certificate=certificate, key=key, authorities=made.authority)
            options = tls = {{"tls": both}}
        else:
            options = {{}}
        with running({{"cstore": store}}, **options) as endpoint:
            with connect("127.0.0.1", endpoint.port, **tls) as association:
                objects = [path(1), cut_while_sent(2), path(3)]
                for result in association.store_many(objects, on_warning="ignore"):
                    print(result.status, type(result.error).__name__, result.comment)
                association.echo()
        print(received)
        """,
    )
    assert [line.split()[0] for line in lines[:3]] == ["0", "None", "0"]
    assert "FileChangedError not sent: " in lines[1]
    assert "2.dcm: expected " in lines[1]
    assert "made shorter" in lines[1]
    assert lines[3] == str([("1.2.1", 3 << 20), ("1.2.3", 3 << 20)])


def test_a_move_goes_on_with_the_others(tmp_path: Path) -> None:
    lines = in_a_process(
        tmp_path,
        """
        with running({"cstore": store}) as destination:
            def move(event):
                there = [path(1), cut_while_sent(2), path(3)]
                return MoveTo("127.0.0.1", destination.port, "DEST", there)
            with running({"cmove": move}) as endpoint:
                with connect("127.0.0.1", endpoint.port) as association:
                    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
                    try:
                        for progress in association.move(keys, destination="DEST"):
                            pass
                    except RetrievalIncomplete as error:
                        print(error.progress.completed, error.progress.failed)
                    association.echo()
        print(received)
        """,
    )
    assert lines == ["2 1", str([("1.2.1", 3 << 20), ("1.2.3", 3 << 20)])]


def test_a_get_ends_with_its_association_alone(tmp_path: Path) -> None:
    lines = in_a_process(
        tmp_path,
        """
        def get(event):
            return [path(1), cut_while_sent(2), path(3)]
        with running({"cget": get}) as endpoint:
            with connect("127.0.0.1", endpoint.port) as other:
                association = connect("127.0.0.1", endpoint.port)
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
                got = association.get(keys, sop_classes=[CT])
                try:
                    for instance in got:
                        print(instance.SOPInstanceUID)
                except AssociationError as error:
                    print("ended")
                other.echo()
        """,
    )
    assert lines == ["1.2.1", "ended"]


def test_what_is_cut_before_is_not_sent(tmp_path: Path) -> None:
    lines = in_a_process(
        tmp_path,
        """
        from dicom_actors.archive import Archive
        with Archive.open(folder / "archive", durability="os") as archive:
            for number in (1, 2, 3):
                archive.add(path(number))
            archive.settle()
            (stored,) = (folder / "archive").rglob("1.2.2.dcm")
            subprocess.run(["truncate", "-s", str(SIZE // 2), str(stored)], check=True)
            with running(archive.event_handlers(), **archive.endpoint_settings()) as endpoint:
                with connect("127.0.0.1", endpoint.port) as association:
                    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
                    try:
                        for instance in association.get(keys):
                            print(instance.SOPInstanceUID)
                    except RetrievalIncomplete as error:
                        print(error.progress.completed, error.progress.failed)
                    association.echo()
        """,
    )
    assert sorted(lines[:2]) == ["1.2.1", "1.2.3"]
    assert lines[2:] == ["2 1"]
