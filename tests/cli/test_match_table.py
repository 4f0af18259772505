"""Tables of matches: as wide as the terminal, UIDs whole, and rows that go by their numbers."""

from __future__ import annotations

import json
import stat
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.endpoints import running
from kit.terminal import Terminal, shown_on_terminal

from dicom_actors import events
from dicom_actors.cli.match_table import TableColumn, lay_out
from dicom_actors.data import DataSet

UID = "1.2.826.0.1.3680043.2.1125.1.75064541463040.2005072610384286421"


def columns(*, is_wanted: bool = False) -> list[TableColumn]:
    return [
        TableColumn("PatientID", ["4711", "42"]),
        TableColumn("PatientName", ["Doe^Jane^Elisabeth^Maria^Theresia", "M\u00fcller^J\u00f6rg"]),
        TableColumn("StudyDescription", ["CT of the thorax with contrast medium", "\u5c71\u7530"]),
        TableColumn("StudyInstanceUID", [UID, f"{UID}1"], is_uid=True, is_wanted=is_wanted),
    ]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("is_wanted", [False, True])
def test_it_fits_and_uids_are_whole(width: int, is_wanted: bool) -> None:
    lines = lay_out(columns(is_wanted=is_wanted), width)
    text = "\n".join(lines)
    assert text.count("4711") == 1
    if is_wanted or width == 200:
        assert {UID, f"{UID}1"} <= set(text.split())
    else:
        assert "1.2.826" not in text
    assert all(len(line) <= width or UID in line for line in lines)
    assert [line.split()[0] for line in lines if line[:1].isdigit()] == ["1", "2"]


def test_nothing_is_lost_but_what_gives_way() -> None:
    lines = lay_out(columns()[:3], 60)
    folded = "".join(line[line.index("  ") :] for line in lines[2:] if "  " in line)
    for word in ("Elisabeth", "Theresia", "thorax", "contrast", "medium"):
        assert word in folded


def test_usual_columns_give_way_before_wanted_ones() -> None:
    many = [TableColumn(f"Heading{number:03}", ["x" * 30]) for number in range(12)]
    many[11] = many[11]._replace(is_wanted=True)
    lines = lay_out(many, 60)
    assert "Heading000" in lines[0]
    assert "Heading011" in lines[0]
    assert "Heading010" not in lines[0]
    assert all(len(line) <= 60 for line in lines)


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["C"])), min_size=3, max_size=3),
        min_size=1,
        max_size=5,
    ),
    st.integers(10, 100),
)
def test_any_text_is_laid_out_and_stays_there(cells: list[list[str]], width: int) -> None:
    made = [TableColumn(f"H{number}", each, is_wanted=True) for number, each in enumerate(cells)]
    text = "".join("\n".join(lay_out(made, width)).split())
    for column in cells:
        for cell in column:
            assert set("".join(cell.split())) <= set(text)


def test_folding_is_linear() -> None:
    """Counted in what is looked at: a text of many lines costs each of its characters once."""

    class Counting(str):
        __slots__ = ()
        looked = 0

        def __getitem__(self, key):
            part = super().__getitem__(key)
            Counting.looked += len(part)
            return part

    costs = []
    for length in (4000, 16000):
        Counting.looked = 0
        lay_out([TableColumn("Text", [Counting("word " * length)])], 40)
        costs.append(Counting.looked)
    assert all(later < 5 * earlier for earlier, later in pairwise(costs))


# --- the rows by their numbers ---------------------------------------------------------------

STUDIES = [
    DataSet.from_keywords(
        QueryRetrieveLevel="STUDY",
        StudyInstanceUID=f"{UID[:-2]}{number}",
        PatientName=f"Doe^{number}",
    )
    for number in range(1, 5)
]


class Archive:
    """Finds four studies, and remembers what is to be moved or got."""

    def __init__(self) -> None:
        self.asked: list[DataSet] = []
        self.wanted: list[DataSet] = []

    def find(self, event):
        self.asked.append(DataSet.from_json(event.dataset.to_json()))
        if event.dataset.QueryRetrieveLevel == "STUDY":
            yield from event.query.select(STUDIES)

    def get(self, event):
        self.wanted.append(DataSet.from_json(event.dataset.to_json()))
        return []


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def peer(archive):
    with running({"cfind": archive.find, "cget": archive.get}) as endpoint:
        yield f"127.0.0.1:{endpoint.port}"


def test_a_row_is_got_by_its_number(command, peer, archive, tmp_path) -> None:
    assert command("find", peer, "PatientName=Doe*", "PatientID").code == 0
    assert "StudyInstanceUID" in archive.asked[0]
    done = command("get", peer, "3", "--output", tmp_path)
    assert (done.code, done.errors) == (0, [])
    assert archive.wanted[-1].StudyInstanceUID == STUDIES[2].StudyInstanceUID
    assert archive.wanted[-1].QueryRetrieveLevel == "STUDY"
    assert command("get", peer, "1", "4", "--output", tmp_path).code == 0
    expected = [STUDIES[0].StudyInstanceUID, STUDIES[3].StudyInstanceUID]
    assert archive.wanted[-1].StudyInstanceUID == expected


def test_the_file_is_the_users_alone_and_has_no_names(command, peer, tmp_path) -> None:
    command("find", peer, "PatientName=Doe*")
    path = tmp_path / "cache" / "dicom-actors" / "last-find.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "Doe" not in path.read_text()
    assert len(json.loads(path.read_text())["rows"]) == 4


def test_rows_that_there_are_not(command, peer, tmp_path) -> None:
    done = command("get", peer, "1")
    assert done.code == 2
    assert "there is no result of `find`" in done.errors[0]
    command("find", peer, "PatientName=Doe*")
    for number in ("0", "5"):
        done = command("get", peer, number)
        assert done.code == 2
        assert f"{number}: the last `find` had 4 rows" in done.errors[0]
    done = command("get", "127.0.0.1:1", "1")
    assert done.code == 2
    assert f"the last `find` asked {peer}, not 127.0.0.1:1" in done.errors[0]
    command("find", peer, "PatientName=Doe*", "--json")
    assert command("move", peer, "2", "--destination", "DEST").code == 1  # asked of the peer


def test_columns_are_chosen(command, peer, archive) -> None:
    words = ("PatientName=Doe^1", "--columns", "StudyInstanceUID,PatientName")
    done = command("find", peer, *words)
    assert done.lines[0].split() == ["StudyInstanceUID", "PatientName"]
    assert done.lines[1].split() == [STUDIES[0].StudyInstanceUID, "Doe^1"]
    done = command("find", peer, *words, "--csv")
    assert done.lines[0] == "StudyInstanceUID,PatientName"
    done = command("find", peer, "PatientName=X", "--columns", "StudyDte")
    assert done.code == 2
    assert "close to it: StudyDate" in done.errors[0]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_on_a_terminal(peer, tmp_path, width: int) -> None:
    shown = shown_on_terminal(
        *("find", peer, "PatientName=Doe*", "StudyInstanceUID", "StudyDescription"),
        width=width,
        environment={"XDG_CACHE_HOME": str(tmp_path)},
    )
    words = shown.split()
    assert all(study.StudyInstanceUID in words for study in STUDIES)
    # Standard error is on the terminal, too: a bar that is gone again, and how many there are.
    lines = shown[shown.index("#  ") :].splitlines()
    assert lines[-1] == "4 matches"
    assert all(len(line) <= width or line.strip().startswith("Study") for line in lines)


@pytest.mark.parametrize("width", [60, 200])
def test_a_long_table_is_read_in_pages(tmp_path, width: int) -> None:
    many = [
        DataSet.from_keywords(
            QueryRetrieveLevel="STUDY", StudyInstanceUID=f"{UID}.{n}", PatientID=n
        )
        for n in map(str, range(1, 101))
    ]
    closed = []
    with running({"cfind": lambda event: event.query.select(many)}) as endpoint:
        words = ("find", f"127.0.0.1:{endpoint.port}", "PatientID", "StudyInstanceUID")
        environment = {"XDG_CACHE_HOME": str(tmp_path), "PAGER": "less"}
        with Terminal(*words, width=width, environment=environment) as terminal:
            # What `pydoc` has less ask with.
            terminal.wait_for(":" if sys.version_info < (3, 13) else "press h for help")
            closed = endpoint.wait_for(events.AssociationClosed)
            assert f"{UID}.5" in terminal.shown
            assert f"{UID}.100" not in terminal.shown
            terminal.press("G")
            terminal.wait_for(f"{UID}.100")
            terminal.press("q")
            assert terminal.finish() == 0
    assert closed[0].reason == "released"  # nobody waits for the one who reads
    assert terminal.shown.splitlines()[-1].endswith("100 matches")
