"""What a batch asks for is checked before anything runs, and the outcome is told."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from batchpool.backends import load_backend
from batchpool.backends.context import RunnerContext
from batchpool.backends.facts import BACKENDS
from batchpool.errors import (
    ChildStartFailed,
    ContextClosed,
    InvalidParams,
    SpecError,
    UnknownBackend,
    UnknownTask,
    UnsupportedBackend,
    UnsupportedOption,
)
from batchpool.model import BatchSpec, Outcome, RunSpec
from batchpool.runner.run_batch import RETRY_CAP_S, full_jitter, run_batch
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
        ({"retries": -1}, SpecError, "retries"),
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


def test_interpreters_are_refused_below_their_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        BACKENDS, "interpreter-pool", replace(BACKENDS["interpreter-pool"], min_python=(4, 0))
    )
    with pytest.raises(UnsupportedBackend, match="needs Python"):
        load_backend("interpreter-pool")


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


def test_at_a_prompt_no_station_is_needed() -> None:
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


def test_a_drained_station_takes_nothing_and_a_closed_one_refuses() -> None:
    context = RunnerContext(load_tasks(TaskSources(entry_points=False)))
    context.drain()
    result = run_batch(BatchSpec(ECHO, range(3)), context=context)
    assert (result.report.drained, result.outcomes) == (True, [])
    context.close()
    with pytest.raises(ContextClosed):
        run_batch(BatchSpec(ECHO, range(3)), context=context)


def test_the_wait_before_a_retry_doubles_at_most_and_has_a_cap() -> None:
    for attempt, most in ((2, 0.2), (3, 0.4), (4, 0.8), (40, RETRY_CAP_S)):
        waits = [full_jitter(attempt) for _ in range(200)]
        assert 0 <= min(waits) <= max(waits) <= most
        assert max(waits) > most / 2


def test_errors_name_what_is_unanswered() -> None:
    error = ChildStartFailed("a child died", range(12))
    assert str(error).endswith("unanswered items: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more")
    assert error.unanswered == tuple(range(12))


def test_defaults_follow_the_cpus() -> None:
    defaults = {name: facts.default_concurrency(6) for name, facts in BACKENDS.items()}
    assert defaults == {
        "sequential": 1,
        "threading": 10,
        "multiprocessing": 6,
        "thread-pool": 10,
        "process-pool": 6,
        "interpreter-pool": 6,
        "asyncio": 10,
        "auto": 256,
    }
    assert BACKENDS["thread-pool"].default_concurrency(64) == 32


@pytest.mark.parametrize("name", [name for name, facts in BACKENDS.items() if facts.is_supported])
def test_each_backend_can_be_loaded(name: str) -> None:
    assert load_backend(name).__doc__
