"""Reducers in the job document: partial while it runs, whole at its end, each job with its own."""

import random
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from batchpool.comparisons.readability import quarantine_of
from batchpool.ledger import keys
from batchpool.model import Outcome
from batchpool.reducers.reducer import STATE_BYTES
from tests.support.stack_processes import StackProcesses

ITEMS = [{"score": at % 7 / 4, "kind": "ab"[at % 2]} for at in range(20)]
SCORES = [item["score"] for item in ITEMS]
REDUCE = {
    "all": {"op": "count"},
    "scores": {"op": "sum", "of": "/score"},
    "mean": {"op": "mean", "of": "/score"},
    "spread": {"op": "variance", "of": "/score"},
    "least": {"op": "min", "of": "/score"},
    "most": {"op": "max", "of": "/score"},
    "best": {"op": "top", "of": "/score", "k": 3},
    "bins": {"op": "histogram", "of": "/score", "low": 0, "high": 1, "bins": 2},
    "kinds": {"op": "count_values", "of": "/kind"},
    "wrong": {"op": "mean", "of": "/kind"},
}
NOTHING = {"count": 0, "first_index": None}


def shuffled(found: list[Outcome]) -> Iterable[Sequence[Outcome]]:
    """In blocks of 3, in no order."""
    random.Random(1).shuffle(found)
    return [found[at : at + 3] for at in range(0, len(found), 3)]


def values(job: dict[str, Any]) -> dict[str, Any]:
    return {name: found["value"] for name, found in job["reduced"].items()}


def pair(index: int) -> dict[str, Any]:
    return {"value": SCORES[index], "index": index}


EXPECTED = {
    "all": 20,
    "scores": sum(SCORES),
    "mean": statistics.mean(SCORES),
    "spread": statistics.variance(SCORES),
    "least": pair(0),
    "most": pair(6),
    "best": [pair(6), pair(13), pair(5)],
    "bins": {
        "bounds": [0, 0.5, 1],
        "counts": [sum(x < 0.5 for x in SCORES), sum(0.5 <= x <= 1 for x in SCORES)],
        "below": 0,
        "above": sum(x > 1 for x in SCORES),
    },
    "kinds": [{"value": "a", "count": 10}, {"value": "b", "count": 10}],
    "wrong": None,
}


def test_batches_are_merged_when_the_job_is_read(stage: Any) -> None:
    made = stage.post(task="echo", items=ITEMS, batches=3, reduce=REDUCE)
    assert made["spec"]["reduce"] == {
        name: {"of": "", **reducer} for name, reducer in REDUCE.items()
    }
    assert values(made)["all"] == 0 and values(made)["most"] is None
    path = f"/v1/jobs/{made['id']}"
    stage.run(made["id"], 1, order=shuffled)
    partial = stage.get(path)
    assert values(partial)["all"] == 7 == partial["progress"]["succeeded"]
    assert values(partial)["best"][0] == pair(13)
    for batch in (2, 0):
        stage.run(made["id"], batch, order=shuffled)
    job = stage.get(path)
    assert values(job) == EXPECTED
    assert job["reduced"]["wrong"]["skipped"] == {"count": 20, "first_index": 0}
    assert all(
        found["skipped"] == NOTHING for name, found in job["reduced"].items() if name != "wrong"
    )
    # A list does not show it.
    (listed,) = stage.get("/v1/jobs?limit=1")["jobs"]
    assert "reduced" not in listed and listed["spec"] == job["spec"]


def test_failed_items_are_not_counted_and_a_retry_has_its_own(stage: Any) -> None:
    reduce = {"all": {"op": "count"}, "most": {"op": "max"}}
    first = stage.post(task="echo", items=[5, 6, 7, 8], reduce=reduce)["id"]
    stage.run(first, fail=frozenset([1, 3]))
    assert values(stage.get(f"/v1/jobs/{first}")) == {"all": 2, "most": {"value": 7, "index": 2}}
    again = stage.http.post(f"/v1/jobs/{first}/retry").get_json()["id"]
    stage.run(again)
    assert values(stage.get(f"/v1/jobs/{again}")) == {"all": 2, "most": {"value": 8, "index": 1}}
    assert values(stage.get(f"/v1/jobs/{first}")) == {"all": 2, "most": {"value": 7, "index": 2}}


def test_a_state_that_cannot_be_read_is_a_broken_job(stage: Any) -> None:
    made = stage.post(task="echo", items=[1, 2], reduce={"all": {"op": "mean"}})["id"]
    stage.run(made)
    stage.redis.hset(keys.batch_key(made, 0) + ":reduced", "all", b"\xc1")
    stage.get(f"/v1/jobs/{made}", 404)
    (datum,) = stage.get("/v1/broken")["broken"]
    assert datum["key"] == keys.job_key(made)


WAYS: list[dict[str, Any]] = [
    {"backend": "sequential"},
    {"backend": "thread-pool", "concurrency": 3},
    {"backend": "process-pool", "concurrency": 2, "start_method": "fork"},
    {"backend": "asyncio", "concurrency": 4},
    {"backend": "auto"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way["backend"])
def test_every_backend_comes_to_the_same(shared_crew: StackProcesses, way: dict[str, Any]) -> None:
    assert values(shared_crew.run(task="echo", items=ITEMS, batches=2, reduce=REDUCE, **way)) == (
        EXPECTED
    )


def test_memory_for_states_is_kept_free_until_their_batch_ends(stage: Any) -> None:
    def post(kinds: int, status: int) -> Any:
        reduce = {f"n{at}": {"op": "count_values"} for at in range(kinds)}
        body = {"task": "echo", "count": 12, "batches": 12, "reduce": reduce}
        answer = stage.http.post("/v1/jobs", json=body)
        assert answer.status_code == status, answer.text
        return answer.get_json()

    def reserved() -> int:
        return int(stage.redis.hget(keys.COUNTS, "reducer_bytes") or 0)

    room = 10 << 20
    used = stage.redis.info("memory")["used_memory"]
    stage.redis.config_set("maxmemory", int((used + room) / 0.85))
    try:
        first = post(10, 202)["id"]
        assert reserved() == 12 * 10 * STATE_BYTES
        refused = post(10, 507)["detail"]
        assert (
            f" ({12 * 10 * STATE_BYTES} of them for its reducers); jobs can use at most" in refused
        )
        assert post(0, 202)
        for batch in range(12):
            stage.run(first, batch)
            assert reserved() == (11 - batch) * 10 * STATE_BYTES
        second = post(10, 202)["id"]
    finally:
        stage.redis.config_set("maxmemory", 0)
    stage.redis.hset(keys.COUNTS, "reducer_bytes", 7)
    quarantine_of(stage.redis, 10).rebuild()
    assert reserved() == 12 * 10 * STATE_BYTES
    stage.http.post(f"/v1/jobs/{second}/cancel")
    assert reserved() == 0
