"""The list of items that a sequence is."""

from __future__ import annotations

import copy
import pickle

import pytest

from dicom_actors.data import DataSet
from dicom_actors.errors import EncodeError

EXPLICIT = "1.2.840.10008.1.2.1"


def beams(*names):
    return DataSet.from_keywords(BeamSequence=[{"BeamName": name} for name in names])


def names(ds):
    written = DataSet.from_bytes(ds.to_bytes(), EXPLICIT)
    assert written == ds
    return [item.BeamName for item in written.BeamSequence]


@pytest.fixture(params=["made", "read"])
def ds(request):
    ds = beams("a", "b")
    return ds if request.param == "made" else DataSet.from_bytes(ds.to_bytes(), EXPLICIT)


def test_mappings_and_data_sets_are_put_in(ds):
    ds.BeamSequence.append({"BeamName": "c"})
    ds.BeamSequence.insert(0, DataSet.from_keywords(BeamName="0"))
    ds.BeamSequence.extend([{"BeamName": "d"}, {"BeamName": "e"}])
    ds.BeamSequence += [{"BeamName": "f"}]
    assert names(ds) == ["0", "a", "b", "c", "d", "e", "f"]
    assert all(isinstance(item, DataSet) for item in ds.BeamSequence)


def test_items_are_replaced_and_removed(ds):
    ds.BeamSequence[0] = {"BeamName": "A"}
    assert names(ds) == ["A", "b"]
    ds.BeamSequence[1:] = [{"BeamName": "B"}, {"BeamName": "C"}]
    assert names(ds) == ["A", "B", "C"]
    del ds.BeamSequence[0]
    ds.BeamSequence.reverse()
    assert names(ds) == ["C", "B"]
    assert ds.BeamSequence.pop().BeamName == "B"
    ds.BeamSequence.clear()
    assert names(ds) == []


@pytest.mark.parametrize("value", ["a beam", 7, None, b"x", [{"BeamName": "x"}]])
def test_anything_else_is_refused_at_once(ds, value):
    items = ds.BeamSequence
    for put in (
        lambda: items.append(value),
        lambda: items.insert(0, value),
        lambda: items.extend([value]),
        lambda: items.__setitem__(0, value),
        lambda: items.__setitem__(slice(0, 1), [value]),
    ):
        with pytest.raises(EncodeError, match="expected a data set as item"):
            put()
    assert names(ds) == ["a", "b"]


def test_a_value_that_is_none_of_its_vr(ds):
    with pytest.raises(EncodeError, match="expected values of IS"):
        ds.BeamSequence.append({"BeamNumber": "one"})


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies(ds, way):
    items = way(ds.BeamSequence)
    assert items == ds.BeamSequence
    items.append({"BeamName": "c"})
    assert names(ds) == ["a", "b"]
