"""P10 and deploys: workers come and go, code changes, and no job fails or spends a try for it."""

import signal
from pathlib import Path

import pytest

from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASK = "from batchpool.tasks import task\n\n@task({name!r})\ndef run(item):\n    return {value}\n"


@pytest.mark.parametrize("backend", ["thread-pool", *full("process-pool", "multiprocessing")])
def test_a_rolling_restart_under_load_fails_and_reruns_nothing(
    crew: StackProcesses, backend: str
) -> None:
    crew.start("batchpool.reconciler")
    workers = crew.start_workers(2)
    jobs = [
        crew.stage.post(
            task="sleep",
            params={"seconds": 0.1},
            count=60,
            backend=backend,
            concurrency=2,
            batches=2,
        )["id"]
        for _ in range(3)
    ]
    crew.wait_running(jobs[0], recorded=4)
    for old in workers:
        crew.start_workers(1)
        old.send_signal(signal.SIGTERM)
        assert old.wait(15) == 0
        crew.members.remove(old)
    for job_id in jobs:
        job = crew.finish(job_id, 60)
        assert job["state"] == "succeeded" and job["sum"] == sum(range(60))
        assert {record["attempt"] for record in crew.records(job_id)} == {1}
        reasons = {e["end_reason"] for batch in job["batches"] for e in batch["epochs"]}
        assert reasons <= {"released", "succeeded"}


@pytest.mark.parametrize("number", [signal.SIGTERM, *full(signal.SIGINT)])
def test_a_signal_while_redis_claims_for_an_idle_worker_gives_the_batch_back(
    crew: StackProcesses, number: signal.Signals
) -> None:
    (idle,) = crew.start_workers(1)
    crew.stop_while_it_waits(idle)
    job_id = crew.stage.post(task="echo", count=5)["id"]
    path = f"/v1/jobs/{job_id}"
    epochs = wait_until(lambda: crew.stage.get(path)["batches"][0]["epochs"], 10, "it is claimed")
    assert epochs[0]["ppid"] == idle.pid
    idle.send_signal(number)
    idle.send_signal(signal.SIGCONT)
    assert idle.wait(10) == 0
    crew.members.remove(idle)
    assert crew.stage.get(path)["batches"][0]["state"] == "queued"
    crew.start("batchpool.reconciler")
    crew.start_workers(1)
    job = crew.finish(job_id)
    assert (job["state"], job["sum"]) == ("succeeded", 10)
    (batch,) = job["batches"]
    assert [epoch["end_reason"] for epoch in batch["epochs"]] == ["released", "succeeded"]
    assert batch["lost_workers"] == 0


@pytest.mark.full
def test_a_batch_nobody_can_run_is_parked_with_the_reason_until_somebody_can(
    crew: StackProcesses, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    (old / "mine.py").write_text(TASK.format(name="mine", value="item"))
    (new / "mine.py").write_text(TASK.format(name="mine", value="item + 0"))
    crew.start("batchpool.reconciler", BATCHPOOL_CLASS_GONE_S="1")
    (first,) = crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(old))
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    crew.members.remove(first)
    # Workers without that task are there, and must neither run nor fail it.
    (other,) = crew.start_workers(1)
    job_id = crew.stage.post(task="mine", count=3)["id"]

    def parked() -> bool:
        (batch,) = crew.stage.get(f"/v1/jobs/{job_id}")["batches"]
        return batch["state"] == "parked" and "'mine'" in batch["parked"]

    wait_until(parked, 30, "the batch is parked")
    assert crew.run(task="echo", count=2)["state"] == "succeeded"
    # Another version of the code, with the same task: a class of its own that can take it.
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(new))
    job = crew.finish(job_id)
    assert job["state"] == "succeeded" and job["sum"] == 3
    assert other.poll() is None


@pytest.mark.full
def test_old_and_new_code_run_side_by_side(crew: StackProcesses, tmp_path: Path) -> None:
    for name, value in (("old", 1), ("new", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(TASK.format(name=name, value=value))
    crew.start("batchpool.reconciler")
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path / "old"))
    crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(tmp_path / "new"))
    assert [crew.run(task=name, count=4)["sum"] for name in ("old", "new")] == [4, 8]
