"""Generated requests, valid and not: every answer is one that the document describes, none 5xx."""

from contextlib import closing
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from batchpool.api.app import create_app
from batchpool.api.operations import OPERATIONS
from batchpool.api.settings import ApiSettings
from batchpool.ledger.connection import connect

CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
# Waits and streams must end by themselves, and what is generated must not fill a limit.
ENVIRON = {
    "BATCHPOOL_WAIT_CAP_S": "0.01",
    "BATCHPOOL_MAX_QUEUED_ITEMS": "1000000000",
    "BATCHPOOL_MAX_COMPARISONS": "1000",
    "BATCHPOOL_API_THREADS": "1024",
}
SIZES = [
    pytest.param(1, 12, id="seed 1"),
    *(pytest.param(n, 1000, id=f"seed {n} in full", marks=pytest.mark.full) for n in (2, 3, 4)),
]


@pytest.fixture(scope="module")
def schema(redis_url: str) -> Any:
    # Imported here: that takes a second in each process which collects the tests.
    import schemathesis

    with connect(redis_url) as redis:
        app = create_app(ApiSettings.from_env(ENVIRON), redis)
        yield schemathesis.openapi.from_wsgi("/openapi.json", partial(answer_wholly, app))


def answer_wholly(app: Any, environ: Any, start_response: Any) -> list[bytes]:
    """Close each answer, as a server does: the test client leaves that to the collector."""
    with closing(app(environ, start_response)) as parts:
        return list(parts)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("number", "cases"), SIZES)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_answers_are_described_and_never_fail(
    stage: Any, schema: Any, operation: Any, number: int, cases: int
) -> None:
    from schemathesis import GenerationMode
    from schemathesis.specs.openapi import checks

    described = schema[operation.path][operation.method.upper()]
    generated = st.one_of(
        described.as_strategy(generation_mode=mode)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )
    wanted = [getattr(checks, name) for name in CHECKS]
    known = stage.post(task="echo", count=3)["id"]
    stage.run(known, fail=frozenset([1]))

    @seed(number)
    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=generated, is_known=st.booleans())
    def run(case: Any, is_known: bool) -> None:
        if is_known and "job_id" in (case.path_parameters or {}):
            case.path_parameters["job_id"] = known
        response = case.call()
        assert response.status_code < 500, response.text
        case.validate_response(response, checks=wanted)

    run()
