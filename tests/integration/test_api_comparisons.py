"""Comparisons over HTTP: submitted, listed, followed, cancelled, deleted and refused."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from batchpool.comparisons.driver import Driver
from batchpool.comparisons.planning import arm_name, plan_runs
from batchpool.ledger import keys
from batchpool.ledger.comparisons import Comparisons, NewComparison
from batchpool.ledger.job_creation import QueueFull
from batchpool.settings import ReconcilerSettings
from tests.integration.conftest import SETTINGS_FOR_TESTS
from tests.support.bulky_bodies import numbered_fields, repeated
from tests.support.waiting import check_time

ARMS = [{"backend": "sequential"}, {"backend": "thread-pool", "concurrency": 4}]
REQUEST: dict[str, Any] = {"task": "sleep", "params": {"seconds": 0.1}, "count": 8, "arms": ARMS}
PATH = "/v1/comparisons"


def post(stage: Any, status: int = 202, /, **change: Any) -> dict[str, Any]:
    response = stage.http.post(PATH, json=REQUEST | change)
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.get_json()
    return found


def refusal(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    assert "Traceback" not in response.text
    found: dict[str, Any] = response.get_json()
    return found


def test_a_request_is_accepted_with_its_defaults_filled_in(stage: Any) -> None:
    response = stage.http.post(PATH, json=REQUEST)
    assert response.status_code == 202
    shown = response.get_json()
    assert response.headers["Location"] == f"{PATH}/{shown['id']}"
    assert shown["state"] == "queued"
    assert shown["spec"]["items"]["count"] == 8
    assert [arm["name"] for arm in shown["spec"]["arms"]] == ["sequential", "thread-pool 4"]
    assert shown["progress"]["runs"] == 2 + 10 * 3
    assert shown["progress"]["waits_for"] == "its turn"
    assert shown["arms"] is None and shown["conclusion"] is None and shown["samples"] == []
    assert stage.get(f"{PATH}/{shown['id']}") | {"timing": 0} == shown | {"timing": 0}


def test_a_dry_run_answers_as_the_order_would_and_stores_nothing(stage: Any) -> None:
    for arm in (*ARMS, ARMS[0]):
        job = stage.post(task="sleep", params={"seconds": 0.1}, count=4, pool=None, **arm)
        stage.run(job["id"])
    before = stage.redis.dbsize(), stage.redis.hgetall("bp:counts")

    def dry_run(status: int, /, **change: Any) -> dict[str, Any]:
        response = stage.http.post(f"{PATH}?dry_run=1", json=REQUEST | change)
        assert response.status_code == status, response.text
        found: dict[str, Any] = response.get_json()
        return found

    plan = dry_run(200, seed=7, warmup=2)
    assert (plan["workers"], plan["workers_needed"], plan["first_id"]) == (1, 1, None)
    assert plan["least_s"] == pytest.approx(0.1 * ((2 + 10 + 10) * 8 + (2 + 10) * 2))
    assert set(plan["forecast"]["like"]) == {"sequential", "thread-pool 4", "sequential again"}
    assert plan["forecast"]["runs_s"] >= 0
    assert dry_run(200, params={"seconds": 0.2})["forecast"] is None
    assert (stage.redis.dbsize(), stage.redis.hgetall("bp:counts")) == before
    for change in ({"rounds": 2}, {"task": "x"}, {"count": 10**6}, {"timeout_s": 0}):
        assert dry_run(422, **change) == post(stage, 422, **change)
    shown = post(stage, seed=7, warmup=2)
    assert shown["spec"] == plan["spec"] and shown["progress"]["runs"] == len(plan["runs"])
    first = Comparisons(stage.redis).load(shown["id"])
    assert first and [(run["arm"], run["round"]) for run in plan["runs"]] == [
        (arm_name(first.entry.spec, run.arm), run.round) for run in plan_runs(first.entry.spec)
    ]
    with pytest.raises(QueueFull):
        new = NewComparison("x", first.entry.spec, "c", None, 60)
        Comparisons(stage.redis).create(new, 1, None, dry_run=True)
    key = {"Idempotency-Key": "k"}
    made = stage.http.post(PATH, json=REQUEST, headers=key).get_json()["id"]
    again = stage.http.post(f"{PATH}?dry_run=1", json=REQUEST, headers=key)
    assert again.get_json()["first_id"] == made


def test_items_are_kept_as_they_were_given(stage: Any) -> None:
    items = [{"a": 1}, [2], None] * 2000
    shown = post(stage, count=None, items=items, task="echo", params={})
    assert shown["spec"]["items"]["count"] == 6000
    assert Comparisons(stage.redis).items(shown["id"]) == items
    assert Comparisons(stage.redis).items(post(stage)["id"]) is None


def test_the_list_is_newest_first_in_pages_and_filtered(stage: Any) -> None:
    ids = [post(stage, seed=n)["id"] for n in range(5)][::-1]
    page = stage.get(f"{PATH}?limit=2")
    assert [each["id"] for each in page["comparisons"]] == ids[:2]
    response = stage.http.get(f"{PATH}?limit=2&cursor={page['next']}")
    assert 'rel="next"' in response.headers["Link"]
    rest = response.get_json()
    assert [each["id"] for each in rest["comparisons"]] == ids[2:4]
    last = stage.get(f"{PATH}?limit=2&cursor={rest['next']}")
    assert ([each["id"] for each in last["comparisons"]], last["next"]) == (ids[4:], None)
    assert stage.get(f"{PATH}?state=running")["comparisons"] == []
    assert stage.get(f"{PATH}?task=cpu")["comparisons"] == []
    assert len(stage.get(f"{PATH}?task=sleep&state=queued")["comparisons"]) == 5
    text = stage.http.get("/metrics").text
    assert "\nbatchpool_comparisons 5.0\n" in text and "\nbatchpool_comparisons_kept 5.0\n" in text


def test_a_queued_comparison_is_cancelled_at_once_and_can_be_deleted(stage: Any) -> None:
    before = set(stage.redis.keys("*"))
    path = f"{PATH}/{post(stage)['id']}"
    refusal(stage.http.delete(path), 409)
    cancelled = stage.http.post(path + "/cancel")
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (202, "cancelled")
    assert cancelled.get_json()["conclusion"] == ["Cancelled after 0 of 32 runs: no verdict."]
    refusal(stage.http.post(path + "/cancel"), 409)
    assert all(stage.redis.pttl(key) > 0 for key in stage.redis.scan_iter("bp:cmp:*"))
    assert stage.http.delete(path).status_code == 204
    refusal(stage.http.get(path), 404)
    refusal(stage.http.delete(path), 404)
    refusal(stage.http.post(path + "/cancel"), 404)
    assert set(stage.redis.keys("*")) - before == set()


def test_a_key_is_one_comparison_and_another_body_a_conflict(stage: Any) -> None:
    headers = {"Idempotency-Key": "once"}
    answers = [stage.http.post(PATH, json=REQUEST, headers=headers) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.get_json()["id"] for answer in answers}) == 1
    other = stage.http.post(PATH, json=REQUEST | {"rounds": 11}, headers=headers)
    assert "another body" in refusal(other, 409)["detail"]
    assert len(stage.get(PATH)["comparisons"]) == 1


def test_as_many_may_wait_as_the_setting_says(stage: Any) -> None:
    for seed in range(50):
        post(stage, seed=seed)
    problem = refusal(stage.http.post(PATH, json=REQUEST), 429)
    assert "at most 50 can" in problem["detail"]


def test_a_comparison_that_would_take_too_long_is_refused_with_the_estimate(stage: Any) -> None:
    problem = post(stage, 422, params={"seconds": 60})
    (error,) = problem["errors"]
    # Alone 21 runs of 8 minutes each, and 11 of two.
    assert f"at least {21 * 480 + 11 * 120} s; it can take at most 7200 s" in error["message"]


def test_the_duration_is_estimated_from_earlier_jobs(stage: Any) -> None:
    job_id = stage.post(task="echo", count=4)["id"]
    stage.run(job_id)
    batch = keys.batch_key(job_id, 0)
    tally = json.loads(stage.redis.hget(batch, "tally"))
    stage.redis.hset(batch, "tally", json.dumps(tally | {"cpu_s": 4 * 100.0}))
    problem = post(stage, 422, task="echo", params={})
    assert "would take at least" in problem["errors"][0]["message"]


def test_a_comparison_ends_as_too_long_once_it_is_known(stage: Any) -> None:
    shown = post(stage)
    short = SETTINGS_FOR_TESTS | {"BATCHPOOL_COMPARISON_MAX_S": "1"}
    driver = Driver(stage.redis, ReconcilerSettings.from_env(short))
    driver.run_step()
    stage.redis.hincrby(keys.comparison_key(shown["id"]), "started_ms", -2000)
    stage.until(lambda: driver.run_step() is not None and _ended(stage, shown["id"]))
    ended = stage.get(f"{PATH}/{shown['id']}")
    assert (ended["state"], ended["error"]["type"]) == ("failed", "too_long")
    assert "it can take at most 1 s" in ended["error"]["message"]


def _ended(stage: Any, comparison_id: str) -> bool:
    state: str = stage.get(f"{PATH}/{comparison_id}")["state"]
    return state in ("failed", "succeeded", "cancelled")


def test_a_wait_ends_with_the_comparison_and_not_before(stage: Any) -> None:
    path = f"{PATH}/{post(stage)['id']}"
    began = time.monotonic()
    assert stage.get(path + "?wait=0.3")["state"] == "queued"
    assert time.monotonic() - began >= 0.3
    stage.http.post(path + "/cancel")
    assert stage.get(path + "?wait=30")["state"] == "cancelled"


def test_events_are_snapshots_that_end_with_the_comparison(stage: Any) -> None:
    path = f"{PATH}/{post(stage)['id']}"
    stage.http.post(path + "/cancel")
    text = stage.http.get(path + "/events").text
    kinds = [line.removeprefix("event: ") for line in text.splitlines() if "event:" in line]
    assert kinds == ["comparison", "end"]
    last = [line.removeprefix("data: ") for line in text.splitlines() if "data:" in line][-1]
    assert json.loads(last)["state"] == "cancelled"
    newest = [line.removeprefix("id: ") for line in text.splitlines() if "id:" in line][-1]
    again = stage.http.get(path + "/events", headers={"Last-Event-ID": newest}).text
    assert again.count("event:") == 1


@pytest.mark.parametrize("form", ["markdown", "csv", "hyperfine", "card"])
def test_without_results_there_is_nothing_to_export(stage: Any, form: str) -> None:
    path = f"{PATH}/{post(stage)['id']}"
    assert "format=json" in refusal(stage.http.get(f"{path}?format={form}"), 409)["detail"]


@pytest.mark.parametrize(
    "query", ["?format=xml", "?wait=soon", "?limit=1", "/events?x=1", "?format=csv&wait=-1"]
)
def test_a_wrong_parameter_is_422(stage: Any, query: str) -> None:
    path = f"{PATH}/{post(stage)['id']}"
    assert refusal(stage.http.get(path + query), 422)["errors"]


@pytest.mark.parametrize("name", ["0123456789abcdef01234567", "x", "leader", "a:0", ".."])
@pytest.mark.parametrize("what", ["", "/events"])
def test_an_unknown_comparison_is_404(stage: Any, name: str, what: str) -> None:
    refusal(stage.http.get(f"{PATH}/{name}{what}"), 404)


def test_without_any_worker_ever_it_is_503(bare: Any) -> None:
    assert (
        "no worker has been seen yet" in refusal(bare.http.post(PATH, json=REQUEST), 503)["detail"]
    )


def test_answers_are_as_described(stage: Any) -> None:
    document = stage.get("/openapi.json")

    def check(name: str, value: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        assert [error.message for error in Draft202012Validator(schema).iter_errors(value)] == []

    shown = post(stage)
    check("Comparison", shown)
    check("ComparisonPage", stage.get(PATH))
    check("ComparisonRequest", REQUEST)
    grid = {"backend": ["thread-pool"], "concurrency": [1, 2]}
    check("ComparisonRequest", {"task": "echo", "items": [1], "grid": grid})
    stage.http.post(f"{PATH}/{shown['id']}/cancel")
    check("Comparison", stage.get(f"{PATH}/{shown['id']}"))
    schema = {
        "$ref": "#/components/schemas/ComparisonRequest",
        "components": document["components"],
    }
    judge = Draft202012Validator(schema)
    for wrong in (
        {"task": "echo", "count": 1},
        REQUEST | {"grid": grid},
        REQUEST | {"items": [1]},
        REQUEST | {"arms": ARMS[:1]},
        REQUEST | {"arms": [{"backend": "?"}, ARMS[0]]},
    ):
        assert not judge.is_valid(wrong), wrong


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
BACKENDS = st.sampled_from(["sequential", "process-pool", "asyncio", "thread-pool", "?", 1, None])
ARM = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | st.text(max_size=4) | st.just("x" * 100),
        "backend": BACKENDS,
        "concurrency": st.none() | st.integers(-1, 300) | JSON_VALUES,
        "batches": st.integers(0, 5) | st.just(10**30) | JSON_VALUES,
        "dispatch": st.sampled_from([None, "map", "submit", 5]),
        "chunksize": st.none() | st.integers(0, 5),
        "start_method": st.sampled_from([None, "fork", "x", []]),
        "pool": st.sampled_from([None, "warm", "fresh", {}]),
        "shared_sum": st.sampled_from(["none", "racy", None]),
        "speed": JSON_VALUES,
    },
)
GOOD_VALUES = {
    "task": st.sampled_from(["sleep", "echo", "cpu", "stream", "nope"]),
    "params": st.just({}) | st.just({"seconds": 0.1}),
    "count": st.integers(1, 20) | st.none() | st.just(10**30),
    "items": st.none() | st.lists(JSON_VALUES, max_size=4),
    "arms": st.none() | st.lists(ARM | JSON_VALUES, max_size=4) | st.just(ARMS),
    "grid": st.none()
    | st.fixed_dictionaries(
        {},
        optional={
            "backend": st.lists(BACKENDS | JSON_VALUES, max_size=3),
            "concurrency": st.lists(st.integers(-1, 9) | JSON_VALUES, max_size=3),
            "batches": st.lists(st.integers(0, 3) | JSON_VALUES, max_size=3),
            "pool": st.lists(st.sampled_from(["warm", "fresh", None, []]), max_size=2),
            "in_flight": st.integers(0, 8) | JSON_VALUES,
        },
    ),
    "rounds": st.integers(-1, 30) | st.just(10**30),
    "warmup": st.integers(-1, 7),
    "seed": st.none() | st.integers(-1, 2**60),
    "reference": st.none() | st.integers(-2, 5) | st.text(max_size=5) | st.just("sequential"),
    "min_effect": st.floats() | st.integers(-1, 2),
    "timeout_s": st.floats() | st.integers(),
    "labels": st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
}
BODIES = st.fixed_dictionaries(
    {}, optional={name: values | JSON_VALUES for name, values in GOOD_VALUES.items()}
)
LIKELY = st.builds(
    lambda changes: REQUEST | {"rounds": 10} | changes,
    st.fixed_dictionaries(
        {}, optional={name: values for name, values in GOOD_VALUES.items() if name != "grid"}
    ),
) | st.builds(
    lambda grid, changes: {"task": "echo", "count": 3, "grid": grid} | changes,
    GOOD_VALUES["grid"],
    st.fixed_dictionaries({}, optional={"rounds": st.integers(1, 12)}),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | LIKELY | JSON_VALUES)
def test_any_json_is_accepted_or_refused_and_never_fails(stage: Any, body: Any) -> None:
    data = json.dumps(body)
    response = stage.http.post(PATH, data=data, content_type="application/json")
    if response.status_code == 202:
        shown = response.get_json()
        assert stage.get(f"{PATH}/{shown['id']}") | {"timing": 0} == shown | {"timing": 0}
        stage.http.post(f"{PATH}/{shown['id']}/cancel")
    else:
        problem = refusal(response, response.status_code)
        assert response.status_code in (400, 422), problem
        assert len(problem.get("errors", ())) <= 20


BULKY: dict[str, Callable[[], bytes]] = {
    "unknown fields": lambda: b"{%s}" % numbered_fields(),
    "many arms": lambda: b'{"task":"sleep","count":1,"arms":[%s]}' % repeated(b"{}", 300_000),
    "a bulky arm": lambda: b'{"task":"sleep","count":1,"arms":[{},{%s}]}' % numbered_fields(),
    "a long axis": lambda: (
        b'{"task":"sleep","count":1,"grid":{"backend":[%s]}}' % repeated(b'"sequential"', 70_000)
    ),
    "a long value": lambda: (
        b'{"task":"sleep","count":1,"grid":{"backend":["%s"]}}' % (b"x" * 1_000_000)
    ),
    "a long name": lambda: (
        b'{"task":"sleep","count":1,"arms":[{"name":"%s"},{}]}' % (b"x" * 1_000_000)
    ),
    "seven axes": lambda: json.dumps(
        {
            "task": "sleep",
            "count": 1,
            "grid": {
                "backend": ["process-pool"] * 20,
                **{name: list(range(1, 21)) for name in ("concurrency", "batches", "chunksize")},
                "start_method": ["fork"] * 20,
                "pool": ["warm"] * 20,
                "dispatch": ["map"] * 20,
            },
        }
    ).encode(),
}


@pytest.mark.parametrize("kind", BULKY)
def test_a_refused_megabyte_takes_little_time(stage: Any, kind: str) -> None:
    http, body = stage.http, BULKY[kind]()
    took = []
    for _ in range(5):
        began = time.thread_time()
        response = http.post(PATH, data=body, content_type="application/json")
        took.append(time.thread_time() - began)
        problem = refusal(response, response.status_code)
        assert response.status_code == 422
        assert len(problem["errors"]) <= 20
        assert len(response.data) < 20_000
    check_time(f"CPU of refusing {kind}", min(took), 0.1)
