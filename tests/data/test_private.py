"""Private creators, blocks and the private dictionary (PS3.5 7.8)."""

import re

import pytest
from pydicom._private_dict import private_dictionaries

from dicom_actors.data.dataset.data_set import DataSet
from dicom_actors.data.dataset.element_index import content_of
from dicom_actors.data.dataset.private import (
    PrivateBlock,
    private_block,
    private_creators,
)
from dicom_actors.data.dictionary.elements import private_entry, private_registry, vr_of_private
from dicom_actors.data.dictionary.vr import VR
from dicom_actors.errors import ElementNotFoundError, EncodeError


def made():
    """A data set with two creators in group 0029 and one in 0019."""
    ds = DataSet()
    ds.put(0x00290010, "LO", "SIEMENS CSA HEADER")
    ds.put(0x00290011, "LO", "ACME 1.0")
    ds.put(0x00291008, "CS", "IMAGE NUM 4")
    ds.put(0x00291101, "DS", ["1.5", "2"])
    ds.put(0x00291102, "LO", "hello")
    ds.put(0x00190010, "LO", "ACME 1.0")
    return ds


def test_what_was_read_has_the_name_that_its_creator_gives_it():
    encoded = made().to_bytes(transfer_syntax="ExplicitVRLittleEndian")
    read = DataSet.from_bytes(encoded, transfer_syntax="ExplicitVRLittleEndian")
    assert read.fetch(0x00291008).name == "CSA Image Header Type"
    assert read.fetch(0x00291102).name == ""  # of a creator that nobody knows
    assert read.fetch(0x00290010).name == "Private Creator"
    assert "[CSA Image Header Type]" in str(read)


# --- the private dictionary ----------------------------------------------------------------


def test_every_row_with_an_open_block_agrees_with_pydicom():
    for creator, rows in private_dictionaries.items():
        for pattern, (vr, vm, name, _) in rows.items():
            if not re.fullmatch(r"[0-9A-F]{3}[13579BDF]xx[0-9A-F]{2}", pattern):
                continue
            entry = private_entry(creator, int(pattern.replace("xx", "42"), 16))
            assert (entry.vr, entry.vm) == (vr.replace("_", " or "), vm), (creator, pattern)
            assert set(entry.vr.split(" or ")) <= set(VR)
            if name != "Unknown":
                assert entry.name == name
            assert f"{entry.group:04X}xx{entry.offset:02X}" == pattern


def test_creators_of_the_table():
    assert len(private_registry().creators) > 400
    assert all(creator == creator.strip() for creator in private_registry().creators)


def test_look_up_does_not_depend_on_the_block():
    for tag in (0x00291010, 0x0029FF10, 0x00292010):
        entry = private_entry("SIEMENS CSA HEADER", tag)
        assert (entry.vr, entry.name) == ("OB", "CSA Image Header Info")
        assert vr_of_private("SIEMENS CSA HEADER", tag) == "OB"


def test_rows_that_hold_for_several_groups():
    entry = private_entry("PAPYRUS 3.0", 0x60031010)
    assert (entry.group, entry.vr, entry.name) == (None, "US", "Overlay Rows")


def test_rows_of_a_certain_block_hold_for_any():
    assert private_entry("ELSCINT1", 0x00E12021).name == "DLP"


def test_unknown_private_elements():
    assert private_entry("NOBODY", 0x00291010) is None
    assert private_entry("SIEMENS CSA HEADER", 0x002910FE) is None
    assert vr_of_private("NOBODY", 0x00291010) == "UN"


# --- creators and blocks -------------------------------------------------------------------


def test_creators():
    ds = made()
    assert private_creators(ds, 0x0029) == {0x10: "SIEMENS CSA HEADER", 0x11: "ACME 1.0"}
    assert private_creators(ds, 0x0031) == {}
    assert content_of(ds).private_creator(0x00291102) == "ACME 1.0"
    assert content_of(ds).private_creator(0x00291008) == "SIEMENS CSA HEADER"
    assert content_of(ds).private_creator(0x00293001) == ""
    assert content_of(ds).private_creator(0x00290010) == ""
    assert content_of(ds).private_creator(0x00100020) == ""


def test_block_is_a_view():
    ds = made()
    block = private_block(ds, 0x0029, "ACME 1.0")
    assert (block.number, block.creator) == (0x11, "ACME 1.0")
    assert block.tag(0x02) == 0x00291102
    assert block[0x01] == [1.5, 2]
    assert block.fetch(0x02).vr == "LO"
    assert block.get(0x03) is None
    assert block.get(0x03, 7) == 7
    assert list(block) == [1, 2]
    assert len(block) == 2
    assert 0x02 in block
    assert 0x03 not in block
    assert 0x1102 not in block
    assert "ACME 1.0" in repr(block)
    block.put(0x03, "US", 5)
    block[0x02] = "world"
    assert ds[0x00291103] == 5
    assert ds[0x00291102] == "world"
    del block[0x01]
    assert 0x00291101 not in ds
    with pytest.raises(ElementNotFoundError):
        block[0x01]
    with pytest.raises(ElementNotFoundError):
        del block[0x01]


def test_values_get_the_vr_of_the_private_dictionary():
    ds = made()
    block = private_block(ds, 0x0029, "SIEMENS CSA HEADER")
    block[0x09] = "20240101"
    assert ds.fetch(0x00291009).vr == private_entry("SIEMENS CSA HEADER", 0x00291009).vr
    unknown = private_block(ds, 0x0019, "ACME 1.0")
    with pytest.raises(EncodeError, match="VR"):
        unknown[0x01] = "text"
    unknown[0x01] = b"\1\2"
    assert ds.fetch(0x00191001).vr == "UN"


def test_reserving_takes_the_first_free_block():
    ds = made()
    ds.put(0x00291301, "LO", "an element whose creator is missing")
    block = private_block(ds, 0x0029, "NEW", create=True)
    assert block.number == 0x12
    assert ds[0x00290012] == "NEW"
    assert private_block(ds, 0x0029, "NEWER", create=True).number == 0x14
    assert private_block(ds, 0x0029, "NEW", create=True).number == 0x12


def test_a_full_group():
    ds = DataSet()
    for number in range(0x10, 0x100):
        ds.put(0x00290000 | number, "LO", f"C{number}")
    with pytest.raises(EncodeError, match="taken"):
        private_block(ds, 0x0029, "ONE MORE", create=True)


def test_removing_a_block():
    ds = made()
    private_block(ds, 0x0029, "ACME 1.0").remove()
    assert [tag for tag in ds if tag >> 16 == 0x0029] == [0x00290010, 0x00291008]


def test_absent_creator():
    with pytest.raises(ElementNotFoundError, match="NOBODY"):
        private_block(made(), 0x0029, "NOBODY")


@pytest.mark.parametrize("group", [0x0028, 0x0001, 0x0007, 0xFFFF, 0x10029, -1, 0])
def test_groups_that_are_not_private(group):
    with pytest.raises(ValueError, match="group"):
        private_block(DataSet(), group, "ACME")


@pytest.mark.parametrize("creator", ["", "  ", "x" * 65, "a\\b"])
def test_names_that_no_creator_has(creator):
    with pytest.raises(EncodeError, match="creator"):
        private_block(DataSet(), 0x0029, creator, create=True)


def test_offsets_and_blocks_are_checked():
    with pytest.raises(ValueError, match="offset"):
        PrivateBlock(DataSet(), 0x0029, 0x10).tag(0x100)
    with pytest.raises(ValueError, match="block"):
        PrivateBlock(DataSet(), 0x0029, 0x0F)


def test_a_creator_that_is_no_text():
    ds = DataSet()
    ds.put(0x00290010, "LO", ["A", "B"])
    assert private_creators(ds, 0x0029) == {}
    assert content_of(ds).private_creator(0x00291001) == ""
