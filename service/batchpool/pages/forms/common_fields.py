"""What the forms of a job and of a comparison have in common; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from markupsafe import Markup

from batchpool.backends.facts import BACKENDS
from batchpool.charts import numbers
from batchpool.jobs.fleet import Fleet
from batchpool.json_value import JsonObject
from batchpool.pages.forms.fields import Field, Option, field_of, message_at, place_of
from batchpool.pages.forms.request_texts import RequestTexts
from batchpool.schemas.refusals import FieldError

WORDS: Final = {
    "sequential": "one after the other",
    "threading": "a thread per task",
    "multiprocessing": "a process per task",
    "thread-pool": "threads that are kept",
    "process-pool": "processes that are kept",
    "interpreter-pool": "interpreters that are kept",
    "asyncio": "one event loop",
    "auto": "measures, then chooses",
}
"""What a choice says of a backend; one that is not here has its own summary."""

Words = Mapping[str, Mapping[str, str]]
"""Label, unit and hint by field, where they are not those of the schema."""


@dataclass(frozen=True)
class Preview:
    """The request, and what would become of it.

    Args:
        json: its text with colours, wrong lines marked.
        errors: as (field of the form or "", its label, message).
        outlook: what it would do; "" while something is wrong.
    """

    json: Markup
    texts: RequestTexts
    errors: tuple[tuple[str, str, str], ...]
    refusal: str
    outlook: tuple[str, str]


def chosen_task(values: Mapping[str, str], tasks: Sequence[JsonObject]) -> JsonObject | None:
    """The task of the chosen name, if it is known."""
    return next((task for task in tasks if task["name"] == values.get("task")), None)


def param_schemas(task: JsonObject | None) -> dict[str, JsonObject]:
    properties = ((task or {}).get("params") or {}).get("properties", {})
    return {f"params.{name}": schema for name, schema in properties.items()}


def task_fields(
    values: Mapping[str, str], tasks: Sequence[JsonObject], task: JsonObject | None
) -> list[Field]:
    """The choice of the task, and a field for each of its params."""
    names = [each["name"] for each in tasks]
    chosen = values.get("task", "")
    known = [Option(name, name, chosen=name == chosen) for name in names]
    if chosen and chosen not in names:
        known.insert(0, Option(chosen, f"{chosen} (not known here)", chosen=True))
    about = str(task["description"]) if task else ""
    fields = [Field("task", "Task", "select", hint=about, options=tuple(known), width="full")]
    for name, schema in param_schemas(task).items():
        fields.append(field_of(name, schema, values.get(name, "")))
    if len(fields) % 2 == 0:
        fields[-1] = replace(fields[-1], width="full")
    return fields


def item_fields(values: Mapping[str, str]) -> list[Field]:
    """How many items, or which."""
    count = values.get("count", "")
    hint = "the numbers from 0 on"
    if count.isdecimal() and 0 < int(count) < 10**9:
        hint = f"the numbers 0 to {numbers.count(int(count) - 1)}"
    return [
        Field("count", "Items", value=count, hint=hint),
        Field(
            "items",
            "Or a list",
            "area",
            hint="one item a line: JSON, or else text",
            value=values.get("items", ""),
        ),
    ]


def option_fields(
    words: Words, values: Mapping[str, str], schemas: Mapping[str, JsonObject]
) -> list[Field]:
    """A narrow field for each named property of a request."""
    return [
        field_of(name, schemas[name], values.get(name, ""), **{"width": "third", **given})
        for name, given in words.items()
    ]


def backend_options(chosen: Sequence[str], fleet: Fleet) -> list[Option]:
    """All backends; those that no known worker can run are off and say why."""
    able = {name for known in fleet.classes for name in known.backends}
    seen = sorted({known.python for known in fleet.classes})
    options = []
    for name, facts in BACKENDS.items():
        about, off = WORDS.get(name, facts.summary), bool(fleet.classes) and name not in able
        if off:
            needed = ".".join(map(str, facts.min_python))
            about = f"needs Python {needed}; the workers have {' and '.join(seen)}"
        options.append(Option(name, name, about, name in chosen, off))
    return sorted(options, key=lambda option: option.off)


def named_errors(
    errors: Sequence[FieldError], fields: Mapping[str, Field]
) -> tuple[tuple[str, str, str], ...]:
    """Each error with the field of the form that shows it, and the field's label."""
    found = []
    for error in errors:
        name = place_of(error, fields)
        label = fields[name].label if name else error.field
        found.append((name, label, message_at(name, error) if name else error.message))
    return tuple(found)


def wrong_lines(errors: Sequence[FieldError]) -> set[str]:
    """The lines of a request with errors: `reduce.best` for one in `reduce.best.k`."""
    return {".".join(error.field.split(".")[:2]) for error in errors}
