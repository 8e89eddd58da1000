"""A task that needs a package runs in the images by the line in the README."""

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchpool.client import Client
from tests.compose.conftest import ROOT, docker

pytestmark = [pytest.mark.docker, pytest.mark.full, pytest.mark.timeout(600)]

TASK = '''
import humanize

from batchpool.tasks import task


@task("in-words")
def in_words(item):
    """Write a number of bytes as people say it."""
    return humanize.naturalsize(item)
'''


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of what is in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def environ(docker_engine: None, clone: Path) -> Iterator[dict[str, str]]:
    """Names and a port of the test's own; what they name is removed at the end."""
    project = f"batchpool-test-{uuid.uuid4().hex[:8]}"
    names = {"COMPOSE_PROJECT_NAME": project, "BATCHPOOL_IMAGE_TAG": project}
    found = os.environ | names | {"BATCHPOOL_HOST_PORT": "0"}
    yield found
    subprocess.run(["docker", "compose", "down", "-v"], cwd=clone, env=found, check=True)
    docker("rmi", *docker("images", "--format={{.Repository}}:{{.Tag}}", f"*:{project}").split())


def test_a_task_with_a_package_runs_by_the_line_in_the_readme(
    clone: Path, environ: dict[str, str]
) -> None:
    readme = (clone / "README.md").read_text()
    (line,) = re.findall(r"`(EXTRA_REQUIREMENTS=humanize .* docker compose up .*?)`", readme)
    (clone / "tasks").mkdir()
    (clone / "tasks" / "sizes.py").write_text(TASK)
    subprocess.run(["bash", "-c", f"{line} --wait"], cwd=clone, env=environ, check=True)
    project = environ["COMPOSE_PROJECT_NAME"]
    address = docker("compose", "-p", project, "port", "api", "8000")
    with Client(f"http://{address}") as client:
        client.ready()
        assert list(client.map("in-words", [1000, 2_500_000])) == ["1.0 kB", "2.5 MB"]
