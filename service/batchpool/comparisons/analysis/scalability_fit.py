"""Fit both scalability laws to arms that differ in concurrency alone."""

import math
import random
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from statistics import median

from pydantic import Field

from batchpool.comparisons.analysis.arm_samples import Arm
from batchpool.comparisons.analysis.checks import CheckInput
from batchpool.comparisons.analysis.scalability_laws import Fit, Law, fit
from batchpool.schemas.job_responses import ResponseModel

FEWEST_POINTS = 3
FEWEST_ROUNDS = 5
WORST_ERROR = 0.05
WIDEST_SERIAL = 0.4
REFITS = 1000
_TAIL = 0.025
_FAR = 2


class Parameter(ResponseModel):
    """A parameter of a law with its bootstrap interval; `high` is None where it has no end."""

    value: float
    low: float
    high: float | None


class FittedLaw(ResponseModel):
    """One law: its parameters, or why it was refused; refused, it has nothing but the reason."""

    refused: str | None
    alone_s: Parameter | None = None
    serial: Parameter | None = None
    crosstalk: Parameter | None = None
    error: float | None = None
    knee: Parameter | None = None
    limit: float | None = None
    best_n: int | None = None
    best_s: float | None = None
    extrapolated: bool | None = None


class SeriesModels(ResponseModel):
    """Both laws for one series of arms; without points where no curve is possible."""

    backend: str
    batches: int
    arms: list[str]
    concurrency: list[int]
    refused: str | None
    amdahl: FittedLaw | None
    usl: FittedLaw | None
    slots: list[float] | None = Field(default=None, serialization_alias="lanes")
    points_s: list[float] | None = None


class ScalabilityModels(ResponseModel):
    """The models of all series of a comparison; the names are those of the API."""

    ladders: list[SeriesModels]


@dataclass(frozen=True)
class ConcurrencySeries:
    """Arms that differ in concurrency alone.

    Args:
        slots: those that the work can fill: 8 items in 3 slots take three turns, as long as in
            2.67 slots that are always busy.
        logs: of each common round, ln(time) of each arm.
    """

    arms: Sequence[Arm]
    slots: Sequence[float]
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


def scalability_models(
    data: CheckInput, without_verdict: AbstractSet[int | None]
) -> ScalabilityModels | None:
    """The models of each series of two arms or more; None where there is no series.

    Args:
        without_verdict: the arms that a check took the verdict from; None in it means all.
    """
    series = by_concurrency(data)
    if not series:
        return None
    return ScalabilityModels(ladders=[_models(data, arms, without_verdict) for arms in series])


def by_concurrency(data: CheckInput) -> list[list[Arm]]:
    """The series of arms that differ in concurrency alone, each in ascending order.

    A sequential arm is the first point of every series of single batches that has none.
    """
    families: dict[tuple[object, ...], list[Arm]] = {}
    for arm in data.arms:
        if arm.backend.slot_kind != "one":
            families.setdefault(_all_but_concurrency(arm), []).append(arm)
    single = next((arm for arm in data.arms if _is_single(arm)), None)
    series = []
    for arms in families.values():
        by_slots = {arm.spec.concurrency: arm for arm in arms}
        if len(by_slots) > 1:
            if single is not None and arms[0].spec.batches == 1:
                by_slots.setdefault(1, single)
            series.append([by_slots[slots] for slots in sorted(by_slots)])
    return series


def _all_but_concurrency(arm: Arm) -> tuple[object, ...]:
    spec = arm.spec
    options = (spec.start_method, spec.pool, spec.dispatch, spec.chunksize, spec.shared_sum)
    return (spec.backend, spec.batches, *options)


def _is_single(arm: Arm) -> bool:
    return arm.backend.slot_kind == "one" and arm.spec.in_flight == 1


def _models(
    data: CheckInput, arms: list[Arm], without_verdict: AbstractSet[int | None]
) -> SeriesModels:
    common = sorted(set.intersection(*(set(arm.walls) for arm in arms)))
    models = SeriesModels(
        backend=arms[-1].spec.backend,
        batches=arms[-1].spec.batches,
        arms=[arm.name for arm in arms],
        concurrency=[arm.spec.concurrency for arm in arms],
        refused=_refusal(data, arms, len(common), without_verdict),
        amdahl=None,
        usl=None,
    )
    if models.refused:
        return models
    logs = [[math.log(arm.walls[round_]) for arm in arms] for round_ in common]
    series = ConcurrencySeries(arms, [_filled_slots(data, arm) for arm in arms], logs)
    fitted = {
        "slots": list(series.slots),
        "points_s": series.times_s(range(len(common))),
        "amdahl": _fitted(data, series, "amdahl"),
        "usl": _fitted(data, series, "usl"),
    }
    return models.model_copy(update=fitted)


def _filled_slots(data: CheckInput, arm: Arm) -> float:
    share = -(-data.items // arm.spec.batches)
    return share / math.ceil(share / min(share, arm.spec.concurrency))


def _refusal(
    data: CheckInput, arms: Sequence[Arm], rounds: int, without_verdict: AbstractSet[int | None]
) -> str | None:
    if None in without_verdict:
        return "a validity check failed for the whole comparison"
    failed = [arm.name for arm in arms if arm.index in without_verdict]
    if failed:
        return f"a validity check failed for {', '.join(failed)}"
    distinct = len({_filled_slots(data, arm) for arm in arms})
    if distinct < FEWEST_POINTS:
        return (
            f"with {data.items} items only {distinct} concurrencies differ; "
            f"a curve needs {FEWEST_POINTS}"
        )
    if rounds < FEWEST_ROUNDS:
        return f"{rounds} rounds in which all arms were measured; a curve needs {FEWEST_ROUNDS}"
    return None


def _fitted(data: CheckInput, series: ConcurrencySeries, law: Law) -> FittedLaw:
    """The law's parameters with intervals over rounds, or why there are none."""
    all_rounds = range(len(series.logs))
    best = fit(law, series.slots, series.times_s(all_rounds))
    if best.error > WORST_ERROR:
        return FittedLaw(refused=f"the points are {best.error:.0%} off the best such curve")
    rng = random.Random(f"{data.spec.seed}/{law}")  # noqa: S311 - resampling, not secrets
    refits = [
        fit(law, series.slots, series.times_s(rng.choices(all_rounds, k=len(all_rounds))))
        for _ in range(REFITS)
    ]
    low, high = _interval([each.serial for each in refits])
    if high - low > WIDEST_SERIAL:
        return FittedLaw(
            refused=f"the noise allows a serial share of anything from {low:.0%} to {high:.0%}"
        )
    concurrency, time_s = _best(data, best, series)
    return FittedLaw(
        refused=None,
        alone_s=_parameter(best.alone_s, [each.alone_s for each in refits]),
        serial=_parameter(best.serial, [each.serial for each in refits]),
        crosstalk=_parameter(best.crosstalk, [each.crosstalk for each in refits]),
        error=best.error,
        knee=_knee(best, refits),
        limit=1 / best.serial if law == "amdahl" and best.serial > 0 else None,
        best_n=concurrency,
        best_s=time_s,
        extrapolated=concurrency > max(arm.spec.concurrency for arm in series.arms),
    )


def _best(data: CheckInput, found: Fit, series: ConcurrencySeries) -> tuple[int, float]:
    """The smallest concurrency within `min_effect` of the fastest one predicted, and its time.

    At most twice the measured concurrency is considered: a curve is not reliable beyond that. No
    time is below that of the tasks' CPU seconds on the CPUs of the arm, whatever the curve says.
    """
    measured = max(arm.spec.concurrency for arm in series.arms)
    far = max(1, min(data.items, _FAR * measured))
    floor_s = min(_least_s(arm) for arm in series.arms)
    times = {n: max(floor_s, found.time_s(n)) for n in range(1, far + 1)}
    enough = min(times.values()) * (1 + data.spec.min_effect)
    best = next(n for n in times if times[n] <= enough)
    return best, times[best]


def _least_s(arm: Arm) -> float:
    cpus = arm.median_of(lambda facts: facts.cpus)
    return (arm.median_of(lambda facts: facts.task_cpu_s) or 0.0) / cpus if cpus else 0.0


def _parameter(value: float, refits: Sequence[float]) -> Parameter:
    low, high = _interval(refits)
    return Parameter(value=value, low=min(low, value), high=max(high, value))


def _knee(best: Fit, refits: Sequence[Fit]) -> Parameter | None:
    """Where throughput peaks; None without a peak, and `high` None where there may be none."""
    if best.knee is None:
        return None
    low, high = _interval([math.inf if each.knee is None else each.knee for each in refits])
    return Parameter(
        value=best.knee,
        low=low if math.isfinite(low) else best.knee,
        high=high if math.isfinite(high) else None,
    )


def _interval(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    cut = int(len(ordered) * _TAIL)
    return ordered[cut], ordered[-1 - cut]
