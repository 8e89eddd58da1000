"""Whether a comparison shows what it had to: passed, failed, or not proven."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from batchpool.comparisons.analysis.bootstrap import log_ratios
from batchpool.comparisons.analysis.checks import CheckInput, Finding
from batchpool.comparisons.analysis.significance import signed_rank_interval
from batchpool.comparisons.conditions import CONFIDENCE, Condition, read_conditions
from batchpool.schemas.comparison_requests import MOST_ROUNDS
from batchpool.schemas.comparison_responses import ConditionOutcome, ConditionResult, SpeedRatio


def judge_conditions(data: CheckInput, findings: Sequence[Finding]) -> list[ConditionResult]:
    """The outcome of each condition of the comparison."""
    spec = data.spec
    conditions = read_conditions(spec.fail_unless, [arm.name for arm in spec.arms])
    return [_judge(condition, data, findings) for condition in conditions]


def _judge(condition: Condition, data: CheckInput, findings: Sequence[Finding]) -> ConditionResult:
    fast, slow = data.arms[condition.fast], data.arms[condition.slow]
    ratio = speed_ratio(fast.walls, slow.walls)
    errors = [
        each.message
        for each in findings
        if each.severity == "error" and each.arm in (None, fast.index, slow.index)
    ]
    if errors or ratio is None:
        why = "; ".join(dict.fromkeys(errors)) or "no round in which both arms were measured"
        outcome: ConditionOutcome = "not proven"
        needed = None
    else:
        outcome, why = _decide(condition, ratio, (fast.name, slow.name))
        needed = _rounds_needed(condition, ratio) if outcome == "not proven" else None
    return ConditionResult(
        condition=condition.text,
        outcome=outcome,
        fast=fast.name,
        slow=slow.name,
        least=condition.least,
        ratio=ratio,
        rounds_needed=needed,
        why=why,
    )


def speed_ratio(fast: Mapping[int, float], slow: Mapping[int, float]) -> SpeedRatio | None:
    """The ratio of the speeds of two arms, from their wall times by round."""
    # The wall time of the slow arm by that of the fast one is the ratio of their speeds.
    logs = log_ratios(slow, fast)
    if not logs:
        return None
    interval = signed_rank_interval(logs, CONFIDENCE)
    low, high = interval if interval else (None, None)
    return SpeedRatio(
        value=math.exp(median(logs)),
        low=None if low is None else math.exp(low),
        high=None if high is None else math.exp(high),
        rounds=len(logs),
    )


def _decide(
    condition: Condition, ratio: SpeedRatio, names: tuple[str, str]
) -> tuple[ConditionOutcome, str]:
    claim = f"the speed of {names[0]} is {ratio.value:.3g} times that of {names[1]}"
    if ratio.low is None or ratio.high is None:
        return "not proven", f"{claim}; {ratio.rounds} rounds are too few for a 99 % interval"
    claim += f" (99 % interval {ratio.low:.3g} to {ratio.high:.3g}, {ratio.rounds} rounds)"
    if ratio.low > condition.least:
        return "passed", f"{claim}: above {condition.least:.3g}"
    if ratio.high < condition.least:
        return "failed", f"{claim}: below {condition.least:.3g}"
    return "not proven", f"{claim}: {condition.least:.3g} is within the interval"


def _rounds_needed(condition: Condition, ratio: SpeedRatio) -> int | None:
    """The rounds after which the interval would lie on one side, if the ratio stays as it is.

    The width of an interval shrinks with the root of the rounds.
    """
    if ratio.low is None or ratio.high is None:
        return None
    distance = math.log(ratio.value / condition.least)
    reach = math.log(ratio.value / (ratio.low if distance > 0 else ratio.high))
    if not distance or (reach / distance) ** 2 * ratio.rounds > 10 * MOST_ROUNDS:
        return None
    return max(ratio.rounds + 1, math.ceil((reach / distance) ** 2 * ratio.rounds))
