"""The exact tests and their adjustment."""

import pytest

from service.analysis.ranks import rounds_needed


@pytest.mark.parametrize(("arms", "rounds"), [(2, 6), (3, 7), (5, 8), (6, 8), (8, 9), (20, 10)])
def test_rounds_needed_is_the_first_count_with_a_p_that_holm_can_accept(
    arms: int, rounds: int
) -> None:
    assert rounds_needed(arms) == rounds
    assert 2 / 2**rounds * (arms - 1) <= 0.05 < 2 / 2 ** (rounds - 1) * (arms - 1)
