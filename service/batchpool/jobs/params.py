"""Check the params of a task by the JSON Schema that its workers announced."""

import json
import logging
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from batchpool.json_value import JsonObject
from batchpool.schemas.reading import shown
from batchpool.schemas.refusals import MOST_ERRORS, FieldError, InvalidFields

LOG = logging.getLogger("batchpool.api")

MOST_MESSAGE_CHARS = 300


def fill_params(schema: JsonObject | None, params: JsonObject) -> JsonObject:
    """`params` with the defaults of absent properties.

    Args:
        schema: of an object; None for a task that takes no params.
    Raises:
        InvalidFields: with a dotted path under `params` for each of the first errors.
    """
    properties = (schema or {}).get("properties", {})
    closed = schema is None or schema.get("additionalProperties", False) is False
    unknown = [name for name in params if name not in properties] if closed else []
    if unknown:
        known = ", ".join(properties) or "none, the task takes no params"
        raise InvalidFields(
            FieldError(f"params.{name[:80]}", f"unknown param; known: {known}")
            for name in unknown[: MOST_ERRORS + 1]
        )
    if schema is None:
        return {}
    # Bounded: the first errors of a huge value are enough, and finding all may take seconds.
    found = islice(_errors(schema, params), MOST_ERRORS)
    errors = [_field_error(error) for error in found]
    if errors:
        raise InvalidFields(errors)
    defaults = {name: about["default"] for name, about in properties.items() if "default" in about}
    return defaults | params


def _errors(schema: JsonObject, params: JsonObject) -> Iterator[ValidationError]:
    validator = _validator(json.dumps(schema, sort_keys=True))
    if validator is None:
        return
    try:
        yield from validator.iter_errors(params)
    except (Unresolvable, RecursionError) as error:
        LOG.warning("a task's schema cannot be applied: %s", error)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Draft202012Validator | None:
    """The validator of a schema; None if it is invalid, so that only the worker checks."""
    parsed = json.loads(schema)
    try:
        Draft202012Validator.check_schema(parsed)
    except SchemaError as error:
        LOG.warning("a task's schema cannot be applied: %s", error.message)
        return None
    # A registry of its own, since the default one would fetch what a $ref names.
    return Draft202012Validator(parsed, registry=Registry())


_MESSAGES: dict[str, str] = {
    "type": "must be of type {limit}",
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "exclusiveMinimum": "must be greater than {limit}",
    "exclusiveMaximum": "must be less than {limit}",
    "enum": "must be one of {limit}",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
}
"""By keyword of JSON Schema; for others the validator's own message is taken."""


def _field_error(error: ValidationError) -> FieldError:
    path = ".".join(["params", *(str(part)[:80] for part in error.absolute_path)])
    text = _MESSAGES.get(str(error.validator))
    if text is None:
        return FieldError(path, error.message[:MOST_MESSAGE_CHARS])
    message = text.format(limit=_in_words(error.validator_value)) + f", got {shown(error.instance)}"
    return FieldError(path, message[:MOST_MESSAGE_CHARS])


def _in_words(value: Any) -> str:
    return ", ".join(map(_in_words, value)) if isinstance(value, list) else str(value)
