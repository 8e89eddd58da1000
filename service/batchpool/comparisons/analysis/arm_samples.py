"""The arms of a session with the runs that count: one per round, undisturbed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Any

from batchpool.backends.facts import BackendFacts, facts_of

Facts = Mapping[str, Any]
Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """One arm: what was ordered, and what its rounds came to.

    `runs`: facts by round. `errors`: by round, of runs without facts. `extra`: rounds that
    were measured more than once although nothing had disturbed the first time. `disturbed`: the
    round of each disturbed attempt.
    """

    index: int
    name: str
    spec: Spec
    runs: dict[int, Facts] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    errors: dict[int, str] = field(default_factory=dict)
    extra: list[int] = field(default_factory=list)
    disturbed: list[int] = field(default_factory=list)

    @property
    def walls(self) -> dict[int, float]:
        """Wall time in seconds by round, of runs that have one."""
        return {
            key: facts["wall_s"]
            for key, facts in sorted(self.runs.items())
            if isfinite(facts["wall_s"]) and facts["wall_s"] > 0
        }

    @property
    def median_s(self) -> float | None:
        walls: list[float] = list(self.walls.values())
        return median(walls) if walls else None

    @property
    def backend(self) -> BackendFacts:
        return facts_of(self.spec["backend"])

    @property
    def lanes(self) -> int:
        """How many tasks were to be in flight, over all batches."""
        return int((self.spec["concurrency"] or 1) * (self.spec["batches"] or 1))

    def median_of(self, *path: str) -> float | None:
        """The median over rounds of a number in the facts; None where no round has it."""
        found = [_dig(facts, path) for facts in self.runs.values()]
        known = [float(number) for number in found if number is not None]
        return median(known) if known else None

    def values_of(self, name: str) -> list[Any]:
        """That fact of each round, in order."""
        return [facts[name] for _, facts in sorted(self.runs.items()) if name in facts]


def _dig(facts: Facts, path: Sequence[str]) -> float | None:
    found: Any = facts
    for name in path:
        found = None if found is None else found.get(name)
    number: float | None = found
    return number


def group_samples(spec: Spec, samples: Sequence[Mapping[str, Any]]) -> tuple[list[Arm], Arm]:
    """The arms in order, and the hidden copy of the reference."""
    copy = spec["arms"][spec["reference"]]
    arms = [Arm(index, arm["name"], arm) for index, arm in enumerate(spec["arms"])]
    hidden = Arm(len(arms), f"{copy['name']} again", copy)
    everybody = [*arms, hidden]
    for sample in sorted(samples, key=lambda sample: sample.get("attempt") or 0):
        if _counts(sample, len(everybody)):
            _take(everybody[sample["arm"]], sample)
    return arms, hidden


def is_sample(sample: Mapping[str, Any]) -> bool:
    """Whether it is a run of a round, and not a warm-up or the solo run."""
    return bool(sample.get("kind", "sample") == "sample")


def _counts(sample: Mapping[str, Any], arms: int) -> bool:
    return is_sample(sample) and sample["arm"] in range(arms)


def _take(arm: Arm, sample: Mapping[str, Any]) -> None:
    number = sample["round"]
    if sample.get("disturbed"):
        arm.disturbed.append(number)
    elif number in arm.runs or number in arm.errors:
        arm.extra.append(number)
    elif sample.get("facts") is None:
        arm.errors[number] = sample.get("error") or "no result"
    else:
        arm.runs[number] = sample["facts"]
        if sample.get("run") is not None:
            arm.positions[number] = sample["run"]
        if sample.get("error"):
            arm.errors[number] = sample["error"]
