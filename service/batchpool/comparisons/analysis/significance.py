"""Distribution-free tests: the exact Wilcoxon signed-rank test, and Holm's adjustment."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

ALPHA = 0.05
Key = TypeVar("Key")


def signed_rank_p(differences: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact.

    With two equal arms in shuffled order either sign is equally likely, so the sum of the ranks
    has a known distribution, whatever the noise is. Zeros are left out; equal sizes share their
    ranks.

    Source: Wilcoxon, Individual Comparisons by Ranking Methods (1945).
    """
    sizes = sorted((abs(value), value > 0) for value in differences if value)
    doubled = _doubled_ranks([size for size, _ in sizes])
    if not doubled:
        return 1.0
    upper = sum(rank for rank, (_, positive) in zip(doubled, sizes, strict=True) if positive)
    whole = sum(doubled)
    ways = _ways(doubled)
    smaller = min(upper, whole - upper)
    return min(1.0, 2 * sum(ways[: smaller + 1]) / (1 << len(doubled)))


def signed_rank_interval(values: Sequence[float], share: float) -> tuple[float, float] | None:
    """The interval of the middle of `values` that the signed-rank test does not refuse, exact.

    Its ends are two of the means of all pairs. None when there are too few values for that share:
    99 % needs 8.

    Source: Hollander, Wolfe and Chicken, Nonparametric Statistical Methods (2014), section 3.3.
    """
    count = len(values)
    allowed = (1 - share) / 2 * (1 << count)
    passed, cut = 0, 0
    for times in _ways(range(1, count + 1)):
        passed += times
        if passed > allowed:
            break
        cut += 1
    if cut == 0:
        return None
    ordered = sorted(values)
    means = sorted((a + b) / 2 for at, a in enumerate(ordered) for b in ordered[at:])
    return means[cut - 1], means[-cut]


def rounds_for_interval(share: float) -> int:
    """The fewest values of which `signed_rank_interval` gives an interval."""
    return math.ceil(1 - math.log2(1 - share))


def _doubled_ranks(ordered: Sequence[float]) -> list[int]:
    # Doubled, so that the shared rank of two equal sizes is a whole number.
    ranks: list[int] = []
    while len(ranks) < len(ordered):
        first = len(ranks)
        size = ordered[first]
        same = sum(1 for other in ordered[first:] if other == size)
        ranks += [2 * first + same + 1] * same
    return ranks


def _ways(ranks: Sequence[int]) -> list[int]:
    """The number of subsets of `ranks` with the sum 0, 1, 2, …"""
    ways = [1] + [0] * sum(ranks)
    for rank in ranks:
        for place in range(len(ways) - 1, rank - 1, -1):
            ways[place] += ways[place - rank]
    return ways


def holm(ps: Mapping[Key, float]) -> dict[Key, float]:
    """p values adjusted so that the chance of any false rejection stays below alpha.

    Source: Holm, A Simple Sequentially Rejective Multiple Test Procedure (1979).
    """
    adjusted: dict[Key, float] = {}
    highest = 0.0
    for place, (key, p) in enumerate(sorted(ps.items(), key=lambda entry: entry[1])):
        highest = max(highest, min(1.0, p * (len(ps) - place)))
        adjusted[key] = highest
    return adjusted


def rounds_needed(arms: int) -> int:
    """The fewest rounds with which an arm among `arms` can get a verdict.

    With r rounds the smallest two-sided p of a signed-rank test is 2 / 2**r; Holm's first
    step multiplies it by the number of comparisons, which is one less than the arms.
    """
    rounds = 1
    while 2 / 2**rounds * max(1, arms - 1) > ALPHA:
        rounds += 1
    return rounds
