"""A dying child costs at most its own item; a dying runner leaves nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from batchpool.system.cpython_internals import fork_server_pid
from batchpool.system.process_control import kill_tree
from batchpool.system.process_tree import children_of, descendants, is_alive
from tests.support.waiting import check_time, wait_until

HOWS = ("exit 0", "kill", "segfault", "terminate", "close files")


@pytest.mark.ways(lambda way: not way.in_process and way.pool == "warm")
@pytest.mark.parametrize("how", HOWS)
def test_a_dying_child_leaves_its_neighbours_answered(
    way: Any, context: Any, folder: str, how: str
) -> None:
    items: list[Any] = [*range(6), how, *range(6, 12)]
    result = way.run(context, "die", items, params={"folder": folder})
    states = {outcome.index: outcome.state for outcome in result.outcomes}
    assert len(result.outcomes) == 13
    assert states.pop(6) == "crashed"
    assert set(states.values()) == {"succeeded"}
    (crashed,) = [outcome for outcome in result.outcomes if outcome.state == "crashed"]
    said = {"exit 0": "exit code 0", "kill": "SIGKILL", "segfault": "SIGSEGV"}
    assert crashed.error["type"] == "crashed"
    assert said.get(how, "3 times") in crashed.error["message"]
    runs = Counter((Path(folder) / "runs").read_text().splitlines())
    # Three times alone in its process; in a pool once before, which counts for nothing.
    assert runs[how] in (3, 4)
    assert max(count for item, count in runs.items() if item != how) <= 2
    again = way.run(context, "echo", range(2))
    assert {outcome.state for outcome in again.outcomes} == {"succeeded"}


@pytest.mark.ways(lambda way: way.backend == "process-pool" and way.start_method != "forkserver")
def test_a_culprit_is_known_while_another_thread_reaps_it(
    way: Any, context: Any, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor's thread and ours wait for the same dead child, and only one gets its code."""
    reap = os.waitpid

    def reap_slowly(pid: int, options: int) -> tuple[int, int]:
        answer = reap(pid, options)
        if answer[0]:
            sleep(0.05)
        return answer

    monkeypatch.setattr(os, "waitpid", reap_slowly)
    items: list[Any] = [*range(6), "terminate", *range(6, 12)]
    result = way.run(context, "die", items, params={"folder": folder})
    assert [o.index for o in result.outcomes if o.state == "crashed"] == [6]
    runs = Counter((Path(folder) / "runs").read_text().splitlines())
    assert runs["terminate"] in (3, 4)


@pytest.mark.ways(lambda way: way.backend == "process-pool")
def test_records_of_a_killed_child_are_not_run_again(way: Any, context: Any, folder: str) -> None:
    items: list[Any] = [*range(400), "kill"]
    result = way.run(context, "die", items, params={"folder": folder}, chunksize=401, concurrency=1)
    assert len(result.outcomes) == 401
    runs = Counter((Path(folder) / "runs").read_text().splitlines())
    assert {count for item, count in runs.items() if item != "kill"} == {1}


@pytest.mark.ways(lambda way: not way.in_process)
def test_a_hang_in_c_code_is_ended_at_its_time(way: Any, context: Any, folder: str) -> None:
    begun = monotonic()
    items = [1, 2, "hang", 3, 4]
    result = way.run(context, "hang", items, params={"folder": folder}, task_timeout_s=0.5)
    states = [outcome.state for outcome in sorted(result.outcomes)]
    assert states == ["succeeded", "succeeded", "timeout", "succeeded", "succeeded"]
    check_time("the end of a hang", monotonic() - begun, 10)


@pytest.mark.ways(lambda way: not way.in_process)
def test_a_child_killed_from_outside_costs_no_item(way: Any, context: Any) -> None:
    killed: list[int] = []

    def tick() -> None:
        below = [p for p in descendants(os.getpid()) if is_task_child(p)]
        if len(killed) < 2 and below:
            # One of a broken pool may end by itself in between.
            with suppress(ProcessLookupError):
                os.kill(below[0], 9)
                killed.append(below[0])

    context.on_idle = tick
    result = way.run(context, "sleep", range(12), params={"seconds": 0.15})
    assert len(killed) == 2
    assert {outcome.state for outcome in result.outcomes} == {"succeeded"}
    assert len(result.outcomes) == 12


@pytest.mark.ways(lambda way: not way.in_process and way.start_method == "forkserver")
def test_a_killed_fork_server_costs_no_item(way: Any, context: Any) -> None:
    killed: list[int] = []

    def tick() -> None:
        server = fork_server_pid()
        if not killed and server and any(map(is_task_child, children_of(server))):
            killed.append(server)
            os.kill(server, 9)

    context.on_idle = tick
    result = way.run(context, "sleep", range(12), params={"seconds": 0.1})
    assert killed
    assert {outcome.state for outcome in result.outcomes} == {"succeeded"}
    assert len(result.outcomes) == 12


def is_task_child(pid: int) -> bool:
    maps = Path(f"/proc/{pid}/maps")
    try:
        return (
            ".outbox" in maps.read_text() and pid != os.getpid() and f"{pid}-0" in maps.read_text()
        )
    except OSError:
        return False


RUNNER = """
    import sys
    from batchpool.runner.run_batch import run_batch
    from batchpool.model import BatchSpec, RunSpec
    from batchpool.backends.context import RunnerContext
    from batchpool.tasks import TaskSources, load_tasks
    backend, method, tasks_dir, folder, state = sys.argv[1:]
    context = RunnerContext(load_tasks(TaskSources(tasks_dir=tasks_dir)), owns_process=True)
    run = RunSpec("hang", {"folder": folder}, backend=backend, start_method=method, concurrency=3)
    if state == "idle":
        run = RunSpec("echo", {}, backend=backend, start_method=method, concurrency=3)
        run_batch(BatchSpec(run, range(3)), context=context)
        open(folder + "/runs", "w").write("1\\n2\\n3\\n")
        import time; time.sleep(60)
    run_batch(BatchSpec(run, [1, "hang", "hang", "hang"]), context=context)
"""


@pytest.mark.ways(lambda way: not way.in_process and way.pool == "warm" and way.dispatch == "map")
@pytest.mark.parametrize("state", ["busy", "idle"])
@pytest.mark.parametrize("end", ["killed", "tree killed"])
def test_nothing_outlives_a_killed_runner(
    way: Any, tmp_path: Path, state: str, end: str, request: pytest.FixtureRequest
) -> None:
    tasks_dir = Path(__file__).parent / "tasks"
    args = [way.backend, way.start_method, str(tasks_dir), str(tmp_path), state]
    temp_dir = tempfile.mkdtemp()
    request.addfinalizer(lambda: shutil.rmtree(temp_dir))
    environ = {**os.environ, "TMPDIR": temp_dir}
    runner = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUNNER), *args], start_new_session=True, env=environ
    )
    request.addfinalizer(runner.wait)
    request.addfinalizer(runner.kill)
    log = tmp_path / "runs"

    def three_have_begun() -> bool:
        assert runner.poll() is None
        return log.exists() and log.read_text().count("\n") >= 3

    wait_until(three_have_begun, 20)
    below = descendants(runner.pid)
    assert below or (way.backend, state) == ("multiprocessing", "idle")
    if end == "killed":
        runner.kill()
    else:
        kill_tree(runner.pid)
    runner.wait()
    wait_until(lambda: not any(map(is_alive, below)), 2)
