"""The charts of a comparison, by name: the same on its page, in its report and over HTTP; pure."""

from collections.abc import Sequence
from typing import Final

from batchpool.charts import (
    heat_map,
    numbers,
    ratio_dots,
    scaling_curve,
    stacked_parts,
    timeline_arms,
)
from batchpool.charts.timeline_arms import ArmRun
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.comparisons.arms import arm_parts, arm_ratios, backend_grid, batch_grids
from batchpool.pages.comparisons.headline import reference_name
from batchpool.pages.comparisons.scaling import Series, scaling_series
from batchpool.pages.comparisons.tables import arms_table
from batchpool.schemas.comparison_responses import Comparison

HALF, NARROW = 540, 340
_PART_KEYS: Final = tuple((f"part-{part}", words) for part, words in stacked_parts.PARTS[:-1])
_BAR_KEYS: Final = (
    ("cpu", "computing"),
    ("held", "waiting or held up"),
    ("startup", "start-up"),
    ("failed", "failed"),
)


def comparison_charts(comparison: Comparison, runs: Sequence[ArmRun]) -> list[ChartCard]:
    """All charts that the results allow, in the order of the page.

    Args:
        runs: one run of each arm, where their jobs still exist.
    """
    cards = [_ratios(comparison), _parts(comparison), *_grids(comparison)]
    cards += [_scaling(series, at) for at, series in enumerate(scaling_series(comparison))]
    return [card for card in (*cards, _timelines(comparison, runs)) if card is not None]


def _ratios(comparison: Comparison) -> ChartCard | None:
    arms = arm_ratios(comparison)
    if not arms:
        return None
    least, reference = comparison.spec.min_effect, reference_name(comparison)
    return ChartCard(
        "ratios",
        "How much faster, and how sure",
        ratio_dots.draw(arms, least, reference),
        arms_table(comparison),
        ratio_dots.draw(arms, least, reference, NARROW),
        note="each dot is one round; the shaded strip is too small a difference to count "
        f"({numbers.percent(least)})",
    )


def _parts(comparison: Comparison) -> ChartCard | None:
    arms = arm_parts(comparison.arms or ())
    if not arms:
        return None
    drawn, narrow = stacked_parts.draw(arms, HALF), stacked_parts.draw(arms, NARROW)
    return ChartCard(
        "parts",
        "Where the time went",
        drawn,
        stacked_parts.table(arms),
        narrow,
        keys=_PART_KEYS,
        is_half=True,
    )


def _grids(comparison: Comparison) -> list[ChartCard]:
    found = batch_grids(comparison)
    named = [
        (
            "grid" if at == 0 else f"grid-{at + 1}",
            "More in one worker, or more workers?" + (f" {backend}" if len(found) > 1 else ""),
            grid,
        )
        for at, (backend, grid) in enumerate(found)
    ]
    if grid := backend_grid(comparison):
        named.insert(0, ("backends", "By backend and concurrency", grid))
    said = (
        "The stronger the blue the faster; framed is the best. "
        f"Hatched: no difference from {reference_name(comparison)} is shown."
    )
    return [
        ChartCard(
            name,
            title,
            heat_map.draw(grid, HALF),
            heat_map.table(grid),
            heat_map.draw(grid, NARROW),
            footer=said,
            is_half=True,
        )
        for name, title, grid in named
    ]


def _scaling(series: Series, at: int) -> ChartCard:
    points, law, reason = series.points, series.law, series.reason
    return ChartCard(
        "scaling" if at == 0 else f"scaling-{at + 1}",
        "How far it scales",
        scaling_curve.draw(points, law, reason, HALF),
        scaling_curve.table(points, law),
        scaling_curve.draw(points, law, reason, NARROW),
        note=series.name,
        footer=series.said,
        is_half=True,
    )


def _timelines(comparison: Comparison, runs: Sequence[ArmRun]) -> ChartCard | None:
    if not runs:
        return None
    arms = len(comparison.spec.arms)
    missing = "" if len(runs) == arms else f"{len(runs)} of {arms} arms shown; "
    return ChartCard(
        "timelines",
        "One run of each arm, on one time axis",
        timeline_arms.draw(runs),
        timeline_arms.table(runs),
        timeline_arms.draw(runs, NARROW),
        note=f"{missing}the round nearest to the median",
        keys=_BAR_KEYS,
    )
