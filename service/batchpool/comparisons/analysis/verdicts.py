"""Verdict rules: whether an arm is faster or slower than the reference."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from batchpool.comparisons.analysis.bootstrap import log_ratios, median_interval
from batchpool.comparisons.analysis.significance import ALPHA, signed_rank_p

_ALARM = 0.01

Verdict = Literal["faster", "slower", "no difference shown"]


@dataclass(frozen=True)
class Ratio:
    """Time of an arm / time of the reference, with its interval and test; over `rounds` rounds."""

    value: float
    low: float
    high: float
    p: float
    rounds: int

    @property
    def excludes_one(self) -> bool:
        return self.low > 1 or self.high < 1

    def is_as_large_as(self, min_effect: float) -> bool:
        """Whether it is at least `1 + min_effect`, or at most the inverse of that."""
        return abs(math.log(self.value)) >= math.log1p(min_effect)


def ratio_of(arm: Mapping[int, float], reference: Mapping[int, float], seed: int) -> Ratio | None:
    """The ratio of two arms' times by round; None without a round that both have."""
    logs = log_ratios(arm, reference)
    if not logs:
        return None
    low, high = median_interval(logs, seed)
    return Ratio(
        value=math.exp(median(logs)),
        low=math.exp(low),
        high=math.exp(high),
        p=signed_rank_p(logs),
        rounds=len(logs),
    )


def decide(ratio: Ratio, p_adjusted: float, min_effect: float) -> tuple[Verdict, str]:
    """The verdict and its grounds: interval, size and test must all agree."""
    missing = []
    if not ratio.excludes_one:
        missing.append(f"the interval {ratio.low:.3f} to {ratio.high:.3f} contains 1")
    if not ratio.is_as_large_as(min_effect):
        missing.append(f"the effect is below the requested {min_effect:.1%}")
    if p_adjusted > ALPHA:
        missing.append(f"the adjusted p is {p_adjusted:.2g}, above {ALPHA}")
    if missing:
        return "no difference shown", "; ".join(missing)
    why = (
        f"the interval {ratio.low:.3f} to {ratio.high:.3f} excludes 1, the effect is at least "
        f"{min_effect:.1%}, and the adjusted p is {p_adjusted:.2g}"
    )
    return ("faster" if ratio.value < 1 else "slower"), why


def shows_a_difference(ratio: Ratio, min_effect: float) -> bool:
    """Whether the control differs from the reference, of which it is a copy.

    This invalidates the whole comparison, so it may happen by chance in one comparison of a
    hundred, not of twenty; with fewer than eight rounds, only if all rounds agree.
    """
    allowed = max(_ALARM, 2 / 2**ratio.rounds)
    return ratio.p <= allowed and ratio.excludes_one and ratio.is_as_large_as(min_effect)
