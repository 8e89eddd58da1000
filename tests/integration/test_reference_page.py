"""/docs: every operation with fields and types, commands that run, and a way to try it."""

import json
import re
import shlex
from typing import Any

import pytest

from batchpool.api.openapi import openapi_document
from batchpool.pages.guides.reference import address_of, build_reference
from batchpool.schemas.comparison_requests import ComparisonRequest
from batchpool.schemas.job_requests import JobRequest
from batchpool.schemas.reading import read_model
from tests.integration.test_pages import HTML, check_page


def test_every_operation_parameter_field_and_type_is_there(stage: Any) -> None:
    page = check_page(stage.http.get("/docs", headers=HTML).text)
    text, ids = page.text, {has["id"] for _, has in page.elements if has.get("id")}
    document = openapi_document()
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["operationId"] in ids
            assert operation["summary"] in text
    for name, schema in document["components"]["schemas"].items():
        assert name in ids
        assert all(field in text for field in schema.get("properties", {}))
    targets = {has["href"] for has in page.all("a") if (has.get("href") or "").startswith("#")}
    assert {target[1:] for target in targets} <= ids


@pytest.mark.parametrize(
    ("operation", "model"),
    [("post_v1_jobs", JobRequest), ("post_v1_comparisons", ComparisonRequest)],
)
def test_the_commands_to_copy_hold_valid_bodies(operation: str, model: Any) -> None:
    reference = build_reference(openapi_document(), "http://h:1")
    views = {each.id: each for _, group in reference.groups for each in group}
    words = shlex.split(views[operation].curl.replace("\\\n", " "))
    read_model(model, json.loads(words[-1]))


def test_an_example_of_each_type_is_json(stage: Any) -> None:
    for schema in build_reference(openapi_document(), "http://h:1").schemas:
        json.loads(re.sub(r"<[^>]+>", "", str(schema.example)).replace("&#34;", '"'))


def test_trying_leads_to_the_operation(stage: Any) -> None:
    job = stage.post(task="echo", count=1)["id"]
    asked = f"/docs/try?operation=get_v1_jobs_job_records&job_id={job}&limit=5&state="
    response = stage.http.get(asked, headers=HTML)
    assert (response.status_code, response.headers["Location"]) == (
        307,
        f"/v1/jobs/{job}/records?limit=5",
    )
    form = {"operation": "post_v1_jobs_job_cancel", "job_id": job}
    sent = stage.http.post("/docs/try", data=form, headers=HTML, follow_redirects=True)
    assert (sent.status_code, sent.get_json()["state"]) == (202, "cancelled")


def test_trying_leads_nowhere_else(stage: Any) -> None:
    document = openapi_document()
    assert address_of(document, "get_v1_jobs_job", {"job_id": "//evil.example/../x"}) == (
        "/v1/jobs/%2F%2Fevil.example%2F..%2Fx"
    )
    assert address_of(document, "get_v1_jobs_job", {"job_id": " "}) is None
    response = stage.http.get("/docs/try?operation=//evil.example", headers=HTML)
    assert (response.status_code, response.mimetype) == (404, "text/html")
