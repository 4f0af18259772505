"""Hundreds of injected faults of all kinds among honest senders; `kit.campaign` runs thousands."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from kit.campaign import Campaign

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.faults,
    pytest.mark.interop,
    pytest.mark.usefixtures("nothing_left"),
]


def test_every_honest_object_is_answered_and_nothing_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # What is logged is kept for the report, with tracebacks and all that they refer to.
    caplog.set_level(logging.CRITICAL + 1, "dicom_actors")
    campaign = Campaign(faults=300, seed=28, folder=tmp_path, senders=4)
    campaign.run()
    assert sum(campaign.counts.values()) == 300
    assert len(campaign.counts) == 11
    for sender in campaign.senders:
        # Each has got through, in spite of everything.
        assert any(sender.answers.values()), sender.name
    for querier in campaign.queriers:
        assert querier.answered, querier.name
