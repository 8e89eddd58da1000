"""The order of all runs of a comparison and their jobs; pure, so all drivers plan the same."""

import hashlib
import random
from collections.abc import Iterator, Set
from dataclasses import dataclass, fields

from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec, RunKind
from batchpool.ledger.values.job_spec import ComparisonRun, JobSpec

BASELINE_ARM = -1
MOST_ATTEMPTS = 5
"""Runs at one position of the plan; the last counts as it is, marked as disturbed."""
QUEUE_TIMEOUT_S = 300.0
"""Of one run: its workers are reserved, so it waits only for one that was lost."""

ARM_FIELDS = tuple(
    field.name for field in fields(ArmSpec) if field.name not in ("name", "class_id")
)
"""The fields of a job's spec that an arm decides."""


@dataclass(frozen=True)
class Run:
    """One arm in one round.

    Args:
        number: its position in the plan, from 0.
        arm: an index into the arms; `len(arms)` is the control, the second run of the reference,
            and `BASELINE_ARM` the items one after the other, which contention is measured against.
        round: from 1 within its kind.
    """

    number: int
    kind: RunKind
    arm: int
    round: int


def plan_runs(spec: ComparisonSpec) -> list[Run]:
    """The whole plan: a baseline run unless an arm is one, warm-up rounds, measured rounds."""
    arms = len(spec.arms)
    steps: list[tuple[RunKind, int, int]] = []
    if not has_baseline_arm(spec):
        steps.append(("solo", BASELINE_ARM, 1))
    for round_ in range(1, spec.warmup + 1):
        order = _shuffled(range(arms), f"{spec.seed}/warmup/{round_}")
        steps += [("warmup", arm, round_) for arm in order]
    for round_ in range(1, spec.rounds + 1):
        order = _shuffled(range(arms + 1), f"{spec.seed}/{round_}")
        steps += [("sample", arm, round_) for arm in order]
    return [Run(number, *step) for number, step in enumerate(steps)]


def _shuffled(arms: range, seed: str) -> list[int]:
    order = list(arms)
    # Not for secrets: the same seed must give the same order when the comparison is repeated.
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def has_baseline_arm(spec: ComparisonSpec) -> bool:
    """Whether a warm-up run of one of the arms can serve as the baseline run."""
    return spec.warmup > 0 and any(is_baseline(arm) for arm in spec.arms)


def is_baseline(arm: ArmSpec) -> bool:
    """Whether the arm never has two tasks in flight."""
    return arm.backend == "sequential" and arm.batches == 1


def arm_spec(spec: ComparisonSpec, arm: int) -> ArmSpec:
    """How the jobs of an arm are run, those of the control and the baseline included."""
    if arm == BASELINE_ARM:
        return spec.baseline
    return spec.arms[spec.reference if arm == len(spec.arms) else arm]


def arm_name(spec: ComparisonSpec, arm: int) -> str:
    """The name to show, with one for the control and for the baseline."""
    if arm == BASELINE_ARM:
        return "alone"
    name = arm_spec(spec, arm).name
    return f"{name} again" if arm == len(spec.arms) else name


def run_job_id(comparison_id: str, run: int, attempt: int) -> str:
    """The id of a run's job: the same in every process that creates it, so it is created once."""
    return hashlib.sha256(f"{comparison_id}/{run}/{attempt}".encode()).hexdigest()[:24]


def due_runs(plan: list[Run], position: int, failed: Set[int], reference: int) -> Iterator[Run]:
    """The runs from `position` on, without those of arms that failed.

    When the reference has failed, its control is skipped too.
    """
    control = max((run.arm for run in plan), default=0)
    skipped = failed | ({control} if reference in failed else set())
    return (run for run in plan[position:] if run.arm not in skipped)


def job_spec(comparison_id: str, spec: ComparisonSpec, run: Run) -> JobSpec:
    """The complete spec of the job of a run."""
    arm = arm_spec(spec, run.arm)
    return JobSpec(
        task=spec.task,
        params=spec.params,
        count=spec.count,
        items=spec.items,
        timeout_s=spec.timeout_s,
        queue_timeout_s=QUEUE_TIMEOUT_S,
        labels=spec.labels,
        measure=True,
        comparison=ComparisonRun(comparison_id, run.arm, run.round, run.kind),
        **{name: getattr(arm, name) for name in ARM_FIELDS},
    )
