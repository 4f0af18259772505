"""What was decoded and not changed is written as the bytes that it came from; a change is written.

The judge of what is written is the same data set made anew of its values, each element of which
is encoded: nothing of it was read, so that nothing of it can be copied.
"""

from __future__ import annotations

import bisect
import copy
import pickle
import random
import sys
from pathlib import Path

import pydicom
import pytest

from dicom_actors.data import DataElement, DataSet, read_file
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dataset.lists import NotedList
from dicom_actors.errors import EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
SYNTAXES = [EXPLICIT, IMPLICIT, BIG_ENDIAN]
LISTS = {
    "ImageType": "CS",
    "PixelSpacing": "DS",
    "ReferencedFrameNumber": "IS",
    "DimensionIndexValues": "UL",
    "OtherPatientNames": "PN",
    "FrameIncrementPointer": "AT",
    "DiffusionGradientOrientation": "FD",
    "ContourData": "DS",
}
SEQUENCES = ["BeamSequence", "ContentSequence", "ReferencedImageSequence"]

FOLDERS = [
    Path(pydicom.__file__).parent / "data" / "test_files",
    Path(__file__).parents[2] / "test_files",
]
FILES = [
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "UN_sequence.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "every_vr_implicit.dcm",
    "undefined_lengths.dcm",
    "private.dcm",
]


def filled(draw, depth):
    """A data set with sequences `depth` deep, of which each has an element of many values."""
    ds = DataSet.from_keywords(
        ImageType=["ORIGINAL", "PRIMARY"],
        PatientName="Grün^Jörg",
        PatientComments="über",
        PixelSpacing=[0.5, draw.randrange(9)],
        ReferencedFrameNumber=[1, 2, draw.randrange(99)],
        DimensionIndexValues=[1, 2],
        OtherPatientNames=["Müller", "Doe^J"],
        FrameIncrementPointer=[0x00181063, 0x00181065],
        DiffusionGradientOrientation=[0.25, 0.5, 1.0],
        ContourData=list(range(30)),
    )
    block = ds.private_block(0x0009, "BioPri", create=True)
    block.put(3, "LO", ["ä", "b"])
    if depth:
        for keyword in SEQUENCES[: draw.randrange(1, 4)]:
            items = [filled(draw, depth - 1) for _ in range(draw.randrange(4))]
            ds.put(keyword, "SQ", items)
    return ds


def read(syntax, seed=0, depth=2):
    draw = random.Random(seed)
    ds = filled(draw, depth)
    ds.SpecificCharacterSet = draw.choice(("ISO_IR 100", "ISO_IR 192"))
    return DataSet.from_bytes(ds.to_bytes(syntax), syntax)


def made_anew(ds):
    """The same data set, of which nothing was read."""
    made = DataSet()
    for element in ds.elements():
        value = element.value
        if element.vr == "SQ":
            value = [made_anew(item) for item in value]
        elif isinstance(value, list):
            value = list(value)
        made.put_element(DataElement(element.tag, element.vr, value))
    return made


def items_of(ds):
    """All data sets within one, it included."""
    found, rest = [], [ds]
    while rest:
        ds = rest.pop()
        found.append(ds)
        for element in ds.elements():
            if element.vr == "SQ":
                rest += element.value
    return found


def has_within(ds, other):
    return any(item is other for item in items_of(ds))


def touch(ds):
    return [element.value for _, element in ds.walk()]


def value_of(draw, vr):
    return {
        "CS": f"V{draw.randrange(99)}",
        "DS": draw.randrange(99) / 4,
        "IS": draw.randrange(99),
        "UL": draw.randrange(99),
        "PN": f"Name^ü{draw.randrange(99)}",
        "AT": 0x00100010 + draw.randrange(99),
        "FD": draw.randrange(99) / 8,
    }[vr]


def change_list(draw, values, value):
    """Change a list of at least two values by one of its methods."""
    at = draw.randrange(len(values))
    kind = draw.randrange(11)
    if kind == 0:
        values.append(value)
    elif kind == 1:
        values[at] = value
    elif kind == 2:
        values.insert(at, value)
    elif kind == 3:
        values.reverse()
    elif kind == 4:
        values.extend([value, value])
    elif kind == 5:
        values += [value]
    elif kind == 6:
        values[at:] = [value, value]
    elif kind == 7:
        values.append(value)
        del values[at]
    elif kind == 8:
        values.append(value)
        values.pop(at)
    elif kind == 9:
        values.append(value)
        values.remove(value)
        draw.shuffle(values)
    else:
        values *= 2
    if len(values) > 6:
        del values[6:]


def change_items(draw, roots, items, holder):
    kind = draw.randrange(9)
    donor = draw.choice(items_of(draw.choice(roots)))
    if kind == 0 and items:
        items.pop(draw.randrange(len(items)))
    elif kind == 1:
        items.append({"PatientID": "new", "ImageType": ["A", "B"]})
    elif kind == 2:
        items.insert(draw.randrange(len(items) + 1), filled(draw, 0))
    elif kind == 3:
        items.reverse()
    elif kind == 4 and len(items) < 4:
        items.append(draw.choice((donor.copy, lambda: copy.deepcopy(donor)))())
    elif kind == 5 and len(items) < 4 and not has_within(donor, holder):
        items.append(donor)  # which stays where it was, too
    elif kind == 6 and items:
        items[draw.randrange(len(items))] = {"PatientName": "Größe"}
    elif kind == 7:
        items.sort(key=len)
    elif items:
        del items[draw.randrange(len(items))]


def change(draw, roots, kept):
    """Change something somewhere; `kept` has lists and items that were handed out before."""
    root = draw.choice(roots)
    ds = draw.choice(items_of(root))
    if kept and draw.random() < 0.3:
        values, vr = draw.choice(kept)
        if vr == "DS" and isinstance(values, DataSet):
            values.PatientID = f"kept {draw.randrange(99)}"
        else:
            change_list(draw, values, value_of(draw, vr))
        return
    kind = draw.randrange(9)
    keyword = draw.choice(list(LISTS))
    values = ds.get(keyword)
    if kind <= 1 and isinstance(values, list) and len(values) > 1:
        kept.append((values, LISTS[keyword]))
        change_list(draw, values, value_of(draw, LISTS[keyword]))
    elif kind == 2:
        ds.put(keyword, LISTS[keyword], [value_of(draw, LISTS[keyword]) for _ in range(3)])
    elif kind == 3:
        ds.pop(draw.choice([keyword, "PatientName", *SEQUENCES]), None)
    elif kind == 4:
        ds.PatientComments = f"ö {draw.randrange(99)}"
        kept.append((ds, "DS"))
    elif kind == 5:
        ds.SpecificCharacterSet = draw.choice(("ISO_IR 100", "ISO_IR 192"))
    elif kind == 6:
        other = draw.choice(items_of(draw.choice(roots)))
        sequence = draw.choice(SEQUENCES)
        if sequence in other and not any(has_within(item, ds) for item in other[sequence]):
            if draw.random() < 0.5:
                ds[sequence] = other[sequence]  # one list in two places
            else:
                ds.put_element(other.fetch(sequence))
    else:
        sequence = draw.choice(SEQUENCES)
        if sequence in ds:
            change_items(draw, roots, ds[sequence], ds)


def check(ds, syntax):
    written = ds.to_bytes(syntax)
    assert written == made_anew(ds).to_bytes(syntax)
    assert ds.to_bytes(syntax) == written
    assert DataSet.from_bytes(written, syntax) == ds


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("seed", range(25))
def test_random_changes_are_written_as_all_of_it_would_be(seed, syntax):
    draw = random.Random(seed)
    roots = [read(syntax, seed), read(syntax, seed + 1000, 1)]
    kept = []
    for _ in range(25):
        change(draw, roots, kept)
        if draw.random() < 0.1 and len(roots) < 4:
            roots.append(draw.choice(roots).copy())
        if sum(len(items_of(root)) for root in roots) > 400:
            break
        if draw.random() < 0.3:
            check(draw.choice(roots), syntax)
    for root in roots:
        check(root, syntax)
        check(root, draw.choice(SYNTAXES))


@pytest.mark.parametrize("seed", range(10))
def test_what_says_that_it_is_as_read_is_so(seed):
    draw = random.Random(seed)
    roots, kept = [read(EXPLICIT, seed)], []
    for _ in range(10):
        change(draw, roots, kept)
    for item in items_of(roots[0]):
        content = content_of(item)
        if content.is_as_read():
            whole = bytes(content.scope.buffer[content.start : content.end])
            terms = content.character_set.terms
            assert DataSet.from_bytes(whole, EXPLICIT, character_set=terms) == item


def deep(lengths):
    """Items in items in items; in a form that no encoder would choose, lengths and VR."""
    inner = b"\x08\0\x08\0CS\x04\0A\\B \x18\0\x50\0DS\x06\x001.50\0\0"
    for _ in range(3):
        if lengths == "undefined":
            inner = (b"\xfe\xff\0\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0") * 2
            inner = b"\x0a\x30\xb0\0SQ\0\0\xff\xff\xff\xff" + inner + b"\xfe\xff\xdd\xe0\0\0\0\0"
        else:
            inner = (b"\xfe\xff\0\xe0" + len(inner).to_bytes(4, "little") + inner) * 2
            inner = b"\x0a\x30\xb0\0SQ\0\0" + len(inner).to_bytes(4, "little") + inner
        inner = b"\x08\0\x08\0CS\x04\0A\\B " + inner
    return inner


@pytest.mark.parametrize("lengths", ["undefined", "defined"])
def test_all_but_one_changed_value_is_what_was_read(lengths):
    data = deep(lengths)
    ds = DataSet.from_bytes(data, EXPLICIT)
    touch(ds)
    assert ds.to_bytes() == data
    ds.BeamSequence[1].BeamSequence[0].BeamSequence[1].ImageType[0] = "C"
    at = [at for at in range(len(data)) if data.startswith(b"A\\B ", at)]
    # Of a data set, its own comes before those of its items.
    place = at[1 + 7 + 1 + 1 + 1]
    expected = data[:place] + b"C" + data[place + 1 :]
    assert ds.to_bytes() == expected


def changed_contents(ds):
    return [item for item in items_of(ds) if not content_of(item).is_as_read()]


def test_a_change_marks_its_data_set_and_those_above_it_alone():
    ds = DataSet.from_bytes(deep("defined"), EXPLICIT)
    assert changed_contents(ds) == []
    inner = ds.BeamSequence[1].BeamSequence[0]
    inner.ImageType.append("C")
    found = [ds, ds.BeamSequence[1], inner]
    assert {id(item) for item in changed_contents(ds)} == set(map(id, found))
    assert not ds.fetch("ImageType").value.is_changed


def test_nothing_that_only_looks_is_a_change():
    ds = read(EXPLICIT)
    data = ds.to_bytes()
    touch(ds)
    str(ds), repr(ds.ImageType), ds.check(), ds.to_json(), pickle.dumps(ds), ds.copy()
    ds.ImageType.copy().append("x")
    ds.ImageType[:].clear()
    sorted(ds.ImageType), [*ds.ImageType, "x"], ds.ImageType * 2, ds.ImageType.index("ORIGINAL")
    copy.copy(ds.ImageType).append("x")
    copy.deepcopy(ds.BeamSequence).clear()
    pickle.loads(pickle.dumps(ds.ImageType)).append("x")
    list(ds.BeamSequence).clear()
    other = DataSet({"ImageType": ds.ImageType, "PixelSpacing": ds.PixelSpacing})
    other.ImageType.append("x")
    other.PixelSpacing[0] = 7
    assert changed_contents(ds) == []
    assert ds.to_bytes() == data


def test_a_data_set_among_its_own_items_cannot_be_copied():
    outer = DataSet.from_keywords(PatientID="1", BeamSequence=[DataSet(), DataSet()])
    inner = outer.BeamSequence[1]
    inner.ReferencedStudySequence = [DataSet.from_keywords(PatientID="2")]
    assert outer.copy() == outer
    inner.ReferencedStudySequence.append(outer)
    with pytest.raises(EncodeError, match="in itself"):
        outer.copy()
    with pytest.raises(EncodeError, match="in itself"):
        inner.copy()


def test_one_item_at_several_places_is_copied_for_each():
    item = DataSet.from_keywords(PatientID="1")
    both = DataSet.from_keywords(BeamSequence=[item, item], ReferencedStudySequence=[item])
    outer = DataSet.from_keywords(BeamSequence=[both, both, item])
    made = outer.copy()
    assert made == outer
    made.BeamSequence[0].BeamSequence[1].PatientID = "2"
    assert (item.PatientID, made.BeamSequence[1].BeamSequence[1].PatientID) == ("1", "1")


def test_a_change_of_a_copy_is_none_of_the_original_and_the_other_way_round():
    ds = DataSet.from_bytes(deep("undefined"), EXPLICIT)
    data = ds.to_bytes()
    touch(ds)
    for item in items_of(ds):
        other = item.copy()
        other.ImageType = ["X", "Y"]
        if "BeamSequence" in other:
            other.BeamSequence[0].ImageType.clear()
    assert changed_contents(ds) == []
    assert ds.to_bytes() == data
    before = ds.copy()
    ds.BeamSequence[0].BeamSequence[0].ImageType[0] = "X"
    assert before.to_bytes() == data
    after = ds.copy()
    assert after.to_bytes() == ds.to_bytes() != data
    after.BeamSequence[0].BeamSequence[0].ImageType[1] = "Y"
    assert ds.copy().to_bytes() == ds.to_bytes() != after.to_bytes()


def test_an_item_of_two_sequences_is_changed_in_both():
    one, other = (DataSet.from_bytes(deep("defined"), EXPLICIT) for _ in range(2))
    item = one.BeamSequence[0]
    other.BeamSequence[1] = item
    other.to_bytes(), one.to_bytes()
    item.BeamSequence[1].ImageType[0] = "X"
    for ds, at in ((one, 0), (other, 1)):
        back = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
        assert back == ds
        assert back.BeamSequence[at].BeamSequence[1].ImageType == ["X", "B"]
        assert back.BeamSequence[1 - at].BeamSequence[1].ImageType == ["A", "B"]


def test_a_list_that_an_element_had_before_is_none_of_the_data_set():
    ds = DataSet.from_bytes(deep("defined"), EXPLICIT)
    values, items = ds.ImageType, ds.BeamSequence
    ds.ImageType = ["X", "Y"]
    del ds.BeamSequence
    written = ds.to_bytes()
    values.append("Z")
    items[0].ImageType.append("Z")
    items.clear()
    assert ds.to_bytes() == written


@pytest.mark.parametrize(
    "attempt",
    [
        lambda values: values.pop(99),
        lambda values: values.remove("absent"),
        lambda values: values.sort(key=lambda _: 1 / 0),
        lambda values: values.__setitem__(99, "x"),
        lambda values: values.extend(iter_that_fails()),
    ],
)
def test_a_list_whose_change_failed_is_written_as_it_is(attempt):
    ds = read(EXPLICIT)
    with pytest.raises((IndexError, ValueError, ZeroDivisionError)):
        attempt(ds.ImageType)
    check(ds, EXPLICIT)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.append(1.5),
        lambda x: x.extend([1.5, 2.5]),
        lambda x: x.insert(3, 1.5),
        lambda x: x.pop(),
        lambda x: x.remove(3),
        lambda x: x.__delitem__(slice(2, None)),
        lambda x: x.reverse(),
        lambda x: x.sort(reverse=True),
        lambda x: x.__setitem__(1, 9.5),
        lambda x: x.__delitem__(-1),
        lambda x: x.__iadd__([1.5]),
        lambda x: x.__imul__(2),
    ],
)
def test_a_change_of_many_numbers_is_noted_and_written_and_copied(change):
    ds = read(EXPLICIT)
    item = DataSet({"ContourData": list(range(30)), "ImageType": ["A", "B"]})
    ds.ContourSequence = [item, item.copy()]
    ds = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
    numbers = ds.ContourSequence[1].ContourData
    before = ds.copy()
    assert list(numbers) == list(range(30))
    assert changed_contents(ds) == []
    expected = list(range(30))
    change(numbers)
    change(expected)
    found = {id(ds), id(ds.ContourSequence[1])}
    assert set(map(id, changed_contents(ds))) == found
    check(ds, EXPLICIT)
    for same in (ds, ds.copy(), DataSet.from_bytes(ds.to_bytes(), EXPLICIT)):
        assert same.copy().ContourSequence[1].ContourData == expected
        check(same, EXPLICIT)
    assert before.ContourSequence[1].ContourData == list(range(30))
    assert ds.ContourSequence[0].ContourData.text is not None


@pytest.mark.parametrize("ask", [DataSet.values, DataSet.items, touch, DataSet.copy, str])
def test_many_numbers_keep_their_text_and_are_noted_however_asked_for(ask):
    ds = read(EXPLICIT)
    data = ds.to_bytes()
    list(ask(ds))
    assert ds.ContourData.text is not None
    assert (changed_contents(ds), ds.to_bytes()) == ([], data)
    ds.ContourData[0] = 7
    assert changed_contents(ds) == [ds]
    check(ds, EXPLICIT)


def added(values, *more):
    values += more


def repeated(values):
    values *= 2


CHANGES = {
    "append": lambda values: values.append(values[0]),
    "insert": lambda values: values.insert(1, values[-1]),
    "extend": lambda values: values.extend(values[:1]),
    "remove": lambda values: values.remove(values[0]),
    "pop": lambda values: values.pop(0),
    "clear": lambda values: values.clear(),
    "reverse": lambda values: values.reverse(),
    "sort": lambda values: values.sort(key=str, reverse=True),
    "__setitem__": lambda values: values.__setitem__(0, values[1]),
    "__setitem__, slice": lambda values: values.__setitem__(slice(None), values[:1]),
    "__delitem__": lambda values: values.__delitem__(-1),
    "__delitem__, slice": lambda values: values.__delitem__(slice(1)),
    "__iadd__": lambda values: added(values, values[0]),
    "__imul__": repeated,
    "__init__": lambda values: values.__init__(values[1:]),
    "insort": lambda values: bisect.insort(values, values[0], key=str),
    "shuffle": random.Random(2).shuffle,
}


@pytest.mark.parametrize("how", CHANGES)
def test_each_way_to_change_a_list_is_noted(how):
    plain = DataSet(
        {
            "ImageType": ["A", "B", "C"],
            "BeamSequence": [{"BeamName": "A"}, {"BeamName": "B"}, {"BeamName": "C"}],
        }
    )
    for keyword in plain:
        ds = DataSet.from_bytes(plain.to_bytes(EXPLICIT), EXPLICIT)
        values = ds[keyword]
        before = list(values)
        CHANGES[how](values)
        assert list(values) != before
        assert ds.to_bytes() == made_anew(ds).to_bytes(EXPLICIT) != plain.to_bytes(EXPLICIT)


def test_every_list_that_is_handed_out_is_one_that_notes():
    for path in [folder / name for folder in FOLDERS for name in FILES]:
        ds = read_file(path) if path.exists() else read(EXPLICIT)
        touch(ds)
        for item in items_of(ds):
            values = content_of(item).values.values()
            assert all(isinstance(value, NotedList) for value in values if isinstance(value, list))


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("how", ["values", "walk", "fetch", "item"])
def test_one_of_many_numbers_is_changed(how, syntax):
    ds = DataSet.from_bytes(
        DataSet({"BeamSequence": [{"ContourData": list(range(300))}]}).to_bytes(syntax), syntax
    )
    item = ds.BeamSequence[0]
    touch(ds) if how == "walk" else None
    values = {
        "values": lambda: next(iter(item.values())),
        "walk": lambda: item.ContourData,
        "fetch": lambda: item.fetch("ContourData").values,
        "item": lambda: item["ContourData"],
    }[how]()
    values[7] = 0.5
    check(ds, syntax)


def test_there_is_no_other_way_to_change_a_list():
    harmless = {"copy", "count", "index"}
    methods = {
        name
        for name, method in vars(list).items()
        if callable(method) and (not name.startswith("_") or name.startswith("__i"))
    }
    items = [name.partition(",")[0] for name in CHANGES]
    assert methods - harmless - {"__iter__"} <= set(items)


def iter_that_fails():
    yield "x"
    raise ValueError


def test_elements_that_depend_on_the_pixel_representation_keep_their_bytes():
    ds = DataSet.from_keywords(PixelRepresentation=1, SmallestImagePixelValue=-2)
    ds.BeamSequence = [{"ImageType": ["A", "B"]}]
    ds.BeamSequence[0].put("LargestImagePixelValue", "SS", -1)
    read_back = DataSet.from_bytes(ds.to_bytes(IMPLICIT), IMPLICIT)
    data = read_back.to_bytes()
    touch(read_back)
    read_back.PixelRepresentation = 0
    read_back.BeamSequence[0].ImageType[0] = "C"
    assert read_back.to_bytes() == data.replace(b"\x02\0\0\0\x01\0", b"\x02\0\0\0\0\0").replace(
        b"A\\B", b"C\\B"
    )


TEXT = {"LO", "SH", "CS", "PN", "ST", "LT", "UI", "DA", "TM"}


def raw_values(ds):
    """The bytes of all elements but sequences and group lengths, by path."""
    return {
        path: bytes(element.raw)
        for path, element in ds.walk()
        if element.vr != "SQ" and path[-1] & 0xFFFF
    }


@pytest.mark.parametrize("name", FILES)
def test_what_is_around_a_change_in_a_file_is_what_was_read(name):
    path = next(folder / name for folder in FOLDERS if (folder / name).exists())
    draw = random.Random(name)
    original = read_file(path)
    before = raw_values(original)
    able = [
        path
        for path, element in original.walk()
        if element.vr in TEXT and element.keyword != "SpecificCharacterSet"
        if not (path[-1] & 0x10000 and path[-1] & 0xFFFF < 0x100)  # private creators
    ]
    for _ in range(20):
        ds = read_file(path)
        touch(ds)
        places = {draw.choice(able) for _ in range(draw.randrange(1, 4))}
        for place in places:
            value = ds[place]
            if isinstance(value, list):
                value[0] = "1"
            else:
                ds[place] = "1"
        written = ds.to_bytes()
        back = raw_values(DataSet.from_bytes(written, ds.transfer_syntax))
        assert {at: raw for at, raw in back.items() if at not in places} == {
            at: raw for at, raw in before.items() if at not in places
        }
        assert {bytes(back[place][:1]) for place in places} == {b"1"}
        for item in items_of(ds):
            content = content_of(item)
            content.scope.note_change(content.number)
        assert ds.to_bytes() == written


def calls_of(function):
    """How many functions are called while one runs."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def test_what_is_not_changed_is_not_walked():
    counts = []
    for size in (10, 1_000):
        item = {"ImageType": ["A", "B"], "BeamSequence": [{"PixelSpacing": [1, 2]}]}
        data = DataSet({"BeamSequence": [item] * size}).to_bytes(EXPLICIT)
        ds = DataSet.from_bytes(data, EXPLICIT)
        touch(ds)
        counts.append(calls_of(ds.to_bytes))
        ds.PatientID = "changed"
        counts.append(calls_of(ds.to_bytes))
    assert counts[:2] == counts[2:]
