"""Real workers and the real reconciler as processes: jobs run, and go on when processes die."""

import os
import signal
from typing import Any

import pytest

from batchpool.system.process_tree import descendants, is_alive
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until


def runner_of(job: dict[str, Any]) -> int:
    """The process that runs, or ran, the first batch of a job."""
    return int(job["batches"][0]["epochs"][-1]["pid"])


@pytest.mark.alone
def test_auto_says_over_http_what_it_chose_and_why(crew: StackProcesses) -> None:
    crew.start_workers(1)
    for remembered in (False, True):
        job = crew.run(task="sleep", params={"seconds": 0.05}, count=64, backend="auto")
        assert (job["state"], job["sum"]) == ("succeeded", sum(range(64)))
        chosen = job["batches"][0]["chosen"]
        assert chosen["backend"] in ("asyncio", "thread-pool")
        assert chosen["concurrency"] == job["batches"][0]["effective_concurrency"] > 4
        assert chosen["measured"]["remembered"] == remembered
        # On a busy machine the first items seem to compute, until it is seen that nothing does.
        assert "it waits" in chosen["why"] or "CPUs were used" in chosen["why"]


def test_a_cancel_in_mid_probe_ends_what_runs(shared_crew: StackProcesses) -> None:
    how = {"task": "sleep", "params": {"seconds": 60}, "backend": "auto"}
    job_id = shared_crew.stage.post(count=50, **how)["id"]
    before = runner_of(shared_crew.wait_running(job_id))
    shared_crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    assert shared_crew.finish(job_id, 10)["state"] == "cancelled"
    wait_until(lambda: not is_alive(before), 5, "the runner is gone")


def test_what_a_shared_global_saw_is_reported_per_batch(shared_crew: StackProcesses) -> None:
    how = {"task": "echo", "count": 5, "shared_sum": "global", "concurrency": 2}
    assert shared_crew.run(backend="thread-pool", **how)["shared_sum"] == {
        "strategy": "global",
        "observed": [10],
        "lost": 0,
        "partial": False,
    }
    processes = shared_crew.run(backend="process-pool", **how)["shared_sum"]
    assert processes["observed"] == [0] and processes["lost"] == 10


def test_a_pool_that_waits_for_the_next_batch_is_shown_with_its_children(
    crew: StackProcesses,
) -> None:
    crew.start_workers(1)

    def warm() -> Any:
        (worker,) = crew.stage.get("/v1/workers")["workers"]
        return worker["warm"]

    assert warm() == []
    crew.run(task="echo", count=4, backend="process-pool", concurrency=2, start_method="spawn")
    wait_until(lambda: warm() != [], 10, "the pool is announced")
    (pool,) = warm()
    assert (pool["start_method"], pool["children"]) == ("spawn", 2)
    assert len(pool["pids"]) == 2 and all(map(is_alive, pool["pids"]))


@pytest.mark.full
@pytest.mark.parametrize("backend", ["process-pool", *full("thread-pool")])
def test_a_worker_killed_in_mid_batch_costs_no_item(crew: StackProcesses, backend: str) -> None:
    lease = {"BATCHPOOL_LEASE_S": "3"}
    crew.start("batchpool.reconciler", **lease)
    crew.start_workers(2, **lease)
    job_id = crew.stage.post(
        task="sleep", params={"seconds": 0.2}, count=60, backend=backend, concurrency=2
    )["id"]
    running = crew.wait_running(job_id, recorded=4)
    (epoch,) = running["batches"][0]["epochs"]
    below = descendants(epoch["ppid"])
    os.kill(epoch["ppid"], signal.SIGKILL)
    (dead,) = [member for member in crew.members if member.pid == epoch["ppid"]]
    assert dead.wait(5) == -signal.SIGKILL
    wait_until(lambda: not any(map(is_alive, below)), 2, "its processes died with it")
    job = crew.finish(job_id, 40)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(60))
    assert len(job["batches"][0]["epochs"]) == 2
    assert [record["index"] for record in crew.records(job_id)] == list(range(60))


def test_a_killed_worker_comes_back_at_once_under_its_name(crew: StackProcesses) -> None:
    """A container that is started again has the same host name, and its worker the same PID."""
    for _ in range(2):
        (worker,) = crew.start_workers(1, BATCHPOOL_WORKER_NAME="host-7")
        assert crew.run(task="echo", count=3)["workers"] == ["host-7"]
        worker.kill()
        worker.wait(5)
        crew.members.remove(worker)


def test_a_killed_runner_is_replaced_and_no_item_is_blamed(shared_crew: StackProcesses) -> None:
    job_id = shared_crew.stage.post(
        task="sleep", params={"seconds": 0.2}, count=20, backend="thread-pool", concurrency=4
    )["id"]
    os.kill(runner_of(shared_crew.wait_running(job_id, recorded=4)), signal.SIGKILL)
    job = shared_crew.finish(job_id)
    assert job["state"] == "succeeded" and job["sum"] == 190
    assert job["batches"][0]["epochs"][0]["end_reason"] == "crashed"


def test_a_task_that_ends_its_process_is_given_up_and_its_neighbours_are_run(
    shared_crew: StackProcesses,
) -> None:
    job = shared_crew.run(
        task="crash",
        params={"how": "segfault", "item": 3},
        count=8,
        backend="threading",
        concurrency=4,
    )
    assert job["state"] == "failed"
    assert job["progress"]["succeeded"] == 7 and job["progress"]["crashed"] == 1
    (bad,) = [record for record in shared_crew.records(job["id"]) if record["state"] == "crashed"]
    assert bad["index"] == 3 and "SIGSEGV" in bad["error"]["message"]
    assert shared_crew.run(task="echo", count=3)["state"] == "succeeded"


def test_a_cancel_ends_what_runs_within_two_seconds(shared_crew: StackProcesses) -> None:
    how = {"task": "sleep", "params": {"seconds": 30}, "concurrency": 4}
    job_id = shared_crew.stage.post(count=4, **how)["id"]
    runner = runner_of(shared_crew.wait_running(job_id))
    assert shared_crew.stage.http.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
    wait_until(lambda: not is_alive(runner), 2, "the runner of the cancelled job is gone")
    job = shared_crew.finish(job_id, 2)
    assert job["state"] == "cancelled" and job["progress"]["cancelled"] == 4


def test_a_job_past_its_limit_ends_as_failed_with_its_items_timed_out(
    shared_crew: StackProcesses,
) -> None:
    job = shared_crew.run(
        task="sleep", params={"seconds": 30}, count=3, backend="sequential", timeout_s=1, within_s=4
    )
    assert job["state"] == "failed" and job["error"]["type"] == "timeout"
    assert job["progress"]["timeout"] == 3


def test_sigterm_gives_the_batch_back_and_another_worker_ends_it(crew: StackProcesses) -> None:
    crew.start("batchpool.reconciler")
    (first,) = crew.start_workers(1)
    job_id = crew.stage.post(task="sleep", params={"seconds": 0.2}, count=30, backend="sequential")[
        "id"
    ]
    crew.wait_running(job_id, recorded=2)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    crew.members.remove(first)
    crew.start_workers(1)
    job = crew.finish(job_id)
    assert job["state"] == "succeeded" and job["sum"] == sum(range(30))
    epochs = job["batches"][0]["epochs"]
    assert [epoch["end_reason"] for epoch in epochs] == ["released", "succeeded"]


def test_a_task_module_that_does_not_import_is_shown_and_the_worker_goes_on(
    crew: StackProcesses, tmp_path: Any
) -> None:
    (tmp_path / "broken.py").write_text("import a_module_that_is_nowhere\n")
    (tmp_path / "mine.py").write_text(
        "from batchpool.tasks import task\n\n"
        "@task('double')\ndef double(item):\n    'Twice the item.'\n    return 2 * item\n"
    )
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path))
    listed = crew.stage.get("/v1/tasks")
    assert "a_module_that_is_nowhere" in str(listed)
    assert "double" in {task["name"] for task in listed["tasks"]}
    assert crew.run(task="double", count=4, backend="process-pool")["sum"] == 12


def test_rq_keeps_nothing_of_a_batch(shared_crew: StackProcesses) -> None:
    shared_crew.run(task="echo", count=3, batches=3)
    # RQ is told while a batch runs, which may be over before that.
    for pattern in ("rq:job:*", "rq:queue:batchpool:*"):
        wait_until(lambda of=pattern: not list(shared_crew.redis.scan_iter(of)), 5, f"no {pattern}")


def test_a_renewal_that_meets_the_end_of_its_batch_costs_no_runner(
    shared_crew: StackProcesses,
) -> None:
    how: dict[str, Any] = {"task": "sleep", "params": {"seconds": 0.45}, "backend": "sequential"}
    before = runner_of(shared_crew.run(task="echo", count=1))
    for _ in range(3):
        job_id = shared_crew.stage.post(count=1, **how)["id"]

        def is_about_to_end(path: str = f"/v1/jobs/{job_id}") -> bool:
            timing = shared_crew.stage.get(path)["timing"]
            return bool(timing["started_at"] and timing["wall_s"] > 0.4)

        wait_until(is_about_to_end, 10, "the task is about to end")
        # Redis hears nothing while it ends and the lease is due to be renewed; and then the last
        # block and the renewal, one right after the other.
        shared_crew.redis.execute_command("DEBUG", "SLEEP", "0.3")  # type: ignore[no-untyped-call]
        assert shared_crew.finish(job_id)["state"] == "succeeded"
    assert runner_of(shared_crew.run(task="echo", count=1)) == before
