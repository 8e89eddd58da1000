"""A task on some items, without a stack: as a function, and as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchpool.errors import InvalidParams, UnknownTask
from batchpool.runner.run_task import run_task

EXAMPLES = {"BATCHPOOL_TASKS_DIR": str(Path(__file__).parents[2] / "examples" / "tasks")}


def batchpool_run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "batchpool", "run", *arguments],
        env=os.environ | EXAMPLES,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("backend", [None, "thread-pool"])
def test_outcomes_are_in_the_order_of_the_items(backend: str | None) -> None:
    items = ["a programming language", 3, "language language"]
    found = run_task("long-words", items, backend=backend, concurrency=2, environ=EXAMPLES)
    assert [(each.index, each.state, each.value) for each in found] == [
        (0, "succeeded", 2),
        (1, "succeeded", 0),
        (2, "succeeded", 2),
    ]


def test_by_itself_it_runs_in_this_thread() -> None:
    (found,) = run_task("echo", [1], environ={})
    assert (found.site.pid, found.site.thread_name) == (os.getpid(), "MainThread")


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UnknownTask):
        run_task("long-words", [1], environ={})
    with pytest.raises(InvalidParams):
        run_task("long-words", [1], {"at_least": 0}, environ=EXAMPLES)


def test_the_command_prints_values_and_tracebacks() -> None:
    told = batchpool_run("long-words", "--item", "a programming language", "--item", "3")
    assert (told.returncode, told.stdout, told.stderr) == (0, "0  2\n1  0\n", "")
    failed = batchpool_run("fail", "--items", "-", stdin="[1, 2]")
    assert failed.returncode == 1
    assert failed.stdout.count("TaskFailed: failed on purpose") == 2
    printed = json.loads(batchpool_run("fail", "--count", "1", "--json").stdout)
    assert printed[0]["error"]["message"] == "failed on purpose"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nope", "--item", "1"), "'nope'; known: "),
        (("sleep", "--item", "1", "--param", "seconds=x"), "params.seconds"),
        (("sleep", "--item", "1", "--backend", "threads"), "'threads'; known: "),
        (("sleep",), "give one of --item, --count"),
        (("sleep", "--item", "1", "--count", "1"), "give one of --item, --count"),
    ],
)
def test_the_command_refuses_in_a_line(arguments: tuple[str, ...], message: str) -> None:
    told = batchpool_run(*arguments)
    assert (told.returncode, "Traceback" in told.stderr) == (2, False)
    assert message in told.stderr
