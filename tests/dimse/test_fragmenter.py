"""Messages are cut to what the peer takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dicom_actors.dimse import fragment
from dicom_actors.pdu import p_data_length


@given(data=st.binary(max_size=400), limit=st.integers(8, 128), is_command=st.booleans())
def test_every_pdu_fits_and_together_they_are_the_message(
    data: bytes, limit: int, is_command: bool
) -> None:
    pdvs = list(fragment(5, data, limit, is_command=is_command))
    assert all(p_data_length((pdv,)) <= limit for pdv in pdvs)
    assert b"".join(bytes(pdv.data) for pdv in pdvs) == data
    assert [pdv.is_last for pdv in pdvs] == [False] * (len(pdvs) - 1) + [True]
    assert {(pdv.context_id, pdv.is_command) for pdv in pdvs} == {(5, is_command)}


def test_a_peer_without_limit_gets_large_pdus_without_a_copy() -> None:
    data = bytes(100_000)
    (pdv,) = fragment(1, data, 0, is_command=False)
    assert isinstance(pdv.data, memoryview)
    assert pdv.data.obj is data
