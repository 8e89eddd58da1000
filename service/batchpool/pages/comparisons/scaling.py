"""How far each series of arms scales: points, and the fitted law or why there is none; pure."""

from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.charts.scaling_curve import Law, Point
from batchpool.comparisons.analysis.scalability_fit import FittedLaw, SeriesModels
from batchpool.json_value import JsonObject
from batchpool.schemas.comparison_responses import ArmResult, Comparison


@dataclass(frozen=True)
class Series:
    """Arms that differ in concurrency alone.

    Args:
        reason: why there is no law; "" with one.
        said: what the law says, in a sentence.
    """

    name: str
    points: tuple[Point, ...]
    law: Law | None
    reason: str
    said: str


def scaling_series(comparison: Comparison) -> list[Series]:
    """All series of a comparison that has verdicts to draw."""
    if not comparison.model or not comparison.arms:
        return []
    reference = comparison.arms[comparison.spec.reference]
    by_name = {arm.name: arm for arm in comparison.arms}
    series = (
        _series(_read(raw), by_name, reference) for raw in comparison.model.get("ladders", ())
    )
    return [each for each in series if each.points]


def _read(raw: JsonObject) -> SeriesModels:
    # The API's name of `slots` is an alias for writing alone.
    return SeriesModels.model_validate(
        {"slots" if name == "lanes" else name: value for name, value in raw.items()}
    )


def _series(models: SeriesModels, by_name: dict[str, ArmResult], reference: ArmResult) -> Series:
    arms = [by_name[name] for name in models.arms if name in by_name]
    slots = models.slots or [float(each) for each in models.concurrency]
    points = tuple(
        point
        for arm, at in zip(arms, slots, strict=False)
        if (point := _point(arm, at * models.batches, arm is reference))
    )
    name = f"{models.backend}, {numbers.plural(models.batches, 'batch', 'batches')}"
    fitted, law_name = _chosen(models)
    if fitted is None or not fitted.alone_s or not fitted.serial or not reference.median_s:
        return Series(name, points, None, f"No curve: {_refusal(models)}.", "")
    law = Law(
        reference.median_s / fitted.alone_s.value,
        fitted.serial.value,
        fitted.crosstalk.value if fitted.crosstalk else 0.0,
        models.batches,
    )
    return Series(name, points, law, "", _said(fitted, law_name, models.batches))


def _point(arm: ArmResult, at: float, is_reference: bool) -> Point | None:
    if is_reference:
        return Point(at, 1.0)
    if arm.speedup is None:
        return None
    return Point(at, arm.speedup.value, arm.speedup.low, arm.speedup.high)


def _chosen(models: SeriesModels) -> tuple[FittedLaw | None, str]:
    """The law that was not refused; the one with more parameters first."""
    if models.usl and not models.usl.refused:
        return models.usl, "USL"
    if models.amdahl and not models.amdahl.refused:
        return models.amdahl, "Amdahl's law"
    return None, ""


def _refusal(models: SeriesModels) -> str:
    laws = (models.usl, models.amdahl)
    found = [models.refused, *(law.refused for law in laws if law)]
    return next((text for text in found if text), "no law was fitted").rstrip(".")


def _said(fitted: FittedLaw, name: str, batches: int) -> str:
    off = f", {numbers.percent(fitted.error)} off at most" if fitted.error is not None else ""
    knee = fitted.knee
    if knee is None:
        bends = "does not bend back"
    else:
        bends = f"bends at {_tasks(knee.value * batches)} tasks in flight"
        if knee.high is not None:
            bends += f" ({_tasks(knee.low * batches)} to {_tasks(knee.high * batches)})"
    return f"The fit ({name}{off}) {bends}; dashed is beyond what was measured."


def _tasks(value: float) -> str:
    return numbers.count(round(value))
