"""Duration of a comparison: a lower bound before it starts, a forecast while it runs; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchpool.comparisons.planning import Run, arm_spec, plan_runs
from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec

SECONDS = "seconds"
"""The parameter that, by convention, says how long a task waits at least."""


@dataclass(frozen=True)
class LeastTime:
    """The least that one task is known to take: waiting, and computing."""

    wait_s: float = 0.0
    cpu_s: float = 0.0


def known_wait_s(params: Mapping[str, object]) -> float:
    """The waiting time that the params state; 0 if they do not."""
    seconds = params.get(SECONDS)
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def least_s(spec: ComparisonSpec, task: LeastTime) -> float:
    """The time below which no machine can finish all runs of the comparison."""
    return sum(_least_run_s(spec, arm_spec(spec, run.arm), task) for run in plan_runs(spec))


def _least_run_s(spec: ComparisonSpec, arm: ArmSpec, task: LeastTime) -> float:
    # Whole tasks: 8 tasks of a second in 5 slots take two seconds.
    turns = -(-spec.count // arm.in_flight)
    return turns * max(task.wait_s, task.cpu_s)


def expected_s(
    runs: Sequence[Run], took_s: Mapping[int, Sequence[float]], reference: int
) -> float | None:
    """A forecast for `runs` from earlier runs of their arms; None if an arm has none.

    Args:
        took_s: by arm, from the job's submission to its end.
        reference: the arm whose runs stand in for those of the control.
    """
    control = max((run.arm for run in runs), default=0)
    total = 0.0
    for run in runs:
        known = took_s.get(run.arm) or (took_s.get(reference) if run.arm == control else None)
        if not known:
            return None
        total += sorted(known)[len(known) // 2]
    return total
