"""`python -m` of each process: --help answers, other arguments are refused."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from runpy import run_path

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


Answer = Callable[..., tuple[int, str, str]]


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Answer:
    """What a process prints and ends with, called in this one: status, stdout, stderr."""

    def call(module: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [module, *arguments])
        spec = find_spec(f"{module}.__main__")
        assert spec and spec.origin
        with pytest.raises(SystemExit) as ended:
            run_path(spec.origin, run_name="__main__")
        return (ended.value.code, *capsys.readouterr())

    return call


def run(module: str, *arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("module", "settings"), PROCESSES.items())
def test_help_says_what_a_process_is_and_names_its_settings(
    module: str, settings: tuple[Setting, ...], answer: Answer
) -> None:
    status, text, errors = run(module, "--help")
    assert (status, errors) == (0, "")
    assert text.startswith(f"usage: python -m {module} [-h]")
    for each in settings:
        assert f"\n  {each.variable}\n" in text
    assert max(map(len, text.splitlines())) <= 80
    assert answer(module, "-h") == (0, text, "")


@pytest.mark.parametrize("module", PROCESSES)
def test_an_unknown_argument_is_refused_in_one_line(module: str, answer: Answer) -> None:
    says = "unknown argument '--workers=3'; known: -h, --help\n"
    assert answer(module, "--workers=3") == (2, "", says)


def test_a_runner_without_a_worker_says_who_starts_it() -> None:
    says = "only a worker can start a runner: python -m batchpool.worker\n"
    assert run("batchpool.runner") == (2, "", says)
