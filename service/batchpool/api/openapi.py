"""The OpenAPI 3.1 document, generated from the models and one table of operations."""

from functools import cache

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from batchpool.api.operation import ANY_PROBLEMS, Operation
from batchpool.api.operations import OPERATIONS
from batchpool.json_value import JsonObject
from batchpool.schemas import inventory_responses as inventory_answers
from batchpool.schemas import job_responses as answers
from batchpool.version import __version__

_REF = "#/components/schemas/{model}"
_IDS = ("job_id", "comparison_id", "broken_id", "lesson")


@cache
def openapi_document() -> JsonObject:
    """The document; the same for every process of one version."""
    used = {
        model
        for operation in OPERATIONS
        for model in (operation.answer, operation.body, operation.dry_run)
        if model is not None
    } | {answers.ProblemDocument}
    ordered = sorted(used, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, JsonObject] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "batchpool", "version": __version__, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {"schemas": found["$defs"]},
    }


def _describe(operation: Operation) -> JsonObject:
    path = operation.path
    for name in _IDS:
        path = path.replace(f"{{{name}}}", name.removesuffix("_id"))
    words = path.strip("/").replace("/", "_") or "root"
    described: JsonObject = {
        "operationId": f"{operation.method}_{words.replace('.', '_')}",
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        content = _content(operation.body)
        content |= {each: {"schema": {"type": "string"}} for each in operation.body_others}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _parameters(operation: Operation) -> list[JsonObject]:
    found: list[JsonObject] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _IDS
        if f"{{{name}}}" in operation.path
    ]
    schema = operation.query.model_json_schema() if operation.query else {}
    for name, about in schema.get("properties", {}).items():
        found.append({"name": name, "in": "query", "required": False, "schema": about})
    for name, text in operation.headers.items():
        header = {"name": name, "in": "header", "required": False, "description": text}
        found.append(header | {"schema": {"type": "string"}})
    return found


def _responses(operation: Operation) -> JsonObject:
    content = _content(operation.answer) if operation.answer else {}
    for media_type in operation.others:
        content[media_type] = _OTHER_CONTENT.get(media_type, {"schema": {"type": "string"}})
    done: JsonObject = {"description": operation.summary}
    if content:
        done["content"] = content
    if operation.status == 202 and operation.body:
        done["headers"] = {"Location": {"schema": {"type": "string"}}}
    found = {str(operation.status): done}
    if operation.dry_run:
        found["200"] = {"description": "The plan", "content": _content(operation.dry_run)}
    problem = _content(answers.ProblemDocument, "application/problem+json")
    for status in sorted({*operation.problems, *ANY_PROBLEMS}):
        found[str(status)] = {"description": _WHY[status], "content": problem}
    if operation.answer is inventory_answers.ReadinessInfo:
        found["503"] = done | {"description": "not ready, with the reasons"}
    return found


_OTHER_CONTENT: dict[str, JsonObject] = {
    "application/json": {"schema": {"type": "object"}},
    # A schema would be read as that of each event.
    "text/event-stream": {},
}


def _content(model: type[BaseModel], media_type: str = "application/json") -> JsonObject:
    return {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}


_WHY = {
    400: "The request is not HTTP, or its body is not JSON",
    403: "A page of another origin may change nothing",
    404: "There is no such job or comparison",
    406: "No offered media type is accepted",
    408: "The request came too slowly",
    409: "The state of the job or comparison, or a used Idempotency-Key, forbids it",
    413: "The body is too long, or its values take too much memory",
    414: "The request line is too long",
    415: "The body has another media type, or is encoded",
    417: "Only 100-continue can be expected",
    421: "The Host is no IP address, localhost or allowed name",
    422: "A field or parameter is out of bounds; `errors` names them",
    429: "Too many items or comparisons wait; see Retry-After",
    431: "The headers are too long",
    501: "The Transfer-Encoding is unknown",
    503: "Redis, workers or a free place are missing for now; see Retry-After",
    507: "Redis has no room for more jobs; see Retry-After",
}
