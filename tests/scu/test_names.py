"""Names of UIDs: a typing error is found before anybody is asked, and near names are told."""

from __future__ import annotations

import pytest
from kit.fake_acceptor import FakeAcceptor

from dicom_actors.data import DataSet
from dicom_actors.data.dictionary import SOP_CLASSES, TRANSFER_SYNTAXES, uid_named
from dicom_actors.dimse import CommandField
from dicom_actors.scu import ProposedContext

STUDY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")

CALLS = {
    "context": lambda peer: peer.connect(contexts=["CTImageStorge"]),
    "context and syntax": lambda peer: peer.connect(
        contexts=[("CTImageStorage", "ExplicitVRLittleEndien")]
    ),
    "proposal": lambda peer: peer.connect(contexts=[ProposedContext("CTImageStorge")]),
    "proposal's syntax": lambda peer: peer.connect(
        contexts=[ProposedContext("CTImageStorage", ("ExplicitVRLittleEndien",))]
    ),
    "get, class": lambda peer: peer.connect().get(STUDY, sop_classes=["CTImageStorge"]),
    "get, syntax": lambda peer: peer.connect().get(
        STUDY, transfer_syntaxes=["ExplicitVRLittleEndien"]
    ),
    "n_get": lambda peer: peer.connect().n_get("PrinterSOPClas", "1.2"),
    "n_get, instance": lambda peer: peer.connect().n_get("Printer", "PrinterInstanc"),
    "n_create": lambda peer: peer.connect().n_create("ModalityPerformedProcedureStp"),
    "n_action, abstract": lambda peer: peer.connect().n_action(
        "Printer", "1.2", 1, abstract_syntax="BasicGrayscalePrintManagementMeat"
    ),
    "find": lambda peer: peer.connect().find(STUDY, model="ModalityWorklistInformationModelFnd"),
    "find, model": lambda peer: peer.connect().find(STUDY, model="workist"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_typing_error_is_told_with_near_names(call) -> None:
    peer = FakeAcceptor()
    with pytest.raises(ValueError, match=r"close to it: \w+"):
        call(peer)
    assert peer.messages == []


def test_a_name_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a Transfer Syntax, got 'CTImageStorage'"):
        uid_named("CTImageStorage", TRANSFER_SYNTAXES)
    with pytest.raises(ValueError, match="is a Transfer Syntax"):
        uid_named("1.2.840.10008.1.2", SOP_CLASSES)


@pytest.mark.parametrize("name", ["", "1.2.840.1OOO8.1.2", "1." + 63 * "1", "1.2 "])
def test_what_is_no_uid_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a UID or its keyword"):
        uid_named(name)


def test_uids_and_keywords_mean_uids() -> None:
    assert uid_named("1.2.3.4") == "1.2.3.4"
    assert uid_named("CTImageStorage", SOP_CLASSES) == "1.2.840.10008.5.1.4.1.1.2"
    assert uid_named("RLELossless", TRANSFER_SYNTAXES) == "1.2.840.10008.1.2.5"


def test_a_well_known_instance_goes_by_its_keyword() -> None:
    peer = FakeAcceptor()
    with peer.connect() as association:
        association.n_get("Printer", "PrinterInstance")
    (command,) = (
        command for _, command, _ in peer.messages if command.command_field == CommandField.N_GET_RQ
    )
    assert command.sop_instance_uid == "1.2.840.10008.5.1.1.17"


@pytest.mark.parametrize("argument", ["sop_classes", "transfer_syntaxes"])
def test_one_text_is_not_several_names(argument) -> None:
    with FakeAcceptor().connect() as assoc:
        with pytest.raises(TypeError, match=r"expected several, as in \['1.2.3'\], got a text"):
            assoc.get(STUDY, **{argument: "1.2.3"})


def test_what_is_no_text_is_no_name() -> None:
    with pytest.raises(ValueError, match=r"expected a UID or its keyword in PS3\.6, got 5"):
        uid_named(5)
