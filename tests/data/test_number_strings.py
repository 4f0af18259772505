"""Many DS or IS in one element: a list in every respect, at the cost of its text."""

from __future__ import annotations

import copy
import gc
import json
import pickle
import tracemalloc
import weakref
from struct import pack

import pytest
from kit.steps import lines_run

from dicom_actors.data import DS, IS, DataSet
from dicom_actors.data.values.number_strings import NumberList

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
MANY = 3_000  # more than one piece of the text


def of(text, vr="DS"):
    value = text.encode("ascii")
    return DataSet.from_bytes(pack("<HH2sH", 0x30, 0x10, vr.encode(), len(value)) + value, EXPLICIT)


def values_of(count):
    return [float(at % 7) + 0.5 for at in range(count)]


def lists(count=MANY):
    numbers = values_of(count)
    return NumberList("DS", "\\".join(map(str, numbers))), numbers


@pytest.mark.parametrize(
    "ask",
    [
        len,
        list,
        tuple,
        repr,
        sorted,
        sum,
        set,
        json.dumps,
        copy.copy,
        copy.deepcopy,
        lambda x: list(reversed(x)),
        lambda x: x[0],
        lambda x: x[-1],
        lambda x: x[1_500],
        lambda x: x[5:2_900:7],
        lambda x: x[::-1],
        lambda x: [*x, *x],
        lambda x: x + [1.0],  # noqa: RUF005 - what is tried
        lambda x: [1.0] + x,  # noqa: RUF005 - as above
        lambda x: x + x,
        lambda x: x * 2,
        lambda x: 2 * x,
        lambda x: x.index(3.5),
        lambda x: x.count(3.5),
        lambda x: 3.5 in x,
        lambda x: "x" in x,
        lambda x: x.copy(),
        lambda x: pickle.loads(pickle.dumps(x)),
        lambda x: x < [9.0],
        lambda x: x >= [9.0],
        lambda x: x == values_of(MANY),
        lambda x: values_of(MANY) == x,
        lambda x: x != values_of(MANY),
        lambda x: x == [1.0],
        lambda x: x == "x",
        lambda x: x == x.copy(),
        lambda x: list(zip(x, x, strict=True)),
        lambda x: isinstance(x, list),
    ],
)
def test_what_is_asked_of_it(ask):
    lazy, plain = lists()
    assert ask(lazy) == ask(plain)
    assert lazy.text is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.append(1.0),
        lambda x: x.extend([1.0, 2.0]),
        lambda x: x.extend(x),
        lambda x: x.insert(3, 1.0),
        lambda x: x.pop(),
        lambda x: x.pop(0),
        lambda x: x.remove(3.5),
        lambda x: x.clear(),
        lambda x: x.reverse(),
        lambda x: x.sort(reverse=True),
        lambda x: x.__setitem__(1_500, 9.0),
        lambda x: x.__setitem__(slice(2, 2_000), [9.0]),
        lambda x: x.__delitem__(-1),
        lambda x: x.__iadd__([1.0]),
        lambda x: x.__imul__(2),
    ],
)
def test_what_changes_it(change):
    lazy, plain = lists()
    assert lazy[7] == plain[7]
    change(lazy)
    change(plain)
    assert (lazy == plain, list(lazy), len(lazy)) == (True, plain, len(plain))
    assert lazy.text is None
    assert (lazy.copy(), pickle.loads(pickle.dumps(lazy)), repr(lazy)) == (
        plain,
        plain,
        repr(plain),
    )


@pytest.mark.parametrize("index", [MANY, -MANY - 1])
def test_no_such_index(index):
    with pytest.raises(IndexError, match="out of range"):
        lists()[0][index]


def test_an_index_is_a_number():
    with pytest.raises(TypeError, match="integers or slices, not str"):
        lists()[0]["1"]


@pytest.mark.parametrize("count", [2, 16, 17, MANY])
@pytest.mark.parametrize(("vr", "text", "kind"), [("DS", "50.000", DS), ("IS", "007", IS)])
def test_each_number_has_its_text(count, vr, text, kind):
    ds = of("\\".join([text] * count), vr)
    value = ds[0x00300010]
    assert {(type(number), number.text) for number in value} == {(kind, text)}
    assert (type(value[-1]), value[-1].text) == (kind, text)
    value.append(1)
    again = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)[0x00300010]
    assert [number.text for number in again] == [text] * count + ["1"]
    other = DataSet()
    other.put_element(of("\\".join([text] * count), vr).fetch(0x00300010))
    assert [number.text for number in other[0x00300010]] == [text] * count
    written = DataSet.from_bytes(other.to_bytes(), EXPLICIT)
    assert [number.text for number in written[0x00300010]] == [text] * count


def test_a_list_that_was_looked_at_is_written_as_it_came():
    ds = of(" 1.50\\ 2\\\\" * 20 + "x ")
    before = ds.to_bytes()
    assert list(ds[0x00300010])[:3] == [1.5, 2, None]
    assert ds.to_bytes() == before
    ds.PatientID = "X"
    assert before in ds.to_bytes()
    ds[0x00300010][0] = 3
    assert before not in ds.to_bytes()


def test_one_that_is_no_number_is_text_and_warned_of_once():
    ds = of("\\".join(["1", "x", "", "1_0", " 2 "] * 20), "IS")
    value = ds[0x00300010]
    assert not ds.warnings
    assert [*value[:5], value[99]] == [1, "x", None, "1_0", 2, 2]
    assert list(value) == list(value)
    assert [str(warning.message) for warning in ds.warnings] == ["expected a number as IS, got 'x'"]


def test_it_costs_its_bytes_until_it_is_looked_at():
    # A long list has to stand in an element without a limit of 16 bits: implicit.
    value = b"1\\" * 2_000_000
    data = pack("<HHI", 0x0018, 0x1242, len(value)) + value  # Actual Frame Duration, IS
    tracemalloc.start()
    try:
        numbers = DataSet.from_bytes(data, IMPLICIT)["ActualFrameDuration"]
        assert len(numbers) == 2_000_001
        assert tracemalloc.get_traced_memory()[0] < 1.1 * len(value)
        assert sum(number or 0 for number in numbers) == 2_000_000
        assert numbers[-1] is None
        assert tracemalloc.get_traced_memory()[1] < 3 * len(value)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ask", [list, len, lambda x: [x[at] for at in range(len(x))], repr])
def test_four_times_as_many_are_four_times_the_work(ask):
    few = lines_run(ask, lists(2_000)[0])
    assert lines_run(ask, lists(8_000)[0]) < 4.5 * few + 50


def test_the_first_alone_costs_no_more_than_one():
    numbers, expected = lists(2_000)
    few = lines_run(lambda x: x[0], numbers)
    assert few < 40
    assert numbers[0] == next(iter(numbers)) == expected[0]
    assert numbers[0].text == next(iter(numbers)).text
    assert numbers[1] == list(numbers)[1]


def test_who_has_looked_at_numbers_is_gone_with_the_last_reference():
    """Nothing of it waits for the garbage collector."""
    numbers = [float(number) for number in range(40)]
    made = DataSet.from_keywords(GridFrameOffsetVector=numbers)
    made.ReferencedImageSequence = [DataSet.from_keywords(ContourData=numbers)]
    data = made.to_bytes("1.2.840.10008.1.2.1")
    gc.collect()
    gc.disable()
    try:
        read = DataSet.from_bytes(data, "1.2.840.10008.1.2.1")
        assert [len(element.value) for _, element in read.walk()] == [1, 40, 40]
        assert read.ReferencedImageSequence[0].ContourData[3] == 3.0
        seen = weakref.ref(read)
        del read
        assert seen() is None
        assert gc.collect() == 0
    finally:
        gc.enable()
