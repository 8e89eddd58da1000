"""Admit a job: can the known workers run it, and what is its complete spec; pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from batchpool.backends.facts import BACKENDS, NO_SHARED_SUM, BackendFacts
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.items_digest import summarize_items
from batchpool.jobs.params import fill_params
from batchpool.jobs.planning import (
    JobPlan,
    Requirements,
    best_first,
    class_cpus,
    default_backend,
    live_by_class,
    rank_classes,
    split_ranges,
    task_runs_on,
)
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.json_value import JsonObject
from batchpool.ledger.values.announcements import WorkerCapabilities
from batchpool.ledger.values.job_spec import ItemsSummary, JobSpec
from batchpool.model import START_METHODS
from batchpool.rates import interval_of
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reducers import read_reducers
from batchpool.schemas.refusals import FieldError, InvalidFields, invalid_field

DEFAULT_START_METHOD = "forkserver"
MOST_IN_FLIGHT = {
    "one": 1000,
    "threads": 1000,
    "processes": 256,
    "interpreters": 256,
    "coroutines": 10_000,
    "chosen": 1000,
}
"""The highest `concurrency` that is accepted, by kind of slot."""


MOST_SHOWN_SOURCES = 5


@dataclass(frozen=True)
class Limits:
    """Limits on the size of one job."""

    items: int
    batches: int


def admit(
    request: JobRequest, fleet: Fleet, limits: Limits, items: ItemsSummary | None = None
) -> JobPlan:
    """Check a job and complete its spec for the best class of workers that can run it.

    Args:
        items: a summary of its items, if known already.
    Raises:
        InvalidFields: a field is out of bounds, or no worker that was seen can run the job.
        NoWorkerSeen: no worker has ever announced itself.
    """
    facts = check_request(request, limits, fleet)
    return complete(request, facts, capable_classes(request, facts, fleet)[0], fleet, items)


def check_request(request: JobRequest, limits: Limits, fleet: Fleet) -> BackendFacts:
    """Check sizes and options; returns the facts of the backend, the task's default if none is set.

    Raises:
        InvalidFields: names each field that is out of bounds.
    """
    _check(_size_errors(request, limits))
    facts = _facts(request.backend or _default_backend(request.task, fleet))
    _check(_option_errors(request, facts))
    return facts


def complete(
    request: JobRequest,
    facts: BackendFacts,
    known: WorkerCapabilities,
    fleet: Fleet,
    items: ItemsSummary | None = None,
) -> JobPlan:
    """Fill in the spec of a checked job for a class of workers that can run it.

    Raises:
        InvalidFields: the params do not fit the schema of the task.
    """
    task = known.tasks[request.task]
    params = fill_params(task.schema, request.params)
    if task.rate is not None:
        _check_rate(request, task.rate)
        request = request.model_copy(update={"rate": request.rate or task.rate})
    concurrency = request.concurrency or facts.default_concurrency(class_cpus(known, fleet.workers))
    return JobPlan(
        spec=_complete_spec(request, facts, params, concurrency, items),
        ranges=split_ranges(request.total, request.batches),
        class_id=known.id,
    )


def _check_rate(request: JobRequest, declared: str) -> None:
    if request.rate is not None and interval_of(request.rate) < interval_of(declared):
        raise invalid_field(
            "rate", f"must be at most {declared}, the rate of the task, got {request.rate!r}"
        )


def _check(errors: Iterable[FieldError]) -> None:
    found = list(errors)
    if found:
        raise InvalidFields(found)


def _size_errors(request: JobRequest, limits: Limits) -> Iterable[FieldError]:
    total = request.total
    if total > limits.items:
        source = "items" if request.items is not None else "count"
        yield FieldError(source, f"must be at most {limits.items} items, got {shown_count(total)}")
    most = min(total, limits.batches)
    if request.batches > most:
        why = "" if most == limits.batches else ", the number of items"
        yield FieldError(
            "batches", f"must be at most {most}{why}, got {shown_count(request.batches)}"
        )


def shown_count(count: int) -> str:
    """The number as messages show it: without the thousands of digits that it may have."""
    return str(count) if count < 1 << 64 else "a very large number"


def _facts(backend: str) -> BackendFacts:
    facts = BACKENDS.get(backend)
    if facts is None:
        raise invalid_field(
            "backend", f"unknown backend {backend[:80]!r}; known: {', '.join(BACKENDS)}"
        )
    return facts


def _default_backend(task: str, fleet: Fleet) -> str:
    having = [known for known in fleet.classes if task in known.tasks]
    # Without such a class any will do: the job is refused for its task.
    if not having:
        return "thread-pool"
    return default_backend(best_first(having, fleet.workers)[0].tasks[task])


def _backends_where(test: Callable[[BackendFacts], bool]) -> str:
    return ", ".join(name for name, facts in BACKENDS.items() if test(facts))


def _option_errors(request: JobRequest, facts: BackendFacts) -> Iterable[FieldError]:
    backend = facts.name
    for name in ("dispatch", "chunksize", "pool"):
        if getattr(request, name) is not None and not facts.dispatch:
            yield FieldError(name, _no_pool(backend, facts))
    if request.start_method is not None:
        yield from _start_method_errors(backend, request.start_method, facts)
    if request.shared_sum != "none" and not facts.shares:
        yield FieldError("shared_sum", f"{backend} has {NO_SHARED_SUM}")
    if request.task_timeout_s is not None and facts.task_timeout == "no":
        can = _backends_where(lambda each: each.task_timeout != "no")
        yield FieldError(
            "task_timeout_s", f"{backend} cannot end a running task; backends that can: {can}"
        )
    most = MOST_IN_FLIGHT[facts.slot_kind]
    if request.concurrency is not None and request.concurrency > most:
        yield FieldError(
            "concurrency", f"must be at most {most} with {backend}, got {request.concurrency}"
        )


def _no_pool(backend: str, facts: BackendFacts) -> str:
    if facts.slot_kind == "chosen":
        return f"must be left out: {backend} chooses it, and the report says what it chose"
    pools = _backends_where(lambda each: each.dispatch)
    return f"{backend} has no pool; backends that have one: {pools}"


def _start_method_errors(backend: str, method: str, facts: BackendFacts) -> Iterable[FieldError]:
    if facts.slot_kind == "chosen":
        yield FieldError("start_method", _no_pool(backend, facts))
    elif not facts.start_method:
        these = _backends_where(lambda each: each.start_method)
        yield FieldError(
            "start_method", f"{backend} starts no processes; backends that do: {these}"
        )
    elif method not in START_METHODS:
        yield FieldError(
            "start_method", f"unknown start method {method!r}; known: {', '.join(START_METHODS)}"
        )


def capable_classes(
    request: JobRequest, facts: BackendFacts, fleet: Fleet
) -> list[WorkerCapabilities]:
    """The classes of workers that can run the job, best first; never empty.

    Raises:
        InvalidFields: no class that was seen can run it; says what each lacks.
        NoWorkerSeen: no class was ever seen.
    """
    if not fleet.classes:
        raise NoWorkerSeen
    need = Requirements(request.task, facts.name, _start_method(request, facts))
    ranked = rank_classes(fleet.classes, fleet.workers, need)
    if not ranked:
        raise InvalidFields([_why_not(need, fleet)])
    return ranked


def _start_method(request: JobRequest, facts: BackendFacts) -> str | None:
    return (request.start_method or DEFAULT_START_METHOD) if facts.start_method else None


def _why_not(need: Requirements, fleet: Fleet) -> FieldError:
    classes = fleet.classes
    having = [known for known in classes if need.task in known.tasks]
    if not having:
        known = sorted({name for each in classes for name in each.tasks})
        live = live_by_class(fleet.workers)
        failed = _failed_sources([each for each in classes if each.id in live] or classes)
        return FieldError("task", f"unknown task {need.task!r}; known: {', '.join(known)}{failed}")
    offering = [known for known in having if need.backend in known.backends]
    if not offering:
        seen = ", ".join(
            sorted(f"Python {each.python} ({', '.join(each.backends)})" for each in having)
        )
        return FieldError(
            "backend", f"no worker that has task {need.task!r} can run {need.backend}; seen: {seen}"
        )
    if not any(task_runs_on(each.tasks[need.task], need.backend) for each in offering):
        if need.backend == "interpreter-pool" and having[0].tasks[need.task].has_sync:
            return FieldError(
                "backend",
                f"the module of task {need.task!r} uses pydantic, which sub-interpreters "
                "cannot import; params may be a dataclass instead",
            )
        form = "async" if need.backend == "asyncio" else "sync"
        return FieldError(
            "backend", f"task {need.task!r} has no {form} form, so {need.backend} cannot run it"
        )
    methods = sorted({method for each in offering for method in each.start_methods})
    return FieldError(
        "start_method",
        f"no worker has start method {need.start_method!r}; seen: {', '.join(methods)}",
    )


def _failed_sources(classes: Sequence[WorkerCapabilities]) -> str:
    """The end of a message: sources of tasks that some worker could not load."""
    failed = {error.source for each in classes for error in each.errors}
    if not failed:
        return ""
    shown = ", ".join(sorted(failed)[:MOST_SHOWN_SOURCES])
    more = len(failed) - MOST_SHOWN_SOURCES
    rest = f" and {more} more" if more > 0 else ""
    return f"; could not be loaded (see GET /v1/tasks): {shown}{rest}"


def _complete_spec(
    request: JobRequest,
    facts: BackendFacts,
    params: JsonObject,
    concurrency: int,
    items: ItemsSummary | None,
) -> JobSpec:
    pool = facts.dispatch
    if items is None:
        items = summarize_items(range(request.total) if request.items is None else request.items)
    return JobSpec(
        task=request.task,
        params=params,
        count=request.total,
        items=items,
        backend=facts.name,
        concurrency=1 if facts.slot_kind == "one" else concurrency,
        batches=request.batches,
        dispatch=(request.dispatch or "map") if pool else None,
        chunksize=request.chunksize if pool else None,
        start_method=_start_method(request, facts),
        pool=(request.pool or "warm") if pool else None,
        shared_sum=request.shared_sum,
        task_timeout_s=request.task_timeout_s,
        timeout_s=request.timeout_s,
        queue_timeout_s=request.queue_timeout_s,
        retries=request.retries,
        rate=request.rate,
        on_error=request.on_error,
        measure=request.measure,
        logs=request.logs,
        labels=request.labels,
        reduce=read_reducers(request.reduce, request.batches),
    )
