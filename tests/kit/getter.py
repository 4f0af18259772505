"""A peer that asks for instances and is sent them."""

from __future__ import annotations

from typing import Any, Self

from kit.finder import cancel_pdus
from kit.peer import CT_IMAGE, IMPLICIT, Peer, associate_rq, command_pdus

from dicom_actors import DataSet, Status
from dicom_actors.dimse import Command, CommandElement, CommandField, decode_command, fragment
from dicom_actors.pdu import (
    AssociateAc,
    AsyncWindow,
    PDataTf,
    PresentationContextRq,
    RoleSelection,
)

STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
CONTEXTS = (
    PresentationContextRq(1, "1.2.840.10008.1.1", (IMPLICIT,)),
    PresentationContextRq(3, STUDY_ROOT_GET, (IMPLICIT,)),
    PresentationContextRq(5, CT_IMAGE, (IMPLICIT,)),
)
QUERY = DataSet.from_keywords(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")


def instance(number: int, **more: Any) -> DataSet:
    """An object to be sent."""
    return DataSet.from_keywords(
        SOPClassUID=CT_IMAGE, SOPInstanceUID=f"1.2.{number}", PatientID=str(number), **more
    )


class Getter(Peer):
    """A peer that asks for instances and is sent them."""

    @classmethod
    def at(
        cls,
        port: int,
        roles: tuple[RoleSelection, ...] | None = None,
        window: int = 1,
        more: tuple[PresentationContextRq, ...] = (),
        max_pdu_length: int = 16384,
    ) -> Self:
        """Connect and associate.

        Args:
            port: the endpoint's.
            roles: those of the storage classes; None: to be sent CT images.
            window: how many operations it may have outstanding.
            more: presentation contexts besides.
            max_pdu_length: bytes of a P-DATA-TF that it takes.
        """
        peer = cls(port)
        rq = associate_rq(contexts=(*CONTEXTS, *more), max_pdu_length=max_pdu_length)
        if roles is None:
            roles = (RoleSelection(CT_IMAGE, False, True),)
        information = rq.user_information
        peer.send(
            type(rq)(
                rq.called_ae_title,
                rq.calling_ae_title,
                rq.presentation_contexts,
                type(information)(
                    information.max_pdu_length,
                    information.implementation_class_uid,
                    information.implementation_version_name,
                    async_window=AsyncWindow(window, 1),
                    roles=roles,
                ),
            )
        )
        assert isinstance(peer.receive(), AssociateAc)
        return peer

    def ask(self, message_id: int = 1) -> None:
        """Ask for instances."""
        self.send(
            *command_pdus(
                {
                    CommandElement.AFFECTED_SOP_CLASS_UID: STUDY_ROOT_GET,
                    CommandElement.COMMAND_FIELD: CommandField.C_GET_RQ,
                    CommandElement.MESSAGE_ID: message_id,
                    CommandElement.PRIORITY: 0,
                },
                3,
                has_data_set=True,
            ),
            *(
                PDataTf((pdv,))
                for pdv in fragment(3, QUERY.to_bytes(IMPLICIT), 16384, is_command=False)
            ),
        )

    def cancel(self, message_id: int = 1) -> None:
        """Ask for the end of that."""
        self.send(*cancel_pdus(message_id))

    def next_message(self) -> tuple[Command, DataSet | None]:
        """The next message, whichever it is."""
        command, data = bytearray(), bytearray()
        parsed = None
        while True:
            pdu = self.receive()
            assert isinstance(pdu, PDataTf), pdu
            for pdv in pdu.pdvs:
                if pdv.is_command:
                    command += pdv.data
                else:
                    data += pdv.data
                if not pdv.is_last:
                    continue
                if pdv.is_command:
                    parsed = decode_command(bytes(command))
                    if not parsed.has_data_set:
                        return parsed, None
                else:
                    assert parsed is not None
                    return parsed, DataSet.from_bytes(bytes(data), IMPLICIT)

    def next_store(self) -> Command:
        """Receive the next instance; returns the command of its C-STORE."""
        command, data_set = self.next_message()
        assert command.command_field == CommandField.C_STORE_RQ
        assert data_set is not None
        assert data_set.SOPInstanceUID == command.sop_instance_uid
        return command

    def answer(self, command: Command, status: int = 0) -> None:
        """Answer a C-STORE."""
        self.send(
            *command_pdus(
                {
                    CommandElement.COMMAND_FIELD: 0x8001,
                    CommandElement.MESSAGE_ID_BEING_RESPONDED_TO: command.message_id,
                    CommandElement.STATUS: status,
                },
                5,
            )
        )

    def store_and_hear(self, status: int = 0) -> Command:
        """Take the next instance, answer it; returns the pending response after it."""
        self.answer(self.next_store(), status)
        pending, _ = self.next_message()
        assert pending.status == Status.PENDING
        return pending

    def final(self) -> tuple[Command, DataSet | None]:
        """The final response, which must be the next message, and its identifier."""
        command, data_set = self.next_message()
        assert command.command_field == 0x8010
        assert command.status != Status.PENDING
        return command, data_set


def counts(command: Command) -> tuple[Any, ...]:
    """Remaining, completed, failed and with a warning."""
    elements = command.elements
    return tuple(
        elements.get(f"NumberOf{kind}Suboperations")
        for kind in ("Remaining", "Completed", "Failed", "Warning")
    )
