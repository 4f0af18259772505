"""The six N-services as a user. PS3.7 10.1 and 10.3."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dicom_actors.data import DataSet
from dicom_actors.data.dataset.encoder import encode_to_send
from dicom_actors.data.dictionary import SOP_INSTANCES, uid_named
from dicom_actors.data.dictionary.tag import to_tag
from dicom_actors.dimse import (
    CommandElement,
    CommandField,
    attribute_identifier_list,
)
from dicom_actors.errors import shown
from dicom_actors.scu.querying import raise_failure
from dicom_actors.storage.contexts import ProposedContext, sop_class_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dicom_actors.data.dictionary.tag import Key
    from dicom_actors.scu.session import Session

    _Values = Mapping[int, int | str | bytes]

__all__ = ["NormalizedResult", "NormalizedServices"]


class NormalizedResult(NamedTuple):
    """What an N-service answered.

    Attributes:
        status: Success or a warning; a failure is raised.
        sop_instance_uid: the instance that was affected; empty if the peer does not say.
        data_set: the attribute list, action reply or event reply; None if there is none.
    """

    status: int
    sop_instance_uid: str
    data_set: DataSet | None


def _checked(name: str, number: int) -> int:
    """Refuse what the command cannot say of an action or event (VR US)."""
    if not isinstance(number, int) or not 0 <= number <= 0xFFFF:
        raise ValueError(f"{name}: expected 0 to 65535, got {shown(number)}")
    return number


class NormalizedServices:
    """The N-services of an association.

    Every method takes SOP classes and well-known instances as UIDs or keywords, and
    `abstract_syntax`, the SOP class of the presentation context where that is another one: a meta
    SOP class, or the class of UPS under which the peer is asked (PS3.4 H.3.2, CC.3.1). Each
    raises:

    - `ValueError`: a name is neither, or a number is out of its range.
    - `TypeError`: what is to be sent is no data set.
    - `DimseFailure`: the peer answered with a failure.
    - `AssociationError`: there is no presentation context for it, or the association is over.
    """

    _session: Session

    def n_create(
        self,
        sop_class: str,
        sop_instance_uid: str | None = None,
        attributes: DataSet | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> NormalizedResult:
        """Make an instance (PS3.7 10.1.5).

        Args:
            sop_class: of the new instance.
            sop_instance_uid: of the new instance; None: the peer gives it one.
            attributes: what it has.
            abstract_syntax: see the class.

        Returns:
            The result, with the instance's UID and the attributes that the peer tells.
        """
        return self._invoke(
            CommandField.N_CREATE_RQ, sop_class, sop_instance_uid or "", abstract_syntax, attributes
        )

    def n_set(
        self,
        sop_class: str,
        sop_instance_uid: str,
        modifications: DataSet,
        *,
        abstract_syntax: str | None = None,
    ) -> NormalizedResult:
        """Change attributes of an instance (PS3.7 10.1.3)."""
        return self._invoke(
            CommandField.N_SET_RQ, sop_class, sop_instance_uid, abstract_syntax, modifications
        )

    def n_get(
        self,
        sop_class: str,
        sop_instance_uid: str,
        attributes: Iterable[Key] = (),
        *,
        abstract_syntax: str | None = None,
    ) -> NormalizedResult:
        """Ask for attributes of an instance (PS3.7 10.1.2).

        Args:
            sop_class: of the instance.
            sop_instance_uid: the instance.
            attributes: keys of those that are wanted; none: all.
            abstract_syntax: see the class.
        """
        tags = attribute_identifier_list(map(to_tag, attributes))
        more: _Values = {CommandElement.ATTRIBUTE_IDENTIFIER_LIST: tags} if tags else {}
        return self._invoke(
            CommandField.N_GET_RQ, sop_class, sop_instance_uid, abstract_syntax, more=more
        )

    def n_delete(
        self, sop_class: str, sop_instance_uid: str, *, abstract_syntax: str | None = None
    ) -> NormalizedResult:
        """Delete an instance (PS3.7 10.1.6)."""
        return self._invoke(CommandField.N_DELETE_RQ, sop_class, sop_instance_uid, abstract_syntax)

    def n_action(
        self,
        sop_class: str,
        sop_instance_uid: str,
        action_type_id: int,
        information: DataSet | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> NormalizedResult:
        """Ask for an action (PS3.7 10.1.4).

        Args:
            sop_class: of the instance.
            sop_instance_uid: the instance, or a well-known one.
            action_type_id: which action, 0 to 65535, by SOP class.
            information: what the action needs.
            abstract_syntax: see the class.
        """
        more: _Values = {CommandElement.ACTION_TYPE_ID: _checked("action_type_id", action_type_id)}
        return self._invoke(
            CommandField.N_ACTION_RQ,
            sop_class,
            sop_instance_uid,
            abstract_syntax,
            information,
            more=more,
        )

    def n_event_report(
        self,
        sop_class: str,
        sop_instance_uid: str,
        event_type_id: int,
        information: DataSet | None = None,
        *,
        abstract_syntax: str | None = None,
    ) -> NormalizedResult:
        """Report an event, as the provider of the SOP class (PS3.7 10.1.1).

        Args:
            sop_class: of the instance.
            sop_instance_uid: the instance.
            event_type_id: what happened, 0 to 65535, by SOP class.
            information: what there is to say about it.
            abstract_syntax: see the class.
        """
        more: _Values = {CommandElement.EVENT_TYPE_ID: _checked("event_type_id", event_type_id)}
        return self._invoke(
            CommandField.N_EVENT_REPORT_RQ,
            sop_class,
            sop_instance_uid,
            abstract_syntax,
            information,
            more=more,
        )

    def _invoke(
        self,
        command_field: CommandField,
        sop_class: str,
        sop_instance_uid: str,
        abstract_syntax: str | None,
        data_set: DataSet | None = None,
        *,
        more: _Values | None = None,
    ) -> NormalizedResult:
        if data_set is not None and not isinstance(data_set, DataSet):
            raise TypeError(f"expected a data set, got {shown(data_set)}")
        session = self._session
        session.begin()
        sop_class = sop_class_named(sop_class)
        uid = sop_class_named(abstract_syntax) if abstract_syntax else sop_class
        if sop_instance_uid:
            sop_instance_uid = uid_named(sop_instance_uid, SOP_INSTANCES)
        is_provider = command_field is CommandField.N_EVENT_REPORT_RQ
        session.cover((ProposedContext(uid, scu=not is_provider, scp=is_provider),))
        context = session.context_for(uid, as_scp=is_provider)
        pieces = None
        if data_set is not None:
            pieces = encode_to_send(data_set, context.transfer_syntax)
        message_id = session.request(
            context, command_field, sop_class, sop_instance_uid, pieces=pieces, more=more
        )
        message = session.response(command_field, message_id)
        command = message.command
        raise_failure(command)
        return NormalizedResult(
            command.status or 0,
            command.sop_instance_uid,
            None if message.data is None else session.data_set_of(message),
        )
