"""The result card of a comparison as a picture; pure."""

from collections.abc import Iterator

from batchpool.charts import numbers, result_card
from batchpool.charts.result_card import Card, CardRow
from batchpool.comparisons.analysis.result_card import ResultCard
from batchpool.pages.chart_card import ChartCard
from batchpool.pages.comparisons.headline import headline
from batchpool.pages.comparisons.tables import arms_table
from batchpool.schemas.comparison_responses import Comparison


def card_picture(comparison: Comparison, found: ResultCard) -> ChartCard:
    """The card of a comparison that has results."""
    title = headline(comparison, None).title
    return ChartCard("card", title, result_card.draw(_card(title, found)), arms_table(comparison))


def _card(title: str, found: ResultCard) -> Card:
    facts = [
        f"{found.task}, {numbers.plural(found.items, 'item')}",
        f"{numbers.plural(found.rounds, 'round')}, seed {found.seed}",
        *_where(found.measured_with),
    ]
    best = min((arm.median_s for arm in found.arms if arm.median_s is not None), default=None)
    rows = [
        CardRow(
            name=arm.name,
            median_s=arm.median_s,
            speedup=arm.speedup.value if arm.speedup else 1.0 if arm.is_reference else None,
            verdict=arm.verdict or ("reference" if arm.is_reference else "no verdict"),
            is_best=arm.median_s is not None and arm.median_s == best,
        )
        for arm in found.arms
    ]
    conditions = [(each.outcome, f"{each.condition} ({each.why})") for each in found.conditions]
    return Card(title, "; ".join(facts), rows, conditions, found.command)


def _where(measured_with: dict[str, str]) -> Iterator[str]:
    if "python" in measured_with:
        gil = " without the GIL" if measured_with.get("gil") == "no" else ""
        yield f"Python {measured_with['python']}{gil}"
    if "cpus" in measured_with:
        yield f"{measured_with['cpus']} CPUs"
    if "batchpool" in measured_with:
        yield f"batchpool {measured_with['batchpool']}"
