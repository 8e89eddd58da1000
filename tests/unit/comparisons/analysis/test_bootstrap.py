"""Medians, their bootstrap interval, and outliers."""

import math
import random
from statistics import median

import pytest

from batchpool.comparisons.analysis.bootstrap import (
    RESAMPLES,
    log_ratios,
    mad,
    median_interval,
    median_rank_resamples,
    outliers,
    tail_share,
)
from batchpool.comparisons.analysis.verdicts import ratio_of

_TEN = [0.31, -0.12, 0.25, 0.07, 0.44, -0.03, 0.19, 0.28, 0.36, 0.15]
_FOURTEEN = [*_TEN, 0.9, -0.5, 0.22, 0.01]


@pytest.mark.parametrize(
    ("values", "interval"),
    # numpy: quantiles of 2,000,000 medians of real resamples, at the same tails.
    [(_TEN, (0.02, 0.335)), (_TEN[:9], (-0.03, 0.36)), (_FOURTEEN, (0.01, 0.32))],
)
def test_the_interval_is_that_of_a_bootstrap_that_resamples_every_value(
    values: list[float], interval: tuple[float, float]
) -> None:
    assert median_interval(values, seed=1) == pytest.approx(interval)


@pytest.mark.parametrize("count", [1, 2, 7, 10])
def test_resampled_medians_are_spread_as_those_of_whole_resamples(count: int) -> None:
    values = [float(n) for n in range(count)]
    rng = random.Random(2)
    whole = [median(rng.choices(values, k=count)) for _ in range(RESAMPLES)]
    picked = median_rank_resamples(count, seed=3)
    for cut in values:
        ours = sum(times for (low, high), times in picked.items() if (low + high) / 2 <= cut)
        assert ours / RESAMPLES == pytest.approx(
            sum(m <= cut for m in whole) / RESAMPLES, abs=0.025
        )


def test_the_same_seed_gives_the_same_interval() -> None:
    assert median_interval(_TEN, 5) == median_interval(list(reversed(_TEN)), 5)


@pytest.mark.parametrize(
    ("count", "share"),
    # scipy: norm.cdf(-sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
    [(5, 0.00095410), (10, 0.00855064), (11, 0.00972241), (20, 0.01588083), (50, 0.02117941)],
)
def test_the_percentiles_are_widened_as_hesterberg_does(count: int, share: float) -> None:
    assert tail_share(count) == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("count", [6, 10, 20])
def test_the_interval_covers_a_true_median_as_often_as_it_says(count: int) -> None:
    rng = random.Random(4)
    hits = 0
    for _ in range(1000):
        low, high = median_interval([rng.gauss(0.3, 0.1) for _ in range(count)], seed=6)
        hits += low <= 0.3 <= high
    assert hits / 1000 >= 0.92


def test_the_mad_is_the_published_one() -> None:
    # The example of Wikipedia's article on it; and scipy.stats.median_abs_deviation.
    assert mad([1, 1, 2, 2, 4, 6, 9]) == 1
    assert mad(_TEN) == pytest.approx(0.115)


def test_ratios_are_taken_within_rounds_that_both_arms_have() -> None:
    found = log_ratios({1: 2.0, 2: 3.0, 4: 8.0}, {1: 1.0, 3: 5.0, 4: 2.0})
    assert found == pytest.approx([math.log(2), math.log(4)])


def test_an_outlier_is_named_by_its_round() -> None:
    values = {n: 1.0 + 0.01 * (n % 3) for n in range(10)}
    assert outliers(values) == []
    assert outliers(values | {7: 3.0}) == [7]


def test_equal_values_have_no_outliers() -> None:
    assert outliers(dict.fromkeys(range(5), 1.0)) == []


def test_rounds_that_disagree_have_a_large_p_and_rounds_that_agree_a_small_one() -> None:
    reference = dict.fromkeys(range(10), 1.0)
    agreeing = {number: 1.2 + number / 100 for number in range(10)}
    disagreeing = {n: each if n % 2 else 1 / each for n, each in agreeing.items()}
    one, other = ratio_of(agreeing, reference, 1), ratio_of(disagreeing, reference, 1)
    assert one is not None and one.p == pytest.approx(2 / 2**10)
    assert other is not None and other.p > 0.5
