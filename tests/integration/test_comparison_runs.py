"""Comparisons on a real stack: verdicts, disturbed runs, failed arms, cancelled ones."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchpool.ledger import keys
from tests.support.stack_processes import TERMINAL, StackProcesses
from tests.support.waiting import check_time, wait_until

TASKS = str(Path(__file__).parent / "tasks")
PATH = "/v1/comparisons"
WITHIN_S = 90
SEQUENTIAL = {"backend": "sequential"}
ORDER: dict[str, Any] = {
    "task": "sleep",
    "params": {"seconds": 0.05},
    "count": 4,
    "arms": [SEQUENTIAL, {"backend": "thread-pool", "concurrency": 4}],
    "rounds": 6,
}
RUNS = 2 + 3 * 6


@pytest.fixture(scope="module")
def crew_environ() -> dict[str, str]:
    # A long lease: a machine that is too busy for a heartbeat must not disturb a run.
    return {"BATCHPOOL_TASKS_DIR": TASKS, "BATCHPOOL_LEASE_S": "20"}


@pytest.fixture(scope="module")
def kept(shared_crew: StackProcesses) -> StackProcesses:
    shared_crew.start("batchpool.reconciler")
    return shared_crew


@pytest.fixture
def one(kept: StackProcesses) -> Iterator[StackProcesses]:
    """A reconciler and one worker, and no comparison of another test."""
    yield kept
    for each in kept.stage.get(PATH)["comparisons"]:
        # A test that failed may leave one that runs.
        kept.stage.http.post(f"{PATH}/{each['id']}/cancel")
        finish(kept, each["id"])
        assert kept.stage.http.delete(f"{PATH}/{each['id']}").status_code == 204
    wait_until(lambda: not any("~" in name for name in classes(kept)), 10, "the worker is home")


@pytest.fixture
def two(crew: StackProcesses) -> StackProcesses:
    """A reconciler and two workers of the test's own."""
    crew.start("batchpool.reconciler")
    crew.start_workers(2)
    return crew


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """While this file exists, tasks named `held` do not end."""
    return tmp_path / "hold"


def blocked_run(crew: StackProcesses, name: str, hold: Path) -> str:
    """The job of some run of the rounds that does not end until `hold` is removed."""
    wait_for(crew, name, lambda seen: seen["progress"]["done"] >= 3)
    hold.touch()
    running_job(crew, name)
    # A run that was about to end when the file appeared has ended by now, or waits for it.
    time.sleep(0.3)
    return running_job(crew, name)


def running_job(crew: StackProcesses, name: str) -> str:
    """The job of the run under way; its id is known a moment before the job is there."""

    def running() -> str | None:
        job_id: str | None = look(crew, name)["progress"]["job"]
        raw = crew.stage.http.get(f"/v1/jobs/{job_id}") if job_id else None
        is_running = raw is not None and raw.get_json().get("progress", {}).get("running")
        return job_id if is_running else None

    found: str = wait_until(running, WITHIN_S, "a run is under way")
    return found


def post(crew: StackProcesses, **change: Any) -> str:
    response = crew.stage.http.post(PATH, json=ORDER | change)
    assert response.status_code == 202, response.text
    found: str = response.get_json()["id"]
    return found


def look(crew: StackProcesses, name: str) -> dict[str, Any]:
    found: dict[str, Any] = crew.stage.get(f"{PATH}/{name}")
    return found


def wait_for(
    crew: StackProcesses, name: str, test: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    def seen() -> dict[str, Any] | None:
        found = look(crew, name)
        return found if test(found) else None

    found: dict[str, Any] = wait_until(seen, WITHIN_S, "the comparison came so far")
    return found


def finish(crew: StackProcesses, name: str) -> dict[str, Any]:
    return wait_for(crew, name, lambda seen: seen["state"] in TERMINAL)


def classes(crew: StackProcesses) -> set[str]:
    return {worker["class"] for worker in crew.stage.get("/v1/workers")["workers"]}


def test_arms_get_verdicts_from_interleaved_runs_and_nothing_is_left(one: StackProcesses) -> None:
    (home,) = classes(one)
    ended = finish(one, post(one))
    assert ended["state"] == "succeeded", ended["error"]
    assert [sample["run"] for sample in ended["samples"]] == list(range(RUNS))
    assert ended["progress"] | {"done": RUNS, "disturbed": 0} == ended["progress"]
    sequential, pool = ended["arms"]
    assert (sequential["rounds"], pool["rounds"]) == (6, 6)
    # Four waits at once take about a quarter. On a machine that is too busy there may be no
    # verdict, with the reason, but never another one.
    assert pool["verdict"] == "faster" or (pool["verdict"] is None and pool["why"])
    assert pool["speedup"]["value"] > 2 or pool["verdict"] is None
    assert ended["conclusion"]
    assert ended["environment"]["workers"] and ended["environment"]["load_1m"] is not None
    job = one.stage.get(f"/v1/jobs/{ended['samples'][5]['job_id']}")
    assert job["spec"]["comparison"]["id"] == ended["id"] and job["spec"]["measure"]
    wait_until(lambda: classes(one) == {home}, 10, "the worker is home")
    assert not one.redis.exists(keys.RESERVED, keys.slots_key(ended["id"]), keys.LEADER)
    assert [name for name in one.redis.scan_iter("rq:*") if b"~" in name] == []
    assert not any(b"~" in name for name in one.redis.smembers("rq:queues"))
    assert all(one.redis.pttl(key) > 0 for key in one.redis.scan_iter("bp:cmp:*"))
    page = one.stage.http.get(f"/comparisons/{ended['id']}", headers={"Accept": "text/html"}).text
    # Each chart is drawn twice: for wide and for narrow pages.
    assert page.count('class="mark"') == 2 * (2 if pool["verdict"] else 1)
    report = one.stage.http.get(f"{PATH}/{ended['id']}/report", headers={"Accept": "text/html"})
    assert "One run of each arm, on one time axis" in report.text
    # Four items on each arm: on one lane, and on up to four.
    chart = one.stage.http.get(f"{PATH}/{ended['id']}/report?chart=timelines").text
    assert chart.count("<style>") == 1 and 2 <= chart.count('class="wall"') <= 5
    for form in ("markdown", "csv", "hyperfine", "card"):
        text = one.stage.http.get(f"{PATH}/{ended['id']}?format={form}").text
        assert "thread-pool 4" in text
    accepted = one.stage.http.get(f"{PATH}/{ended['id']}", headers={"Accept": "text/csv"})
    assert accepted.mimetype == "text/csv" and len(accepted.text.splitlines()) == 1 + 18
    document = one.stage.get("/openapi.json")
    check(document, ended)
    assert one.stage.http.delete(f"{PATH}/{ended['id']}").status_code == 204
    assert list(one.redis.scan_iter("bp:job:*")) == list(one.redis.scan_iter("bp:cmp:*")) == []
    assert not one.redis.exists(keys.COMPARISONS, keys.COMPARING, keys.JOBS, keys.FINISHED)


def check(document: dict[str, Any], shown: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/Comparison", "components": document["components"]}
    assert [error.message for error in Draft202012Validator(schema).iter_errors(shown)] == []


def test_each_run_has_events(one: StackProcesses) -> None:
    name = post(one)
    text = one.stage.http.get(f"{PATH}/{name}/events").text
    received = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    done = [each["progress"]["done"] for each in received]
    assert done == sorted(done) and len(set(done)) > 3
    assert received[-1]["state"] == "succeeded"


def test_a_foreign_batch_on_the_host_disturbs_a_run_that_is_repeated(
    two: StackProcesses, hold: Path
) -> None:
    name = post(two, task="held", params={"path": str(hold), "seconds": 0.02})
    job_id = blocked_run(two, name, hold)
    two.run(task="echo", count=1)
    hold.unlink()
    ended = finish(two, name)
    assert ended["state"] == "succeeded"
    (disturbed,) = [sample for sample in ended["samples"] if sample["disturbed"]]
    assert disturbed["job_id"] == job_id
    assert "1 batch of other jobs started" in disturbed["disturbed"]
    again = [s for s in ended["samples"] if s["run"] == disturbed["run"]]
    assert [sample["attempt"] for sample in again] == [1, 2]
    assert [arm["rounds"] for arm in ended["arms"]] == [6, 6]


@pytest.mark.full
def test_no_run_starts_while_a_foreign_batch_runs_on_the_host(
    two: StackProcesses, hold: Path
) -> None:
    hold.touch()
    other = two.stage.post(task="held", params={"path": str(hold)}, count=1)["id"]
    two.wait_running(other)
    name = post(two)
    waiting = wait_for(two, name, lambda seen: other in str(seen["progress"]["waits_for"]))
    assert waiting["samples"] == []
    hold.unlink()
    ended = finish(two, name)
    assert (ended["state"], ended["progress"]["disturbed"]) == ("succeeded", 0)
    last = two.stage.get(f"/v1/jobs/{other}")["timing"]["finished_at"]
    first = two.stage.get(f"/v1/jobs/{ended['samples'][0]['job_id']}")["timing"]["submitted_at"]
    assert last <= first


@pytest.mark.full
def test_an_arm_of_two_batches_waits_for_two_idle_workers(two: StackProcesses, hold: Path) -> None:
    hold.touch()
    other = two.stage.post(task="held", params={"path": str(hold)}, count=1)["id"]
    two.wait_running(other)
    arms = [SEQUENTIAL, SEQUENTIAL | {"batches": 2}]
    name = post(two, arms=arms)
    waits = "2 idle workers (1 of 2 reserved)"
    wait_for(two, name, lambda seen: seen["progress"]["waits_for"] == waits)
    hold.unlink()
    ended = finish(two, name)
    assert ended["state"] == "succeeded"
    wide = [sample for sample in ended["samples"] if sample["arm"] == 1]
    jobs = [two.stage.get(f"/v1/jobs/{sample['job_id']}") for sample in wide]
    assert all(job["workers_total"] == 2 for job in jobs)
    assert len({tuple(job["workers"]) for job in jobs}) == 1


def test_an_arm_whose_tasks_fail_has_no_verdict_and_the_others_continue(
    one: StackProcesses,
) -> None:
    arms = [SEQUENTIAL, {"backend": "threading", "concurrency": 2}, SEQUENTIAL | {"name": "b"}]
    ended = finish(one, post(one, task="picky", params={}, arms=arms, rounds=7))
    assert ended["state"] == "succeeded"
    failed = [sample for sample in ended["samples"] if sample["arm"] == 1]
    assert len(failed) == 1 and "4 failed" in failed[0]["error"]
    assert ended["arms"][1]["verdict"] is None and ended["arms"][1]["why"]
    assert ended["arms"][2]["rounds"] == 7
    assert list(ended["progress"]["failed_arms"]) == ["threading 2"]


def test_a_task_that_fails_everywhere_ends_it_as_failed(one: StackProcesses) -> None:
    arms = [{"backend": "threading", "concurrency": n} for n in (1, 2)]
    ended = finish(one, post(one, task="picky", params={}, arms=arms))
    assert (ended["state"], ended["error"]["type"]) == ("failed", "no_arm_succeeded")
    assert len(ended["samples"]) == 3  # alone, and a warm-up of each


def test_a_cancel_ends_the_run_under_way_and_releases_the_workers(one: StackProcesses) -> None:
    (home,) = classes(one)
    name = post(one, params={"seconds": 30}, arms=[SEQUENTIAL | {"name": n} for n in "ab"])
    job_id = running_job(one, name)
    assert one.stage.http.post(f"{PATH}/{name}/cancel").status_code == 202
    asked = time.monotonic()
    ended = finish(one, name)
    check_time("a cancel", time.monotonic() - asked, 2)
    assert ended["state"] == "cancelled" and "no verdict" in ended["conclusion"][0]
    job = one.finish(job_id, 10)
    assert job["state"] == "cancelled"
    wait_until(lambda: classes(one) == {home}, 10, "the worker is home")
    assert one.stage.http.delete(f"{PATH}/{name}").status_code == 204
    assert list(one.redis.scan_iter("bp:job:*")) == list(one.redis.scan_iter("bp:cmp:*")) == []


def test_a_run_whose_job_is_cancelled_is_repeated(one: StackProcesses, hold: Path) -> None:
    name = post(one, task="held", params={"path": str(hold), "seconds": 0.02})
    job_id = blocked_run(one, name, hold)
    assert one.stage.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    one.finish(job_id)
    hold.unlink()
    ended = finish(one, name)
    assert ended["state"] == "succeeded"
    (disturbed,) = [sample for sample in ended["samples"] if sample["disturbed"]]
    assert (disturbed["job_id"], disturbed["disturbed"]) == (job_id, "its job was cancelled")
    assert [arm["rounds"] for arm in ended["arms"]] == [6, 6]


def test_comparisons_run_one_after_the_other_in_their_order(one: StackProcesses) -> None:
    names = [post(one, seed=seed) for seed in range(2)]
    wait_for(one, names[0], lambda seen: seen["state"] == "running")
    assert look(one, names[1])["progress"]["waits_for"] == "its turn"
    first, second = (finish(one, name) for name in names)
    assert first["timing"]["finished_at"] <= second["timing"]["started_at"]
    assert second["state"] == "succeeded"
