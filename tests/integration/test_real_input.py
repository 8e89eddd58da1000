"""Real input at its real size, on a whole stack: the standard library, and a million items."""

import hashlib
import json
import os
import random
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from batchpool.client import Client
from batchpool.ledger.connection import connect
from batchpool.ledger.keys import SAMPLES
from batchpool.stack.local_stack import LocalStack, StackOptions
from batchpool.system.process_tree import descendants

pytestmark = pytest.mark.full

STDLIB = Path(sysconfig.get_paths()["stdlib"])
MOST_RSS_MB = 400
WAYS = [
    (backend, batches)
    for backend in ("sequential", "threading", "thread-pool", "process-pool", "multiprocessing")
    for batches in (1, 2, 7)
]


def start_stack(workers: int, **settings: str) -> LocalStack:
    environ = {key: value for key, value in os.environ.items() if key != "REDIS_URL"}
    environ |= {"BATCHPOOL_LOG_LEVEL": "error"} | settings
    return LocalStack(StackOptions(workers=workers, temporary=True, environ=environ))


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with start_stack(2, BATCHPOOL_FILES_ROOT=str(STDLIB)) as made:
        yield made


@pytest.fixture
def client(stack: LocalStack) -> Iterator[Client]:
    with Client(stack.url, timeout_s=60) as made:
        yield made


@pytest.fixture(scope="module")
def library() -> tuple[list[str], int]:
    """All Python files of the standard library, and their lines as `wc` counts them."""
    paths = sorted(path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts)
    names = "".join(f"{path}\0" for path in paths)
    told = subprocess.run(
        ["wc", "-l", "--files0-from=-"], input=names, capture_output=True, text=True, check=True
    )
    *_, total = told.stdout.splitlines()
    return [str(path.relative_to(STDLIB)) for path in paths], int(total.split()[0])


@pytest.mark.parametrize(("backend", "batches"), WAYS)
def test_the_lines_of_the_standard_library_are_those_of_wc(
    client: Client, library: tuple[list[str], int], backend: str, batches: int
) -> None:
    names, lines = library
    assert len(names) > 1000
    if backend == "multiprocessing":
        # A process per file: fork is the one that does a thousand in seconds.
        how: dict[str, Any] = {"start_method": "fork", "concurrency": 2}
    else:
        how = {}
    job = client.submit("files", items=names, backend=backend, batches=batches, **how)
    ended = client.wait(job, 100)
    assert ended.state == "succeeded", ended["error"]
    assert ended.sum == lines


@pytest.mark.parametrize("count", [20_000, 1_000_000])
def test_many_random_numbers_come_back_exactly_and_in_little_memory(
    stack: LocalStack, client: Client, seed: int, count: int
) -> None:
    chance = random.Random(seed)
    items = [chance.random() for _ in range(count)]
    job = client.submit("echo", items=items, backend="thread-pool", batches=4)
    ended = client.wait(job, 120)
    assert ended.state == "succeeded"
    assert ended.sum == float(sum(map(Fraction, items)))
    assert len({epoch["worker"] for batch in ended["batches"] for epoch in batch["epochs"]}) == 2
    expected, found = hashlib.sha256(), hashlib.sha256()
    for item in items:
        expected.update(json.dumps(item).encode())
    records = 0
    for record in client.records(job):
        found.update(json.dumps(record["value"]).encode())
        records += 1
    assert records == count and found.hexdigest() == expected.hexdigest()
    for name, megabytes in peak_rss(stack).items():
        assert megabytes < MOST_RSS_MB, (name, megabytes)


def peak_rss(stack: LocalStack) -> dict[str, float]:
    """The highest RSS that each process of the API and the workers ever had, in MB."""
    peaks = {}
    for name, member in stack.pids().items():
        for pid in (member, *descendants(member)):
            status = Path(f"/proc/{pid}/status").read_text().splitlines()
            (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
            peaks[f"{name} {pid}"] = int(peak) / 1024
    return peaks


def test_an_idle_stack_has_as_many_keys_as_before_its_jobs() -> None:
    short = {"BATCHPOOL_RESULT_TTL_S": "1", "BATCHPOOL_IDEMPOTENCY_TTL_S": "1"}
    with (
        start_stack(1, **short) as stack,
        Client(stack.url) as client,
        connect(stack.redis_url) as redis,
    ):
        run_some(client)
        wait_for_keys(redis, lambda keys: not any(b"bp:job:" in key for key in keys))
        # The list of samples is there for a while after the last of them.
        redis.delete(SAMPLES)
        before = set(redis.keys("*"))
        run_some(client)
        assert len(redis.keys("*")) > len(before)
        wait_for_keys(redis, lambda keys: keys - {SAMPLES.encode()} == before)


def run_some(client: Client) -> None:
    for backend in ("thread-pool", "process-pool"):
        job = client.submit("echo", items=["a", 1], backend=backend, batches=2)
        assert client.wait(job, 60).succeeded


def wait_for_keys(redis: Any, are_right: Callable[[set[bytes]], bool]) -> None:
    deadline = time.monotonic() + 60
    while not are_right(keys := set(redis.keys("*"))):
        assert time.monotonic() < deadline, sorted(keys)
        time.sleep(0.2)
