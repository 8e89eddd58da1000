"""The plan was kept: all rounds, interleaved, long enough, and a reference that equals itself."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, isfinite

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds
from batchpool.comparisons.analysis.verdicts import shows_a_difference
from batchpool.ledger.values.comparison_entries import RunFacts

SHORTEST_S = 0.1
_DISTURBED_SHARE = 0.25
_UNACCOUNTED = 0.02
_FEW_ROUNDS = 8


def check_rounds(data: CheckInput) -> Iterator[Finding]:
    """Find rounds that were not measured, or measured twice."""
    rounds = range(1, data.spec.rounds + 1)
    for arm in data.all_arms:
        missing = [n for n in rounds if n not in arm.runs and n not in arm.errors]
        # After a failed run the rest is not run, and `check_failures` reports it.
        if missing and not arm.errors:
            message = f"{arm.name}: no undisturbed run in {format_rounds(missing)} of {len(rounds)}"
            yield Finding("rounds", message, data.affected_arm(arm))
        if arm.extra:
            message = f"{arm.name}: {format_rounds(arm.extra)} was measured more than once"
            yield Finding("rounds", message, data.affected_arm(arm))
        if len(arm.disturbed) > _DISTURBED_SHARE * len(rounds):
            message = f"{arm.name}: {len(arm.disturbed)} runs were disturbed and repeated"
            yield Finding("disturbed", message, arm.index, "warning")


def check_order(data: CheckInput) -> Iterator[Finding]:
    """Find rounds that overlap: a machine that changes its speed would favour one arm."""
    spans: dict[int, list[int]] = {}
    for arm in data.all_arms:
        for round_, position in arm.positions.items():
            spans.setdefault(round_, []).append(position)
    ordered = [spans[round_] for round_ in sorted(spans)]
    if any(max(a) > min(b) for a, b in pairwise(ordered)):
        yield Finding("order", "the arms were not interleaved: runs of different rounds overlap")
        return
    orders = [_order_of_arms(data, round_) for round_ in sorted(spans)]
    if len(orders) > _FEW_ROUNDS and len(data.arms) > 1 and all(o == orders[0] for o in orders):
        message = "the arms ran in the same order in every round: it was not shuffled"
        yield Finding("order", message, None, "warning")


def _order_of_arms(data: CheckInput, round_: int) -> list[int]:
    found = [(arm.positions[round_], arm.index) for arm in data.all_arms if round_ in arm.positions]
    return [index for _, index in sorted(found)]


def check_clocks(data: CheckInput) -> Iterator[Finding]:
    """Find impossible times, and parts that do not add up to the wall time."""
    for arm in data.all_arms:
        wrong = [n for n, facts in sorted(arm.runs.items()) if not _has_possible_times(facts)]
        if wrong:
            message = f"{arm.name}: a clock was set in {format_rounds(wrong)}"
            yield Finding("clock", message, data.affected_arm(arm))
        lost_s = arm.median_of(lambda facts: facts.parts.unaccounted if facts.parts else None)
        if lost_s is not None and arm.median_s and abs(lost_s) > _UNACCOUNTED * arm.median_s:
            message = f"{arm.name}: {abs(lost_s) / arm.median_s:.1%} of its time is unaccounted for"
            yield Finding("unaccounted", message, arm.index, "warning")


def _has_possible_times(facts: RunFacts) -> bool:
    return (
        isfinite(facts.wall_s)
        and facts.wall_s > 0
        and isfinite(facts.queue_s)
        and facts.queue_s >= -SHORTEST_S
    )


def check_sizes(data: CheckInput) -> Iterator[Finding]:
    """Find runs so short that the clock and the service's own time matter too much."""
    for arm in data.arms:
        if arm.median_s is not None and arm.median_s < SHORTEST_S:
            needed = ceil(data.items * SHORTEST_S / arm.median_s)
            message = (
                f"{arm.name}: a run takes {arm.median_s * 1e3:.0f} ms, below the minimum of "
                f"{SHORTEST_S * 1e3:.0f} ms; about {needed} items would reach it"
            )
            yield Finding("short", message, arm.index, "warning")


def check_aa(data: CheckInput) -> Iterator[Finding]:
    """Compare the reference with itself: it must show no difference."""
    if data.aa is None:
        yield Finding(
            "a/a", "no A/A control was measured: noise cannot be distinguished from effect"
        )
    elif shows_a_difference(data.aa, data.spec.min_effect):
        message = (
            f"{data.reference.name} differs from itself: ratio {data.aa.value:.3f} "
            f"({data.aa.low:.3f} to {data.aa.high:.3f}); the cause is not in the arms"
        )
        yield Finding("a/a", message)
