"""Run one batch on this machine, without Redis and without RQ.

At a prompt:

    >>> from batchpool.runner.run_batch import run_batch
    >>> from batchpool.model import BatchSpec, RunSpec
    >>> result = run_batch(BatchSpec(RunSpec("echo", backend="thread-pool"), items=range(5)))
    >>> [outcome.value for outcome in sorted(result.outcomes)]
    [0, 1, 2, 3, 4]

A worker's runner keeps one `RunnerContext` for its life and gives each batch a sink:

    with RunnerContext(registry, folder=folder, on_idle=flush, owns_process=True) as context:
        report = run_batch(spec, sink=buffer.extend, context=context).report
        if context.must_restart_because: ...  # a task left a thread: replace this process

`sink` gets lists of final outcomes, each item's once, from whatever thread has them: it must be
quick and safe to call from several threads at once. Backends whose facts say `in_process` run
tasks in this process and never call `on_idle`; the others call it at least every 50 ms from
the calling thread, which must be the main thread of a process without other threads.
If a task crashes this process, its parent reads what ran from the folder: `read_in_flight`.
Items without an outcome after `run_batch` were not taken: the report says `drained` or
`failed_fast`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from time import monotonic_ns

from batchpool.backends import load_backend
from batchpool.backends.base import Backend, Batch
from batchpool.backends.context import RunnerContext
from batchpool.backends.facts import NO_SHARED_SUM, BackendFacts, facts_of
from batchpool.backends.item_source import ItemsInRedis, ItemSource
from batchpool.backends.outcomes import OutcomeCollector, Sink
from batchpool.backends.pacing import Budget, LocalBudget, Pacer
from batchpool.errors import LimitReached, SpecError, UnsupportedBackend, UnsupportedOption
from batchpool.execution.in_flight import read_in_flight
from batchpool.execution.item_output import begin_batch
from batchpool.execution.record_buffer import RecordBuffer
from batchpool.model import (
    DISPATCHES,
    ON_ERRORS,
    POOLS,
    SHARED_SUMS,
    START_METHODS,
    BatchReport,
    BatchSpec,
    Outcome,
    RunSpec,
)
from batchpool.rates import pace_of
from batchpool.system.limits import limit_behind
from batchpool.tasks.decorator import Task

MakeBudget = Callable[[Task, str], Budget]


def local_budget(_: Task, rate: str) -> Budget:
    """The budget of a rate for one batch alone."""
    return LocalBudget(pace_of(rate).spacing_s)


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch; `outcomes` is empty when a sink took them."""

    report: BatchReport
    outcomes: list[Outcome] = field(default_factory=list)


def run_batch(
    spec: BatchSpec,
    *,
    sink: Sink | RecordBuffer | None = None,
    context: RunnerContext | None = None,
    check_leaks: bool = True,
    make_budget: MakeBudget = local_budget,
) -> BatchResult:
    """Run the items of a batch that are not done yet.

    Args:
        spec: what to run, and how.
        sink: gets the outcomes as they come; without one they are in the result.
        context: what is kept between batches; without one it lasts for this batch only.
        check_leaks: search for what tasks left behind before returning; else the caller does, by
            `leak_check`.
        make_budget: makes the budget of a rate; by default one of this batch alone.
    Raises:
        SpecError: the batch cannot be run as ordered; no item was taken.
        ChildStartFailed: processes die before they run anything.
        LimitReached: a limit of the machine leaves no room for anything that runs tasks.
    """
    with ExitStack() as stack:
        if context is None:
            context = stack.enter_context(RunnerContext())
        task = context.registry[spec.run.task]
        facts = check_run(spec.run, task)
        pacer = None
        if rate := spec.run.rate or task.rate:
            spec = replace(spec, run=replace(spec.run, rate=rate))
            pacer = Pacer(make_budget(task, rate), pace_of(rate))
        outcomes: list[Outcome] = []
        indices = pending_of(spec)
        batch = make_batch(spec, context, outcomes.extend if sink is None else sink, len(indices))
        with leak_check(context, facts) if check_leaks else nullcontext():
            report = _run_within_limits(load_backend(facts.name)(batch), indices, pacer)
        return BatchResult(replace(report, end_ns=monotonic_ns()), outcomes)


@contextmanager
def leak_check(context: RunnerContext, facts: BackendFacts) -> Iterator[Callable[[], None]]:
    """Kill what tasks of the block leave running, and check whether they leave a thread.

    Yields:
        a way to do so earlier: once no task runs any more, and no thread that the block began.
    """
    # Interpreters are threads of a kept pool, and report a leaked thread themselves.
    in_threads = facts.in_process and facts.slot_kind != "interpreters"
    threads = context.count_threads() if in_threads else None
    try:
        yield lambda: context.check_leaks(threads)
    finally:
        context.check_leaks(threads)


def make_batch(
    spec: BatchSpec, context: RunnerContext, sink: Sink | RecordBuffer, items: int
) -> Batch:
    task = context.registry[spec.run.task]
    params = context.registry.params_of(task.name, spec.run.params)
    stop_flag = context.new_stop_flag()
    if spec.has_failures and spec.run.on_error == "stop":
        stop_flag.close("failed_fast")
    begin_batch(spec.job_id, spec.run.logs)
    outcomes = OutcomeCollector(sink, stop_flag, spec.first, len(spec.items))
    outcomes.configure(
        spec.run.retries,
        spec.run.on_error == "stop",
        items,
        spec.limit_ns,
        find_running=lambda: {index for index, _ in read_in_flight(context.folder)},
    )
    context.on_tick = outcomes.give_up_at_limit
    return Batch(
        spec=spec,
        task=task,
        params=params,
        concurrency=effective_concurrency(spec.run, facts_of(spec.run.backend), items),
        context=context,
        stop_flag=stop_flag,
        outcomes=outcomes,
    )


def check_run(run: RunSpec, task: Task) -> BackendFacts:
    """Refuse what the backend or the task cannot do, before anything runs.

    Raises:
        SpecError: or a subclass.
    """
    facts = facts_of(run.backend)
    load_backend(run.backend)
    if facts.form == "async" and task.run_async is None:
        raise UnsupportedBackend("backend", f"task {task.name!r} has no async form for asyncio")
    if facts.form == "sync" and task.run is None:
        raise UnsupportedBackend("backend", f"task {task.name!r} is async only: use asyncio")
    _check_options(run, facts)
    _check_values(run)
    return facts


def _check_options(run: RunSpec, facts: BackendFacts) -> None:
    if run.shared_sum != "none" and not facts.shares:
        raise UnsupportedOption("shared_sum", f"{run.backend!r} has {NO_SHARED_SUM}")
    if run.task_timeout_s is not None:
        if facts.task_timeout == "no":
            raise UnsupportedOption("task_timeout_s", f"{run.backend!r} cannot end a running task")
        if run.task_timeout_s <= 0:
            raise SpecError("task_timeout_s", f"must be greater than 0, got {run.task_timeout_s}")


def _check_values(run: RunSpec) -> None:
    for name, value, allowed in (
        ("dispatch", run.dispatch, DISPATCHES),
        ("start_method", run.start_method, START_METHODS),
        ("pool", run.pool, POOLS),
        ("shared_sum", run.shared_sum, SHARED_SUMS),
        ("on_error", run.on_error, ON_ERRORS),
    ):
        if value not in allowed:
            raise SpecError(name, f"must be one of {', '.join(allowed)}, got {value!r}")
    for name, number, least in (
        ("concurrency", run.concurrency, 1),
        ("chunksize", run.chunksize, 1),
        ("retries", run.retries.max, 0),
    ):
        if number is not None and number < least:
            raise SpecError(name, f"must be at least {least}, got {number}")


def pending_of(spec: BatchSpec) -> "range | list[int]":
    """The indices that are still to be run, in their order."""
    everything = range(spec.first, spec.first + len(spec.items))
    if not spec.done:
        return everything
    return [index for index in everything if index not in spec.done]


def effective_concurrency(run: RunSpec, facts: BackendFacts, items: int) -> int:
    """How many slots a batch can use."""
    if facts.dispatch and run.dispatch == "map" and run.chunksize:
        items = -(-items // run.chunksize)
    return 1 if facts.slot_kind == "one" else max(1, min(run.concurrency, items))


def _run_within_limits(
    backend: Backend, indices: "range | list[int]", pacer: Pacer | None
) -> BatchReport:
    try:
        return _run(backend, indices, pacer)
    except (OSError, RuntimeError, MemoryError) as error:
        if limit := limit_behind(error, backend.batch.context.folder):
            raise LimitReached(f"the batch could not be run: {limit}") from error
        raise


def _run(backend: Backend, indices: "range | list[int]", pacer: Pacer | None) -> BatchReport:
    batch = backend.batch
    items = ItemSource(
        indices, batch.outcomes, batch.stop_flag, pacer, is_shared=backend.shares_items
    )
    if backend.has_loop and isinstance(batch.spec.items, ItemsInRedis):
        items.hold_back(batch.spec.items, batch.spec.first)
    begin_ns = monotonic_ns()
    with backend, batch.context.note_begun():
        ready_ns = monotonic_ns()
        if indices and not batch.stop_flag.closed:
            backend.run(items)
        if batch.stop_flag.reason == "failed_fast":
            batch.outcomes.give_up()
        observed = backend.observed()
    end_ns = monotonic_ns()
    return BatchReport(
        effective_concurrency=backend.effective_concurrency,
        pool=backend.pool,
        start_method=backend.start_method,
        startup_s=(ready_ns - begin_ns) / 1e9,
        wall_s=(end_ns - begin_ns) / 1e9,
        observed=observed,
        begin_ns=begin_ns,
        ready_ns=ready_ns,
        end_ns=end_ns,
        drained=batch.stop_flag.reason == "drained",
        failed_fast=batch.stop_flag.reason == "failed_fast",
        chosen=backend.chosen,
    )
