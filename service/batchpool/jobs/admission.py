"""Whether a job can be run by the workers there are, and the complete spec it then has."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from batchpool.backends.facts import BACKENDS, NO_SHARED_SUM, BackendFacts
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.items_digest import describe_items
from batchpool.jobs.params import fill_params
from batchpool.jobs.planning import (
    Requirements,
    class_cpus,
    rank_classes,
    split_ranges,
    task_runs_on,
)
from batchpool.jobs.refusals import NoWorkerSeen
from batchpool.model import START_METHODS
from batchpool.schemas.job_requests import JobRequest
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
"""The highest `concurrency` that is taken, by what carries the tasks."""


MOST_SHOWN_SOURCES = 5


@dataclass(frozen=True)
class Limits:
    """How large one job may be."""

    items: int
    batches: int


@dataclass(frozen=True)
class Admitted:
    """A job that can be run: its spec, its batches, and the class of workers that gets them."""

    spec: dict[str, Any]
    ranges: list[tuple[int, int]]
    class_id: str


def admit(
    order: JobRequest, fleet: Fleet, limits: Limits, described: dict[str, Any] | None = None
) -> Admitted:
    """Check a job and complete its spec for the best class of workers that can run it.

    Args:
        described: a summary of its items, if known already.
    Raises:
        InvalidFields: a field is out of bounds, or no worker that was seen can run the job.
        NoWorkerSeen: no worker has ever announced itself.
    """
    facts = check_request(order, limits)
    return complete(order, capable_classes(order, facts, fleet)[0], fleet, described)


def check_request(order: JobRequest, limits: Limits) -> BackendFacts:
    """Check what needs no knowledge of the workers; returns the facts of the backend.

    Raises:
        InvalidFields: names each field that is out of bounds.
    """
    _check(_size_errors(order, limits))
    facts = _facts(order.backend)
    _check(_option_errors(order, facts))
    return facts


def complete(
    order: JobRequest,
    document: dict[str, Any],
    fleet: Fleet,
    described: dict[str, Any] | None = None,
) -> Admitted:
    """Fill in the spec of a checked job for a class of workers that can run it.

    Raises:
        InvalidFields: the params do not fit the schema of the task.
    """
    facts = _facts(order.backend)
    params = fill_params(document["tasks"][order.task]["schema"], order.params)
    concurrency = order.concurrency or facts.default_concurrency(
        class_cpus(document, fleet.workers)
    )
    return Admitted(
        spec=_complete_spec(order, facts, params, concurrency, described),
        ranges=split_ranges(order.total, order.batches),
        class_id=document["id"],
    )


def _check(errors: Iterable[FieldError]) -> None:
    found = list(errors)
    if found:
        raise InvalidFields(found)


def _size_errors(order: JobRequest, limits: Limits) -> Iterable[FieldError]:
    total = order.total
    if total > limits.items:
        source = "items" if order.items is not None else "count"
        yield FieldError(source, f"must be at most {limits.items} items, got {shown_count(total)}")
    most = min(total, limits.batches)
    if order.batches > most:
        why = "" if most == limits.batches else ", the number of items"
        yield FieldError(
            "batches", f"must be at most {most}{why}, got {shown_count(order.batches)}"
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


def _backends_where(test: Callable[[BackendFacts], bool]) -> str:
    return ", ".join(name for name, facts in BACKENDS.items() if test(facts))


def _option_errors(order: JobRequest, facts: BackendFacts) -> Iterable[FieldError]:
    backend = order.backend
    for name in ("dispatch", "chunksize", "pool"):
        if getattr(order, name) is not None and not facts.dispatch:
            yield FieldError(name, _no_pool(backend, facts))
    if order.start_method is not None:
        yield from _start_method_errors(backend, order.start_method, facts)
    if order.shared_sum != "none" and not facts.shares:
        yield FieldError("shared_sum", f"{backend} has {NO_SHARED_SUM}")
    if order.task_timeout_s is not None and facts.task_timeout == "no":
        can = _backends_where(lambda each: each.task_timeout != "no")
        yield FieldError(
            "task_timeout_s", f"{backend} cannot end a running task; backends that can: {can}"
        )
    most = MOST_IN_FLIGHT[facts.lanes]
    if order.concurrency is not None and order.concurrency > most:
        yield FieldError(
            "concurrency", f"must be at most {most} with {backend}, got {order.concurrency}"
        )


def _no_pool(backend: str, facts: BackendFacts) -> str:
    if facts.lanes == "chosen":
        return f"must be left out: {backend} chooses it, and the report says what it chose"
    pools = _backends_where(lambda each: each.dispatch)
    return f"{backend} has no pool; backends that have one: {pools}"


def _start_method_errors(backend: str, method: str, facts: BackendFacts) -> Iterable[FieldError]:
    if facts.lanes == "chosen":
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


def capable_classes(order: JobRequest, facts: BackendFacts, fleet: Fleet) -> list[dict[str, Any]]:
    """The classes of workers that can run the job, best first; never empty.

    Raises:
        InvalidFields: no class that was seen can run it; says what each lacks.
        NoWorkerSeen: no class was ever seen.
    """
    if not fleet.classes:
        raise NoWorkerSeen
    need = Requirements(order.task, order.backend, _start_method(order, facts))
    ranked = rank_classes(fleet.classes, fleet.workers, need)
    if not ranked:
        raise InvalidFields([_why_not(need, fleet.classes)])
    return ranked


def _start_method(order: JobRequest, facts: BackendFacts) -> str | None:
    return (order.start_method or DEFAULT_START_METHOD) if facts.start_method else None


def _why_not(need: Requirements, classes: Sequence[dict[str, Any]]) -> FieldError:
    having = [document for document in classes if need.task in document["tasks"]]
    if not having:
        known = sorted({name for document in classes for name in document["tasks"]})
        failed = _failed_sources(classes)
        return FieldError("task", f"unknown task {need.task!r}; known: {', '.join(known)}{failed}")
    offering = [document for document in having if need.backend in document["backends"]]
    if not offering:
        seen = ", ".join(
            sorted(f"Python {doc['python']} ({', '.join(doc['backends'])})" for doc in having)
        )
        return FieldError(
            "backend", f"no worker that has task {need.task!r} can run {need.backend}; seen: {seen}"
        )
    if not any(task_runs_on(document["tasks"][need.task], need.backend) for document in offering):
        if need.backend == "interpreter-pool" and having[0]["tasks"][need.task]["sync"]:
            return FieldError(
                "backend",
                f"the module of task {need.task!r} uses pydantic, which sub-interpreters "
                "cannot import; params may be a dataclass instead",
            )
        form = "async" if need.backend == "asyncio" else "sync"
        return FieldError(
            "backend", f"task {need.task!r} has no {form} form, so {need.backend} cannot run it"
        )
    methods = sorted({method for document in offering for method in document["start_methods"]})
    return FieldError(
        "start_method",
        f"no worker has start method {need.start_method!r}; seen: {', '.join(methods)}",
    )


def _failed_sources(classes: Sequence[dict[str, Any]]) -> str:
    """The sources of tasks that some worker could not load, as the end of a message."""
    failed = {error["source"] for document in classes for error in document.get("errors", ())}
    if not failed:
        return ""
    shown = ", ".join(sorted(failed)[:MOST_SHOWN_SOURCES])
    more = len(failed) - MOST_SHOWN_SOURCES
    rest = f" and {more} more" if more > 0 else ""
    return f"; could not be loaded (see GET /v1/tasks): {shown}{rest}"


def _complete_spec(
    order: JobRequest,
    facts: BackendFacts,
    params: dict[str, Any],
    concurrency: int,
    described: dict[str, Any] | None,
) -> dict[str, Any]:
    """Every field as it will be used; null where the backend has no such thing."""
    pool = facts.dispatch
    return {
        "task": order.task,
        "params": params,
        "count": order.total,
        "items": described
        or describe_items(range(order.total) if order.items is None else order.items),
        "backend": order.backend,
        "concurrency": 1 if facts.lanes == "one" else concurrency,
        "batches": order.batches,
        "dispatch": (order.dispatch or "map") if pool else None,
        "chunksize": order.chunksize if pool else None,
        "start_method": _start_method(order, facts),
        "pool": (order.pool or "warm") if pool else None,
        "shared_sum": order.shared_sum,
        "task_timeout_s": order.task_timeout_s,
        "timeout_s": order.timeout_s,
        "queue_timeout_s": order.queue_timeout_s,
        "retries": order.retries,
        "on_error": order.on_error,
        "measure": order.measure,
        "labels": order.labels,
    }
