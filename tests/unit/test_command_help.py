"""`python -m` of each process: --help answers, other arguments are refused."""

import subprocess
import sys

import pytest

from batchpool.api.settings import ApiSettings
from batchpool.settings import (
    TASK_SETTINGS,
    ReconcilerSettings,
    Setting,
    WorkerSettings,
    declared_settings,
)

WORKER = (*declared_settings(WorkerSettings).values(), *TASK_SETTINGS)
PROCESSES = {
    "batchpool.worker": WORKER,
    "batchpool.runner": WORKER,
    "batchpool.api": tuple(declared_settings(ApiSettings).values()),
    "batchpool.reconciler": tuple(declared_settings(ReconcilerSettings).values()),
}


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(("module", "settings"), PROCESSES.items())
def test_help_says_what_a_process_is_and_names_its_settings(
    module: str, settings: tuple[Setting, ...]
) -> None:
    done = run(module, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m {module} [-h]")
    for each in settings:
        assert f"\n  {each.variable}\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert run(module, "-h").stdout == done.stdout


@pytest.mark.parametrize("module", PROCESSES)
def test_an_unknown_argument_is_refused_in_one_line(module: str) -> None:
    done = run(module, "--workers=3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unknown argument '--workers=3'; known: -h, --help\n"


def test_a_runner_without_a_worker_says_who_starts_it() -> None:
    done = run("batchpool.runner")
    assert done.returncode == 2
    assert done.stderr == "only a worker can start a runner: python -m batchpool.worker\n"
