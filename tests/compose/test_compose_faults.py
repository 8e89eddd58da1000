"""The faults that containers have: frozen, cut off from the network, Redis gone in mid-job."""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.compose.conftest import docker
from tests.support.sampling import full
from tests.support.waiting import check_time, wait_until

pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(600),
]

ITEMS = 90


def run_through(compose: Any, strike: Callable[[str], None], heal: Callable[[str], None]) -> Any:
    """Strike the container that runs the first batch of a job, and heal it when the job ended."""
    restarts = compose.restarts()
    with compose.client as client:
        job = client.submit("sleep", params={"seconds": 0.5}, count=ITEMS, batches=3, concurrency=3)
        wait_until(lambda: client.job(job).progress["succeeded"] >= 3)
        owner = client.job(job)["batches"][0]["epochs"][0]["host"]
        (victim,) = (
            container["Id"]
            for container in compose.containers("worker")
            if container["Config"]["Hostname"] == owner
        )
        strike(victim)
        try:
            ended = client.wait(job, 60)
        finally:
            heal(victim)
        check(ended)
        assert sum(batch["lost_workers"] for batch in ended["batches"]) == 1
        wait_until(
            lambda: sum(batch["refused_writes"] for batch in client.job(job)["batches"]) > 0, 60
        )
        check(client.job(job))
    wait_until(lambda: not compose.unhealthy(), 60)
    # It had time to be back before its health check ended it.
    assert compose.restarts() == restarts
    return ended


def check(job: Any) -> None:
    assert (job.state, job.sum) == ("succeeded", sum(range(ITEMS)))
    assert job.progress["succeeded"] == ITEMS


@pytest.mark.full
def test_a_frozen_worker_loses_its_batch_and_writes_nothing_when_thawed(compose: Any) -> None:
    run_through(
        compose,
        strike=lambda container: docker("pause", container),
        heal=lambda container: docker("unpause", container),
    )


def test_a_worker_cut_off_from_the_network_writes_nothing_when_it_is_back(compose: Any) -> None:
    network = f"{compose.project}_default"
    run_through(
        compose,
        strike=lambda container: docker("network", "disconnect", network, container),
        heal=lambda container: docker("network", "connect", network, container),
    )


STOP_PROCESS = """
import os, signal
from batchpool.system.process_tree import children_of, descendants
(process,) = (pid for pid in children_of(1) if pid != os.getpid())
for pid in (process, *descendants(process)):
    os.kill(pid, signal.SIGSTOP)
"""


@pytest.mark.parametrize(
    "names", [["worker"], *full(["worker", "reconciler", "api"])], ids="+".join
)
def test_processes_that_stopped_are_replaced_and_the_job_goes_on(
    compose: Any, names: list[str]
) -> None:
    with compose.client as client:
        job = client.submit("sleep", params={"seconds": 0.5}, count=ITEMS, batches=3, concurrency=3)
        wait_until(lambda: client.job(job).progress["succeeded"] >= 3)
    before = compose.restarts()
    stopped = [compose.containers(name)[0]["Id"] for name in names]
    started = time.monotonic()
    for container in stopped:
        docker("exec", container, "python", "-c", STOP_PROCESS)

    def are_replaced() -> bool:
        now = compose.restarts()
        return all(now.get(each) == before[each] + 1 for each in stopped)

    wait_until(are_replaced, 300)
    wait_until(lambda: not compose.unhealthy(), 60)
    check_time("replaced and healthy", time.monotonic() - started, 60)
    logs = subprocess.run(["docker", "logs", stopped[0]], capture_output=True, text=True)
    assert "no sign of work" in logs.stderr
    with compose.client as client:
        check(client.wait(job, 60))
    assert sum(compose.restarts().values()) == sum(before.values()) + len(stopped)


@pytest.mark.parametrize("how", ["kill", *full("restart")])
def test_a_job_goes_on_over_the_end_of_redis(compose: Any, how: str) -> None:
    with compose.client as client:
        job = client.submit("sleep", params={"seconds": 0.5}, count=ITEMS, batches=3, concurrency=3)
        wait_until(lambda: client.job(job).progress["succeeded"] >= 3)
        (redis,) = compose.containers("redis")
        if how == "restart":
            docker("restart", redis["Id"])
        else:
            docker("kill", redis["Id"])
            docker("start", redis["Id"])
        ended = client.wait(job, 60)
        check(ended)
        assert {len(batch["epochs"]) for batch in ended["batches"]} == {1}
    wait_until(lambda: not compose.unhealthy(), 60)


def test_a_segfault_in_an_interpreter_costs_its_item_only(compose: Any) -> None:
    with compose.client as client:
        params = {"how": "segfault", "item": 31}
        job = client.submit("crash", count=500, params=params, backend="interpreter-pool")
        ended = client.wait(job, 60)
        assert ended.progress["succeeded"] == 499 and ended.progress["crashed"] == 1
        assert ended.sum == sum(range(500)) - 31
        (bad,) = client.records(job, ["crashed"])
        assert bad["index"] == 31 and "SIGSEGV" in bad["error"]["message"]
        assert client.wait(client.submit("echo", count=3), 60).sum == 3


HUNGRY = """
from batchpool.tasks import task

@task("hungry")
def hungry(item):
    kept = [b"x" * (50 << 20) for _ in range(60)] if item == 1 else []
    return item + len(kept)
"""


@pytest.fixture
def small_worker(compose: Any, tmp_path: Path) -> Iterator[None]:
    """A worker whose container has little memory; it alone has the task `hungry`."""
    (tmp_path / "hungry.py").write_text(HUNGRY)
    tmp_path.chmod(0o755)
    options = {
        "network": f"{compose.project}_default",
        "memory": "400m",
        "memory-swap": "400m",
        "tmpfs": "/tmp:mode=1777",
        "env": "REDIS_URL=redis://redis:6379/0",
        "volume": f"{tmp_path}:/tasks:ro",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    (image,) = {container["Image"] for container in compose.containers("worker")}
    container = docker(
        *("run", "--detach", "--init", "--read-only", "--env=BATCHPOOL_TASKS_DIR=/tasks"),
        *(*flags, image),
    )
    yield
    docker("rm", "--force", container)


def test_a_kill_for_want_of_memory_is_reported_as_such(compose: Any, small_worker: None) -> None:
    with compose.client as client:
        wait_until(lambda: any(task["name"] == "hungry" for task in client.tasks()), 30)
        for backend in ("sequential", "process-pool"):
            ended = client.wait(client.submit("hungry", count=20, backend=backend), 200)
            assert ended.progress["succeeded"] == 19 and ended.progress["crashed"] == 1
            (bad,) = client.records(ended, ["crashed"])
            assert bad["index"] == 1 and "out of memory" in bad["error"]["message"]


def test_the_limit_of_a_job_holds_in_interpreters(compose: Any) -> None:
    with compose.client as client:
        how = {"backend": "interpreter-pool", "timeout_s": 2}
        ended = client.wait(client.submit("sleep", count=2, params={"seconds": 60}, **how), 60)
        assert ended.state == "failed" and ended["error"]["type"] == "timeout"
        check_time("the end of a job at its limit", ended.timing["wall_s"], 4)


def test_without_space_in_tmp_a_job_says_so_and_the_worker_is_unhealthy(compose: Any) -> None:
    workers = [container["Id"] for container in compose.containers("worker")]
    fill = "cat /dev/zero > /tmp/filler$(date +%s%N); true"
    with compose.client as client:

        def failed_without_space(**how: str) -> Any:
            for worker in workers:
                docker("exec", worker, "sh", "-c", fill)
            begun = time.monotonic()
            job = client.wait(client.submit("echo", count=20, **how), 100)
            check_time("a job without space", time.monotonic() - begun, 20)
            return job if job.state == "failed" else None

        # A warm pool has all the space that it needs, and its end gives some to the first batch.
        for how in ({"backend": "multiprocessing"}, {"backend": "process-pool", "pool": "fresh"}):
            failed = wait_until(partial(failed_without_space, **how), 60, "no space")
            assert "no space left in /tmp" in failed["error"]["message"]
        wait_until(lambda: len(compose.unhealthy()) == len(workers), 30)
        for worker in workers:
            docker("exec", worker, "sh", "-c", "rm -f /tmp/filler*")
        again = client.wait(client.submit("echo", count=20, backend="process-pool"), 100)
        assert again.state == "succeeded"
    wait_until(lambda: not compose.unhealthy(), 30)
