"""The form of a new job: its fields, what it would order, and what is wrong with it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from batchpool.charts import numbers
from batchpool.jobs.fleet import Fleet
from batchpool.jobs.planning import JobPlan, live_by_class
from batchpool.json_value import JsonObject
from batchpool.pages.forms.common_fields import (
    Preview,
    Words,
    backend_options,
    chosen_task,
    item_fields,
    named_errors,
    option_fields,
    param_schemas,
    task_fields,
    wrong_lines,
)
from batchpool.pages.forms.fields import Field, body_of, items_of, labels_of, with_errors
from batchpool.pages.forms.job_options import (
    RETRIES,
    job_schemas,
    reducers_field,
    reducers_of,
    retries_of,
)
from batchpool.pages.forms.request_texts import job_texts, json_lines
from batchpool.pages.guides.code_tokens import json_code
from batchpool.pages.text import in_words
from batchpool.schemas.refusals import FieldError

_HOW: Final = {
    "concurrency": {"label": "Concurrency", "hint": "tasks at once in each batch"},
    "batches": {"label": "Batches"},
    "shared_sum": {"label": "Shared sum", "hint": "one number all tasks add to"},
    "task_timeout_s": {
        "label": "Deadline of a task",
        "unit": "seconds",
        "hint": "threads cannot be stopped; processes can",
    },
    "timeout_s": {
        "label": "Deadline of the job",
        "unit": "seconds",
        "hint": "from its first claim",
    },
    "on_error": {"label": "When an item fails", "hint": "go on, or cancel the rest"},
}
_MORE: Final = {
    "rate": {"label": "Rate", "hint": "items that may begin, as 10/s or 500/min"},
    "logs": {"label": "Logs", "hint": "keep what items print and log"},
    "measure": {"label": "Measure", "hint": "CPU time and memory of each batch"},
    "queue_timeout_s": {
        "label": "Deadline in the queue",
        "unit": "seconds",
        "hint": "while queued or parked",
    },
    "dispatch": {"label": "Dispatch", "hint": "of pools"},
    "chunksize": {"label": "Chunk size", "hint": "items that a pool hands over at once"},
    "start_method": {"label": "Start method", "hint": "of processes"},
    "pool": {"label": "Pool", "hint": "kept from batch to batch, or made anew"},
}

EXAMPLES: Final = (
    (
        "Five sleeps",
        {"task": "sleep", "params.seconds": "2", "count": "5", "concurrency": "5"}
        | {"backend": "threading", "shared_sum": "global"},
    ),
    (
        "The CPU loop",
        {"task": "cpu", "params.iterations": "5000000", "count": "8", "concurrency": "2"}
        | {"backend": "process-pool", "shared_sum": "global"},
    ),
    (
        "A race",
        {"task": "echo", "count": "200", "concurrency": "8"}
        | {"backend": "thread-pool", "shared_sum": "racy"},
    ),
)


@dataclass(frozen=True)
class Checked:
    """What the service says of the request, without taking it.

    Args:
        errors: fields that are wrong, as its 422 names them.
        refusal: why it takes no job at all now; "" if it does.
    """

    plan: JobPlan | None = None
    errors: tuple[FieldError, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class JobForm:
    """The form of a new job."""

    what: tuple[Field, ...]
    how: tuple[Field, ...]
    more: tuple[Field, ...]
    is_more_open: bool
    examples: tuple[tuple[str, str], ...]
    preview: Preview
    compare: str


def job_body(values: Mapping[str, str], task: JsonObject | None) -> JsonObject:
    """The request that the fields make; text that is no number stays text.

    Args:
        task: of the chosen name, as `GET /v1/tasks` lists it; None for an unknown one.
    """
    schemas = job_schemas()
    body = body_of(values, {"task": schemas["task"], **param_schemas(task)})
    body |= body_of(values, {"count": schemas["count"]})
    if items := items_of(values.get("items", "")):
        body["items"] = items
    body |= body_of(values, {name: schemas[name] for name in ("backend", *_HOW, *_MORE)})
    if (retries := retries_of(values, schemas)) is not None:
        body["retries"] = retries
    if reducers := reducers_of(values.get("reduce", "")):
        body["reduce"] = reducers
    if labels := labels_of(values.get("labels", "")):
        body["labels"] = labels
    return body


def build_job_form(
    values: Mapping[str, str], tasks: Sequence[JsonObject], fleet: Fleet, checked: Checked, url: str
) -> JobForm:
    """The form as it is shown.

    Args:
        values: text by name of field.
        tasks: as `GET /v1/tasks` lists them.
        checked: of the request that the values make.
        url: of the service.
    """
    task = chosen_task(values, tasks)
    body = job_body(values, task)
    sections = [_what(values, tasks, task), _how(values, fleet), _more(values)]
    what, how, more = (tuple(with_errors(section, checked.errors)) for section in sections)
    fields = {field.name: field for field in (*what, *how, *more)}
    return JobForm(
        what=what,
        how=how,
        more=more,
        is_more_open=any(field.value or field.error for field in more),
        examples=tuple((words, f"/jobs/new?{urlencode(given)}") for words, given in EXAMPLES),
        preview=_preview(body, fields, fleet, checked, url),
        compare=f"/comparisons/new?{urlencode(_for_comparison(values))}",
    )


def _what(
    values: Mapping[str, str], tasks: Sequence[JsonObject], task: JsonObject | None
) -> list[Field]:
    return [*task_fields(values, tasks, task), *item_fields(values)]


def _how(values: Mapping[str, str], fleet: Fleet) -> list[Field]:
    backends = Field(
        "backend",
        "Backend",
        "radios",
        options=tuple(backend_options([values.get("backend", "")], fleet)),
        hint="none chosen: by the task",
        width="full",
    )
    fields = [backends, *_options(_HOW, values)]
    live = numbers.plural(len(fleet.workers), "worker")
    hint = f"{live} {'is' if len(fleet.workers) == 1 else 'are'} there"
    fields = [replace(each, hint=hint) if each.name == "batches" else each for each in fields]
    labels = Field(
        "labels",
        "Labels",
        hint="name: value, one or more, with commas between; to find the job again",
        value=values.get("labels", ""),
        width="full",
    )
    return [*fields, labels]


def _more(values: Mapping[str, str]) -> list[Field]:
    return [*_options(RETRIES, values), reducers_field(values), *_options(_MORE, values)]


def _options(words: Words, values: Mapping[str, str]) -> list[Field]:
    return option_fields(words, values, job_schemas())


def _preview(
    body: JsonObject, fields: Mapping[str, Field], fleet: Fleet, checked: Checked, url: str
) -> Preview:
    return Preview(
        json=json_code(json_lines(body), wrong_lines(checked.errors)),
        texts=job_texts(body, url),
        errors=named_errors(checked.errors, fields),
        refusal=checked.refusal,
        outlook=_outlook(checked.plan, fleet) if checked.plan else ("", ""),
    )


def _outlook(plan: JobPlan, fleet: Fleet) -> tuple[str, str]:
    """How the job would be shared out, and when it would start."""
    sizes = sorted({count for _, count in plan.ranges}, reverse=True)
    batches = len(plan.ranges)
    share = f"batches of {' and '.join(map(numbers.count, sizes))}"
    total = numbers.plural(plan.spec.count, "item")
    first = f"{total} in one batch." if batches == 1 else f"{total} in {batches} {share}."
    able = live_by_class(fleet.workers).get(plan.class_id, ())
    idle = sum(1 for worker in able if worker.batch is None)
    return first, _start(len(able), idle, plan)


def _start(able: int, idle: int, plan: JobPlan) -> str:
    ran = f"It runs on {plan.spec.backend}, {plan.spec.concurrency} at once in each batch."
    if not able:
        return f"{ran} No worker that can run it is here; it would wait until one comes."
    if not idle:
        return f"{ran} All workers are busy; it would start by itself when one is free."
    free = f"{in_words(idle)} of {in_words(able)} workers {'is' if idle == 1 else 'are'} free"
    if idle == able:
        all_of_them = {1: "the worker is", 2: "both workers are"}
        free = f"{all_of_them.get(able, f'all {in_words(able)} workers are')} free"
    return f"{ran} {free[0].upper()}{free[1:]}; it would start at once."


def _for_comparison(values: Mapping[str, str]) -> dict[str, str]:
    kept = ("task", "count", "items", "labels")
    return {
        name: text
        for name, text in values.items()
        if text and (name in kept or name.startswith("params."))
    }
