"""Run a task on some items in this process, without Redis: to debug it, or to test it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from batchpool.backends.context import RunnerContext
from batchpool.json_value import JsonObject
from batchpool.model import BatchSpec, Outcome, RunSpec
from batchpool.runner.run_batch import run_batch
from batchpool.tasks.registry import load_tasks
from batchpool.tasks.sources import TaskSources

_INTERRUPTED = "KeyboardInterrupt"


def run_task(
    task: str,
    items: Sequence[Any],
    params: JsonObject | None = None,
    *,
    backend: str | None = None,
    concurrency: int = 1,
    environ: Mapping[str, str] | None = None,
) -> list[Outcome]:
    """Run the task with this name on each item, as a worker's batch does; the outcomes in order.

    Params are checked, and values made JSON data, as in a job. What a task raises is an outcome
    with the state `failed`, but KeyboardInterrupt ends the run.

    Args:
        backend: default: `sequential`, in this thread, so that a debugger stops in the task;
            `asyncio` for a task that is only async.
        environ: where BATCHPOOL_TASKS_DIR and BATCHPOOL_FILES_ROOT are read; default: os.environ.
    Raises:
        UnknownTask: no module that was loaded has it.
        SpecError: the params or options do not fit.
        KeyboardInterrupt: a task was interrupted, by Ctrl-C as a rule.
    """
    registry = load_tasks(TaskSources.from_env(os.environ if environ is None else environ))
    chosen = backend or ("asyncio" if registry[task].run is None else "sequential")
    run = RunSpec(task, params=dict(params or {}), backend=chosen, concurrency=concurrency)
    outcomes: list[Outcome] = []

    def keep(ended: Sequence[Outcome]) -> None:
        outcomes.extend(ended)
        if any(each.error and each.error["type"] == _INTERRUPTED for each in ended):
            raise KeyboardInterrupt

    with RunnerContext(registry) as context:
        run_batch(BatchSpec(run, list(items)), sink=keep, context=context)
    return sorted(outcomes, key=lambda outcome: outcome.index)
