"""`batchpool up` whose log nobody reads: tasks go on, and SIGTERM still ends it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from batchpool.client import Client
from tests.support.sampling import full

TASKS = """
import sys
from batchpool.tasks import task

@task("noisy")
def noisy(item):
    print("y" * 20_000, flush=True)
    return item

@task("endless")
def endless(item):
    for _ in range(20):
        sys.stdout.write("x" * 2_000_000)
    sys.stdout.flush()
    return item
"""


@pytest.mark.parametrize("reader", ["asleep", *full("gone")])
def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path, reader: str) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/noisy.py").write_text(TASKS)
    read, write = os.pipe()
    command = [sys.executable, "-m", "batchpool", "up", "--workers", "1", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--data", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        stderr=write,
        text=True,
        env={**os.environ, "BATCHPOOL_TASKS_DIR": str(tmp_path / "tasks")},
    )
    os.close(write)
    assert process.stdout is not None
    try:
        url = re.search(r"http\S+", process.stdout.readline())
        assert url is not None
        if reader == "gone":
            os.close(read)
        with Client(url[0]) as client:
            before = psutil.Process(process.pid).memory_info().rss
            noisy = client.run("noisy", count=2000, concurrency=2, wait_s=60)
            endless = client.run("endless", count=1, backend="sequential", wait_s=60)
            grown = psutil.Process(process.pid).memory_info().rss - before
        assert (noisy.state, endless.state) == ("succeeded", "succeeded")
        assert grown < 25 << 20
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(40)
        process.stdout.close()
        if reader == "asleep":
            os.close(read)
    assert code == 0
