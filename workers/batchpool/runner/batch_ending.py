"""The end of a batch and its report, from how its last assignment ran."""

import time
from collections.abc import Callable, Mapping

from batchpool.ledger.ownership import Ending
from batchpool.ledger.values.job_entries import Report
from batchpool.model import BatchReport, Phases, Usage
from batchpool.runner.protocol import Assignment
from batchpool.runner.record_writer import RecordWriter


def ending_of(
    writer: RecordWriter, assignment: Assignment, report: BatchReport, usage: Usage | None
) -> Callable[[Mapping[str, int]], Ending]:
    """The end of the batch of an assignment, given the counts of its records by state."""
    claim = assignment.claim
    measured = Report(usage=usage) if usage else Report()
    if report.chosen is not None:
        measured["chosen"] = report.chosen

    def ending(counts: Mapping[str, int]) -> Ending:
        return Ending(
            state="succeeded" if counts.get("succeeded", 0) == claim.count else "failed",
            report=Report(
                effective_concurrency=report.effective_concurrency,
                pool=report.pool,
                start_method=report.start_method,
                startup_s=report.startup_s,
                wall_s=report.wall_s,
                phases=_phases_of(report, assignment.claimed_ns),
                observed=report.observed,
                # What ran before: in other epochs, or in another assignment of this one.
                partial=bool(claim.done or assignment.finished),
                closing_sum=writer.run_sum,
                **measured,
            ),
            rest="cancelled" if sum(counts.values()) < claim.count else None,
            stop_job=report.failed_fast,
        )

    return ending


def _phases_of(report: BatchReport, claimed_ns: int) -> Phases:
    def since_claim(ns: int) -> float:
        return round((ns - claimed_ns) / 1e9, 6)

    return Phases(
        begin_s=since_claim(report.begin_ns),
        ready_s=since_claim(report.ready_ns),
        end_s=since_claim(report.end_ns),
        closed_s=since_claim(time.monotonic_ns()),
    )
