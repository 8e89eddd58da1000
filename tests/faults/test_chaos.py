"""Chaos for a while; `make chaos` runs it for longer, and judges how long recovery takes."""

import pytest

from tests.faults.chaos import soak

SECONDS = 60


@pytest.mark.full
def test_chaos_loses_doubles_and_leaves_nothing(seed: int) -> None:
    found = soak(SECONDS, seed)
    assert len(found.hits) >= SECONDS / 5 and len({hit.kind for hit in found.hits}) >= 3
    assert any(hit.in_flight for hit in found.hits)
    counts = (found.lost, found.doubled, found.blamed, found.unended, found.leftovers)
    assert counts == (0, 0, 0, 0, 0), counts
    assert found.misreduced == 0
