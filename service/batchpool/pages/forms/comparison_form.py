"""The form of a new comparison: a task, and every combination of the ways to run it; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from batchpool.charts import numbers
from batchpool.comparisons.planning import plan_runs
from batchpool.jobs.fleet import Fleet
from batchpool.json_value import JsonObject
from batchpool.ledger.values.comparison_entries import ComparisonSpec
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
from batchpool.pages.forms.fields import (
    Field,
    body_of,
    items_of,
    labels_of,
    parsed,
    with_errors,
)
from batchpool.pages.forms.request_texts import comparison_texts, json_lines
from batchpool.pages.guides.code_tokens import json_code
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.refusals import FieldError

_AXES: Final = {
    "concurrency": ("Concurrency", "tasks at once, one or more: 1, 2, 4"),
    "batches": ("Batches", "workers that share the items: 1, 2"),
}
_ROUNDS: Final[Words] = {
    "rounds": {"label": "Rounds", "hint": "each runs every way once, in shuffled order"},
    "warmup": {"label": "Warm-up rounds", "hint": "before those that count"},
    "min_effect": {
        "label": "Least effect",
        "hint": "a smaller difference is no verdict; 0.03 is 3 %",
    },
    "timeout_s": {"label": "Deadline of a run", "unit": "seconds", "hint": "of each run"},
    "seed": {"label": "Seed", "hint": "of the order of the runs; none: a random one"},
}

EXAMPLES: Final = (
    (
        "Threads or processes?",
        {"task": "cpu", "params.iterations": "800000", "count": "8", "rounds": "7"}
        | {"backend": ("sequential", "thread-pool", "process-pool"), "concurrency": "2"},
    ),
    (
        "How many threads?",
        {"task": "sleep", "params.seconds": "0.05", "count": "16", "rounds": "7"}
        | {"backend": ("thread-pool",), "concurrency": "2, 4, 8"},
    ),
)


@dataclass(frozen=True)
class CheckedComparison:
    """What the service says of the request, without taking it; see `Checked`."""

    spec: ComparisonSpec | None = None
    errors: tuple[FieldError, ...] = ()
    refusal: str = ""


@dataclass(frozen=True)
class ComparisonForm:
    """The form of a new comparison."""

    what: tuple[Field, ...]
    how: tuple[Field, ...]
    rounds: tuple[Field, ...]
    examples: tuple[tuple[str, str], ...]
    preview: Preview


def comparison_body(
    values: Mapping[str, str], backends: Sequence[str], task: JsonObject | None
) -> JsonObject:
    """The request that the fields make.

    Args:
        backends: those that are chosen.
        task: as `GET /v1/tasks` lists it; None for an unknown one.
    """
    schemas = _schemas()
    body = body_of(values, {"task": schemas["task"], **param_schemas(task)})
    body |= body_of(values, {"count": schemas["count"]})
    if items := items_of(values.get("items", "")):
        body["items"] = items
    grid: JsonObject = {"backend": list(backends)}
    grid |= {name: numbers_of(values[name]) for name in _AXES if values.get(name, "").strip()}
    body["grid"] = grid
    body |= body_of(values, {name: schemas[name] for name in _ROUNDS})
    if labels := labels_of(values.get("labels", "")):
        body["labels"] = labels
    return body


def numbers_of(text: str) -> list[object]:
    """`1, 2, 4` as a list; what is no number stays text."""
    return [parsed(part.strip()) for part in text.split(",") if part.strip()]


def build_comparison_form(
    values: Mapping[str, str],
    backends: Sequence[str],
    tasks: Sequence[JsonObject],
    fleet: Fleet,
    checked: CheckedComparison,
    url: str,
) -> ComparisonForm:
    """The form as it is shown; the arguments are those of `build_job_form`."""
    task = chosen_task(values, tasks)
    body = comparison_body(values, backends, task)
    errors = [_in_grid(error) for error in checked.errors]
    sections = (
        [*task_fields(values, tasks, task), *item_fields(values)],
        _how(values, backends, fleet),
        [*option_fields(_ROUNDS, values, _schemas()), _labels(values)],
    )
    what, how, rounds = (tuple(with_errors(section, errors)) for section in sections)
    fields = {field.name: field for field in (*what, *how, *rounds)}
    preview = Preview(
        json=json_code(json_lines(body), wrong_lines(checked.errors)),
        texts=comparison_texts(body, url),
        errors=named_errors(errors, fields),
        refusal=checked.refusal,
        outlook=_outlook(checked.spec) if checked.spec else ("", ""),
    )
    examples = tuple(
        (words, f"/comparisons/new?{urlencode(given, doseq=True)}") for words, given in EXAMPLES
    )
    return ComparisonForm(what, how, rounds, examples, preview)


def _schemas() -> dict[str, JsonObject]:
    found: dict[str, JsonObject] = ComparisonRequest.model_json_schema()["properties"]
    return found


def _in_grid(error: FieldError) -> FieldError:
    """The error with the name of the form's field: `grid.concurrency` is `concurrency` there."""
    name = error.field.removeprefix("grid.")
    return FieldError("backend" if name in ("grid", "arms") else name, error.message)


def _how(values: Mapping[str, str], backends: Sequence[str], fleet: Fleet) -> list[Field]:
    # What chooses how it runs cannot be compared: it would be two ways in one.
    options = [each for each in backend_options(backends, fleet) if each.value != "auto"]
    ways = Field("backend", "Backends", "checks", options=tuple(options), width="full")
    axes = [
        Field(name, label, hint=hint, value=values.get(name, ""))
        for name, (label, hint) in _AXES.items()
    ]
    return [ways, *axes]


def _labels(values: Mapping[str, str]) -> Field:
    hint = "name: value, one or more, with commas between"
    return Field("labels", "Labels", hint=hint, value=values.get("labels", ""), width="third")


def _outlook(spec: ComparisonSpec) -> tuple[str, str]:
    runs = len(plan_runs(spec))
    ways = numbers.plural(len(spec.arms), "way")
    first = f"{ways}, {numbers.plural(runs, 'run')} of {numbers.plural(spec.count, 'item')}."
    names = ", ".join(arm.name for arm in spec.arms)
    workers = numbers.plural(spec.workers_needed, "worker")
    reference = spec.arms[spec.reference].name
    return first, (
        f"{names}; all are compared with {reference}. It reserves {workers} while it runs."
    )
