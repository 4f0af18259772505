"""Hypothesis strategies for PDUs that may be sent."""

from __future__ import annotations

from hypothesis import strategies as st

from dicom_actors.pdu import (
    Abort,
    AssociateAc,
    AssociateRj,
    AssociateRq,
    AsyncWindow,
    ContextResult,
    PDataTf,
    Pdv,
    PresentationContextAc,
    PresentationContextRq,
    ReleaseRp,
    ReleaseRq,
    RoleSelection,
    SopClassCommonExtended,
    SopClassExtended,
    UnknownItem,
    UserIdentity,
    UserInformation,
)

BYTE = st.integers(0, 255)
UINT16 = st.integers(0, 0xFFFF)
UINT32 = st.integers(0, 0xFFFFFFFF)
UIDS = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,5})){1,6}", fullmatch=True)
PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
AE_TITLES = (
    st.text(PRINTABLE.filter(lambda c: c != "\\"), min_size=1, max_size=16)
    .map(lambda title: title.strip(" "))
    .filter(bool)
)
NAMES = st.text(PRINTABLE, max_size=16).map(lambda name: name.strip(" "))
CONTEXT_IDS = st.integers(0, 127).map(lambda number: 2 * number + 1)
DATA = st.binary(max_size=40)


def tuples_of(strategy, max_size=3):
    return st.lists(strategy, max_size=max_size).map(tuple)


def unknown_items(known):
    return tuples_of(st.builds(UnknownItem, BYTE.filter(lambda kind: kind not in known), DATA), 2)


IDENTITIES = st.builds(UserIdentity, st.integers(1, 5), DATA, DATA, st.booleans())
USER_INFORMATION = st.builds(
    UserInformation,
    UINT32,
    UIDS,
    NAMES,
    st.none() | st.builds(AsyncWindow, UINT16, UINT16),
    tuples_of(st.builds(RoleSelection, UIDS, st.booleans(), st.booleans())),
    tuples_of(st.builds(SopClassExtended, UIDS, DATA)),
    tuples_of(st.builds(SopClassCommonExtended, UIDS, UIDS, tuples_of(UIDS), BYTE)),
    st.none() | IDENTITIES,
    st.none() | DATA,
    unknown_items({0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59}),
)
ASSOCIATE_RQS = st.builds(
    AssociateRq,
    AE_TITLES,
    AE_TITLES,
    tuples_of(st.builds(PresentationContextRq, BYTE, UIDS, tuples_of(UIDS))),
    USER_INFORMATION,
    UIDS,
    UINT16,
    unknown_items({0x10, 0x20, 0x50}),
)
ASSOCIATE_ACS = st.builds(
    AssociateAc,
    AE_TITLES,
    AE_TITLES,
    tuples_of(st.builds(PresentationContextAc, BYTE, st.sampled_from(ContextResult), UIDS)),
    USER_INFORMATION,
    UIDS,
    UINT16,
    unknown_items({0x10, 0x21, 0x50}),
)
PDVS = st.builds(Pdv, BYTE, st.booleans(), st.booleans(), DATA)
PDUS = st.one_of(
    ASSOCIATE_RQS,
    ASSOCIATE_ACS,
    st.builds(AssociateRj, BYTE, BYTE, BYTE),
    st.builds(PDataTf, tuples_of(PDVS)),
    st.just(ReleaseRq()),
    st.just(ReleaseRp()),
    st.builds(Abort, BYTE, BYTE),
)
