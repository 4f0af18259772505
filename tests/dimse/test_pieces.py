"""Data sets of several pieces: nothing is lost, and nothing is copied without need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.dimse.pieces import fragment_pieces


@given(
    st.lists(st.binary(max_size=60), max_size=8),
    st.integers(8, 80),
)
def test_the_fragments_are_the_pieces(pieces: list[bytes], max_pdu_length: int) -> None:
    pdvs = list(fragment_pieces(5, pieces, max_pdu_length))
    assert b"".join(bytes(pdv.data) for pdv in pdvs) == b"".join(pieces)
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
    limit = max_pdu_length - 6
    assert all(len(pdv.data) <= limit for pdv in pdvs)
    assert all(len(pdv.data) == limit // 2 * 2 for pdv in pdvs[:-1])
    assert all(pdv.context_id == 5 and not pdv.is_command for pdv in pdvs)


def test_what_is_within_a_piece_is_not_copied() -> None:
    small, large = b"header", bytes(100_000)
    pdvs = list(fragment_pieces(1, [small, large], 16384))
    shared = [pdv for pdv in pdvs if isinstance(pdv.data, memoryview) and pdv.data.obj is large]
    assert len(shared) == len(pdvs) - 1


def test_no_limit_is_a_limit_of_ours() -> None:
    pdvs = list(fragment_pieces(1, [bytes(200_000), b"ab"], 0))
    assert [len(pdv.data) for pdv in pdvs] == [131_066, 68_936]
    assert list(fragment_pieces(1, [], 0)) == list(fragment_pieces(1, [b""], 0))
