"""How far a comparison is, what it waits for, and how long it still takes; pure."""

from batchpool.charts import numbers
from batchpool.comparisons.duration import expected_s
from batchpool.comparisons.planning import due_runs, plan_runs
from batchpool.ledger.values.comparison_entries import ComparisonEntry
from batchpool.model import TERMINAL_STATES
from batchpool.pages.text import about
from batchpool.schemas.comparison_responses import Comparison

_KINDS = {"solo": "the items alone", "warmup": "warm-up"}

Rows = tuple[tuple[str, str], ...]


def seconds_left(entry: ComparisonEntry) -> float | None:
    """A forecast of the runs that are left, from those that have ended; None without one.

    What the run under way has already taken is not known here, so that it counts in full.
    """
    if entry.state in TERMINAL_STATES:
        return None
    took_s: dict[int, list[float]] = {}
    for sample in entry.samples:
        if not sample.disturbed:
            took_s.setdefault(sample.arm, []).append(sample.took_s)
    failed = {int(arm) for arm in entry.notes.failed}
    left = list(due_runs(plan_runs(entry.spec), entry.position, failed, entry.spec.reference))
    return expected_s(left, took_s, entry.spec.reference) if left else None


def progress_sentence(comparison: Comparison, left_s: float | None) -> tuple[str, Rows]:
    """The title of the page before the end, and what is going on."""
    now = comparison.progress
    if comparison.state == "queued":
        return "It waits for its turn.", (
            ("Then", "It starts by itself once the comparisons before it have ended."),
        )
    to_go = "" if left_s is None else f"; about {about(left_s)} to go"
    title = f"{numbers.count(now.done)} of {numbers.plural(now.runs, 'run')} are done{to_go}."
    rows = []
    if now.waits_for:
        rows.append(("Waits", f"It waits for {now.waits_for}. It goes on by itself."))
    elif now.arm is not None:
        rows.append(("Now", f"{_run(comparison)}."))
    if now.disturbed:
        runs = numbers.plural(now.disturbed, "run")
        rows.append(("Note", f"{runs} had to be repeated, since something else used the CPUs."))
    rows += [
        ("Failed", f"{arm} is not run any more: {why}.") for arm, why in now.failed_arms.items()
    ]
    rows.append(("Then", "The verdict comes at the end; none is given before."))
    return title, tuple(rows)


def _run(comparison: Comparison) -> str:
    now = comparison.progress
    again = f", attempt {now.attempt}" if now.attempt and now.attempt > 1 else ""
    if now.kind == "sample":
        return f"Round {now.round} of {now.rounds}: {now.arm}{again}"
    return f"{_KINDS.get(now.kind or '', 'A run').capitalize()}: {now.arm}{again}"
