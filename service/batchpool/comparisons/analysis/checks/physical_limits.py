"""No arm is faster than its CPUs and its tasks in flight allow."""

from collections.abc import Iterator
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks.base import CheckInput, Finding
from batchpool.comparisons.analysis.checks.concurrency import total_concurrency
from batchpool.ledger.values.comparison_entries import BaselineTime, RunFacts

SAME_ROUND_SLACK = 1.1
"""How much faster than its limit a run may seem when both were measured in the same round."""
BASELINE_SLACK = 1.5
"""The same when the limit follows from the baseline run, at another time."""
CLOCK_STEP_S = 0.02
"""The clock of a process's CPU time may step by 10 ms."""


def check_limits(data: CheckInput) -> Iterator[Finding]:
    """Find speedups and CPU seconds that are impossible."""
    for arm in data.all_arms:
        if (message := _too_fast(data, arm)) or (message := _too_busy(arm)):
            yield Finding("impossible", f"{arm.name}: {message}", data.affected_arm(arm))


def _too_fast(data: CheckInput, arm: Arm) -> str | None:
    """Each task takes the time it takes alone; slots and CPUs limit how many run at once."""
    factors = []
    slack = BASELINE_SLACK
    for round_, facts in arm.runs.items():
        work = _work_same_round(data, round_)
        if work is None:
            work = facts.alone_s
        else:
            slack = SAME_ROUND_SLACK
        if work is not None and facts.wall_s > 0:
            factors.append(_least_s(facts, work) / facts.wall_s)
    if factors and median(factors) > slack:
        return f"{median(factors):.1f} times as fast as its CPUs and tasks in flight allow"
    return None


def _least_s(facts: RunFacts, work: BaselineTime) -> float:
    slots = total_concurrency(facts)
    parallel = min(slots, facts.cpus or slots)
    return max(work.wall / slots, work.cpu / parallel)


def _work_same_round(data: CheckInput, round_: int) -> BaselineTime | None:
    """The time of all tasks in an arm that ran them one by one in that round."""
    for arm in data.all_arms:
        if arm.spec.in_flight == 1 and round_ in arm.runs:
            facts = arm.runs[round_]
            return BaselineTime(facts.task_wall_s, facts.task_cpu_s)
    return None


def _too_busy(arm: Arm) -> str | None:
    """Tasks use no more CPU seconds than the CPUs have, nor more wall time than the slots have."""
    for facts in arm.runs.values():
        wall_s, slots = facts.wall_s, total_concurrency(facts)
        cpus = facts.cpus
        busy_s = max(facts.cpu_s or 0.0, facts.task_cpu_s)
        if cpus and busy_s > cpus * wall_s * SAME_ROUND_SLACK + CLOCK_STEP_S:
            return f"{busy_s:.2f} CPU seconds in {wall_s:.2f} s on {cpus:g} CPUs"
        if facts.task_wall_s > slots * wall_s * SAME_ROUND_SLACK + CLOCK_STEP_S:
            return f"{facts.task_wall_s:.2f} s of tasks in {wall_s:.2f} s of {slots} slots"
    return None
