"""A data set that is an item of a sequence of its own ends nowhere; what looks at it does."""

from __future__ import annotations

import copy
import pickle

import pytest

from dicom_actors import DataSet
from dicom_actors.errors import EncodeError


def direct():
    ds = DataSet.from_keywords(PatientID="1", BeamSequence=[])
    ds.BeamSequence.append(ds)
    ds.BeamSequence.append(ds)  # which would be two to the power of the depth
    return ds


def around():
    ds = DataSet.from_keywords(PatientID="1")
    inner = DataSet.from_keywords(PatientID="2", ReferencedBeamSequence=[ds])
    ds.BeamSequence = [{"PatientID": "3"}, inner]
    return ds


both = pytest.mark.parametrize("make", [direct, around])


@both
@pytest.mark.parametrize(
    "use",
    [
        lambda ds: list(ds.walk()),
        lambda ds: ds.copy(),
        copy.deepcopy,
        pickle.dumps,
        lambda ds: ds.to_bytes(),
        lambda ds: ds.to_json(),
        lambda ds: ds.with_transfer_syntax("ImplicitVRLittleEndian").to_bytes(),
    ],
)
def test_what_needs_all_of_it_is_refused(make, use) -> None:
    with pytest.raises(EncodeError, match=r"in itself|nested deeper"):
        use(make())


@both
def test_it_equals_what_is_made_alike(make) -> None:
    ds, other = make(), make()
    assert ds == ds
    assert ds == other
    other.PatientID = "4"
    assert ds != other


@both
def test_it_is_printed_up_to_where_it_begins_again(make) -> None:
    text = str(make())
    assert "a data set is in itself" in text
    assert len(text.splitlines()) < 20


@both
def test_a_check_says_where(make) -> None:
    found = [str(each) for each in make().check()]
    assert any(
        each.endswith("a data set is in itself, as an item of one of its sequences")
        for each in found
    )
    assert found[0].startswith("BeamSequence")


@both
def test_its_character_set_can_be_changed(make) -> None:
    ds = make()
    ds.SpecificCharacterSet = "ISO_IR 192"
    assert ds.SpecificCharacterSet == "ISO_IR 192"


def test_the_same_item_in_several_places_is_none_in_itself() -> None:
    item = DataSet.from_keywords(PatientID="1")
    ds = DataSet.from_keywords(
        BeamSequence=[item, item], ReferencedBeamSequence=[{"BeamSequence": [item]}]
    )
    assert ds.copy() == ds
    assert "itself" not in str(ds)
    assert not [each for each in ds.check() if "itself" in each.message]
    assert len(list(ds.walk())) == 6
