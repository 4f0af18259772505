"""Routes and their steps: what is accepted, and what becomes of an object."""

from __future__ import annotations

import pytest
from kit.archive_objects import make_file

from dicom_actors import DataSet, read_file
from dicom_actors.archive import Origin
from dicom_actors.deidentification import Deidentifier
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import (
    Call,
    Command,
    Deidentify,
    Edit,
    Flow,
    Folder,
    Route,
    Send,
    Transcode,
)
from dicom_actors.flow.routes import Router


def test_the_way_to_a_destination_has_the_steps_before_it():
    first, second = Edit(remove=["PatientName"]), Edit(set={"PatientID": "X"})
    route = Route("r", [Send("a"), first, Folder("f", name="b"), second, Send("c")])

    assert route.way_to("a") == ([], Send("a"))
    assert route.way_to("b") == ([first], Folder("f", name="b"))
    assert route.way_to("c") == ([first, second], Send("c"))
    assert route.way_to("d") is None


def test_a_router_says_where_an_object_goes():
    router = Router(
        [
            Route("ct", [Send("a"), Send("b")], when={"Modality": "CT"}, priority=3),
            Route("all", [Send("a"), Call(print, name="p")], level="study"),
        ]
    )

    def where(**values):
        queued = router(DataSet.from_keywords(**values), Origin())
        return [(one.route, one.destination, one.level, one.is_whole) for one in queued]

    of_all = [("all", "a", "study", False), ("all", "p", "study", True)]
    assert where(Modality="CT") == [
        ("ct", "a", "instance", False),
        ("ct", "b", "instance", False),
        *of_all,
    ]
    assert where(Modality="MR") == of_all


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": ""}, "name"),
        ({"actions": []}, "actions"),
        ({"actions": [Edit(remove=["PatientID"])]}, "the last"),
        ({"actions": [Send("a"), Edit(remove=["PatientID"])]}, "the last"),
        ({"actions": [Send("a"), Send("a")]}, "once"),
        ({"actions": ["a"]}, "steps and ends"),
        ({"level": "patient"}, "level"),
        ({"priority": 1.5}, "priority"),
        ({"when": {"Nonsense": 1}}, "condition"),
        ({"when": 5}, "when: expected a table of conditions, got 5"),
        ({"when": None}, "when: expected a table of conditions, got None"),
        ({"actions": 5}, "actions: expected a list, got 5"),
        ({"actions": "pacs"}, "actions: expected a list, got 'pacs'"),
    ],
)
def test_routes_that_are_none(change, match):
    with pytest.raises(ConfigurationError, match=match):
        Route(**{"name": "r", "actions": [Send("a")], **change})


def test_routes_that_do_not_go_together():
    with pytest.raises(ConfigurationError, match="two of that name"):
        Router([Route("r", [Send("a")]), Route("r", [Send("b")])])
    with pytest.raises(ConfigurationError, match="name of its own"):
        Router([Route("r", [Folder("x", name="a")]), Route("s", [Send("a")])])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Command([]),
        lambda: Command("rm -rf /"),
        lambda: Command(["x", 1]),
        lambda: Command(["x"], deadline=0),
        lambda: Call("nothing"),
        lambda: Transcode("NoSuchSyntax"),
        lambda: Edit(set={"NoSuchKeyword": 1}),
        lambda: Edit(remove=["NoSuchKeyword"]),
        lambda: Edit(set={"SOPInstanceUID": "1.2"}),
        lambda: Edit(set={"Rows": "many"}),
        lambda: Edit(set=["PatientID"]),
        lambda: Edit(remove="PatientID"),
        lambda: Folder(None),
        lambda: Folder(""),
        lambda: Flow.start(None, []),
        lambda: Router([5]),
    ],
)
def test_actions_that_are_none(make):
    with pytest.raises(ConfigurationError):
        make()


def test_editing():
    step = Edit(set={"PatientID": "X", "PatientName": None}, remove=["StudyDate", "00100030"])
    made = step.apply(read_file(make_file(1)))

    assert (made.PatientID, made.PatientName) == ("X", None)
    assert "StudyDate" not in made
    assert made.SOPInstanceUID == read_file(make_file(1)).SOPInstanceUID


def test_what_is_deidentified_twice_is_one_object():
    step = Deidentify(Deidentifier(salt=b"key of this test"))
    one, other = (step.apply(read_file(make_file(1))) for _ in range(2))

    assert one == other
    assert one.SOPInstanceUID != read_file(make_file(1)).SOPInstanceUID


def image() -> DataSet:
    made = read_file(make_file(1, size=64 * 64))
    made.Rows = made.Columns = 64
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    return made


def test_what_is_transcoded_without_loss_stays_what_it_is():
    made = Transcode("RLELossless").apply(image())

    assert made.SOPInstanceUID == image().SOPInstanceUID
    assert made.transfer_syntax.keyword == "RLELossless"


def test_what_loses_information_is_one_other_object_however_often_it_is_made():
    step = Transcode("JPEGBaseline8Bit", quality=80)
    one, other = (step.apply(image()).SOPInstanceUID for _ in range(2))

    assert one == other
    assert one.startswith("2.25.")
    assert Transcode("JPEGBaseline8Bit", quality=70).apply(image()).SOPInstanceUID != one
