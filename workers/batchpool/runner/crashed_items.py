"""The records of items that were given up."""

import os

from batchpool.execution.item_logs import ItemLogs
from batchpool.model import ExecutionSite, Outcome, TaskError
from batchpool.runner.protocol import Assignment, CrashedItem


def crashed_outcomes(assignment: Assignment, logs: ItemLogs) -> list[Outcome]:
    """Their outcomes; what they printed goes to `logs`, where the writer of records finds it."""
    logs.begin(assignment.claim.run.logs)
    for item in assignment.crashed:
        if item.log:
            logs.append(item.index, 0, item.log)
    return [_outcome(item, assignment) for item in assignment.crashed]


def _outcome(item: CrashedItem, assignment: Assignment) -> Outcome:
    error = TaskError(type="crashed", message=item.message, traceback=None)
    site = ExecutionSite(item.pid, os.getppid(), 0, "", 0)
    return Outcome(item.index, "crashed", None, error, site, assignment.claimed_ns, 0, 0)
