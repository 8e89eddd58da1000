"""The OpenAPI 3.1 document, generated from the models and one table of operations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service import answers, inventory_answers, models
from service.comparisons import answers as comparison_answers
from service.comparisons import queries, requests

VERSION = "1.0"
_REF = "#/components/schemas/{model}"
_IDS = ("job_id", "comparison_id")


@dataclass(frozen=True)
class Operation:
    """One verb on one path: what it takes and what it answers.

    Args:
        problems: statuses that are answered with a problem document.
        others: further media types of the answer.
    """

    method: str
    path: str
    summary: str
    status: int = 200
    answer: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[int, ...] = ()
    others: tuple[str, ...] = ()


_READ = (406, 422, 503)
_ONE = (404, *_READ)
_KEY = {"Idempotency-Key": "the same key and body again is the same order, for 24 h"}

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "post",
        "/v1/jobs",
        "Order a job, and wait for its end if asked to",
        202,
        answers.Job,
        body=models.JobRequest,
        query=models.JobQuery,
        headers=_KEY,
        problems=(400, 406, 409, 413, 415, 422, 429, 503, 507),
    ),
    Operation(
        "get",
        "/v1/jobs",
        "List jobs, newest first",
        answer=answers.JobPage,
        query=models.JobsQuery,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}",
        "Look at a job, or wait for its end",
        answer=answers.Job,
        query=models.JobQuery,
        problems=_ONE,
    ),
    Operation(
        "delete", "/v1/jobs/{job_id}", "Delete a terminal job", 204, problems=(404, 409, 422, 503)
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/records",
        "What happened to each item, by index",
        answer=answers.RecordPage,
        query=models.RecordsQuery,
        problems=_ONE,
        others=("application/x-ndjson", "text/csv"),
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/events",
        "Follow a job: Server-Sent Events progress, batch, job and end, each with the job",
        query=models.EventsQuery,
        headers={"Last-Event-ID": "the last event that was seen; what follows is sent"},
        problems=_ONE,
        others=("text/event-stream",),
    ),
    Operation(
        "get",
        "/v1/jobs/{job_id}/trace",
        "Chrome Trace Events of a job, for Perfetto",
        answer=answers.Trace,
        problems=_ONE,
    ),
    Operation(
        "post",
        "/v1/jobs/{job_id}/cancel",
        "Cancel a job",
        202,
        answers.Job,
        problems=(404, 406, 409, 422, 503),
    ),
    Operation(
        "post",
        "/v1/jobs/{job_id}/retry",
        "Order the items that have no success again, as a new job",
        202,
        answers.Job,
        headers=_KEY,
        problems=(404, 406, 409, 422, 429, 503, 507),
    ),
    Operation(
        "post",
        "/v1/comparisons",
        "Order a comparison: the same items under several arms, in interleaved rounds",
        202,
        comparison_answers.Comparison,
        body=requests.ComparisonRequest,
        headers=_KEY,
        problems=(400, 406, 409, 413, 415, 422, 429, 503, 507),
    ),
    Operation(
        "get",
        "/v1/comparisons",
        "List comparisons, newest first",
        answer=comparison_answers.ComparisonPage,
        query=queries.ComparisonsQuery,
        problems=_READ,
    ),
    Operation(
        "get",
        "/v1/comparisons/{comparison_id}",
        "Look at a comparison, or wait for its end; as JSON, Markdown, CSV or hyperfine's JSON",
        answer=comparison_answers.Comparison,
        query=queries.ComparisonQuery,
        problems=(404, 406, 409, 422, 503),
        others=("text/markdown", "text/csv"),
    ),
    Operation(
        "delete",
        "/v1/comparisons/{comparison_id}",
        "Delete a terminal comparison with all its jobs",
        204,
        problems=(404, 409, 422, 503),
    ),
    Operation(
        "get",
        "/v1/comparisons/{comparison_id}/events",
        "Follow a comparison: Server-Sent Events run, comparison and end, each as in the list",
        query=models.EventsQuery,
        headers={"Last-Event-ID": "the last event that was seen; what follows is sent"},
        problems=_ONE,
        others=("text/event-stream",),
    ),
    Operation(
        "post",
        "/v1/comparisons/{comparison_id}/cancel",
        "Cancel a comparison, and the run that is under way",
        202,
        comparison_answers.Comparison,
        problems=(404, 406, 409, 422, 503),
    ),
    Operation(
        "get", "/v1/workers", "Live workers", answer=inventory_answers.Workers, problems=_READ
    ),
    Operation(
        "get",
        "/v1/backends",
        "Backends and their powers",
        answer=inventory_answers.Backends,
        problems=_READ,
    ),
    Operation(
        "get", "/v1/tasks", "Tasks and their params", answer=inventory_answers.Tasks, problems=_READ
    ),
    Operation("get", "/healthz", "Is this process alive", answer=inventory_answers.Health),
    Operation(
        "get", "/readyz", "Are jobs accepted, and safely", answer=inventory_answers.ReadinessInfo
    ),
    Operation(
        "get",
        "/metrics",
        "What Prometheus scrapes: jobs, items, batches, workers, Redis",
        problems=(503,),
        others=("text/plain",),
    ),
    Operation("get", "/openapi.json", "This document", others=("application/json",)),
    Operation("get", "/docs", "The API, for people", others=("text/html",)),
    Operation("get", "/", "Where to begin", others=("text/html",)),
)


@cache
def openapi_document() -> dict[str, Any]:
    """The document; the same for every process of one version."""
    used = {
        model
        for operation in OPERATIONS
        for model in (operation.answer, operation.body)
        if model is not None
    } | {answers.ProblemDocument}
    ordered = sorted(used, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "batchpool", "version": VERSION, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {"schemas": found["$defs"]},
    }


def _describe(operation: Operation) -> dict[str, Any]:
    path = operation.path
    for name in _IDS:
        path = path.replace(f"{{{name}}}", name.removesuffix("_id"))
    words = path.strip("/").replace("/", "_") or "root"
    described: dict[str, Any] = {
        "operationId": f"{operation.method}_{words.replace('.', '_')}",
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": _content(operation.body)}
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
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


def _responses(operation: Operation) -> dict[str, Any]:
    content = _content(operation.answer) if operation.answer else {}
    for media_type in operation.others:
        is_json = media_type == "application/json"
        content[media_type] = {"schema": {"type": "object" if is_json else "string"}}
    done: dict[str, Any] = {"description": operation.summary}
    if content:
        done["content"] = content
    if operation.status == 202 and operation.body:
        done["headers"] = {"Location": {"schema": {"type": "string"}}}
    found = {str(operation.status): done}
    problem = _content(answers.ProblemDocument, "application/problem+json")
    for status in operation.problems:
        found[str(status)] = {"description": _WHY[status], "content": problem}
    if operation.answer is inventory_answers.ReadinessInfo:
        found["503"] = done | {"description": "not ready, with the reasons"}
    return found


def _content(model: type[BaseModel], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REF.format(model=model.__name__)}}}


_WHY = {
    400: "The body is not JSON",
    404: "There is no such job or comparison",
    406: "No offered media type is accepted",
    409: "The state of the job or comparison, or a used Idempotency-Key, forbids it",
    413: "The body is too long",
    415: "The body is not plain application/json",
    422: "A field or parameter is out of bounds; `errors` names them",
    429: "Too many items or comparisons wait; see Retry-After",
    503: "Redis or workers are missing for now; see Retry-After",
    507: "Redis has no room for more jobs; see Retry-After",
}
