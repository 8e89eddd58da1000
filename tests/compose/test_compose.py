"""`docker compose up --scale worker=3`: the images as they ship, in real containers."""

import subprocess
import time
from typing import Any

import pytest

from tests.support.waiting import check_time, wait_until

# The first test also builds the images.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.timeout(600),
]

SERVICES = ("redis", "api", "worker", "reconciler")


def hosts(job: Any) -> set[str]:
    return {epoch["host"] for batch in job["batches"] for epoch in batch["epochs"]}


def test_batches_run_on_as_many_hosts_as_there_are_workers(compose: Any) -> None:
    with compose.client as client:
        job = client.submit("sleep", params={"seconds": 2}, count=3, batches=3)
        ended = client.wait(job, 60)
    assert (ended.state, ended.sum) == ("succeeded", 3)
    assert len(hosts(ended)) == 3
    # One after the other they would take six seconds.
    assert ended.timing["wall_s"] < 6


def test_the_interpreter_pool_runs_in_the_worker_image(compose: Any) -> None:
    with compose.client as client:
        job = client.submit(
            "cpu", params={"iterations": 10_000}, count=8, backend="interpreter-pool"
        )
        ended = client.wait(job, 60)
        assert (ended.state, ended.sum) == ("succeeded", 28)
        assert all(record["interpreter"] != 0 for record in client.records(job))


def test_tasks_of_the_mounted_folder_run(compose: Any) -> None:
    with compose.client as client:
        texts = ["a considerable number", "of extraordinary words"]
        ended = client.wait(client.submit("long-words", items=texts), 60)
        assert (ended.state, ended.sum) == ("succeeded", 2)


def test_a_killed_worker_costs_nothing_but_time(compose: Any) -> None:
    with compose.client as client:
        job = client.submit("sleep", params={"seconds": 0.5}, count=60, batches=3, concurrency=2)
        wait_until(lambda: client.job(job).progress["succeeded"] >= 3)
        owner = client.job(job)["batches"][0]["epochs"][0]["host"]
        victim = next(
            container["Id"]
            for container in compose.containers("worker")
            if container["Config"]["Hostname"] == owner
        )
        started = time.monotonic()
        subprocess.run(["docker", "kill", victim], check=True, capture_output=True)
        assert not client.job(job).done
        ended = client.wait(job, 60)
        check_time("the answers", time.monotonic() - started, 60)
        assert (ended.state, ended.sum) == ("succeeded", sum(range(60)))
        assert ended.progress["succeeded"] == 60
        assert sum(batch["lost_workers"] for batch in ended["batches"]) == 1
    compose.start_again()
    assert len(compose.containers("worker")) == 3


def test_jobs_outlive_a_restart_of_redis(compose: Any) -> None:
    with compose.client as client:
        job = client.wait(client.submit("echo", count=10), 60)
        redis = compose.containers("redis")[0]["Id"]
        subprocess.run(["docker", "restart", redis], check=True, capture_output=True)
        wait_until(lambda: client.ready()["status"] == "ready")
        assert client.job(job).sum == 45


@pytest.mark.parametrize("service", SERVICES)
def test_each_container_is_locked_down(compose: Any, service: str) -> None:
    for container in compose.containers(service):
        config, host = container["Config"], container["HostConfig"]
        assert config["User"] not in ("", "0", "root", "0:0")
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
        assert host["Init"]
        assert host["RestartPolicy"]["Name"] == "unless-stopped"
        assert container["Config"]["Healthcheck"]["Test"][0] in ("CMD", "CMD-SHELL")


def test_every_container_reports_its_health(compose: Any) -> None:
    # One that was restarted by a test before says so after its next check.
    wait_until(lambda: not compose.unhealthy())


def test_only_the_api_is_published_and_only_on_this_machine(compose: Any) -> None:
    published = {
        service: [
            binding["HostIp"]
            for container in compose.containers(service)
            for bindings in container["NetworkSettings"]["Ports"].values()
            for binding in bindings or ()
        ]
        for service in SERVICES
    }
    assert published == {"redis": [], "api": ["127.0.0.1"], "worker": [], "reconciler": []}


@pytest.mark.parametrize("service", ["api", "worker"])
def test_the_images_have_no_compiler(compose: Any, service: str) -> None:
    container = compose.containers(service)[0]["Id"]
    found = subprocess.run(
        ["docker", "exec", container, "sh", "-c", "command -v cc gcc clang make ld"],
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""
