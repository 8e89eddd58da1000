"""The exact tests and their adjustment."""

import random

import pytest

from batchpool.comparisons.analysis.significance import (
    holm,
    rounds_for_interval,
    rounds_needed,
    signed_rank_interval,
    signed_rank_p,
)

# scipy 1.16: stats.wilcoxon(x, method="exact"), with ties an exhaustive PermutationMethod.
_SCIPY = [
    ([0.31, -0.12, 0.25, 0.07, 0.44, -0.03, 0.19, 0.28, 0.36, 0.15], 0.013671875),
    ([1, 2, 2, -3, 4, -1, 5, 3, 3, -2, 6], 0.076171875),
    ([0.01, -0.02, 0.03, -0.04, 0.05, -0.06, 0.07, -0.08], 0.84375),
]
_DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


@pytest.mark.parametrize(("differences", "p"), _SCIPY)
def test_the_signed_rank_test_agrees_with_scipy(differences: list[float], p: float) -> None:
    assert signed_rank_p(differences) == pytest.approx(p, abs=1e-12)


def test_darwins_maize_has_its_published_p() -> None:
    # Darwin (1876), table XCVII, in Fisher's form; p = 0.0413 is in every textbook.
    assert signed_rank_p(_DARWIN) == pytest.approx(0.041259765625)


def test_rounds_that_all_agree_have_the_smallest_p_there_is() -> None:
    assert signed_rank_p([0.1 * n for n in range(1, 11)]) == 2 / 2**10


def test_no_difference_at_all_has_a_p_of_one() -> None:
    assert signed_rank_p([0.0] * 10) == 1.0
    assert signed_rank_p([]) == 1.0


def test_equal_arms_are_called_different_no_more_often_than_said() -> None:
    rng = random.Random(1)
    ps = [signed_rank_p([rng.gauss(0, 1) for _ in range(10)]) for _ in range(2000)]
    assert sum(p <= 0.05 for p in ps) / len(ps) < 0.06


def test_holm_adjusts_as_in_the_worked_example() -> None:
    # Wikipedia, Holm-Bonferroni method: 0.01, 0.04, 0.03, 0.005 at alpha 0.05.
    adjusted = holm({1: 0.01, 2: 0.04, 3: 0.03, 4: 0.005})
    assert adjusted == pytest.approx({4: 0.02, 1: 0.03, 3: 0.06, 2: 0.06})


def test_an_adjusted_p_is_never_above_one() -> None:
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}


@pytest.mark.parametrize(("arms", "rounds"), [(2, 6), (3, 7), (5, 8), (6, 8), (8, 9), (20, 10)])
def test_rounds_needed_is_the_first_count_with_a_p_that_holm_can_accept(
    arms: int, rounds: int
) -> None:
    assert rounds_needed(arms) == rounds
    assert 2 / 2**rounds * (arms - 1) <= 0.05 < 2 / 2 ** (rounds - 1) * (arms - 1)


@pytest.mark.parametrize("share", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("count", [8, 10, 15])
def test_the_interval_has_what_the_test_does_not_refuse(share: float, count: int) -> None:
    rng = random.Random(count)
    values = [rng.gauss(1, 1) for _ in range(count)]
    low, high = signed_rank_interval(values, share) or (0.0, 0.0)
    inside, outside = (low + 1e-9, high - 1e-9), (low - 1e-9, high + 1e-9)
    assert all(signed_rank_p([v - at for v in values]) > 1 - share for at in inside)
    assert all(signed_rank_p([v - at for v in values]) <= 1 - share for at in outside)


@pytest.mark.parametrize(("share", "least"), [(0.95, 6), (0.99, 8)])
def test_too_few_values_have_no_interval(share: float, least: int) -> None:
    assert rounds_for_interval(share) == least
    assert signed_rank_interval([0.1] * (least - 1), share) is None
    assert signed_rank_interval([0.1] * least, share) == pytest.approx((0.1, 0.1))
