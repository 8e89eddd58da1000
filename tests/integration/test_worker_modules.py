"""A worker process loads nothing that runs tasks: its runner does that."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.stack_processes import StackProcesses

# Run by every Python that finds it on its path; the runner is killed and writes nothing.
_AT_EXIT = """
import atexit, os, pathlib, sys

def note():
    path = pathlib.Path(os.environ["TEST_MODULES"]) / str(os.getpid())
    path.write_text("\\n".join(sys.modules))

atexit.register(note)
"""


def test_a_worker_that_ran_a_batch_has_loaded_no_tasks_children_or_backends(
    crew: StackProcesses, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_AT_EXIT)
    where = {"PYTHONPATH": str(tmp_path), "TEST_MODULES": str(tmp_path)}
    (worker,) = crew.start_workers(1, **where)
    job = crew.run(task="echo", count=3, backend="process-pool", measure=True)
    assert job["state"] == "succeeded"
    worker.terminate()
    worker.wait(30)
    modules = (tmp_path / str(worker.pid)).read_text().split()
    assert "batchpool.worker.supervisor" in modules
    packages = {name.split(".")[1] for name in modules if name.startswith("batchpool.")}
    assert not packages & {"tasks", "children", "backends"}


_NO_RUNNER = """
import os, sys

if "batchpool.runner" in sys.orig_argv:
    os._exit(3)
"""


def test_a_worker_whose_runner_does_not_start_says_so_in_a_line(
    redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(_NO_RUNNER)
    told = subprocess.run(
        [sys.executable, "-m", "batchpool.worker"],
        env={**os.environ, "REDIS_URL": redis_url, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.returncode == 1
    last = told.stderr.splitlines()[-1]
    assert last == "batchpool worker: the runner does not start: it exited with 3", told.stderr
    assert "Traceback" not in told.stderr
