"""Which objects a route is for: attributes by the rules of queries, AE titles, addresses."""

from __future__ import annotations

import pytest

from dicom_actors import DataSet
from dicom_actors.archive import Origin
from dicom_actors.errors import ConfigurationError
from dicom_actors.flow import Conditions

CT = DataSet.from_keywords(
    Modality="CT",
    PatientName="Doe^Jane",
    StudyDate="20260102",
    ImageType=["ORIGINAL", "PRIMARY"],
    Rows=512,
    RequestAttributesSequence=[DataSet.from_keywords(ScheduledProcedureStepID="S1")],
)
ORIGIN = Origin("SCANNER1", "ARCHIVE", "10.1.2.3")


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"Modality": "CT"}, True),
        ({"Modality": "MR"}, False),
        ({"Modality": ["MR", "CT"]}, True),
        ({"PatientName": "doe*"}, True),
        ({"StudyDate": "20260101-20260131"}, True),
        ({"StudyDate": "20260103-"}, False),
        ({"ImageType": "PRIMARY"}, True),
        ({"Rows": 512}, True),
        ({"Rows": 256}, False),
        ({"00080060": "CT"}, True),
        ({"RequestAttributesSequence": {"ScheduledProcedureStepID": "S?"}}, True),
        ({"RequestAttributesSequence": {"ScheduledProcedureStepID": "T?"}}, False),
        ({"AccessionNumber": "1"}, False),
        ({"AccessionNumber": '""'}, True),
        ({"calling_ae_title": "SCANNER?"}, True),
        ({"calling_ae_title": "scanner1"}, False),
        ({"calling_ae_title": ["X", "SCAN*"]}, True),
        ({"called_ae_title": "OTHER"}, False),
        ({"address": "10.1.*"}, True),
        ({"address": "10.1.0.0/16"}, True),
        ({"address": ["10.2.0.0/16", "192.168.0.0/16"]}, False),
        ({"Modality": "CT", "address": "10.3.0.0/16"}, False),
    ],
)
def test_conditions(when, holds):
    assert Conditions.of(when).hold(CT, ORIGIN) is holds


def test_what_came_by_no_association_has_no_title():
    assert not Conditions.of({"calling_ae_title": "SCANNER1"}).hold(CT, Origin())
    assert Conditions.of({"Modality": "CT"}).hold(CT, Origin())


def test_an_address_of_ipv6_that_stands_for_one_of_ipv4():
    origin = Origin(address="::ffff:10.1.2.3")
    assert Conditions.of({"address": "10.0.0.0/8"}).hold(CT, origin)
    assert not Conditions.of({"address": "10.0.0.0/8"}).hold(CT, Origin(address="no address"))


@pytest.mark.parametrize(
    "when",
    [
        {"NoSuchAttribute": "1"},
        {"StudyDate": "2026-01-02"},
        {"address": "10.0.0.0/99"},
        {"calling_ae_title": ""},
        {"calling_ae_title": []},
        {"calling_ae_title": [1]},
    ],
)
def test_conditions_that_are_none(when):
    with pytest.raises(ConfigurationError):
        Conditions.of(when)


def test_what_cannot_be_decoded_matches_nothing():
    broken = DataSet.from_bytes(
        b"\x28\x00\x10\x00US\x03\x00abc", transfer_syntax="ExplicitVRLittleEndian"
    )

    assert not Conditions.of({"Rows": 512}).hold(broken, ORIGIN)
