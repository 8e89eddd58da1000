"""The reference of the API: the OpenAPI document as a page can show it; pure."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from markupsafe import Markup

from batchpool.json_value import JsonObject
from batchpool.pages.forms.request_texts import json_lines
from batchpool.pages.guides.code_tokens import json_code

_BODIES: Final[dict[str, JsonObject]] = {
    "JobRequest": {"task": "sleep", "params": {"seconds": 2}, "count": 5, "concurrency": 5},
    "ComparisonRequest": {
        "task": "cpu",
        "params": {"iterations": 800_000},
        "count": 8,
        "rounds": 7,
        "grid": {"backend": ["sequential", "thread-pool", "process-pool"], "concurrency": [2]},
    },
}
"""Bodies that a fresh service accepts, by schema."""

_FORMS: Final = {"post_v1_jobs": "/jobs/new", "post_v1_comparisons": "/comparisons/new"}
_VALUES: Final = {"job_id": "JOB", "comparison_id": "COMPARISON", "lesson": "gil"}
_STREAM: Final = "text/event-stream"
_MOST_DEEP: Final = 4
_SAMPLES: Final = {"date-time": "2026-11-26T17:16:23.000000Z"}


@dataclass(frozen=True)
class Word:
    """A part of a type; `href` leads to the schema that it names."""

    text: str
    href: str = ""


@dataclass(frozen=True)
class FieldRow:
    """A parameter or a field; `where` is path, query, header, or "" for a field."""

    name: str
    where: str
    type: tuple[Word, ...]
    about: str
    required: bool


@dataclass(frozen=True)
class Answer:
    """An answer by its status."""

    status: str
    type: tuple[Word, ...]
    about: str


@dataclass(frozen=True)
class OperationView:
    """One operation.

    Args:
        body: the schema of its body; None without one.
        can_try: whether a plain form can send it: it has no body, and its method is GET or POST.
        form: the page with a form for it; "" without one.
    """

    id: str
    method: str
    path: str
    summary: str
    parameters: tuple[FieldRow, ...]
    body: "SchemaView | None"
    answers: tuple[Answer, ...]
    errors: tuple[Answer, ...]
    curl: str
    can_try: bool
    form: str


@dataclass(frozen=True)
class SchemaView:
    """A type with its fields, and a made-up value of it."""

    name: str
    about: str
    fields: tuple[FieldRow, ...]
    example: Markup


@dataclass(frozen=True)
class Reference:
    """The whole API: operations by the first part of their path."""

    groups: tuple[tuple[str, tuple[OperationView, ...]], ...]
    schemas: tuple[SchemaView, ...]


def build_reference(document: JsonObject, url: str) -> Reference:
    """The page of an OpenAPI document.

    Args:
        url: of the service, for the commands to copy.
    """
    groups: dict[str, list[OperationView]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            view = _operation(document, path, method, operation, url)
            groups.setdefault(_group(path), []).append(view)
    schemas = document["components"]["schemas"]
    return Reference(
        groups=tuple((name, tuple(views)) for name, views in groups.items()),
        schemas=tuple(_schema(document, name) for name in sorted(schemas)),
    )


def address_of(document: JsonObject, operation_id: str, given: dict[str, str]) -> str | None:
    """Where a request for an operation goes; None for an unknown one, or a missing id.

    Args:
        given: parameters by name, those of path and query.
    """
    for path, methods in document["paths"].items():
        for operation in methods.values():
            if operation["operationId"] == operation_id:
                return _filled(path, operation, given)
    return None


def _filled(path: str, operation: JsonObject, given: dict[str, str]) -> str | None:
    query = {}
    for parameter in operation["parameters"]:
        name, value = parameter["name"], given.get(parameter["name"], "").strip()
        if parameter["in"] == "path":
            if not value:
                return None
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        elif parameter["in"] == "query" and value:
            query[name] = value
    return f"{path}?{urlencode(query)}" if query else path


def _group(path: str) -> str:
    parts = path.strip("/").split("/")
    if parts[0] != "v1":
        return "Service"
    return parts[1].capitalize()


def _operation(
    document: JsonObject, path: str, method: str, operation: JsonObject, url: str
) -> OperationView:
    body = operation.get("requestBody")
    name = _ref_name(next(iter(body["content"].values()))["schema"]) if body else ""
    answers = list(_answers(operation))
    streams = any(_STREAM in (each.get("content") or {}) for each in _good(operation))
    return OperationView(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        parameters=tuple(map(_parameter, operation["parameters"])),
        body=_schema(document, name) if body else None,
        answers=tuple(each for each in answers if each.status < "4"),
        errors=tuple(each for each in answers if each.status >= "4"),
        curl=_curl(method, path, url, _BODIES.get(name), streams),
        can_try=method in ("get", "post") and not body and not streams,
        form=_FORMS.get(operation["operationId"], ""),
    )


def _good(operation: JsonObject) -> Iterator[JsonObject]:
    return (each for status, each in operation["responses"].items() if status < "4")


def _parameter(parameter: JsonObject) -> FieldRow:
    schema = parameter["schema"]
    about = str(parameter.get("description") or schema.get("description", ""))
    return FieldRow(
        parameter["name"], parameter["in"], _type(schema), about, bool(parameter.get("required"))
    )


def _answers(operation: JsonObject) -> Iterator[Answer]:
    for status, response in sorted(operation["responses"].items()):
        words: list[Word] = []
        for media_type, content in (response.get("content") or {}).items():
            schema = content.get("schema", {})
            words += [Word(" or ")] if words else []
            words += _type(schema) if "$ref" in schema else []
            words.append(Word(f" as {media_type}" if "$ref" in schema else media_type))
        yield Answer(status, tuple(words), response["description"])


def _schema(document: JsonObject, name: str) -> SchemaView:
    schema = document["components"]["schemas"][name]
    required = schema.get("required", ())
    fields = tuple(
        FieldRow(field, "", _type(about), _about(about), field in required)
        for field, about in schema.get("properties", {}).items()
    )
    example = _BODIES.get(name) or _sample(document, {"$ref": f"#/components/schemas/{name}"})
    lines = json_lines(example) if isinstance(example, dict) else [(json.dumps(example), "")]
    return SchemaView(name, schema.get("description", ""), fields, json_code(lines, ()))


def _about(schema: JsonObject) -> str:
    about, default = str(schema.get("description", "")), schema.get("default")
    shown = "" if default in (None, {}, []) else f"default {json.dumps(default)}"
    bounds = [
        f"{words} {part[key]}"
        for part in schema.get("anyOf", [schema])
        for key, words in (("minimum", "at least"), ("maximum", "at most"))
        if key in part
    ]
    return "; ".join(filter(None, [about, *bounds, shown]))


def _ref_name(schema: JsonObject) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _type(schema: JsonObject) -> tuple[Word, ...]:
    if "$ref" in schema:
        name = _ref_name(schema)
        return (Word(name, f"#{name}"),)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return _either([_type(each) for each in schema[key]])
    if "enum" in schema or "const" in schema:
        return (Word(", ".join(json.dumps(each) for each in _fixed(schema))),)
    kind = schema.get("type", "any")
    if kind == "array":
        return (Word("list of "), *_type(schema.get("items", {})))
    return (Word(" or ".join(kind) if isinstance(kind, list) else str(kind)),)


def _fixed(schema: JsonObject) -> list[object]:
    return list(schema["enum"]) if "enum" in schema else [schema["const"]]


def _either(types: list[tuple[Word, ...]]) -> tuple[Word, ...]:
    words: list[Word] = []
    for each in dict.fromkeys(types):
        words += [Word(" or "), *each] if words else each
    return tuple(words)


def _sample(document: JsonObject, schema: JsonObject, depth: int = 0) -> object:
    """A made-up value of a schema; what lies deep is left out."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][_ref_name(schema)]
    for key in ("anyOf", "oneOf"):
        if key in schema and "properties" not in schema:
            return _sample(document, schema[key][0], depth)
    if "enum" in schema or "const" in schema:
        return _fixed(schema)[0]
    if depth >= _MOST_DEEP:
        return None
    if "properties" in schema:
        inside = schema["properties"].items()
        return {name: _sample(document, about, depth + 1) for name, about in inside}
    return _plain_sample(document, schema, depth)


def _plain_sample(document: JsonObject, schema: JsonObject, depth: int) -> object:
    kind = schema.get("type", "string")
    if kind == "array":
        return [_sample(document, schema.get("items", {}), depth + 1)]
    if schema.get("default") is not None:
        return schema["default"]
    samples = {"integer": 1, "number": 0.5, "boolean": True, "object": {}, "null": None}
    return samples.get(str(kind), _SAMPLES.get(str(schema.get("format")), "text"))


def _curl(method: str, path: str, url: str, body: JsonObject | None, streams: bool) -> str:
    for name, value in _VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    words = ["curl -s" if not streams else "curl -sN"]
    if method != "get" and body is None:
        words.append(f"-X {method.upper()}")
    words.append(f"{url}{path}")
    if body is not None:
        words += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body))}"]
        return " \\\n  ".join([" ".join(words[:2]), *words[2:]])
    return " ".join(words)
