"""``dicom-actors serve`` is killed with SIGKILL under load; see `kit.killing` for many times."""

from __future__ import annotations

import pytest
from kit import killing

pytestmark = [pytest.mark.interop, pytest.mark.faults]


def test_what_was_acknowledged_outlives_the_process(tmp_path):
    acknowledged, problems = killing.run(tmp_path, kills=3, seed=1)

    assert problems == []
    assert acknowledged > 20
