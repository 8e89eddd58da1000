"""The shared sum of a job: what each process has of it, and why that differs; pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from batchpool.backends.facts import BACKENDS
from batchpool.charts import numbers
from batchpool.ledger.blocks.record_fields import RecordDocument
from batchpool.schemas.job_responses import Job

MOST_ITEMS = 20_000
"""A job of more items is not read through for the sums of its processes."""

MOST_PROCESSES = 40
"""Processes that are named; how many there are is said."""


@dataclass(frozen=True)
class ProcessSum:
    """One process: the values that its tasks returned, and the sum that the last of them saw."""

    worker: str
    pid: int
    returned: str
    seen: str


@dataclass(frozen=True)
class SharedSumView:
    """The card of the shared sum.

    Args:
        explanation: why what is seen differs from the exact sum, or does not.
        left_out: why there is no table; empty if there is one.
    """

    strategy: str
    explanation: str
    processes: tuple[ProcessSum, ...]
    processes_total: int
    exact: str
    observed: str
    left_out: str


def build_shared_sum(job: Job, records: Iterable[RecordDocument] | None) -> SharedSumView | None:
    """The card of the shared sum; None for a job without one.

    Args:
        records: all of the job, None if they are too many to read.
    """
    if job.shared_sum is None:
        return None
    sums = [] if records is None else process_sums(records)
    too_many = f"A job of over {numbers.count(MOST_ITEMS)} items is not read through for this."
    observed = [value for value in job.shared_sum.observed if value is not None]
    return SharedSumView(
        strategy=job.shared_sum.strategy,
        explanation=explain(job),
        processes=tuple(sums[:MOST_PROCESSES]),
        processes_total=len(sums),
        exact=numbers.NOTHING if job.sum_text is None else numbers.exact(job.sum_text),
        observed=", ".join(numbers.exact(str(value)) for value in observed[:10]),
        left_out=too_many if records is None else "",
    )


def process_sums(records: Iterable[RecordDocument]) -> list[ProcessSum]:
    """The sums of each process that ran an item, by worker and PID."""
    returned: dict[tuple[str, int], int | float] = {}
    last: dict[tuple[str, int], tuple[str, int | float]] = {}
    for record in records:
        pid, worker, value = record["pid"], record["worker"], record["value"]
        if pid is None or worker is None:
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        place = (worker, pid)
        returned[place] = returned.get(place, 0) + (value if is_number else 0)
        seen, started = record["sum_seen"], record["started_at"] or ""
        if seen is not None and started >= last.get(place, ("", 0))[0]:
            last[place] = (started, seen)
    return [
        ProcessSum(
            worker=worker,
            pid=pid,
            returned=numbers.exact(str(value)),
            seen=_seen(last.get((worker, pid))),
        )
        for (worker, pid), value in sorted(returned.items())
    ]


def _seen(last: tuple[str, int | float] | None) -> str:
    return numbers.NOTHING if last is None else numbers.exact(str(last[1]))


def explain(job: Job) -> str:
    """Why what the tasks saw of the sum differs from the exact one, or does not."""
    shared = job.shared_sum
    assert shared is not None
    facts = BACKENDS.get(job.spec.backend)
    kind = facts.slot_kind if facts else "chosen"
    if shared.strategy == "global":
        words = _explain_global(kind, job)
    elif shared.strategy == "locked":
        words = "Each task took a lock before it added, so no update is lost within a batch."
    else:
        words = _explain_racy(shared.lost)
    if shared.partial:
        words += " A batch was taken over, so no epoch saw all of it."
    return words


def _explain_global(kind: str, job: Job) -> str:
    if kind in ("processes", "interpreters"):
        one = "process" if kind == "processes" else "interpreter"
        again = ", which each batch begins at 0" if job.spec.batches > 1 else ""
        return (
            f"Every {one} added to a global of its own{again}, so no variable anywhere holds the "
            "whole sum. The exact sum comes from the records."
        )
    batches = " Each batch has a global of its own." if job.spec.batches > 1 else ""
    return f"All tasks of a batch added to one global of one process.{batches}"


def _explain_racy(lost: int | float | None) -> str:
    if lost is None:
        return "Each task reads the sum, waits a moment, and writes it back, without a lock."
    if not lost:
        return (
            "Each task reads the sum, waits a moment, and writes it back, without a lock. "
            "Nothing was lost this time; that is luck."
        )
    return (
        "Each task read the sum, waited a moment, and wrote it back, without a lock: others had "
        f"added in between, and {numbers.exact(str(lost))} of the exact sum is lost."
    )
