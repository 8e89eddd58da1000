"""Arms of a comparison as the values that charts are drawn from; pure."""

from collections.abc import Sequence

from batchpool.charts.heat_map import Cell, Evidence, Grid
from batchpool.charts.ratio_dots import ArmRatio
from batchpool.charts.stacked_parts import ArmParts
from batchpool.comparisons.analysis.scale_out_grid import ScaleOutGrid
from batchpool.pages.comparisons.headline import best_arm
from batchpool.schemas.comparison_responses import ArmResult, Comparison

_PARTS = {
    "startup": ("load_s", "startup_s"),
    "dispatch": ("dispatch_s",),
    "cpu": ("cpu_s",),
    "wait": ("waiting_s",),
    "contention": ("contention_s",),
    "idle": ("idle_s", "close_s"),
}


def arm_ratios(comparison: Comparison) -> tuple[ArmRatio, ...]:
    """Each arm beside the reference; the ratio of a round is that of the two in this round."""
    arms = comparison.arms or []
    if not arms:
        return ()
    reference = arms[comparison.spec.reference]
    best = best_arm(comparison)
    return tuple(_ratio(arm, reference, arm is best) for arm in arms)


def _ratio(arm: ArmResult, reference: ArmResult, is_best: bool) -> ArmRatio:
    if arm is reference:
        middle = reference.median_s or 0.0
        rounds = tuple(middle / wall for wall in arm.samples if wall > 0 and middle > 0)
        return ArmRatio(arm.name, 1.0, None, None, rounds, "reference")
    rounds = tuple(
        own / wall
        for own, wall in zip(reference.samples, arm.samples, strict=False)
        if own > 0 and wall > 0
    )
    if arm.speedup is None:
        return ArmRatio(arm.name, None, None, None, rounds, None)
    value, low, high = arm.speedup.value, arm.speedup.low, arm.speedup.high
    return ArmRatio(arm.name, value, low, high, rounds, arm.verdict, is_best)


def arm_parts(arms: Sequence[ArmResult]) -> tuple[ArmParts, ...]:
    """Where the time of each arm went; arms without a breakdown are left out."""
    return tuple(
        ArmParts(arm.name, arm.median_s, _parts(arm.parts, arm.median_s))
        for arm in arms
        if arm.parts and arm.median_s
    )


def _parts(known: dict[str, float | None], wall_s: float) -> dict[str, float]:
    found = {part: sum(known.get(name) or 0.0 for name in names) for part, names in _PARTS.items()}
    if known.get("waiting_s") is None or known.get("contention_s") is None:
        # Without a run of the items alone, time off the CPU cannot be split.
        found["unknown"] = max(0.0, wall_s - sum(found.values()))
    return found


def backend_grid(comparison: Comparison) -> Grid | None:
    """Backends by concurrency; None where two arms share a cell, or it would be one line."""
    arms = [arm for arm in comparison.arms or () if arm.spec.backend != "sequential"]
    keys = [(arm.spec.backend, arm.spec.concurrency) for arm in arms]
    backends = tuple(dict.fromkeys(backend for backend, _ in keys))
    levels = sorted({concurrency for _, concurrency in keys})
    is_proven = any(arm.speedup for arm in arms)
    is_grid = is_proven and len(backends) > 1 and len(levels) > 1 and len(set(keys)) == len(keys)
    if not is_grid or any(arm.spec.batches != 1 for arm in arms):
        return None
    placed = [(backends.index(backend), levels.index(level)) for backend, level in keys]
    return Grid("", "concurrency", backends, _texts(levels), _cells(comparison, arms, placed))


def batch_grids(comparison: Comparison) -> list[tuple[str, Grid]]:
    """For each backend with several numbers of batches: batches by concurrency."""
    if not comparison.grid:
        return []
    by_name = {arm.name: arm for arm in comparison.arms or ()}
    grids = []
    for found in ScaleOutGrid.model_validate(comparison.grid).heatmaps:
        placed = [
            (by_name[name], (row, column))
            for row, names in enumerate(found.arms)
            for column, name in enumerate(names)
            if name in by_name
        ]
        if not any(arm.speedup for arm, _ in placed):
            continue
        cells = _cells(comparison, [arm for arm, _ in placed], [place for _, place in placed])
        sides = ("batches", "concurrency in each batch")
        grids.append(
            (found.backend, Grid(*sides, _texts(found.batches), _texts(found.concurrency), cells))
        )
    return grids


def _texts(values: Sequence[int]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


def _cells(
    comparison: Comparison, arms: Sequence[ArmResult], places: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], Cell]:
    best = best_arm(comparison)
    return {
        place: _cell(arm, arm.index == comparison.spec.reference, arm is best)
        for arm, place in zip(arms, places, strict=True)
    }


def _cell(arm: ArmResult, is_reference: bool, is_best: bool) -> Cell:
    if is_reference:
        return Cell(1.0, None, None, "reference")
    if arm.speedup is None:
        return Cell(1.0, None, None, "no verdict")
    is_shown = arm.verdict in ("faster", "slower")
    evidence: Evidence = "shown" if is_shown else "not shown"
    return Cell(arm.speedup.value, arm.speedup.low, arm.speedup.high, evidence, is_best)
