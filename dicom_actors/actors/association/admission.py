"""Whether an association is accepted, and with which presentation contexts. PS3.8 7.1, 9.3.

Pure: an A-ASSOCIATE-RQ, the configuration and the handlers in; an A-ASSOCIATE-AC or a rejection
out. The user's ``association_validator`` is asked afterwards, by the Handler.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from dicom_actors.actors.kernel.handler_table import HandlerTable
from dicom_actors.data import TransferSyntax
from dicom_actors.data.dictionary import (
    SOP_CLASSES,
    TRANSFER_SYNTAXES,
    sop_class_services,
    storage_sop_classes,
    uid_entry,
    uid_named,
)
from dicom_actors.data.dictionary.uids import uid_name
from dicom_actors.errors import ConfigurationError, shown
from dicom_actors.pdu import AsyncWindow
from dicom_actors.upper_layer import NegotiationPolicy, RolePolicy, describe_policy
from dicom_actors.version import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dicom_actors.config import EndpointConfig
    from dicom_actors.messages import EventHandlers
    from dicom_actors.pdu import AssociateAc, AssociateRq, SopClassExtended

__all__ = ["describe_acceptance", "policy_for", "with_identity_response"]

VERIFICATION: Final = "1.2.840.10008.1.1"

UNCOMPRESSED: Final = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
)
"""What we can read and write ourselves, most preferred first."""

READABLE: Final = (*UNCOMPRESSED, "1.2.840.10008.1.2.1.99")
"""The same, and deflated, for messages whose data sets we must read or write."""

_LOSSLESS_FIRST: Final = (False, None, True)


def with_identity_response(ac: AssociateAc, rq: AssociateRq, response: bytes | None) -> AssociateAc:
    """Answer the user identity of `rq`, if it asks for that and there is a response.

    Standard: PS3.7 D.3.3.7.
    """
    identity = rq.user_information.user_identity
    if response is None or identity is None or not identity.positive_response_requested:
        return ac
    return replace(
        ac, user_information=replace(ac.user_information, user_identity_response=response)
    )


def describe_acceptance(config: EndpointConfig, event_handlers: EventHandlers) -> str:
    """Return what an endpoint accepts, as text: a line for each presentation context.

    Args:
        config: the endpoint's configuration.
        event_handlers: its event handlers.

    Raises:
        ConfigurationError: an event handler is wrong, or a UID of the configuration.

    Standard: PS3.2 (the tables of a Conformance Statement).
    """
    config = with_uids(config)
    policy = policy_for(config, HandlerTable(event_handlers))
    classes = dict.fromkeys(
        (
            VERIFICATION,
            *storage_sop_classes(),
            *(config.storage_sop_classes or ()),
            *sop_class_services(),
        )
    )
    return describe_policy(policy, lambda uid: uid_name(uid) or uid, classes)


def with_uids(config: EndpointConfig) -> EndpointConfig:
    """Put UIDs in the place of keywords of PS3.6.

    Raises:
        ConfigurationError: one is neither.
    """
    classes, syntaxes = config.storage_sop_classes, config.transfer_syntaxes
    return replace(
        config,
        storage_sop_classes=_uids("storage_sop_classes", classes, SOP_CLASSES),
        transfer_syntaxes=_uids("transfer_syntaxes", syntaxes, TRANSFER_SYNTAXES),
    )


def _uids(
    setting: str, names: Sequence[str] | None, types: tuple[str, ...]
) -> tuple[str, ...] | None:
    if isinstance(names, str):
        raise ConfigurationError(f"{setting}: expected a sequence of UIDs, got a text")
    if names is not None and not isinstance(names, Iterable):
        raise ConfigurationError(f"{setting}: expected a sequence of UIDs, got {shown(names)}")
    try:
        return None if names is None else tuple(uid_named(name, types) for name in names)
    except ValueError as error:
        raise ConfigurationError(f"{setting}: {error}") from error


def policy_for(config: EndpointConfig, handlers: HandlerTable) -> NegotiationPolicy:
    """What an endpoint with that configuration and these handlers accepts.

    Verification always is, any other SOP class if there is a handler for one of its services at
    least. The requestor is its SCU, unless it proposes to be its SCP (PS3.7 D.3.3.4): that it may
    be where we are the SCU, which is with a ``cget`` handler for storage, since the instances
    that were asked for are then sent by C-STORE on the same association (PS3.4 C.5.3), and with a
    ``nevent_report`` handler for a class whose SCP reports events. Such an SCP is accepted without
    a role selection, too, which many leave out of the association that they open for a report.

    Storage is in every transfer syntax: an object is kept, and sent, as it was received. All else
    is in those that we read and write.
    """
    further = config.storage_sop_classes
    of_storage = RolePolicy(scu="cstore" in handlers, scp="cget" in handlers)
    transfer_syntaxes = (
        _storage_transfer_syntaxes()
        if config.transfer_syntaxes is None
        else tuple(config.transfer_syntaxes)
    )

    def roles_of(abstract_syntax: str) -> RolePolicy:
        if _is_storage(abstract_syntax, further):
            return of_storage
        return _roles_for(abstract_syntax, handlers)

    def transfer_syntaxes_of(abstract_syntax: str) -> tuple[str, ...] | None:
        if not any(roles_of(abstract_syntax)):
            return None
        if abstract_syntax == VERIFICATION:
            return UNCOMPRESSED
        return transfer_syntaxes if _is_storage(abstract_syntax, further) else READABLE

    def supported_of(proposed: SopClassExtended) -> bytes | None:
        ours = (config.extended_negotiation or {}).get(proposed.sop_class_uid)
        if ours is None:
            return None
        return bytes(map(min, proposed.information, ours))

    return NegotiationPolicy(
        abstract_syntaxes=transfer_syntaxes_of,
        roles=roles_of,
        max_pdu_length=config.max_pdu_length,
        implementation_class_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version_name=IMPLEMENTATION_VERSION_NAME,
        async_window=AsyncWindow(config.async_window, 1),
        called_ae_titles=None if config.ae_title is None else frozenset({config.ae_title.strip()}),
        calling_ae_titles=(
            None
            if config.calling_ae_titles is None
            else frozenset(title.strip() for title in config.calling_ae_titles)
        ),
        max_associations=config.max_associations,
        max_associations_per_ae=config.max_associations_per_ae,
        extended=None if not config.extended_negotiation else supported_of,
    )


def _roles_for(abstract_syntax: str, handlers: HandlerTable) -> RolePolicy:
    """Return what the requestor may be for a SOP class that is not for storage."""
    known = sop_class_services().get(abstract_syntax)
    if known is None:
        return RolePolicy(scu=False, scp=False)
    takes_reports = known.has_notifications and "nevent_report" in handlers
    return RolePolicy(
        scu=abstract_syntax == VERIFICATION
        or any(_handler_name(operation) in handlers for operation in known.operations),
        scp=takes_reports,
        unstated=takes_reports,
    )


def _handler_name(operation: str) -> str:
    """Return the handler of a DIMSE operation: ``"ncreate"`` for ``"N-CREATE"``."""
    return operation.replace("-", "").lower()


def _is_storage(abstract_syntax: str, further: Sequence[str] | None) -> bool:
    if abstract_syntax in _standard_storage() or (further and abstract_syntax in further):
        return True
    # None: everything that is not known to be something else.
    return further is None and uid_entry(abstract_syntax) is None


@lru_cache(maxsize=1)
def _standard_storage() -> frozenset[str]:
    return frozenset(storage_sop_classes())


@lru_cache(maxsize=1)
def _storage_transfer_syntaxes() -> tuple[str, ...]:
    compressed = [
        syntax
        for syntax in TransferSyntax.all_known()
        if syntax.uid not in UNCOMPRESSED and syntax.is_data_set_encoding
    ]
    # Lossless before lossy, current before retired: what keeps most of the image comes first.
    compressed.sort(
        key=lambda syntax: (syntax.is_retired, _LOSSLESS_FIRST.index(syntax.lossy), syntax.uid)
    )
    return UNCOMPRESSED + tuple(syntax.uid for syntax in compressed)
