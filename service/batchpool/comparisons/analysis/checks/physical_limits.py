"""No arm can be faster than its CPUs and its tasks in flight allow."""

from collections.abc import Iterator
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks.base import CheckInput, Finding
from batchpool.comparisons.analysis.checks.concurrency import total_concurrency

BESIDE = 1.1
"""How much faster than the limit a run may seem when work and limit were measured in turns."""
APART = 1.5
"""The same when the work was measured once, in another stretch of time."""


def check_limits(case: CheckInput) -> Iterator[Finding]:
    """A speedup, or CPU seconds, that cannot be."""
    for arm in case.all_arms:
        if (message := _too_fast(case, arm)) or (message := _too_busy(arm)):
            yield Finding("impossible", f"{arm.name}: {message}", case.affected_arm(arm))


def _too_fast(case: CheckInput, arm: Arm) -> str | None:
    """Each task takes the time it takes alone; lanes and CPUs say how many at once."""
    worst = []
    slack = APART
    for key, facts in arm.runs.items():
        work = _work_same_round(case, key)
        if work is None:
            work = _work_baseline(facts)
        else:
            slack = BESIDE
        if work is not None and facts["wall_s"] > 0:
            lanes = total_concurrency(facts)
            parallel = min(lanes, facts["cpus"] or lanes)
            least_s = max(work[0] / lanes, work[1] / parallel)
            worst.append(least_s / facts["wall_s"])
    if worst and median(worst) > slack:
        return f"{median(worst):.1f} times as fast as its CPUs and tasks in flight allow"
    return None


def _work_same_round(case: CheckInput, key: int) -> tuple[float, float] | None:
    """Wall and CPU seconds of all tasks, from an arm that ran them one by one in that round."""
    for arm in case.all_arms:
        if arm.lanes == 1 and key in arm.runs:
            return arm.runs[key]["task_wall_s"], arm.runs[key]["task_cpu_s"]
    return None


def _work_baseline(facts: object) -> tuple[float, float] | None:
    found = facts.get("alone_s") if isinstance(facts, dict) else None
    return None if found is None else (found["wall"], found["cpu"])


def _too_busy(arm: Arm) -> str | None:
    """Tasks take no more CPU seconds than there are, nor more wall time than lanes have."""
    for facts in arm.runs.values():
        wall_s, lanes = facts["wall_s"], total_concurrency(facts)
        cpus = facts["cpus"]
        busy_s = max(facts["cpu_s"] or 0.0, facts["task_cpu_s"])
        if cpus and busy_s > cpus * wall_s * BESIDE + _GRAIN_S:
            return f"{busy_s:.2f} CPU seconds in {wall_s:.2f} s on {cpus:g} CPUs"
        if facts["task_wall_s"] > lanes * wall_s * BESIDE + _GRAIN_S:
            return f"{facts['task_wall_s']:.2f} s of tasks in {wall_s:.2f} s of {lanes} lanes"
    return None


_GRAIN_S = 0.02
"""The clock of a process's CPU time may step by 10 ms."""
