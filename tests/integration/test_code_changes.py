"""One job runs one version of its task, whatever is edited under running workers."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from batchpool.ledger.presence import Presence
from tests.support.sampling import full
from tests.support.stack_processes import StackProcesses
from tests.support.waiting import wait_until

TASK = """
import time
from dataclasses import dataclass
from batchpool.tasks import task
import helper

@dataclass(frozen=True)
class P:
    seconds: float = 0.0

@task("version", params=P)
def version(item, params):
    time.sleep(params.seconds)
    return helper.VERSION
"""
PROCESSES = [
    ("multiprocessing", "spawn"),
    *full(
        ("process-pool", "forkserver"),
        ("process-pool", "spawn"),
        ("multiprocessing", "forkserver"),
        ("auto", None),
    ),
]


class Project:
    """A folder with a task and a helper, and workers that have loaded it."""

    def __init__(self, crew: StackProcesses, folder: Path) -> None:
        self.crew = crew
        self.helper, self.task = folder / "helper.py", folder / "t.py"
        self.task.write_text(TASK)
        self.set_version(1)
        crew.environ["BATCHPOOL_TASKS_DIR"] = str(folder)
        crew.start("batchpool.reconciler", BATCHPOOL_CLASS_GONE_S="1")

    def set_version(self, number: int) -> None:
        self.helper.write_text(f"VERSION = {number}\n")

    def run(self, **spec: Any) -> dict[str, Any]:
        return self.crew.run(**{"task": "version", "count": 4} | spec)

    def values(self, job: dict[str, Any]) -> set[int]:
        records = self.crew.records(job["id"])
        return {record["value"] for record in records if record["state"] == "succeeded"}


@pytest.fixture
def project(redis_url: str, redis: Redis, bare: Any, tmp_path: Path) -> Iterator[Project]:
    with StackProcesses(redis_url, redis, bare) as crew:
        yield Project(crew, tmp_path)


@pytest.mark.parametrize(("backend", "method"), PROCESSES)
def test_processes_that_load_other_code_than_their_runner_run_nothing(
    project: Project, backend: str, method: str | None
) -> None:
    project.crew.start_workers(1)
    assert project.values(project.run()) == {1}
    project.set_version(2)
    assert project.values(project.run()) == {1}, "threads run what the runner has loaded"
    job = project.run(backend=backend, **({"start_method": method} if method else {}))
    assert (job["state"], project.values(job)) == ("succeeded", {2})
    assert len(job["batches"][0]["epochs"]) == 2
    assert project.values(project.run()) == {2}, "the new runner has the new code"


@pytest.mark.parametrize(("backend", "method"), PROCESSES[:-1])
def test_children_load_what_their_runner_has_loaded_when_a_link_to_it_is_changed(
    project: Project, tmp_path_factory: pytest.TempPathFactory, backend: str, method: str
) -> None:
    link = tmp_path_factory.mktemp("releases") / "current"
    link.symlink_to(project.task.parent)
    project.crew.start_workers(1, BATCHPOOL_TASKS_DIR=str(link))
    assert project.values(project.run()) == {1}
    second = link.with_name("second")
    second.mkdir()
    (second / "t.py").write_text(TASK)
    (second / "helper.py").write_text("VERSION = 2\n")
    link.unlink()
    link.symlink_to(second)
    for spec in ({"backend": backend, "start_method": method}, {}):
        assert project.values(project.run(**spec)) == {1}


def test_children_of_a_warm_pool_keep_the_code_that_they_have(project: Project) -> None:
    project.crew.start_workers(1)
    pool = {"backend": "process-pool", "start_method": "forkserver"}
    assert project.values(project.run(**pool)) == {1}
    project.set_version(2)
    for spec in (pool, pool | {"pool": "fresh"}, {"backend": "multiprocessing"}):
        job = project.run(**spec)
        assert project.values(job) == {1}
        assert len(job["batches"][0]["epochs"]) == 1


def test_a_job_that_has_begun_ends_with_the_version_that_it_began_with(project: Project) -> None:
    project.crew.start_workers(2)
    spec = {"params": {"seconds": 0.3}, "batches": 8, "count": 16, "concurrency": 1}
    job_id = project.crew.stage.post(task="version", **spec)["id"]
    project.crew.wait_running(job_id, recorded=1)
    project.set_version(2)
    # One worker gets a new runner, with the new code.
    killed = Presence(project.crew.redis).workers()[0].runner_pid
    os.kill(killed, signal.SIGKILL)
    job = project.crew.finish(job_id, 60)
    assert (job["state"], project.values(job)) == ("succeeded", {1})


@pytest.mark.full
def test_a_job_that_has_begun_waits_for_its_version_and_the_rest_can_be_retried(
    project: Project,
) -> None:
    (worker,) = project.crew.start_workers(1)
    spec = {"params": {"seconds": 0.3}, "batches": 2, "count": 8, "concurrency": 1}
    job_id = project.crew.stage.post(task="version", **spec)["id"]
    project.crew.wait_running(job_id, recorded=1)
    project.set_version(2)
    os.kill(project.crew.runner_pid(worker), signal.SIGKILL)

    def parked() -> str | None:
        batches = project.crew.stage.get(f"/v1/jobs/{job_id}")["batches"]
        return batches[0]["parked"] and batches[1]["parked"]

    assert "has changed since the job began" in wait_until(parked, 30, "parked")
    project.crew.stage.http.post(f"/v1/jobs/{job_id}/cancel")
    first = project.crew.finish(job_id)
    assert project.values(first) == {1}
    again = project.crew.stage.http.post(f"/v1/jobs/{job_id}/retry").get_json()
    rest = project.crew.finish(again["id"])
    assert (rest["state"], project.values(rest)) == ("succeeded", {2})
    assert first["progress"]["succeeded"] + rest["progress"]["succeeded"] == 8


def test_a_parked_job_goes_on_when_its_version_comes_back(project: Project) -> None:
    (worker,) = project.crew.start_workers(1)
    spec = {"params": {"seconds": 0.3}, "count": 8, "concurrency": 1}
    job_id = project.crew.stage.post(task="version", **spec)["id"]
    project.crew.wait_running(job_id, recorded=1)
    project.set_version(2)
    os.kill(project.crew.runner_pid(worker), signal.SIGKILL)
    batch = lambda: project.crew.stage.get(f"/v1/jobs/{job_id}")["batches"][0]  # noqa: E731
    wait_until(lambda: batch()["parked"], 30, "parked")
    project.set_version(1)
    project.crew.start_workers(1)
    job = project.crew.finish(job_id)
    assert (job["state"], project.values(job), job["sum"]) == ("succeeded", {1}, 8)


def test_a_job_whose_params_no_longer_fit_does_not_go_round(project: Project) -> None:
    (worker,) = project.crew.start_workers(1)
    project.task.write_text(TASK.replace("seconds: float = 0.0", "other: int"))
    os.kill(project.crew.runner_pid(worker), signal.SIGKILL)
    job_id = project.crew.stage.post(task="version", params={"seconds": 0.1}, count=1)["id"]
    batch = lambda: project.crew.stage.get(f"/v1/jobs/{job_id}")["batches"][0]  # noqa: E731
    wait_until(lambda: batch()["parked"], 30, "parked")
    ends = time.monotonic() + 4
    while time.monotonic() < ends:  # some passes of the reconciler, each of which might move it
        assert project.crew.run(task="echo", count=2)["state"] == "succeeded"
        assert batch()["state"] == "parked" and len(batch()["epochs"]) <= 1
    # Nothing of it ran, so it is bound to no version, and runs where its params fit.
    project.task.write_text(TASK)
    project.crew.start_workers(1)
    assert project.crew.finish(job_id)["state"] == "succeeded"


def test_a_file_that_is_written_while_it_is_loaded_is_loaded_again(project: Project) -> None:
    # The first to import it writes it, as an editor might at that moment.
    project.helper.write_text(
        "import pathlib\n"
        "half = pathlib.Path(__file__)\n"
        "half.write_text('VERSION = 7\\n')\n"
        "VERSION = 3\n"
    )
    project.crew.start_workers(1)
    for backend in ("thread-pool", "process-pool"):
        assert project.values(project.run(backend=backend)) == {7}


def test_with_reload_an_idle_worker_takes_up_edits_additions_and_repairs(project: Project) -> None:
    project.crew.start_workers(1, BATCHPOOL_RELOAD="on")

    def classes() -> set[str]:
        return {worker.class_id for worker in Presence(project.crew.redis).workers()}

    def tasks() -> list[str]:
        current = [d for d in Presence(project.crew.redis).classes() if d.id in classes()]
        return [name for document in current for name in document.tasks]

    first = classes()
    project.set_version(2)
    wait_until(lambda: classes() != first, 30, "another class")
    assert project.values(project.run()) == {2}
    added = project.task.with_name("added.py")
    added.write_text("from batchpool.tasks import task\ntask('added')(len)\n")
    wait_until(lambda: "added" in tasks(), 30, "a new task")
    project.helper.write_text("VERSION = (\n")
    wait_until(lambda: "version" not in tasks(), 30, "a broken task is gone")
    assert "SyntaxError" in str(project.crew.stage.get("/v1/tasks")["errors"])
    project.set_version(4)
    wait_until(lambda: "version" in tasks(), 30, "the task is back")
    assert project.values(project.run()) == {4}
    added.unlink()
    wait_until(lambda: "added" not in tasks(), 30, "a removed task is gone")
    added.write_text("1 / 0")
    errors = lambda: project.crew.stage.get("/v1/tasks")["errors"]  # noqa: E731
    wait_until(errors, 30, "an error without another class of workers")
    known = lambda: {each.id for each in Presence(project.crew.redis).classes()}  # noqa: E731
    wait_until(lambda: known() == classes(), 30, "former classes are forgotten")
