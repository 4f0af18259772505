"""A few files of the campaign of `kit.mutations`."""

from __future__ import annotations

import pytest
from kit.mutations import run


@pytest.mark.parametrize("seed", range(0, 400, 50))
def test_no_law_is_broken(seed):
    assert run(50, seed) == []
