"""Fields of forms, made from JSON Schemas; and their text as the value that a request holds."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from batchpool.charts import numbers
from batchpool.json_value import JsonObject
from batchpool.schemas.refusals import FieldError

Kind = Literal["text", "select", "area", "radios", "checks"]


@dataclass(frozen=True)
class Option:
    """One value of a choice; one that is off can be chosen by nobody, and `about` says why."""

    value: str
    words: str
    about: str = ""
    chosen: bool = False
    off: bool = False


@dataclass(frozen=True)
class Field:
    """One field of a form.

    Args:
        unit: a word after the label.
        hint: what may stand in it, or what it is for.
        empty: what an empty field shows: the default.
        width: "", "third" or "full".
    """

    name: str
    label: str
    kind: Kind = "text"
    unit: str = ""
    hint: str = ""
    value: str = ""
    empty: str = ""
    options: tuple[Option, ...] = ()
    error: str = ""
    width: str = ""


_MOST_HINTED: Final = 10**12


def field_of(name: str, schema: JsonObject, value: str = "", **given: str) -> Field:
    """The field for a property of a JSON Schema.

    Args:
        given: label, unit, hint or width, which win over what the schema says.
    """
    kind: Kind = "text"
    options: tuple[Option, ...] = ()
    if choices := _choices(schema):
        kind = "select"
        default = schema.get("default")
        none = "default" if default is None else f"{_text(default)} (default)"
        options = (Option("", none), *(Option(each, each) for each in choices if each != default))
        options = tuple(replace(each, chosen=each.value == value) for each in options)
    default = schema.get("default")
    words = given.get("hint") or _bounds(schema) or str(schema.get("description", ""))
    return Field(
        name=name,
        label=given.get("label", name.removeprefix("params.")),
        kind=kind,
        unit=given.get("unit", ""),
        hint=words,
        value=value,
        empty="" if default is None or isinstance(default, dict) else _text(default),
        options=options,
        width=given.get("width", ""),
    )


def _choices(schema: JsonObject) -> list[str]:
    if schema.get("type") == "boolean":
        return ["true", "false"]
    found = [each for part in _parts(schema) for each in part.get("enum", ())]
    found += [part["const"] for part in _parts(schema) if isinstance(part.get("const"), str)]
    return found if all(isinstance(each, str) for each in found) else []


def _parts(schema: JsonObject) -> list[JsonObject]:
    """The schema itself, or the members of its union."""
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _bounds(schema: JsonObject) -> str:
    """`0 to 3 600`, `at least 1`, `a list`: what may stand in the field."""
    for part in _parts(schema):
        low, high = part.get("minimum"), part.get("maximum")
        if low is not None and high is not None and high < _MOST_HINTED:
            return f"{_figure(low)} to {_figure(high)}"
        if low is not None:
            return f"at least {_figure(low)}"
        if part.get("type") in ("array", "object"):
            return f"JSON: {'a list' if part['type'] == 'array' else 'an object'}"
    return ""


def _figure(value: float) -> str:
    return numbers.count(int(value)) if value == int(value) else f"{value:g}"


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def value_of(text: str, schema: JsonObject) -> object:
    """The text of a field as the value that the schema asks for.

    Text that is no such value stays text: the service's own error says what it must be.
    """
    types = {kind for part in _parts(schema) for kind in _types(part)}
    if types == {"string"} or (not types and _choices(schema)):
        return text
    return parsed(text)


def _types(part: JsonObject) -> list[str]:
    kind = part.get("type", ())
    return [kind] if isinstance(kind, str) else list(kind)


def parsed(text: str) -> object:
    """The JSON value of a text, or the text itself where it is none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> object:
    raise ValueError(constant)


def body_of(values: Mapping[str, str], schemas: Mapping[str, JsonObject]) -> JsonObject:
    """The fields of a request that are not empty, as values; `params.x` goes into `params`."""
    body: JsonObject = {}
    for name, schema in schemas.items():
        text = values.get(name, "").strip()
        if not text:
            continue
        if name.startswith("params."):
            body.setdefault("params", {})[name.removeprefix("params.")] = value_of(text, schema)
        else:
            body[name] = value_of(text, schema)
    return body


def items_of(text: str) -> list[object]:
    """One item a line: JSON, or text where it is none; empty lines are none."""
    return [parsed(line.strip()) for line in text.split("\n") if line.strip()]


def labels_of(text: str) -> dict[str, str]:
    """`run: tuning, user: me` as labels; a part without a colon has an empty text."""
    pairs = (part.partition(":") for part in text.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def with_errors(fields: Iterable[Field], errors: Iterable[FieldError]) -> Iterator[Field]:
    """The fields, each with the first error that names it or something in it."""
    shown = list(fields)
    names = {field.name for field in shown}
    found: dict[str, str] = {}
    for error in errors:
        name = place_of(error, names)
        found.setdefault(name, message_at(name, error))
    for field in shown:
        yield replace(field, error=found.get(field.name, ""))


def place_of(error: FieldError, names: Collection[str]) -> str:
    """The field that shows an error: the one that it names, or the one that this is in; or ""."""
    return next(
        (each for each in (error.field, error.field.partition(".")[0]) if each in names), ""
    )


def message_at(name: str, error: FieldError) -> str:
    """The message at the field, with the part of the field that is wrong."""
    part = error.field.removeprefix(f"{name}.")
    # The field that is named like the whole policy has its number.
    is_plain = part == error.field or error.field == "retries.max"
    return error.message if is_plain else f"{part}: {error.message}"
