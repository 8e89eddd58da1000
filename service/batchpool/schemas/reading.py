"""Read bodies and query strings as models, with a message for each wrong field."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from batchpool.schemas.refusals import MOST_ERRORS, FieldError, InvalidFields


class Request(BaseModel):
    """A body or a query string: unknown fields are an error."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


RequestT = TypeVar("RequestT", bound=Request)


_NAMED_FIELD = re.compile(r"`(\w+)`")


def read_model(model: type[RequestT], body: Any) -> RequestT:
    """Validate a body or query string as a `model`.

    Raises:
        InvalidFields: names the fields that are wrong.
    """
    if not isinstance(body, Mapping):
        raise InvalidFields([FieldError("", f"must be an object, got {_kind(body)}")])
    known = dict.fromkeys(field.alias or name for name, field in model.model_fields.items())
    # Checked here, not by pydantic: a megabyte of unknown names would make 100,000 error objects.
    unknown = [name for name in body if name not in known]
    errors = [
        FieldError(str(name)[:80], f"unknown field; known: {', '.join(known) or 'none'}")
        for name in unknown[:MOST_ERRORS]
    ]
    errors += [FieldError("", "unknown field")] * (len(unknown) - len(errors))
    try:
        found = model.model_validate({name: body[name] for name in body if name in known})
    except ValidationError as error:
        raise InvalidFields(
            errors
            + [
                _field_error(details, body)
                for details in error.errors(include_url=False, include_input=False)
            ]
        ) from None
    if errors:
        raise InvalidFields(errors)
    return found


def read_part(field: str, model: type[RequestT], body: object) -> RequestT:
    """Validate a part of a body; its errors begin with the field that holds it."""
    try:
        return read_model(model, body)
    except InvalidFields as refusal:
        raise InvalidFields(nested(field, refusal.errors)) from None


def nested(field: str, errors: Iterable[FieldError]) -> list[FieldError]:
    """The same errors, as those of a part of the body."""
    return [
        FieldError(f"{field}.{error.field}" if error.field else field, error.message)
        for error in errors
    ]


def _field_error(details: ErrorDetails, body: Mapping[str, Any]) -> FieldError:
    # The rest of the path is pydantic's own: tags of the members of a union.
    path = [str(part) for part in details["loc"][:1]]
    message = _message(details)
    if message.startswith("must ") and ", got " not in message and path and path[0] in body:
        message += f", got {shown(body[path[0]])}"
    # A message about several fields names them; it is reported under the first.
    named = _NAMED_FIELD.search(message)
    return FieldError(".".join(path) or (named[1] if named else ""), message)


_MESSAGES = {
    "missing": "is required",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:.15g}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
"""By pydantic's types of errors; its own texts begin otherwise, and differ between its versions."""


def _message(details: ErrorDetails) -> str:
    text = _MESSAGES.get(details["type"])
    if text is None:
        return details["msg"].removeprefix("Value error, ")
    return text.format_map(details.get("ctx", {}))


def _kind(value: Any) -> str:
    kinds = {
        list: "an array",
        dict: "an object",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


def shown(value: Any) -> str:
    """A value as messages show it, never long."""
    if isinstance(value, list | dict):
        return _kind(value)
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large number"
    text = json.dumps(value) if value in (None, True, False) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
