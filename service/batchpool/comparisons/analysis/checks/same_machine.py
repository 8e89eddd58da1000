"""Same machine: CPUs, hosts, Python and GIL did not change, and speed only a little."""

import math
from collections.abc import Callable, Iterator
from statistics import median

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds
from batchpool.ledger.values.comparison_entries import RunFacts

THROTTLED_SHARE = 0.01
DRIFT_SHOWN = 1.1
DRIFT_ALLOWED = 2.0
_WINDOW = 3


def check_throttling(data: CheckInput) -> Iterator[Finding]:
    """Find runs in which the kernel withheld the CPU because a quota was used up."""
    for arm in data.all_arms:
        shares = {
            round_: facts.throttled_s / facts.wall_s
            for round_, facts in sorted(arm.runs.items())
            if facts.throttled_s and facts.wall_s > 0
        }
        severe = [round_ for round_, share in shares.items() if share > THROTTLED_SHARE]
        if severe:
            worst = max(shares.values())
            message = (
                f"{arm.name}: throttled for {worst:.0%} of the time in {format_rounds(severe)}"
            )
            yield Finding("throttled", message, data.affected_arm(arm))
        elif shares:
            message = f"{arm.name}: throttled for a moment in {format_rounds(list(shares))}"
            yield Finding("throttled", message, arm.index, "warning")


def check_gil(data: CheckInput) -> Iterator[Finding]:
    """Find a state of the GIL that differs between runs, or from what the workers announced."""
    seen = {state for arm in data.all_arms for run in arm.values_of(_gil) for state in run}
    if len(seen) > 1:
        yield Finding("gil", "some runs had a GIL and others had none")
    announced = data.environment.gil
    states = set(announced) if isinstance(announced, list) else {announced} - {None}
    if states and seen - states:
        yield Finding("gil", "the GIL was not in the state that the workers had announced")


def _gil(facts: RunFacts) -> list[bool]:
    return facts.gil


def check_hosts(data: CheckInput) -> Iterator[Finding]:
    """Find hosts, numbers of CPUs and Pythons that changed between rounds or arms."""
    for arm in data.all_arms:
        yield from _changes(data, arm, "hosts", lambda facts: ", ".join(facts.hosts))
        yield from _changes(data, arm, "CPUs", lambda facts: facts.cpus)
        yield from _changes(data, arm, "Pythons", lambda facts: ", ".join(facts.python))
    runs = [facts for arm in data.all_arms for facts in arm.runs.values()]
    sets_by_size: dict[int, set[tuple[str, ...]]] = {}
    for facts in runs:
        sets_by_size.setdefault(len(facts.hosts), set()).add(tuple(facts.hosts))
    if any(len(sets) > 1 for sets in sets_by_size.values()):
        yield Finding("place", "arms with equally many hosts ran on different ones")
    if len({tuple(facts.python) for facts in runs}) > 1:
        yield Finding("place", "arms ran on different Pythons")
    cpus = {(tuple(facts.hosts), facts.cpus) for facts in runs if facts.cpus is not None}
    if len({hosts for hosts, _ in cpus}) < len(cpus):
        yield Finding("place", "the number of CPUs of a host changed between runs")


def _changes(
    data: CheckInput, arm: Arm, words: str, pick: Callable[[RunFacts], object]
) -> Iterator[Finding]:
    seen = set(arm.values_of(pick))
    if len(seen) > 1:
        shown = " and ".join(sorted(map(str, seen)))
        message = f"{arm.name}: different {words} from round to round: {shown}"
        yield Finding("place", message, data.affected_arm(arm))


def check_drift(data: CheckInput) -> Iterator[Finding]:
    """Find a machine whose speed changed; interleaving cancels this unless it is large."""
    factor = drift(data)
    if factor >= DRIFT_ALLOWED:
        message = (
            f"the speed of the machine changed {factor:.1f}-fold: "
            "that may not have affected all arms equally"
        )
        yield Finding("drift", message)
    elif factor >= DRIFT_SHOWN:
        message = (
            f"the speed of the machine changed by {factor - 1:.0%}; interleaved rounds cancel that"
        )
        yield Finding("drift", message, None, "warning")


def drift(data: CheckInput) -> float:
    """Slowest stretch of rounds / fastest one, each arm measured against its own median."""
    logs: dict[int, list[float]] = {}
    for arm in data.all_arms:
        middle = arm.median_s
        for round_, wall_s in arm.walls.items():
            logs.setdefault(round_, []).append(math.log(wall_s / (middle or wall_s)))
    rounds = [median(logs[round_]) for round_ in sorted(logs)]
    if len(rounds) < 2 * _WINDOW:
        return 1.0
    smooth = [median(rounds[n : n + _WINDOW]) for n in range(len(rounds) - _WINDOW + 1)]
    return math.exp(max(smooth) - min(smooth))


def check_load(data: CheckInput) -> Iterator[Finding]:
    """Find a load average that is too high to come from the comparison itself."""
    for arm in data.arms:
        load = arm.median_of(lambda facts: facts.load_1m)
        cpus = arm.median_of(lambda facts: facts.cpus)
        own = arm.spec.in_flight * len(data.arms)
        if load is not None and cpus and load > 2 * cpus + own:
            message = (
                f"{arm.name}: the load average was {load:.0f} on {cpus:g} CPUs: "
                "other programs are running"
            )
            yield Finding("load", message, arm.index, "warning")
