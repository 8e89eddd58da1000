"""Chaos for a while; `make chaos` runs it for longer, and judges how long recovery takes."""

import pytest

from tests.faults.chaos import soak


@pytest.mark.full
@pytest.mark.parametrize("seconds", [10, 60])
def test_chaos_loses_doubles_and_leaves_nothing(seconds: int, seed: int) -> None:
    found = soak(seconds, seed)
    # A machine that is busy with other tests leaves time for few hits, maybe all of one kind.
    least_kinds = 3 if seconds >= 60 else 1
    assert len(found.hits) >= seconds / 5 and len({hit.kind for hit in found.hits}) >= least_kinds
    assert any(hit.in_flight for hit in found.hits)
    counts = (found.lost, found.doubled, found.blamed, found.unended, found.leftovers)
    assert counts == (0, 0, 0, 0, 0), counts
    assert found.misreduced == 0
