"""The real images in a compose project of their own, on a free port."""

import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pytest_docker.plugin import Services, get_docker_services

from batchpool.client import Client

SERVICES = ("redis", "api", "worker", "reconciler")
ROOT = Path(__file__).parents[2]


def docker(*arguments: str) -> str:
    told = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


@dataclass
class ComposeStack:
    """The stack that `docker compose up --scale worker=3` brought up."""

    project: str
    services: Services

    @property
    def url(self) -> str:
        # Asked anew each time: a restarted container has another port.
        told = docker("compose", "-p", self.project, "port", "api", "8000")
        return f"http://{told}"

    @property
    def client(self) -> Client:
        return Client(self.url)

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What `docker inspect` says of the running containers of a service."""
        labels = {"project": self.project, "service": service}
        filters = [f"--filter=label=com.docker.compose.{key}={to}" for key, to in labels.items()]
        ids = docker("ps", "--quiet", *filters).split()
        return list(json.loads(docker("inspect", *ids))) if ids else []

    def restarts(self) -> dict[str, int]:
        """How often the engine has restarted each running container."""
        return {
            container["Id"]: container["RestartCount"]
            for service in SERVICES
            for container in self.containers(service)
        }

    def start_again(self) -> None:
        """Start what a test has killed, and wait until all is well."""
        # Without --wait: it takes the health from before the stop for the new one, and gives up.
        self.services._docker_compose.execute("up -d --scale worker=3")
        deadline = time.monotonic() + 60
        while unhealthy := self.unhealthy():
            assert time.monotonic() < deadline, unhealthy
            time.sleep(0.2)

    def unhealthy(self) -> list[str]:
        """The containers that do not report that they are well, or not yet."""
        return [
            container["Name"]
            for service in SERVICES
            for container in self.containers(service)
            if container["State"]["Health"]["Status"] != "healthy"
        ]


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skip without Docker; in CI a missing Docker is a failure, not a skip."""
    if shutil.which("docker") is None:
        reason = "no `docker` on PATH"
    elif subprocess.run(["docker", "info"], capture_output=True, timeout=60).returncode != 0:
        reason = "no Docker engine answers `docker info`"
    elif subprocess.run(["docker", "compose", "version"], capture_output=True).returncode != 0:
        reason = "no `docker compose`"
    else:
        return
    if os.environ.get("BATCHPOOL_REQUIRE_DOCKER") == "1":
        pytest.fail(f"{reason}, and BATCHPOOL_REQUIRE_DOCKER=1")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def compose(docker_engine: None, pytestconfig: pytest.Config) -> ComposeStack:
    """The stack, until the last test of this folder has ended."""
    return pytestconfig.stash[_RUNNING].enter_context(_stack())


_RUNNING: pytest.StashKey[ExitStack] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNNING] = ExitStack()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the stack with the folder and not with the session: its health checks cost CPU time."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        item.config.stash[_RUNNING].close()


@contextmanager
def _stack() -> Iterator[ComposeStack]:
    project = f"batchpool-test-{uuid.uuid4().hex[:8]}"
    own = {"BATCHPOOL_HOST_PORT": "0", "BATCHPOOL_IMAGE_TAG": project}
    os.environ.update(own)
    # The setup runs inside: pytest-docker does not clean up after one that failed half-way.
    with get_docker_services(
        "docker compose", str(ROOT / "docker-compose.yml"), project, [], ["down -v --rmi local"]
    ) as services:
        services._docker_compose.execute("up -d --build --wait --scale worker=3")
        yield ComposeStack(project, services)
    for name in own:
        del os.environ[name]
    # `down --rmi local` keeps images that have names of their own.
    if images := docker("images", "--format={{.Repository}}:{{.Tag}}", f"*:{project}").split():
        docker("rmi", *images)
    label = f"--filter=label=com.docker.compose.project={project}"
    left = {
        "containers": docker("ps", "--all", "--quiet", label),
        "volumes": docker("volume", "ls", "--quiet", label),
        "networks": docker("network", "ls", "--quiet", label),
        "images": docker("images", "--quiet", f"*:{project}"),
    }
    assert not any(left.values()), left
