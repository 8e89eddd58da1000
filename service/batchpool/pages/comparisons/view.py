"""The page of a comparison: the conclusion first, then how sure it is, and why; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from batchpool.charts import numbers, share_bar
from batchpool.charts.svg import Table
from batchpool.charts.timeline_arms import ArmRun
from batchpool.comparisons.aggregation import show_comparison
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.model import TERMINAL_STATES
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.comparisons.charts import comparison_charts
from batchpool.pages.comparisons.headline import Headline, headline
from batchpool.pages.comparisons.progress import seconds_left
from batchpool.pages.comparisons.tables import costs_table, environment_pairs
from batchpool.pages.comparisons.trust import Check, trust
from batchpool.schemas.comparison_responses import ArmSpecInfo, Comparison


@dataclass(frozen=True)
class ComparisonView:
    """What the page and the report of a comparison show.

    Args:
        facts: task, items, arms, rounds and time, as one line.
        progress: a bar of the runs, "" after the end.
        top, beside, wide, last: charts by their place; `beside` is beside the checks.
        planned: how each arm runs.
        late_timelines: the runs have too many items to draw while a reader waits.
    """

    id: str
    state: str
    is_open: bool
    labels: dict[str, str]
    facts: str
    headline: Headline
    progress: str
    top: tuple[ChartCard, ...]
    beside: tuple[ChartCard, ...]
    wide: tuple[ChartCard, ...]
    last: tuple[ChartCard, ...]
    checks: tuple[Check, ...]
    costs: Table
    planned: Table
    environment: tuple[tuple[str, str], ...]
    late_timelines: bool = False


def build_comparison(
    entry: ComparisonEntry, now_ms: int, runs: Sequence[ArmRun], late_timelines: bool = False
) -> ComparisonView:
    """The page of a comparison at a moment.

    Args:
        now_ms: Redis' clock.
        runs: one run of each arm, where their jobs still exist.
    """
    shown = show_comparison(entry, entry.finished_ms or now_ms)
    return view_of(shown, seconds_left(entry), runs, late_timelines)


def view_of(
    shown: Comparison, left_s: float | None, runs: Sequence[ArmRun], late_timelines: bool
) -> ComparisonView:
    """The page of what the API shows of a comparison; `left_s` is a forecast of the rest."""
    cards = comparison_charts(shown, runs)
    beside, last = _halves(cards)
    is_open = shown.state not in TERMINAL_STATES
    now = shown.progress
    return ComparisonView(
        id=shown.id,
        state=shown.state,
        is_open=is_open,
        labels=shown.spec.labels,
        facts=_facts(shown),
        headline=headline(shown, left_s),
        progress=share_bar.draw_utilisation(now.done, now.runs, "runs", "fat") if is_open else "",
        top=tuple(card for card in cards if card.name == "ratios"),
        beside=beside,
        wide=tuple(card for card in cards if not card.is_half and card.name != "ratios"),
        last=last,
        checks=tuple(trust(shown)),
        costs=costs_table(shown),
        planned=_planned(shown),
        environment=tuple(environment_pairs(shown)),
        late_timelines=late_timelines,
    )


def _halves(cards: Sequence[ChartCard]) -> tuple[tuple[ChartCard, ...], tuple[ChartCard, ...]]:
    """Charts of half a width: some beside the checks, and an even number at the end."""
    halves = [card for card in cards if card.is_half]
    beside = 2 + len(halves) % 2
    return tuple(halves[:beside]), tuple(halves[beside:])


def _facts(shown: Comparison) -> str:
    spec = shown.spec
    facts = [
        spec.task,
        numbers.plural(spec.items.count, "item"),
        numbers.plural(len(spec.arms), "arm"),
        numbers.plural(spec.rounds, "round"),
    ]
    if shown.timing.wall_s is not None:
        facts.append(numbers.duration(shown.timing.wall_s))
    return ", ".join(facts)


def _planned(shown: Comparison) -> Table:
    """How each arm runs, and how many of its measured runs have ended."""
    ended = [sample.arm for sample in shown.samples if sample.kind == "sample"]
    rows = tuple(
        (
            arm.name,
            ", ".join(_options(arm)),
            numbers.count(arm.batches),
            numbers.count(arm.concurrency),
            f"{ended.count(index)} of {shown.spec.rounds}",
        )
        for index, arm in enumerate(shown.spec.arms)
    )
    header = ("Arm", "How", "Batches", "Concurrency", "Rounds done")
    return Table("What is compared", header, rows, figures=3)


def _options(arm: ArmSpecInfo) -> list[str]:
    options = [arm.backend, arm.pool and f"{arm.pool} pool", arm.start_method]
    options += [arm.dispatch and f"dispatched with {arm.dispatch}"]
    options += [f"chunks of {arm.chunksize}" if arm.chunksize else None]
    options += [f"shared sum {arm.shared_sum}" if arm.shared_sum != "none" else None]
    return [option for option in options if option]
