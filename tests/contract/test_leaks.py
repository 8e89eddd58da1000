"""What a batch opens is closed with it: descriptors, mappings, files and threads stay flat."""

import gc
import json
import resource
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest

from batchpool.backends.facts import BACKENDS

SCRIPT = Path(__file__).with_name("many_batches.py")
DESCRIPTORS_ALLOWED = 128
KINDS = (
    "sequential",
    "threading",
    "thread-pool dispatch=map",
    "thread-pool dispatch=submit",
    "asyncio",
    "auto",
    "multiprocessing shared_sum=locked",
    "process-pool dispatch=map shared_sum=locked",
    "process-pool dispatch=submit",
    "interpreter-pool",
)


class Items(list[int]):
    """Items that a weak reference can refer to."""


def limit_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS_ALLOWED, DESCRIPTORS_ALLOWED))


def run_many(kind: str, batches: int) -> None:
    backend, *options = kind.split()
    if not BACKENDS[backend].is_supported:
        pytest.skip(f"{backend} needs Python {BACKENDS[backend].min_python}")
    ran = subprocess.run(
        [sys.executable, SCRIPT, backend, str(batches), *options],
        preexec_fn=limit_descriptors,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    early, late = map(json.loads, ran.stdout.splitlines())
    assert late == early


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_open_is_flat_over_300_batches(kind: str) -> None:
    run_many(kind, 300)


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_open_is_flat_over_10_000_batches(kind: str) -> None:
    run_many(kind, 10_000)


def test_nothing_of_a_batch_waits_for_the_garbage_collector(way: Any, context: Any) -> None:
    way.run(context, "echo", range(3))
    gc.collect()
    gc.disable()
    try:
        items = Items(range(3))
        kept = weakref.ref(items)
        way.run(context, "echo", items)
        del items
        assert kept() is None
    finally:
        gc.enable()
