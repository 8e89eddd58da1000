"""How long a comparison takes at least, before it has begun and while it runs; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchpool.comparisons.planning import Run, arm_spec, plan_runs

SECONDS = "seconds"
"""A number in the params by this name is how long a task waits at least."""


@dataclass(frozen=True)
class TaskTime:
    """What one task is known to take at least: waiting, and computing."""

    wait_s: float = 0.0
    cpu_s: float = 0.0


def known_wait_s(params: Mapping[str, Any]) -> float:
    """What the params say themselves."""
    seconds = params.get(SECONDS)
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def least_s(spec: dict[str, Any], task: TaskTime) -> float:
    """The time below which no machine can finish all runs of the comparison."""
    return sum(_least_run_s(spec, arm_spec(spec, run.arm), task) for run in plan_runs(spec))


def _least_run_s(spec: dict[str, Any], arm: dict[str, Any], task: TaskTime) -> float:
    lanes = int(arm["batches"]) * int(arm["concurrency"])
    count = int(spec["count"])
    # Whole tasks: 8 tasks of a second on 5 lanes take two seconds.
    turns = -(-count // lanes)
    return turns * max(task.wait_s, task.cpu_s)


def expected_s(
    runs: Sequence[Run], took_s: Mapping[int, Sequence[float]], control_of: int
) -> float | None:
    """How long `runs` will take, by the runs of the same arms before; None while one has none.

    Args:
        took_s: by arm, from the job's submission to the next run.
        control_of: the arm that the hidden one is a copy of.
    """
    hidden = max((run.arm for run in runs), default=0)
    total = 0.0
    for run in runs:
        known = took_s.get(run.arm) or (took_s.get(control_of) if run.arm == hidden else None)
        if not known:
            return None
        total += sorted(known)[len(known) // 2]
    return total
