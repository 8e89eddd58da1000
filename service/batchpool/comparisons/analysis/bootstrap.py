"""Ratios of two arms: logarithms, spread, bootstrap interval of the median, outliers."""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from statistics import NormalDist, median

RESAMPLES = 10_000
NOMINAL = 0.95
OUTLIER_MADS = 3.5
_MAD_TO_SIGMA = 0.6745


def mad(values: Sequence[float]) -> float:
    """Median absolute deviation from the median, unscaled."""
    middle = median(values)
    return median(abs(value - middle) for value in values)


def log_ratios(arm: Mapping[int, float], reference: Mapping[int, float]) -> list[float]:
    """Per round in which both were measured, in order: ln(arm / reference)."""
    return [math.log(arm[key] / reference[key]) for key in sorted(arm.keys() & reference.keys())]


def median_interval(values: Sequence[float], seed: int) -> tuple[float, float]:
    """Bootstrap interval of the median, nominal 95 %; 10,000 resamples.

    Percentiles are widened for small samples as Student's t is against the normal, since plain
    ones cover less than their nominal share: of ten rounds 0.9 % is cut off at either end, not
    2.5 %.

    Source: Hesterberg, What Teachers Should Know about the Bootstrap (2015), section 5.3.
    """
    ordered = sorted(values)
    picked = sorted(
        ((ordered[low] + ordered[high]) / 2, times)
        for (low, high), times in median_rank_resamples(len(ordered), seed).items()
    )
    tail = tail_share(len(ordered)) * RESAMPLES
    return _quantile(picked, tail), _quantile(picked, RESAMPLES - tail)


def _quantile(picked: Sequence[tuple[float, int]], place: float) -> float:
    passed = 0
    for value, times in picked:
        passed += times
        if passed > place:
            return value
    return picked[-1][0]


@lru_cache(maxsize=256)
def median_rank_resamples(count: int, seed: int) -> Counter[tuple[int, int]]:
    """How often each pair of ranks is in the middle of a resample of `count` values.

    The values in the middle of a resample depend on their ranks only, and the k-th smallest of n
    uniform numbers is a beta variate: so a resample costs one or two random numbers, not n, and
    the same resamples of rounds are used for all arms.
    """
    rng = random.Random(seed)  # noqa: S311 - resampling, not secrets
    half = (count + 1) // 2
    picked: Counter[tuple[int, int]] = Counter()
    for _ in range(RESAMPLES):
        low = rng.betavariate(half, count + 1 - half)
        high = low
        if count % 2 == 0:
            # The smallest of the n - k that are left, between the k-th and 1.
            high = 1 - (1 - low) * rng.random() ** (1 / (count - half))
        picked[min(count - 1, int(low * count)), min(count - 1, int(high * count))] += 1
    return picked


def tail_share(count: int) -> float:
    """The share to cut off at either end for a nominal 95 % of `count` values."""
    if count < 2:
        return 0.0
    quantile = _student(1 - (1 - NOMINAL) / 2, count - 1)
    return NormalDist().cdf(-math.sqrt(count / (count - 1)) * quantile)


@lru_cache(maxsize=256)
def _student(share: float, freedom: int) -> float:
    """Quantile of Student's t, by bisection of its integral."""
    low, high = 0.0, 1000.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _student_cdf(t: float, freedom: int) -> float:
    """Exact, as a finite sum. Source: Abramowitz and Stegun (1964), 26.7.3 and 26.7.4."""
    angle = math.atan2(t, math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    added = 0.0
    for step in range(1 + odd, freedom, 2):
        added += term
        term *= cosine * cosine * step / (step + 1)
    if odd:
        inside = 2 / math.pi * (angle + sine * added)
    else:
        inside = sine * added
    return 0.5 + inside / 2


def outliers(values: Mapping[int, float]) -> list[int]:
    """The keys of values more than 3.5 scaled MADs from the median, of logarithms.

    Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993).
    """
    logs = {key: math.log(value) for key, value in values.items()}
    if len(logs) < 3:
        return []
    middle, spread = median(logs.values()), mad(list(logs.values()))
    if spread == 0:
        return []
    scale = _MAD_TO_SIGMA / spread
    return sorted(key for key, log in logs.items() if abs(log - middle) * scale > OUTLIER_MADS)
