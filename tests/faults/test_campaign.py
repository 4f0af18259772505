"""Hundreds of injected faults of all kinds among honest senders; `kit.campaign` runs thousands."""

from __future__ import annotations

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


def test_every_honest_object_is_answered_and_nothing_is_left(tmp_path: Path) -> None:
    campaign = Campaign(faults=300, seed=20, folder=tmp_path, senders=4)
    campaign.run()
    assert sum(campaign.counts.values()) == 300
    assert len(campaign.counts) == 11
    for sender in campaign.senders:
        # Each has got through, in spite of everything.
        assert any(sender.answers.values()), sender.name
