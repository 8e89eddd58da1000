"""A project with packages named as ours once were, in an environment of its own, runs its tasks."""

import os
import signal
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batchpool.client import Client

ROOT = Path(__file__).parents[2]
TASK = "from batchpool.tasks import task\nimport client, service, workers, tasks\n"
PROJECT = {
    "pyproject.toml": (
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "shop"\nversion = "1"\n'
        '[project.entry-points."batchpool.tasks"]\nshop = "workers.declared"\n'
        '[tool.hatch.build]\nonly-include = ["client", "service", "workers", "tasks.py"]\n'
    ),
    "client/__init__.py": "NAME = 'client'\n",
    "service/__init__.py": "NAME = 'service'\n",
    "workers/__init__.py": "FACTOR = 10\n",
    "workers/declared.py": TASK
    + "@task('by-entry-point')\ndef multiply(item): return item * workers.FACTOR + tasks.ADD\n",
    "tasks.py": "ADD = 1\n",
    "jobs/mine.py": TASK
    + "import near\n@task('by-folder')\ndef double(item): return item * near.TWICE + tasks.ADD\n",
    "jobs/near.py": "from workers import FACTOR\nTWICE = 2 * FACTOR\n",
}


def run(*command: object, **options: object) -> str:
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in command], capture_output=True, text=True, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(*pip, "-w", folder, ROOT)
    (found,) = folder.glob("batchpool-*.whl")
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shop"


def make_environment(folder: Path, wheel: Path, project: Path, dependencies: str) -> Path:
    """An environment with the two installed; its folder of programs.

    Args:
        dependencies: "shared" with the environment of the tests, or "installed" by pip, which
            takes the network.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q")
    shop = (*pip, "--no-deps", "--no-build-isolation", project)
    if dependencies == "installed":
        run(*pip, f"{wheel}[local]")
        run(*(word for word in shop if word != "--no-build-isolation"))
        return folder / "bin"
    run(*pip, "--no-deps", wheel)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip()
    # Its packages, but not the editable install of this one: that is by a .pth file of its own.
    Path(site, "shared.pth").write_text(sysconfig.get_paths()["purelib"])
    run(*shop, env={**os.environ, "PYTHONPATH": sysconfig.get_paths()["purelib"]})
    return folder / "bin"


@contextmanager
def started(programs: Path, project: Path, data: Path) -> Iterator[Client]:
    """`batchpool up` of the environment, in the root of the project."""
    kept = {name: v for name, v in os.environ.items() if name not in ("REDIS_URL", "PYTHONPATH")}
    stack = subprocess.Popen(
        [programs / "batchpool", "up", "--port", "0", "--workers", "1", "--data", data],
        cwd=project,
        env=kept | {"BATCHPOOL_TASKS_DIR": "jobs"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    with stack.stdout:
        try:
            word, _, url = stack.stdout.readline().rstrip().partition(" ")
            assert word == "ready"
            with Client(url) as client:
                yield client
        finally:
            stack.send_signal(signal.SIGTERM)
            assert stack.wait(30) == 0


@pytest.mark.full
@pytest.mark.timeout(300)
@pytest.mark.parametrize("dependencies", ["shared", "installed"])
def test_a_project_with_packages_of_those_names_runs_its_tasks(
    wheel: Path, project: Path, tmp_path: Path, dependencies: str
) -> None:
    programs = make_environment(tmp_path / "venv", wheel, project, dependencies)
    with started(programs, project, tmp_path / "data") as client:
        for backend in ("thread-pool", "process-pool", "multiprocessing"):
            folder = client.wait(client.submit("by-folder", count=4, backend=backend), 60)
            assert (folder.state, folder.sum) == ("succeeded", 6 * 20 + 4)
            point = client.wait(client.submit("by-entry-point", count=4, backend=backend), 60)
            assert (point.state, point.sum) == ("succeeded", 6 * 10 + 4)


def test_the_wheel_brings_one_top_level_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"batchpool"}
