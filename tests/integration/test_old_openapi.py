"""The OpenAPI document says what that of the code before `batchpool.*` said, but for its texts."""

import gzip
import json
from pathlib import Path
from typing import Any

from tests.support.differences import check_differences, differences

OLD = Path(__file__).parents[1] / "data" / "ledger_9831fbc" / "openapi.json.gz"


def test_the_document_has_the_same_structure(bare: Any) -> None:
    before, now = (
        structure(each)
        for each in (json.loads(gzip.decompress(OLD.read_bytes())), bare.get("/openapi.json"))
    )
    check_differences(differences(before["paths"], now["paths"]), CHANGED)


CHANGED: dict[str, str] = {
    "+*/responses/400": "malformed HTTP is answered by the API",
    "+*/responses/403": "unsafe methods of other origins are refused",
    "+*/responses/408": "slow requests are refused",
    "+*/responses/413": "large bodies are refused on all routes",
    "+*/responses/414": "long request lines are answered by the API",
    "+*/responses/417": "other expectations are answered by the API",
    "+*/responses/421": "hosts are on a list",
    "+*/responses/431": "long headers are answered by the API",
    "+*/responses/501": "other transfer codings are answered by the API",
    "-*/text/event-stream/schema": "an event stream is no JSON",
    "?//v1/jobs/post/*/properties/backend/*": "the default backend follows from the task",
    "+*/properties/rate": "items may begin at a rate",
    "?*/properties/retries*": "retries may be a policy",
    "!//v1/jobs/get/parameters*": "jobs are filtered by label",
    "+*/required/sum_text": "the sum as text, beside it",
    "+*/properties/sum_text": "the sum as text, beside it",
    "!*/properties/sum/anyOf: *": "the sum of no numbers is null",
    "+*/batches/items/required/second_try": "second tries are shown",
    "+*/batches/items/properties/second_try": "second tries are shown",
    "+*/batches/items/required/leftovers": "what tasks left behind is shown",
    "+*/batches/items/properties/leftovers": "what tasks left behind is shown",
    "+//readyz/*/accepting": "accepting and running are told apart",
    "+//readyz/*/running": "accepting and running are told apart",
    "+*/properties/reduce": "the values of a job are reduced",
    "+*/properties/reduced": "the values of a job are reduced",
    "+*/properties/waiting_for": "jobs say what they wait for",
    "+//v1/jobs/bulk": "several jobs are submitted at once",
    "!//v1/jobs/post/parameters*": "dry runs, and the job of an upload",
    "+//v1/jobs/post/requestBody/content/*": "items as NDJSON or CSV",
    "+//v1/jobs/post/responses/200": "dry runs",
    "!//v1/comparisons/post/parameters*": "dry runs",
    "+//v1/comparisons/post/responses/200": "dry runs",
    "+//v1/jobs/cancel": "jobs are cancelled by filters",
    "+//v1/jobs/retry": "and retried",
    "+//v1/jobs/delete": "and deleted",
    "+//v1/classes": "the load of classes of workers is sampled",
    "+//v1/jobs/{job_id}/errors": "failures are grouped by their cause",
    "!//v1/jobs/{job_id}/records/get/parameters*": "records are read in part",
    "+*/properties/logs": "what items print and log is kept",
    "+*/properties/log": "with their records",
    "-//v1/jobs/{job_id}/records/get/*/items/required": "with `fields` a record has those only",
    "+//v1/jobs/{job_id}/values": "values are read without their records",
    "+//v1/jobs/{job_id}/report": "a job as one file",
    "+//v1/comparisons/{comparison_id}/report": "a comparison as one file",
    "+*/fail_unless": "comparisons have conditions",
    "+*/conditions": "comparisons have conditions",
    "?//v1/comparisons/{comparison_id}/get/parameters*": "a comparison is exported as a card",
    "+//v1/jobs/{job_id}/timeline": "when items ran, and where",
    "+//v1/broken": "what cannot be read is listed",
    "+//v1/broken/{broken_id}": "and can be deleted",
    "+//v1/lessons*": "lessons are new",
    "+//v1/workers/get/*/properties/warm/items/*": "idle pools are shown",
}
"""What has changed on purpose since then: a pattern of what `differences` names, and why."""

TEXTS = ("description", "summary", "title", "example", "examples", "$comment")
NAMES = ("properties", "paths", "responses", "headers", "content")
"""What holds names that are chosen, where others hold words of OpenAPI."""


def structure(document: dict[str, Any]) -> dict[str, Any]:
    """An OpenAPI document without its texts, each reference replaced by what it stands for.

    So the names of schemas are texts too.
    """

    def bare(part: Any, named: bool = False) -> Any:
        if isinstance(part, list):
            names = all(isinstance(each, str) for each in part)
            return dict.fromkeys(part) if names else [bare(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part and not named:
            return bare(found_at(document, part["$ref"]))
        return {
            name: bare(each, named=not named and name in NAMES)
            for name, each in part.items()
            if named or name not in TEXTS
        }

    found: dict[str, Any] = bare(document)
    return found


def found_at(document: dict[str, Any], reference: str) -> Any:
    part: Any = document
    for name in reference.removeprefix("#/").split("/"):
        part = part[name]
    return part
