"""What a negotiation policy accepts, as data and as text: the tables of a conformance statement.

Standard: PS3.2 (the presentation context tables of a DICOM Conformance Statement).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dicom_actors.upper_layer.negotiation import NegotiationPolicy

__all__ = ["AcceptableContext", "acceptable_contexts", "describe_policy"]


class AcceptableContext(NamedTuple):
    """A row of the table of acceptable presentation contexts.

    Attributes:
        abstract_syntax: the SOP class UID.
        transfer_syntaxes: UIDs, most preferred first.
        as_scp: we can be its SCP.
        as_scu: we can be its SCU on an association that the peer asked for.
    """

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]
    as_scp: bool
    as_scu: bool


def acceptable_contexts(
    policy: NegotiationPolicy, abstract_syntaxes: Iterable[str] = ()
) -> tuple[AcceptableContext, ...]:
    """Return what a policy accepts.

    Args:
        policy: the policy.
        abstract_syntaxes: which SOP classes to look at, for a policy that gives no list.
    """
    listed = policy.abstract_syntaxes
    rows = []
    for uid in listed if isinstance(listed, Mapping) else abstract_syntaxes:
        syntaxes = policy.transfer_syntaxes(uid)
        if syntaxes is not None:
            role = policy.allowed_roles(uid)
            rows.append(AcceptableContext(uid, syntaxes, as_scp=role.scu, as_scu=role.scp))
    return tuple(rows)


def describe_policy(
    policy: NegotiationPolicy,
    name_of: Callable[[str], str] = str,
    abstract_syntaxes: Iterable[str] = (),
) -> str:
    """Return a policy as text, one statement, SOP class or transfer syntax a line.

    SOP classes with the same transfer syntaxes stand together, before these.

    Args:
        policy: the policy.
        name_of: gives a UID's name; by default it stays a UID.
        abstract_syntaxes: as for `acceptable_contexts`.
    """
    rows = acceptable_contexts(policy, abstract_syntaxes)
    return "\n".join((*_general(policy), *_contexts(rows, name_of)))


def _general(policy: NegotiationPolicy) -> Iterator[str]:
    window = policy.async_window
    software = f"{policy.implementation_version_name} {policy.implementation_class_uid}".strip()
    yield f"Implementation: {software}"
    yield f"Maximum length: {policy.max_pdu_length} bytes"
    yield (
        "Asynchronous operations: the peer may invoke"
        f" {window.invoked or 'any number'}, perform {window.performed or 'any number'}"
    )
    yield f"Called AE titles: {_titles(policy.called_ae_titles)}"
    yield f"Calling AE titles: {_titles(policy.calling_ae_titles)}"
    yield (
        f"Associations: {_limit(policy.max_associations)} in all,"
        f" {_limit(policy.max_associations_per_ae)} for each calling AE title"
    )
    yield f"Specialized SOP classes: {'as the general ones' if policy.specialized else 'no'}"
    yield f"SOP class extended negotiation: {'no' if policy.extended is None else 'yes'}"


def _contexts(rows: tuple[AcceptableContext, ...], name_of: Callable[[str], str]) -> Iterator[str]:
    yield f"Acceptable presentation contexts: {len(rows)}"
    alike: dict[tuple[str, ...], list[AcceptableContext]] = {}
    for row in rows:
        alike.setdefault(row.transfer_syntaxes, []).append(row)
    for transfer_syntaxes, group in alike.items():
        for row in group:
            roles = "/".join([*["SCP"] * row.as_scp, *["SCU"] * row.as_scu])
            yield f"  {name_of(row.abstract_syntax)} ({roles or 'no role'})"
        yield from (f"    {name_of(uid)}" for uid in transfer_syntaxes)


def _titles(titles: frozenset[str] | None) -> str:
    return "any" if titles is None else ", ".join(sorted(titles)) or "none"


def _limit(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)
