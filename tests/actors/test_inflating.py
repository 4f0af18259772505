"""What deflated objects inflate to where handlers look into them: bounded for all together."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from kit.endpoints import running

from dicom_actors import DataSet, connect
from dicom_actors.data import Limits
from dicom_actors.errors import DecodeError

DEFLATED = "1.2.840.10008.1.2.1.99"
CT = "1.2.840.10008.5.1.4.1.1.2"
MIB = 1 << 20


def deflated(number: int, size: int = 8 * MIB) -> DataSet:
    made = DataSet.from_keywords(
        SOPClassUID=CT, SOPInstanceUID=f"1.2.3.{number}", PixelData=bytes(size)
    )
    return DataSet.from_bytes(made.to_bytes(DEFLATED), DEFLATED)


def test_a_budget_is_asked_for_each_piece_and_kept_with_the_data_set() -> None:
    data = deflated(1).to_bytes(DEFLATED)
    taken: list[int] = []

    def take(length: int) -> bool:
        taken.append(length)
        return sum(taken) <= 4 * MIB

    with pytest.raises(DecodeError, match="no room for more than 4194304 bytes"):
        DataSet.from_bytes(data, DEFLATED, limits=Limits(take_inflated=take))
    assert sum(taken) == 5 * MIB
    assert max(taken) == MIB


def test_what_handlers_keep_of_all_associations_is_bounded() -> None:
    kept: list[DataSet] = []
    refused: list[str] = []

    def store(event: Any) -> int:
        try:
            kept.append(event.dataset)
        except DecodeError as error:
            refused.append(str(error))
            return 0xA700
        return 0

    with running({"cstore": store}, max_inflated_bytes=20 * MIB) as endpoint:
        port = endpoint.status().port
        with (
            connect("127.0.0.1", port, timeout=60) as one,
            connect("127.0.0.1", port, timeout=60) as other,
        ):
            statuses = [
                int(by.store(deflated(number)).status)
                for number, by in enumerate([one, other, one, other])
            ]
            # Two of 8 MiB fit; what is let go of makes room again.
            assert statuses == [0, 0, 0xA700, 0xA700]
            assert all("no room" in message for message in refused)
            kept.clear()
            gc.collect()
            assert int(other.store(deflated(9)).status) == 0


def test_what_no_handler_looks_into_is_not_inflated() -> None:
    with (
        running({"cstore": lambda event: 0}, max_inflated_bytes=1) as endpoint,
        connect("127.0.0.1", endpoint.status().port, timeout=60) as assoc,
    ):
        assert int(assoc.store(deflated(1)).status) == 0
