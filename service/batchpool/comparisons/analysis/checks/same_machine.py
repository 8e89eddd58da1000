"""Same machine: CPUs, hosts, Python and GIL stayed as they were, and about as fast."""

import math
from collections.abc import Iterator
from statistics import median

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds

THROTTLED_SHARE = 0.01
DRIFT_SHOWN = 1.1
DRIFT_BORNE = 2.0
_WINDOW = 3


def check_throttling(case: CheckInput) -> Iterator[Finding]:
    """The kernel took the CPU away, because a quota was used up."""
    for arm in case.all_arms:
        shares = {
            key: facts["throttled_s"] / facts["wall_s"]
            for key, facts in sorted(arm.runs.items())
            if facts.get("throttled_s") and facts["wall_s"] > 0
        }
        hard = [key for key, share in shares.items() if share > THROTTLED_SHARE]
        if hard:
            worst = max(shares.values())
            message = f"{arm.name}: throttled for {worst:.0%} of the time in {format_rounds(hard)}"
            yield Finding("throttled", message, case.affected_arm(arm))
        elif shares:
            message = f"{arm.name}: throttled for a moment in {format_rounds(list(shares))}"
            yield Finding("throttled", message, arm.index, "warning")


def check_gil(case: CheckInput) -> Iterator[Finding]:
    """Another state of the GIL than asked for, than the workers announced, or than elsewhere."""
    seen = {state for arm in case.all_arms for states in arm.values_of("gil") for state in states}
    if len(seen) > 1:
        yield Finding("gil", "some runs had a GIL and others had none")
    announced = _states(case.environment.get("gil"))
    if announced and seen - announced:
        yield Finding("gil", "the GIL was not in the state that the workers had announced")
    for arm in case.all_arms:
        asked = _states(arm.spec.get("gil"))
        own = {state for states in arm.values_of("gil") for state in states}
        if asked and own - asked:
            message = f"{arm.name}: it ran {'with' if True in own else 'without'} a GIL"
            yield Finding("gil", message, case.affected_arm(arm))


def _states(value: object) -> set[bool]:
    values = value if isinstance(value, list | tuple | set) else [value]
    return {state for state in values if isinstance(state, bool)}


def check_hosts(case: CheckInput) -> Iterator[Finding]:
    """Another host, number of CPUs or Python between rounds; other hosts where as many served."""
    by_count: dict[int, set[tuple[str, ...]]] = {}
    for arm in case.all_arms:
        for name, words in (("hosts", "hosts"), ("cpus", "CPUs"), ("python", "Pythons")):
            seen = {_key(value) for value in arm.values_of(name)}
            if len(seen) > 1:
                shown = " and ".join(sorted(map(str, seen)))
                message = f"{arm.name}: other {words} from round to round: {shown}"
                yield Finding("place", message, case.affected_arm(arm))
        for hosts in arm.values_of("hosts"):
            by_count.setdefault(len(hosts), set()).add(tuple(hosts))
    if any(len(kinds) > 1 for kinds in by_count.values()):
        yield Finding("place", "arms that need as many hosts ran on different ones")
    if len({tuple(python) for arm in case.all_arms for python in arm.values_of("python")}) > 1:
        yield Finding("place", "arms ran on different Pythons")
    yield from _per_host(case)


def _per_host(case: CheckInput) -> Iterator[Finding]:
    shares = {
        (tuple(hosts), cpus)
        for arm in case.all_arms
        for hosts, cpus in zip(arm.values_of("hosts"), arm.values_of("cpus"), strict=False)
        if cpus is not None
    }
    if len({hosts for hosts, _ in shares}) < len(shares):
        yield Finding("place", "the number of CPUs of a host changed between runs")


def _key(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def check_drift(case: CheckInput) -> Iterator[Finding]:
    """A machine that changes its speed. Turns take that out, unless it is large."""
    factor = drift(case)
    if factor >= DRIFT_BORNE:
        message = f"the machine became {factor:.1f} times as slow or fast in between"
        yield Finding("drift", f"{message}: that need not be the same for all arms")
    elif factor >= DRIFT_SHOWN:
        message = f"the machine changed its speed by {factor - 1:.0%} in between"
        yield Finding("drift", f"{message}; turns take that out", None, "warning")


def drift(case: CheckInput) -> float:
    """Slowest stretch of rounds / fastest one, each arm measured against its own median."""
    logs: dict[int, list[float]] = {}
    for arm in case.all_arms:
        middle = arm.median_s
        for key, wall_s in arm.walls.items():
            logs.setdefault(key, []).append(math.log(wall_s / (middle or wall_s)))
    rounds = [median(logs[key]) for key in sorted(logs)]
    if len(rounds) < 2 * _WINDOW:
        return 1.0
    smooth = [median(rounds[n : n + _WINDOW]) for n in range(len(rounds) - _WINDOW + 1)]
    return math.exp(max(smooth) - min(smooth))


def check_load(case: CheckInput) -> Iterator[Finding]:
    """CPUs that others keep busy: what the load says beyond our own lanes."""
    for arm in case.arms:
        load, cpus = arm.median_of("load_1m"), arm.median_of("cpus")
        lanes = arm.lanes * len(case.arms)
        if load is not None and cpus and load > 2 * cpus + lanes:
            message = f"{arm.name}: the load was {load:.0f} on {cpus:g} CPUs: others work here too"
            yield Finding("load", message, arm.index, "warning")
