"""pynetdicom proposes every SOP class that it knows, to endpoints with and without handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kit.endpoints import LIMIT, running
from pynetdicom import AE, build_role, sop_class

from dicom_actors.actors.kernel.handler_table import SERVICES
from dicom_actors.data.dictionary import sop_class_services

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kit.endpoints import Running

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("nothing_left")]

VERIFICATION = "1.2.840.10008.1.1"
MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
USER_REJECTION = 1

# Of each service class, by pynetdicom's name: the handlers that serve all of its SOP classes.
# "+" stands before what the requestor provides, and has to propose the role for.
HANDLERS = {
    "_APPLICATION_EVENT_CLASSES": "naction",
    "_BASIC_WORKLIST_CLASSES": "cfind",
    "_COLOR_PALETTE_CLASSES": "cfind cmove cget",
    "_DEFINED_PROCEDURE_CLASSES": "cfind cmove cget",
    "_DISPLAY_SYSTEM_CLASSES": "nget",
    "_HANGING_PROTOCOL_CLASSES": "cfind cmove cget",
    "_IMPLANT_TEMPLATE_CLASSES": "cfind cmove cget",
    "_INSTANCE_AVAILABILITY_CLASSES": "ncreate",
    "_INVENTORY_CLASSES": "cfind cmove cget",
    "_MEDIA_CREATION_CLASSES": "ncreate",
    "_NON_PATIENT_OBJECT_CLASSES": "cstore",
    "_PRINT_MANAGEMENT_CLASSES": "ncreate nset nget",
    "_PROCEDURE_STEP_CLASSES": "ncreate nget +nevent_report",
    "_PROTOCOL_APPROVAL_CLASSES": "cfind cmove cget",
    "_QR_CLASSES": "cfind cmove cget",
    "_RELEVANT_PATIENT_QUERY_CLASSES": "cfind",
    "_RT_MACHINE_VERIFICATION_CLASSES": "ncreate",
    "_STORAGE_CLASSES": "cstore",
    "_STORAGE_COMMITMENT_CLASSES": "naction",
    "_STORAGE_MANAGEMENT_CLASSES": "naction",
    "_SUBSTANCE_ADMINISTRATION_CLASSES": "cfind",
    "_UNIFIED_PROCEDURE_STEP_CLASSES": "ncreate cfind +nevent_report",
    "_VERIFICATION_CLASSES": "",
}


def classes_of(group: str) -> list[str]:
    return [str(uid) for uid in getattr(sop_class, group).values()]


def groups() -> set[str]:
    known = {name for name in vars(sop_class) if name.endswith("_CLASSES")}
    return known - {"_SERVICE_CLASSES"}  # these are not SOP classes


def handler(event: Any) -> None:
    """Do nothing."""


def propose(
    endpoint: Running, uids: Iterable[str], *, as_provider: bool = False
) -> Iterator[tuple[str, int, bool, bool]]:
    """Give for each SOP class: its UID, result, and whether pynetdicom is its SCU and SCP."""
    uids = [uid for uid in uids if uid != VERIFICATION]
    for start in range(0, len(uids), 100):
        some = uids[start : start + 100]
        ae = AE()
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = LIMIT
        for uid in (VERIFICATION, *some):  # so that there is always one that is accepted
            ae.add_requested_context(uid)
        roles: list[Any] = [build_role(uid, True, True) for uid in some if as_provider]
        association = ae.associate("127.0.0.1", endpoint.port, ext_neg=roles)
        assert association.is_established
        for context in association.accepted_contexts:
            if context.abstract_syntax != VERIFICATION:
                yield str(context.abstract_syntax), 0, context.as_scu, context.as_scp
        for context in association.rejected_contexts:
            yield str(context.abstract_syntax), context.result, False, False
        association.release()


def test_all_groups_are_here() -> None:
    assert groups() == {*HANDLERS, "_MEDIA_STORAGE_CLASSES"}
    assert classes_of("_MEDIA_STORAGE_CLASSES") == [MEDIA_DIRECTORY]


def test_all_are_accepted_by_an_endpoint_with_all_handlers() -> None:
    known = sop_class_services()
    uids = {uid for group in HANDLERS for uid in classes_of(group)} - {VERIFICATION}
    assert len(uids) > 230
    with running(dict.fromkeys(SERVICES.values(), handler)) as endpoint:
        answers = {uid: answer for uid, *answer in propose(endpoint, uids, as_provider=True)}
    assert set(answers) == uids
    for uid, (result, as_scu, as_scp) in answers.items():
        services = known.get(uid)
        assert result == 0, uid
        # Of what is no storage the requestor is the provider where there are event reports.
        assert as_scp == (services is None or services.has_notifications), uid
        assert as_scu == (services is None or bool(services.operations)), uid


def test_none_is_accepted_by_an_endpoint_without_handlers() -> None:
    uids = {uid for group in groups() for uid in classes_of(group)} - {VERIFICATION}
    with running() as endpoint:
        answers = list(propose(endpoint, uids))
    assert {uid for uid, *_ in answers} == uids
    assert {result for _, result, *_ in answers} == {ABSTRACT_SYNTAX_NOT_SUPPORTED}


@pytest.mark.parametrize("group", HANDLERS)
def test_each_is_accepted_for_its_handlers(group: str) -> None:
    names = HANDLERS[group].split()
    handlers = {name.removeprefix("+"): handler for name in names}
    uids = set(classes_of(group)) - {VERIFICATION}
    as_provider = any(name.startswith("+") for name in names)
    with running(handlers) as endpoint:
        answers = {uid: result for uid, result, *_ in propose(endpoint, uids)}
        roles = dict.fromkeys(uids, 0)
        if as_provider:
            roles = {u: result for u, result, *_ in propose(endpoint, uids, as_provider=True)}
    only_events = {
        uid
        for uid in uids
        if uid in sop_class_services() and not sop_class_services()[uid].operations
    }
    assert set(roles.values()) <= {0}
    assert bool(only_events) == as_provider
    assert answers == dict.fromkeys(uids, 0)  # also where the role of a provider is left out


@pytest.mark.parametrize("group", ["_STORAGE_CLASSES", "_NON_PATIENT_OBJECT_CLASSES"])
def test_storage_for_those_who_only_get(group: str) -> None:
    uids = set(classes_of(group))
    with running({"cget": handler}) as endpoint:
        proposed = list(propose(endpoint, uids, as_provider=True))
        silent = list(propose(endpoint, uids))
    assert set(proposed) == {(uid, 0, False, True) for uid in uids}
    assert set(silent) == {(uid, USER_REJECTION, False, False) for uid in uids}
