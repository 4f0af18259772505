"""Person names (PS3.5 6.2.1)."""

import copy
import pickle

import pytest
from pydicom.valuerep import PersonName as PydicomName

from dicom_actors.data.values.value_types import PersonName, PersonNameGroup


def test_components():
    name = PersonName("Adams^John Robert Quincy^^Rev.^B.A. M.Div.")
    assert name.family_name == "Adams"
    assert name.given_name == "John Robert Quincy"
    assert name.middle_name == ""
    assert name.prefix == "Rev."
    assert name.suffix == "B.A. M.Div."
    assert name.alphabetic == name
    assert (name.ideographic, name.phonetic) == ("", "")


def test_groups():
    name = PersonName.parse("Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert name.alphabetic.family_name == name.family_name == "Yamada"
    assert name.ideographic == "山田^太郎"
    assert name.ideographic.given_name == "太郎"
    assert name.phonetic.components == ("やまだ", "たろう", "", "", "")
    assert isinstance(name.phonetic, PersonNameGroup)


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (("Doe^John",), "Doe^John"),
        (("Wang^XiaoDong", "王^小东"), "Wang^XiaoDong=王^小东"),
        (("", "", "やまだ"), "==やまだ"),
        (("A", "", "C"), "A==C"),
        ((), ""),
    ],
)
def test_made_of_groups(groups, text):
    name = PersonName(*groups)
    assert name == text
    assert str(name) == text
    assert hash(name) == hash(text)
    assert (name.alphabetic, name.ideographic, name.phonetic) == (*groups, "", "", "")[:3]


@pytest.mark.parametrize("text", ["Doe^John^^^", "A=B=", "A=B=C=D", "^^^^^^", "=", " Doe ^ J "])
def test_text_is_kept_as_it_came(text):
    assert str(PersonName.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Doe^John",
        "Doe",
        "^John",
        "Doe^John^M^Dr^Jr",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        "==x^y",
        "",
    ],
)
def test_agrees_with_pydicom(text):
    ours, theirs = PersonName.parse(text), PydicomName(text)
    assert ours.family_name == theirs.family_name
    assert ours.given_name == theirs.given_name
    assert ours.middle_name == theirs.middle_name
    assert ours.prefix == theirs.name_prefix
    assert ours.suffix == theirs.name_suffix
    assert ours.alphabetic == theirs.alphabetic
    assert ours.ideographic == theirs.ideographic
    assert ours.phonetic == theirs.phonetic


def test_more_than_the_standard_allows_is_not_lost():
    name = PersonName.parse("a^b^c^d^e^f=g=h=i")
    assert name.components == ("a", "b", "c", "d", "e")
    assert name.phonetic == "h"
    assert name == "a^b^c^d^e^f=g=h=i"


def test_spaces_around_components_do_not_count():
    name = PersonName.parse(" Doe ^ John = x ")
    assert name.components[:2] == ("Doe", "John")
    assert name.ideographic == "x"


def test_from_components():
    group = PersonNameGroup.from_components(family_name="Doe", prefix="Dr.")
    assert group == "Doe^^^Dr."
    assert PersonName(group).prefix == "Dr."
    assert PersonNameGroup.from_components() == ""
    assert PersonName.from_components("Doe", "John").given_name == "John"


@pytest.mark.parametrize("component", ["a^b", "a=b", "a\\b"])
def test_components_hold_no_delimiters(component):
    with pytest.raises(ValueError, match="component"):
        PersonNameGroup.from_components(given_name=component)


def test_copies_are_names():
    name = PersonName("Doe^John", "x")
    for again in (copy.deepcopy(name), pickle.loads(pickle.dumps(name))):
        assert type(again) is PersonName
        assert again == name
