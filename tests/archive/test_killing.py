"""``dicom-actors serve`` is killed with SIGKILL under load; see `kit.killing` for many times."""

from __future__ import annotations

import pytest
from kit import killing

pytestmark = [pytest.mark.interop, pytest.mark.faults]


def test_what_was_acknowledged_outlives_the_process(tmp_path):
    acknowledged, problems = killing.run(tmp_path, kills=3, seed=1)

    assert problems == []
    assert acknowledged > 20


@pytest.mark.parametrize("seed", [1])
def test_of_three_that_share_an_index_one_is_killed_again_and_again(tmp_path, postgresql, seed):
    acknowledged, problems = killing.run_nodes(
        tmp_path, postgresql.new_database(), kills=2, seed=seed
    )

    assert problems == []
    assert acknowledged > 25
