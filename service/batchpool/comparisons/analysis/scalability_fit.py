"""How time goes with concurrency: both laws for arms that differ in nothing else."""

import math
import random
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import median
from typing import Any

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks import CheckInput
from batchpool.comparisons.analysis.scalability_laws import Fit, Law, fit

FEWEST_POINTS = 3
FEWEST_ROUNDS = 5
WORST_ERROR = 0.05
WIDEST_SERIAL = 0.4
REFITS = 1000
_TAIL = 0.025
_FAR = 2
_SAME = ("backend", "batches", "start_method", "pool", "dispatch", "chunksize", "shared_sum")


@dataclass(frozen=True)
class ConcurrencySeries:
    """Arms that differ in concurrency alone.

    `lanes` are those that the work can fill: 8 items on 3 lanes take three turns, as long as on
    2.67 lanes that are always busy. `logs`: of each common round, ln(time) of each arm.
    """

    arms: Sequence[Arm]
    lanes: Sequence[float]
    logs: Sequence[Sequence[float]]

    def times_s(self, rounds: Sequence[int]) -> list[float]:
        """Typical time of each arm over these rounds, each compared with its own round."""
        rows = [self.logs[number] for number in rounds]
        levels = [sum(row) / len(row) for row in rows]
        level = median(levels)
        return [
            math.exp(level + median(row[n] - own for row, own in zip(rows, levels, strict=True)))
            for n in range(len(self.arms))
        ]


def scalability_models(case: CheckInput, void: AbstractSet[int | None]) -> dict[str, Any] | None:
    """One entry per ladder of two arms or more, fitted or refused; None where there is none.

    Args:
        void: the arms that the guard has taken the verdict from; None in it means all.
    """
    ladders = list(_ladders(case))
    if not ladders:
        return None
    return {"ladders": [_entry(case, arms, void) for arms in ladders]}


def _ladders(case: CheckInput) -> list[list[Arm]]:
    families: dict[tuple[Any, ...], list[Arm]] = {}
    for arm in case.arms:
        if arm.backend.slot_kind != "one":
            families.setdefault(tuple(arm.spec.get(name) for name in _SAME), []).append(arm)
    single = next(
        (arm for arm in case.arms if arm.backend.slot_kind == "one" and arm.lanes == 1), None
    )
    ladders = []
    for arms in families.values():
        rungs = {arm.spec["concurrency"]: arm for arm in arms}
        if len(rungs) > 1:
            if single is not None and arms[0].lanes == arms[0].spec["concurrency"]:
                rungs.setdefault(1, single)
            ladders.append([rungs[key] for key in sorted(rungs)])
    return ladders


def _entry(case: CheckInput, arms: list[Arm], void: AbstractSet[int | None]) -> dict[str, Any]:
    spec = arms[-1].spec
    entry: dict[str, Any] = {
        "backend": spec["backend"],
        "batches": spec["batches"],
        "arms": [arm.name for arm in arms],
        "concurrency": [arm.spec["concurrency"] for arm in arms],
        "refused": None,
        "amdahl": None,
        "usl": None,
    }
    common = sorted(set.intersection(*(set(arm.walls) for arm in arms)))
    entry["refused"] = _refusal(case, arms, len(common), void)
    if entry["refused"]:
        return entry
    logs = [[math.log(arm.walls[key]) for arm in arms] for key in common]
    ladder = ConcurrencySeries(arms, [_filled(case, arm) for arm in arms], logs)
    entry["lanes"] = list(ladder.lanes)
    entry["points_s"] = ladder.times_s(range(len(common)))
    for law in ("amdahl", "usl"):
        entry[law] = _fitted(case, ladder, law)
    return entry


def _filled(case: CheckInput, arm: Arm) -> float:
    share = -(-case.items // (arm.spec["batches"] or 1))
    return share / math.ceil(share / min(share, arm.spec["concurrency"] or 1))


def _refusal(
    case: CheckInput, arms: Sequence[Arm], rounds: int, void: AbstractSet[int | None]
) -> str | None:
    if None in void:
        return "the guard has found the whole session wanting"
    flagged = [arm.name for arm in arms if arm.index in void]
    if flagged:
        return f"the guard has taken the verdict from {', '.join(flagged)}"
    distinct = len({_filled(case, arm) for arm in arms})
    if distinct < FEWEST_POINTS:
        return (
            f"{distinct} concurrencies that {case.items} items tell apart; "
            f"a curve needs {FEWEST_POINTS}"
        )
    if rounds < FEWEST_ROUNDS:
        return f"{rounds} rounds in which all were measured; it needs {FEWEST_ROUNDS}"
    return None


def _fitted(case: CheckInput, ladder: ConcurrencySeries, law: Law) -> dict[str, Any]:
    """The law's parameters with intervals over rounds, or why there are none."""
    everything = range(len(ladder.logs))
    best = fit(law, ladder.lanes, ladder.times_s(everything))
    if best.error > WORST_ERROR:
        return {"refused": f"the points lie {best.error:.0%} off the best such curve"}
    rng = random.Random(f"{case.spec['seed']}/{law}")  # noqa: S311 - resampling, not secrets
    refits = [
        fit(law, ladder.lanes, ladder.times_s(rng.choices(everything, k=len(everything))))
        for _ in range(REFITS)
    ]
    serial = _interval([each.serial for each in refits])
    if serial[1] - serial[0] > WIDEST_SERIAL:
        return {
            "refused": f"the noise leaves the serial share anywhere from {serial[0]:.0%} "
            f"to {serial[1]:.0%}"
        }
    return {
        "refused": None,
        "alone_s": _parameter(best.alone_s, [each.alone_s for each in refits]),
        "serial": _parameter(best.serial, [each.serial for each in refits]),
        "crosstalk": _parameter(best.crosstalk, [each.crosstalk for each in refits]),
        "error": best.error,
        "knee": _knee(best, refits),
        "limit": 1 / best.serial if law == "amdahl" and best.serial > 0 else None,
        **_best(case, best, ladder),
    }


def _best(case: CheckInput, found: Fit, ladder: ConcurrencySeries) -> dict[str, Any]:
    """The smallest concurrency that is within `min_effect` of the fastest one predicted.

    Looks at most twice as far as was measured: beyond that a curve knows nothing. And whatever
    the curve says, the tasks' CPU seconds take their time on the CPUs that there are.
    """
    measured = max(arm.spec["concurrency"] for arm in ladder.arms)
    far = max(1, min(case.items, _FAR * measured))
    floor_s = min(_least_s(arm) for arm in ladder.arms)
    times = {n: max(floor_s, found.time_s(n)) for n in range(1, far + 1)}
    enough = min(times.values()) * (1 + case.spec["min_effect"])
    best = next(n for n in times if times[n] <= enough)
    return {"best_n": best, "best_s": times[best], "extrapolated": best > measured}


def _least_s(arm: Arm) -> float:
    cpus = arm.median_of("cpus")
    return (arm.median_of("task_cpu_s") or 0.0) / cpus if cpus else 0.0


def _parameter(value: float, refits: Sequence[float]) -> dict[str, float]:
    low, high = _interval(refits)
    return {"value": value, "low": min(low, value), "high": max(high, value)}


def _knee(best: Fit, refits: Sequence[Fit]) -> Mapping[str, float | None] | None:
    """Where throughput peaks; None without a peak, and `high` None where there may be none."""
    if best.knee is None:
        return None
    knees = [math.inf if each.knee is None else each.knee for each in refits]
    low, high = _interval(knees)
    return {
        "value": best.knee,
        "low": low if math.isfinite(low) else best.knee,
        "high": high if math.isfinite(high) else None,
    }


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    cut = int(len(ordered) * _TAIL)
    return ordered[cut], ordered[-1 - cut]
