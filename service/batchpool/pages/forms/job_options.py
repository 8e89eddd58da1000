"""Options of a job that take several fields or lines: a policy of retries, and reducers; pure."""

from collections.abc import Mapping
from typing import Final

from batchpool.json_value import JsonObject
from batchpool.pages.forms.common_fields import Words
from batchpool.pages.forms.fields import Field, parsed, value_of
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.retries import RetriesSpec

RETRIES: Final[Words] = {
    "retries": {"label": "Retries", "hint": "of a failed item, 0 to 20"},
    "retries.delay_s": {
        "label": "Wait before a retry",
        "unit": "seconds",
        "hint": "before the first one",
    },
    "retries.factor": {"label": "Factor", "hint": "each later wait is so many times as long"},
    "retries.max_delay_s": {
        "label": "Longest wait",
        "unit": "seconds",
        "hint": "the item takes no slot meanwhile",
    },
    "retries.jitter": {"label": "Jitter", "hint": "full: each wait is random, up to that"},
    "retries.on": {"label": "Retry on", "hint": "types of errors, with commas between; none: any"},
}


def job_schemas() -> dict[str, JsonObject]:
    """The properties of a request, and those of `retries` as `retries.NAME`."""
    found: dict[str, JsonObject] = dict(JobRequest.model_json_schema()["properties"])
    policy = RetriesSpec.model_json_schema()["properties"]
    return found | {f"retries.{name}": schema for name, schema in policy.items()}


def retries_of(values: Mapping[str, str], schemas: Mapping[str, JsonObject]) -> object:
    """A number, or the policy if one of its fields is filled in; None if none is."""
    most = parsed(values.get("retries", "").strip())
    policy: JsonObject = dict(most) if isinstance(most, dict) else {}
    if not isinstance(most, dict) and most != "":
        policy["max"] = most
    for field in RETRIES:
        _, dot, name = field.partition(".")
        text = values.get(field, "").strip() if dot else ""
        if text and name == "on":
            policy[name] = [each.strip() for each in text.split(",") if each.strip()]
        elif text:
            policy[name] = value_of(text, schemas[field])
    is_number = policy.keys() == {"max"} and not isinstance(most, dict)
    return policy["max"] if is_number else policy or None


def reducers_field(values: Mapping[str, str]) -> Field:
    """The reducers, a line each."""
    return Field(
        "reduce",
        "Reducers",
        "area",
        hint="one a line, as mean=mean:/score, best=top:/score,k=10 or name={JSON}",
        value=values.get("reduce", ""),
        width="full",
    )


def reducers_of(text: str) -> object:
    """Lines of `NAME=OP[:/POINTER][,OPTION=VALUE...]` or `NAME={...}`, as the command line has it.

    A text with a line that is neither, or with a name twice, stays text: the service's own error
    says what it must be.
    """
    found: JsonObject = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, _, how = (part.strip() for part in line.partition("="))
        if not how or name in found:
            return text
        found[name] = parsed(how) if how.startswith("{") else _reducer(how)
    return found


def _reducer(how: str) -> JsonObject:
    shape, *options = how.split(",")
    op, colon, of = shape.partition(":")
    pairs = (option.partition("=") for option in options)
    named = {name.strip(): parsed(value.strip()) for name, _, value in pairs}
    return {"op": op.strip(), **({"of": of} if colon else {}), **named}
