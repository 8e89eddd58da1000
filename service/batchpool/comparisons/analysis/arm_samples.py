"""Samples grouped by arm: the runs that count, one per round and undisturbed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import TypeVar

from batchpool.backends.facts import BackendFacts, facts_of
from batchpool.comparisons.planning import arm_name, arm_spec
from batchpool.ledger.values.comparison_entries import ArmSpec, ComparisonSpec, RunFacts, Sample

ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class Arm:
    """One arm: its spec, and its samples by round.

    Args:
        runs: the facts of the runs that count.
        positions: of these runs in the plan.
        errors: of runs that have no time that could be compared.
        extra: rounds that were measured again although the first run was undisturbed.
        disturbed: the round of each disturbed attempt.
    """

    index: int
    name: str
    spec: ArmSpec
    runs: dict[int, RunFacts] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    extra: list[int] = field(default_factory=list)
    disturbed: list[int] = field(default_factory=list)

    @property
    def walls(self) -> dict[int, float]:
        """Wall time in seconds by round, of runs that have one."""
        return {
            round_: facts.wall_s
            for round_, facts in sorted(self.runs.items())
            if isfinite(facts.wall_s) and facts.wall_s > 0
        }

    @property
    def median_s(self) -> float | None:
        """The median wall time."""
        walls = list(self.walls.values())
        return median(walls) if walls else None

    @property
    def backend(self) -> BackendFacts:
        """What is known of the arm's backend."""
        return facts_of(self.spec.backend)

    def median_of(self, pick: Callable[[RunFacts], float | None]) -> float | None:
        """The median over rounds of a number in the facts; None where no round has it."""
        found = [pick(facts) for facts in self.runs.values()]
        known = [float(number) for number in found if number is not None]
        return median(known) if known else None

    def values_of(self, pick: Callable[[RunFacts], ValueT]) -> list[ValueT]:
        """A fact of each round, in order."""
        return [pick(facts) for _, facts in sorted(self.runs.items())]


def group_samples(spec: ComparisonSpec, samples: Sequence[Sample]) -> tuple[list[Arm], Arm]:
    """The arms in order, and the control: the hidden copy of the reference."""
    count = len(spec.arms)
    arms = [Arm(n, arm_name(spec, n), arm_spec(spec, n)) for n in range(count + 1)]
    for sample in sorted(samples, key=lambda sample: sample.attempt):
        if sample.kind == "sample" and sample.round is not None and sample.arm in range(count + 1):
            _add(arms[sample.arm], sample.round, sample)
    return arms[:count], arms[count]


def _add(arm: Arm, round_: int, sample: Sample) -> None:
    if sample.disturbed:
        arm.disturbed.append(round_)
    elif round_ in arm.runs or round_ in arm.errors:
        arm.extra.append(round_)
    elif sample.facts is None:
        arm.errors[round_] = sample.error or "no result"
    else:
        arm.runs[round_] = sample.facts
        arm.positions[round_] = sample.run
        if sample.error:
            arm.errors[round_] = sample.error
