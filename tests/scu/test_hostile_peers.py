"""Whatever a peer sends, or wherever it stops: an error of the documented kind, and no waiting."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.fake_acceptor import EXPLICIT, FakeAcceptor, response, store_request

from dicom_actors.data import DataSet
from dicom_actors.dimse import CommandField
from dicom_actors.errors import AssociationError, AssociationTimeout, DicomError
from dicom_actors.scu import ProposedContext

CT = "1.2.840.10008.5.1.4.1.1.2"
IMAGE = DataSet.from_keywords(SOPClassUID=CT, SOPInstanceUID="1.2.3", Rows=1)
KEY = DataSet.from_keywords(QueryRetrieveLevel="STUDY")


class Editing(FakeAcceptor):
    """A proper provider whose bytes are edited on the way, and end after `limit` of them.

    After that there is `noise`, and then the end of the stream, or nothing.
    """

    def __init__(
        self,
        limit: int = 1 << 30,
        *,
        edits: dict[int, int] | None = None,
        noise: bytes = b"",
        is_silent: bool = False,
    ) -> None:
        super().__init__()
        self.limit = limit
        self.edits = edits or {}
        self.noise = noise
        self.is_silent = is_silent
        self.position = 0

    def say(self, *things):
        before = len(self._to_send)
        super().say(*things)
        new = bytearray(self._to_send[before:])
        for index in range(len(new)):
            new[index] ^= self.edits.get(self.position + index, 0)
        kept = bytes(new[: max(0, self.limit - self.position)])
        self._to_send = self._to_send[:before] + kept
        self.position += len(new)
        if self.position > self.limit:
            self._to_send, self.noise = self._to_send + self.noise, b""
            self._ends = not self.is_silent

    def on_message(self, context_id, command, data):
        if command.command_field == CommandField.C_FIND_RQ:
            found = DataSet.from_keywords(PatientName="A^B").to_bytes(EXPLICIT)
            yield response(context_id, command, 0xFF00, data=found)
            yield response(context_id, command)
        elif command.command_field == CommandField.C_GET_RQ:
            self.get = (context_id, command)
            storage = next(
                context.context_id
                for context in self.pdus[0].presentation_contexts
                if context.abstract_syntax == CT
            )
            yield store_request(storage, 1, "1.2.3", IMAGE.to_bytes(EXPLICIT))
        elif command.command_field == 0x8001:
            yield response(*self.get)
        else:
            yield from super().on_message(context_id, command, data)


CONTEXTS = [
    "Verification",
    "StudyRootQueryRetrieveInformationModelFind",
    "StudyRootQueryRetrieveInformationModelGet",
    ProposedContext(CT, scp=True),
]


def use(peer: FakeAcceptor) -> tuple[object, ...]:
    """Do everything on one association; returns what came of it."""
    assoc = peer.connect(contexts=CONTEXTS, timeout=5)
    try:
        assoc.echo()
        came = (assoc.store(IMAGE), list(assoc.find(KEY)), list(assoc.get(KEY)))
        assoc.release()
    finally:
        assoc.abort()
    return came


def length_of_a_session() -> int:
    """How many bytes the peer sends when all goes well."""
    peer = Editing()
    stored, matches, instances = use(peer)
    assert (stored.status, len(matches), instances) == (0, 1, [IMAGE])
    return peer.position


LENGTH = length_of_a_session()


def test_the_peer_stops_after_any_byte() -> None:
    for limit in range(LENGTH):
        peer = Editing(limit)
        began = peer.clock.monotonic()
        with pytest.raises(AssociationError):
            use(peer)
        assert peer.is_closed
        assert peer.clock.monotonic() - began < 5


def test_the_peer_falls_silent_after_any_byte() -> None:
    for limit in range(LENGTH):
        peer = Editing(limit, is_silent=True)
        began = peer.clock.monotonic()
        with pytest.raises(AssociationTimeout, match="within 5 s"):
            use(peer)
        assert peer.is_closed
        assert peer.clock.monotonic() - began < 12


@given(st.dictionaries(st.integers(0, LENGTH - 1), st.integers(1, 255), min_size=1, max_size=4))
def test_edited_bytes_raise_nothing_else(edits: dict[int, int]) -> None:
    peer = Editing(edits=edits)
    began = peer.clock.monotonic()
    with contextlib.suppress(DicomError):
        use(peer)
    assert peer.is_closed
    assert peer.clock.monotonic() - began < 60


@given(st.binary(min_size=1, max_size=300), st.integers(0, LENGTH - 1))
def test_random_bytes_raise_nothing_else(noise: bytes, limit: int) -> None:
    peer = Editing(limit, noise=noise)
    with contextlib.suppress(DicomError):  # the last bytes of a session mean nothing
        use(peer)
    assert peer.is_closed
