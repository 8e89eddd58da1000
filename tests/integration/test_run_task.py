"""A task on some items, without a stack: as a function, and as a command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from batchpool.errors import InvalidParams, UnknownTask
from batchpool.runner.run_task import run_task
from tests.support.waiting import wait_until

EXAMPLES = {"BATCHPOOL_TASKS_DIR": str(Path(__file__).parents[2] / "examples" / "tasks")}
FAULTS = str(Path(__file__).parents[1] / "faults" / "tasks")
COMMAND = [sys.executable, "-m", "batchpool", "run"]


def batchpool_run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
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


def test_an_item_that_is_no_json_is_refused_before_anything_runs() -> None:
    refused = batchpool_run("echo", "--item", "1", "--item", "NaN")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "items[1]" in refused.stderr and "not JSON" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("backend", ["sequential", "process-pool"])
def test_ctrl_c_ends_the_run_and_begins_no_other_item(backend: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    params = ["--param", f"path={log}", "--param", "seconds=0.5"]
    process = subprocess.Popen(
        [*COMMAND, "logged", "--count", "100", "--backend", backend, *params],
        env=os.environ | {"BATCHPOOL_TASKS_DIR": FAULTS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: log.exists() and log.read_text() != "", 60, "an item runs")
    # As the terminal does, to all processes that it started.
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "")
    assert len(log.read_text().splitlines()) < 50
