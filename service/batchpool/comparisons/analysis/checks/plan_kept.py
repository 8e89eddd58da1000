"""The plan was kept: all rounds, by turns, long enough, and a reference that equals itself."""

from collections.abc import Iterator
from itertools import pairwise
from math import ceil, isfinite

from batchpool.comparisons.analysis.checks.base import CheckInput, Finding, format_rounds
from batchpool.comparisons.analysis.verdicts import shows_a_difference

SHORTEST_S = 0.1
_DISTURBED_SHARE = 0.25
_UNACCOUNTED = 0.02
_FEW_ROUNDS = 8


def check_rounds(case: CheckInput) -> Iterator[Finding]:
    """A round that was not measured, or measured twice."""
    rounds = range(1, case.spec["rounds"] + 1)
    for arm in case.all_arms:
        missing = [key for key in rounds if key not in arm.runs and key not in arm.errors]
        # Where a run ended badly the rest was not tried, and that has been said.
        if missing and not arm.errors:
            message = f"{arm.name}: no undisturbed run in {format_rounds(missing)} of {len(rounds)}"
            yield Finding("rounds", message, case.affected_arm(arm))
        if arm.extra:
            message = f"{arm.name}: {format_rounds(arm.extra)} was measured more than once"
            yield Finding("rounds", message, case.affected_arm(arm))
        if len(arm.disturbed) > _DISTURBED_SHARE * len(rounds):
            message = f"{arm.name}: {len(arm.disturbed)} runs were disturbed and repeated"
            yield Finding("disturbed", message, arm.index, "warning")


def check_order(case: CheckInput) -> Iterator[Finding]:
    """Rounds that overlap: then a machine that changes its speed favours one arm."""
    spans: dict[int, list[int]] = {}
    for arm in case.all_arms:
        for key, position in arm.positions.items():
            spans.setdefault(key, []).append(position)
    ordered = [spans[key] for key in sorted(spans)]
    mixed = any(max(a) > min(b) for a, b in pairwise(ordered))
    if mixed:
        yield Finding("order", "the arms did not take turns: runs of different rounds overlap")
        return
    places = [_places(case, key) for key in sorted(spans)]
    if len(places) > _FEW_ROUNDS and len(case.arms) > 1 and all(p == places[0] for p in places):
        message = "the arms ran in the same order in every round: it was not shuffled"
        yield Finding("order", message, None, "warning")


def _places(case: CheckInput, key: int) -> list[int]:
    found = [(arm.positions[key], arm.index) for arm in case.all_arms if key in arm.positions]
    return [index for _, index in sorted(found)]


def check_clocks(case: CheckInput) -> Iterator[Finding]:
    """Times that are no times."""
    for arm in case.all_arms:
        wrong = [
            key
            for key, facts in sorted(arm.runs.items())
            if not isfinite(facts["wall_s"])
            or facts["wall_s"] <= 0
            or not isfinite(facts["queue_s"])
            or facts["queue_s"] < -SHORTEST_S
        ]
        if wrong:
            message = f"{arm.name}: a clock was set in {format_rounds(wrong)}"
            yield Finding("clock", message, case.affected_arm(arm))
        lost = arm.median_of("parts", "unaccounted")
        if lost is not None and arm.median_s and abs(lost) > _UNACCOUNTED * arm.median_s:
            message = f"{arm.name}: {abs(lost) / arm.median_s:.1%} of its time is unaccounted for"
            yield Finding("unaccounted", message, arm.index, "warning")


def check_sizes(case: CheckInput) -> Iterator[Finding]:
    """Runs so short that the clock, and the service around them, count for too much."""
    for arm in case.arms:
        if arm.median_s is not None and arm.median_s < SHORTEST_S:
            needed = ceil(case.items * SHORTEST_S / arm.median_s)
            message = (
                f"{arm.name}: a run takes {arm.median_s * 1e3:.0f} ms, which is below "
                f"{SHORTEST_S * 1e3:.0f}; about {needed} items would reach that"
            )
            yield Finding("short", message, arm.index, "warning")


def check_aa(case: CheckInput) -> Iterator[Finding]:
    """The reference measured twice must equal itself."""
    if case.aa is None:
        yield Finding("a/a", "the reference was not measured twice: nothing vouches for the rest")
    elif shows_a_difference(case.aa, case.spec["min_effect"]):
        message = (
            f"{case.reference.name} against itself comes out as {case.aa.value:.3f} "
            f"({case.aa.low:.3f} to {case.aa.high:.3f}): something else than the arms made it so"
        )
        yield Finding("a/a", message)
