"""run_batch checks what a batch asks for before it runs an item, and reports the outcome."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from batchpool.backends.context import RunnerContext
from batchpool.errors import (
    ContextClosed,
    InvalidParams,
    SpecError,
    UnknownBackend,
    UnknownTask,
    UnsupportedBackend,
    UnsupportedOption,
)
from batchpool.model import BatchSpec, Outcome, RunSpec
from batchpool.retry_policy import RetryPolicy
from batchpool.runner.run_batch import run_batch
from batchpool.tasks import TaskSources, load_tasks

ECHO = RunSpec("echo", backend="sequential")


@pytest.fixture(scope="module")
def context() -> Any:
    with RunnerContext(load_tasks(TaskSources(entry_points=False))) as context:
        yield context


@pytest.mark.parametrize(
    ("changes", "kind", "field"),
    [
        ({"task": "no"}, UnknownTask, "task"),
        ({"backend": "no"}, UnknownBackend, "backend"),
        ({"backend": "asyncio", "task": "cpu"}, UnsupportedBackend, "backend"),
        ({"task_timeout_s": 1.0}, UnsupportedOption, "task_timeout_s"),
        ({"backend": "thread-pool", "task_timeout_s": 1.0}, UnsupportedOption, "task_timeout_s"),
        ({"backend": "asyncio", "task_timeout_s": 0.0}, SpecError, "task_timeout_s"),
        ({"concurrency": 0}, SpecError, "concurrency"),
        ({"chunksize": 0}, SpecError, "chunksize"),
        ({"retries": RetryPolicy(max=-1)}, SpecError, "retries"),
        ({"dispatch": "throw"}, SpecError, "dispatch"),
        ({"start_method": "fork server"}, SpecError, "start_method"),
        ({"pool": "hot"}, SpecError, "pool"),
        ({"shared_sum": "some"}, SpecError, "shared_sum"),
        ({"on_error": "weep"}, SpecError, "on_error"),
        ({"backend": "auto", "shared_sum": "global"}, UnsupportedOption, "shared_sum"),
        ({"backend": "auto", "task_timeout_s": 1.0}, UnsupportedOption, "task_timeout_s"),
        ({"params": {"x": 1}}, InvalidParams, "params"),
        ({"task": "sleep", "params": {"seconds": "x"}}, InvalidParams, "params.seconds"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    context: RunnerContext, changes: dict[str, Any], kind: type[SpecError], field: str
) -> None:
    outcomes: list[Outcome] = []
    with pytest.raises(kind) as refused:
        run_batch(BatchSpec(replace(ECHO, **changes), [1]), sink=outcomes.extend, context=context)
    assert refused.value.field == field
    assert not outcomes


def test_fork_beside_other_threads_is_refused(context: RunnerContext) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        for backend in ("multiprocessing", "process-pool"):
            run = replace(ECHO, backend=backend, start_method="fork")
            with pytest.raises(UnsupportedOption, match="threads"):
                run_batch(BatchSpec(run, [1]), context=context)
    finally:
        over.set()
        thread.join()


def test_at_a_prompt_no_context_is_needed() -> None:
    result = run_batch(BatchSpec(ECHO, ["a", "b"]))
    assert [outcome.value for outcome in result.outcomes] == ["a", "b"]
    assert result.report.effective_concurrency == 1
    assert result.report.wall_s >= result.report.startup_s >= 0


def test_a_sink_takes_the_outcomes(context: RunnerContext) -> None:
    outcomes: list[Outcome] = []
    result = run_batch(BatchSpec(ECHO, range(3)), sink=outcomes.extend, context=context)
    assert result.outcomes == []
    assert len(outcomes) == 3


@pytest.mark.parametrize("backend", ["sequential", "threading", "thread-pool", "asyncio"])
@pytest.mark.parametrize("dispatch", ["map", "submit"])
def test_a_sink_that_fails_ends_the_batch(
    context: RunnerContext, backend: str, dispatch: str
) -> None:
    class Full(Exception):
        pass

    def sink(outcomes: list[Outcome]) -> None:
        raise Full

    run = replace(ECHO, backend=backend, dispatch=dispatch, concurrency=2)
    with pytest.raises((Full, ExceptionGroup)):
        run_batch(BatchSpec(run, range(100)), sink=sink, context=context)


def test_a_drained_context_takes_no_item_and_a_closed_one_refuses() -> None:
    context = RunnerContext(load_tasks(TaskSources(entry_points=False)))
    context.drain()
    result = run_batch(BatchSpec(ECHO, range(3)), context=context)
    assert (result.report.drained, result.outcomes) == (True, [])
    context.close()
    with pytest.raises(ContextClosed):
        run_batch(BatchSpec(ECHO, range(3)), context=context)
