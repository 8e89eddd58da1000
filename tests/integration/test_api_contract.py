"""The document at /openapi.json: valid, complete, and true of what is answered."""

from typing import Any

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from batchpool.api.openapi import openapi_document
from batchpool.api.routes.pages import BLUEPRINTS

JOB = "0123456789abcdef01234567"


def test_the_document_is_valid_openapi(stage: Any) -> None:
    OpenAPIV31SpecValidator(stage.get("/openapi.json")).validate()


def test_every_route_but_the_pages_is_in_the_document_and_no_other(stage: Any) -> None:
    pages = {blueprint.name for blueprint in BLUEPRINTS} - {"overview_page", "reference_page"}
    routed = {
        (method.lower(), rule.rule.replace("<", "{").replace(">", "}"))
        for rule in stage.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.partition(".")[0] not in pages
    }
    described = {
        (method, path)
        for path, methods in openapi_document()["paths"].items()
        for method in methods
    }
    assert routed == described


def _check(document: dict[str, Any], name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(value)]
    assert errors == []


def test_answers_are_as_described(stage: Any) -> None:
    document = stage.get("/openapi.json")
    queued = stage.post(task="echo", items=[1, 2, None], batches=2)
    _check(document, "Job", queued)
    stage.run(queued["id"], 0, fail=frozenset([1]))
    job = f"/v1/jobs/{queued['id']}"
    _check(document, "Job", stage.get(job))
    _check(document, "RecordPage", stage.get(job + "/records"))
    _check(document, "RecordPage", stage.get(job + "/records?fields=value,tries"))
    fields = document["components"]["schemas"]["Record"]["properties"]
    assert all(list(record) == list(fields) for record in stage.get(job + "/records")["records"])
    _check(document, "JobPage", stage.get("/v1/jobs?limit=1"))
    _check(document, "Trace", stage.get(job + "/trace"))
    _check(document, "Workers", stage.get("/v1/workers"))
    _check(document, "Backends", stage.get("/v1/backends"))
    _check(document, "Tasks", stage.get("/v1/tasks"))
    _check(document, "ReadinessInfo", stage.get("/readyz"))
    stage.http.post(job + "/cancel")
    _check(document, "Job", stage.get(job))
    _check(document, "RecordPage", stage.get(job + "/records"))
    _check(document, "ProblemDocument", stage.post(422, task="echo", count=0))


def test_bounds_stand_in_the_schema_of_a_job(stage: Any) -> None:
    fields = stage.get("/openapi.json")["components"]["schemas"]["JobRequest"]["properties"]
    assert fields["batches"]["minimum"] == 1
    number, policy = fields["retries"]["anyOf"]
    assert number["maximum"] == policy["properties"]["max"]["maximum"] == 20
    assert fields["items"]["anyOf"][0]["type"] == "array"
    assert "asyncio" in fields["backend"]["anyOf"][0]["enum"]


def test_the_schema_of_a_job_wants_one_source_of_items(stage: Any) -> None:
    document = stage.get("/openapi.json")
    schema = {"$ref": "#/components/schemas/JobRequest", "components": document["components"]}
    judge = Draft202012Validator(schema)
    assert judge.is_valid({"task": "echo", "count": 1})
    assert judge.is_valid({"task": "echo", "items": [1], "count": None})
    assert not judge.is_valid({"task": "echo"})
    assert not judge.is_valid({"task": "echo", "items": [1], "count": 1})


def test_bounds_stand_in_the_schema_of_parameters(stage: Any) -> None:
    paths = stage.get("/openapi.json")["paths"]
    limit = next(one for one in paths["/v1/jobs"]["get"]["parameters"] if one["name"] == "limit")
    assert (limit["schema"]["minimum"], limit["schema"]["maximum"]) == (1, 500)
