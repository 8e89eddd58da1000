"""The request of a job, to copy as curl, Python and command line, and what it says; pure."""

import json
from dataclasses import dataclass

from batchpool.charts import numbers
from batchpool.json_value import JsonObject
from batchpool.pages.forms.request_texts import job_texts
from batchpool.schemas.job_responses import Spec
from batchpool.schemas.retries import RetriesSpec

OPTIONS = (
    "backend",
    "concurrency",
    "batches",
    "dispatch",
    "chunksize",
    "start_method",
    "pool",
    "shared_sum",
    "task_timeout_s",
    "retries",
    "rate",
    "on_error",
    "measure",
    "logs",
)
"""The fields of a request that decide how its items are run."""

DEFAULTS: JsonObject = {
    "batches": 1,
    "dispatch": "map",
    "start_method": "forkserver",
    "pool": "warm",
    "shared_sum": "none",
    "retries": 0,
    "on_error": "continue",
    "measure": False,
    "logs": True,
    "timeout_s": 3600.0,
    "queue_timeout_s": 86400.0,
}
"""What need not be said."""


@dataclass(frozen=True)
class RequestForm:
    """A request in one language."""

    name: str
    text: str


def request_of(spec: Spec, counted: bool) -> JsonObject:
    """The body that makes the same job; of a long list of items only the first."""
    body: JsonObject = {"task": spec.task}
    if spec.params:
        body["params"] = spec.params
    body |= {"count": spec.items.count} if counted else {"items": spec.items.first}
    for name in (*OPTIONS, "timeout_s", "queue_timeout_s"):
        value = getattr(spec, name)
        if isinstance(value, RetriesSpec):
            value = value.model_dump()
        if value is not None and value != DEFAULTS.get(name):
            body[name] = value
    if spec.reduce:
        body["reduce"] = {
            name: reducer.model_dump(exclude_defaults=True) for name, reducer in spec.reduce.items()
        }
    if spec.labels:
        body["labels"] = spec.labels
    return body


def request_note(spec: Spec, counted: bool) -> str:
    """Whether the request to copy has all items."""
    first = len(spec.items.first)
    if counted or first == spec.items.count:
        return "the same job again"
    return f"with the first {first} of {numbers.plural(spec.items.count, 'item')}"


def request_forms(spec: Spec, base_url: str, counted: bool) -> tuple[RequestForm, ...]:
    """The request as curl, Python and command line."""
    texts = job_texts(request_of(spec, counted), base_url)
    return (
        RequestForm("curl", texts.curl),
        RequestForm("Python", texts.python),
        RequestForm("Command line", texts.command),
    )


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def settings(spec: Spec, counted: bool) -> tuple[tuple[str, str], ...]:
    """How the job runs, as names and words."""
    at_once = f"{spec.concurrency} at once in each batch" if spec.concurrency else ""
    dispatch = f"dispatched with {spec.dispatch}" if spec.dispatch else ""
    chunks = f"in chunks of {spec.chunksize}" if spec.chunksize else ""
    pairs = [("Backend", _joined(spec.backend, at_once, dispatch, chunks))]
    if spec.pool:
        started = f"started by {spec.start_method}" if spec.start_method else ""
        pairs.append(("Pool", _joined(spec.pool, started)))
    if spec.params:
        params = (f"{key} {_plain(value)}" for key, value in spec.params.items())
        pairs.append(("Params", " · ".join(params)))
    pairs.append(("Items", _items(spec, counted)))
    pairs.append(("Shared sum", "none" if spec.shared_sum == "none" else spec.shared_sum))
    error = "go on with the rest" if spec.on_error == "continue" else "stop the job"
    pairs.append(("On an error", _joined(error, _retries(spec.retries))))
    if spec.rate is not None:
        pairs.append(("Rate", f"{spec.rate} on all workers"))
    if spec.task_timeout_s is not None:
        pairs.append(("Limit of an item", numbers.duration(spec.task_timeout_s)))
    pairs.append(("Deadline", f"{numbers.duration(spec.timeout_s)} after the first claim"))
    return tuple(pairs)


def _retries(retries: int | RetriesSpec) -> str:
    most = retries if isinstance(retries, int) else retries.max
    words = f"after {numbers.plural(most, 'retry', 'retries')}" if most else ""
    if isinstance(retries, int) or not most:
        return words
    first, longest = numbers.duration(retries.delay_s), numbers.duration(retries.max_delay_s)
    up_to = "up to " if retries.jitter == "full" else ""
    grows = f", {retries.factor:g} times as long each, {longest} at most"
    waits = f" ({up_to}{first} apart{grows if retries.factor > 1 else ''})"
    return f"{words}{waits}{' of ' + ', '.join(retries.on) if retries.on else ''}"


def _joined(*words: str) -> str:
    return ", ".join(word for word in words if word)


def _items(spec: Spec, counted: bool) -> str:
    count = spec.items.count
    if counted and count > 1:
        return f"{numbers.count(count)}, the numbers 0 … {numbers.count(count - 1)}"
    first = ", ".join(json.dumps(item, ensure_ascii=False) for item in spec.items.first)[:300]
    more = " …" if len(spec.items.first) < count or len(first) == 300 else ""
    return f"{numbers.count(count)}: {first}{more}" if first else numbers.count(count)
