"""P10: SIGTERM to every process of a stack at once, as systemd sends it, spends no try."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from batchpool.client import Client
from tests.support.sampling import full
from tests.support.waiting import wait_until

TASK = """
import asyncio, os, time
from batchpool.tasks import task

def mark(item):
    with open(os.environ["MARKS"], "a") as marks:
        marks.write(f"{item}\\n")

@task("slow")
def slow(item):
    mark(item)
    time.sleep(0.2)
    return item

@slow.async_form
async def slow_too(item):
    mark(item)
    await asyncio.sleep(0.2)
    return item
"""
ITEMS = 60
ENDS_CHILDREN = ("process-pool", "multiprocessing")


@contextmanager
def up(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    """`batchpool up` with its data in `folder`, and a client of it; the test ends it."""
    environ = {"BATCHPOOL_TASKS_DIR": str(folder / "tasks"), "MARKS": str(folder / "marks")}
    command = [sys.executable, "-m", "batchpool", "up", "--workers", "2", "--port", "0"]
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            [*command, "--data", str(folder / "data")],
            env=os.environ | environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url, (folder / "log").read_text()
        with Client(url[0]) as client:
            try:
                yield process, client
            finally:
                process.terminate()
                process.wait(30)


def signal_all(process: subprocess.Popen[str]) -> None:
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for each in tree:
        with suppress(psutil.Error):
            each.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    "backend",
    ["thread-pool", *full("sequential", "threading", "asyncio", "process-pool", "multiprocessing")],
)
def test_a_signal_to_all_gives_the_batches_back_and_spends_no_try(
    tmp_path: Path, backend: str
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "t.py").write_text(TASK)
    marks = tmp_path / "marks"
    with up(tmp_path) as (process, client):
        job = client.submit("slow", count=ITEMS, batches=2, concurrency=2, backend=backend)
        wait_until(lambda: marks.exists() and marks.read_text().count("\n") >= 8, 30, "it runs")
        signal_all(process)
        assert process.wait(30) == 0
    assert marks.read_text().count("\n") < ITEMS, "it had ended before"
    with up(tmp_path) as (_, client):
        ended = client.wait(job.id, wait_s=60)
        attempts = {record["attempt"] for record in client.records(job.id)}
    assert ended.succeeded and ended.sum == sum(range(ITEMS))
    assert attempts == {1}
    epochs = [epoch for batch in ended["batches"] for epoch in batch["epochs"]]
    assert {epoch["end_reason"] for epoch in epochs} == {"released", "succeeded"}
    twice = {item for item, n in Counter(marks.read_text().split()).items() if n > 1}
    # Children get the signal too, and end: what they ran runs again.
    assert len(twice) <= (4 if backend in ENDS_CHILDREN else 0), twice
    assert "Traceback" not in (tmp_path / "log").read_text()
