"""The runs of a comparison in their order; pure, so that every driver makes the same plan."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["solo", "warmup", "sample"]

BASELINE_ARM = -1
MOST_ATTEMPTS = 5
"""Runs of one place in the plan; the last counts as it is, marked as disturbed."""


@dataclass(frozen=True)
class Run:
    """One arm in one round.

    Args:
        number: its place in the plan, from 0.
        arm: an index into the arms; `len(arms)` is the hidden second run of the reference, and
            `BASELINE_ARM` the items one after the other, which contention is measured against.
        round: from 1 within its kind.
    """

    number: int
    kind: Kind
    arm: int
    round: int


def plan_runs(spec: dict[str, Any]) -> list[Run]:
    """The whole plan: a solo run if no arm is one, warm-up rounds, then the rounds that count."""
    arms = len(spec["arms"])
    steps: list[tuple[Kind, int, int]] = []
    if not has_solo_arm(spec):
        steps.append(("solo", BASELINE_ARM, 1))
    for round_ in range(1, spec["warmup"] + 1):
        order = _shuffled(range(arms), f"{spec['seed']}/warmup/{round_}")
        steps += [("warmup", arm, round_) for arm in order]
    for round_ in range(1, spec["rounds"] + 1):
        order = _shuffled(range(arms + 1), f"{spec['seed']}/{round_}")
        steps += [("sample", arm, round_) for arm in order]
    return [Run(number, *step) for number, step in enumerate(steps)]


def _shuffled(arms: range, seed: str) -> list[int]:
    order = list(arms)
    # Not for secrets: the same seed must give the same order to whoever repeats the comparison.
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def has_solo_arm(spec: dict[str, Any]) -> bool:
    """Whether a warm-up of one of the arms shows what each task does alone."""
    return spec["warmup"] > 0 and any(is_solo(arm) for arm in spec["arms"])


def is_solo(arm: dict[str, Any]) -> bool:
    """Whether the arm never has two tasks in flight."""
    return bool(arm["backend"] == "sequential" and arm["batches"] == 1)


def arm_spec(spec: dict[str, Any], arm: int) -> dict[str, Any]:
    """How the jobs of an arm are run, the hidden arms' too."""
    if arm == BASELINE_ARM:
        found: dict[str, Any] = spec["solo"]
    elif arm == len(spec["arms"]):
        found = spec["arms"][spec["reference"]]
    else:
        found = spec["arms"][arm]
    return found


def arm_name(spec: dict[str, Any], arm: int) -> str:
    if arm == BASELINE_ARM:
        return "alone"
    if arm == len(spec["arms"]):
        return f"{spec['arms'][spec['reference']]['name']} again"
    return str(spec["arms"][arm]["name"])


def run_job_id(comparison_id: str, run: int, attempt: int) -> str:
    """The id of the job of a run: the same for whoever creates it, so it is created once."""
    return hashlib.sha256(f"{comparison_id}/{run}/{attempt}".encode()).hexdigest()[:24]


def workers_needed(spec: dict[str, Any]) -> int:
    """The workers that the widest arm needs."""
    return max(int(arm["batches"]) for arm in spec["arms"])


def due_runs(plan: list[Run], position: int, failed: set[int], reference: int) -> Iterator[Run]:
    """The runs from `position` on, without the arms that failed.

    A reference that failed takes its second, hidden run with it.
    """
    arms = max((run.arm for run in plan), default=0)
    skipped = failed | ({arms} if reference in failed else set())
    return (run for run in plan[position:] if run.arm not in skipped)
