"""``serve`` is killed while it sends on; a hundred times by ``python -m kit.flow_killing``."""

from __future__ import annotations

from kit.flow_killing import run


def test_nothing_is_lost_doubled_or_overtaken_over_kills(tmp_path):
    acknowledged, problems = run(tmp_path, kills=4, seed=1)

    assert problems == []
    assert acknowledged > 0
