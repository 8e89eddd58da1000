"""Run many small batches in one process and print its open descriptors, mappings and threads.

    python many_batches.py BACKEND BATCHES [OPTION=VALUE ...]

Prints two lines of JSON: after a tenth of the batches, and after all of them.
"""

import _thread
import gc
import json
import os
import sys
from pathlib import Path

from batchpool.backends.context import RunnerContext
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch


def count_descriptors(process: int | str) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def count_open(context: RunnerContext) -> dict[str, int]:
    return {
        "descriptors": count_descriptors("self"),
        "mapped_files": Path("/proc/self/maps").read_text().count(str(context.folder)),
        "files": len(list(context.folder.iterdir())),
        "threads": _thread._count(),
        "descriptors_of_children": sum(map(count_descriptors, context.pools.pids)),
    }


def main(backend: str, batches: int, options: dict[str, str]) -> None:
    # As in a worker, where thousands of records live for a moment: nearly never.
    gc.set_threshold(1_000_000)
    spec = BatchSpec(RunSpec("echo", backend=backend, concurrency=2, **options), items=range(2))
    with RunnerContext(owns_process=True) as context:
        for number in range(1, batches + 1):
            states = [outcome.state for outcome in run_batch(spec, context=context).outcomes]
            assert states == ["succeeded"] * 2, (number, states)
            if number in (batches // 10, batches):
                sys.stdout.write(json.dumps(count_open(context)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), dict(pair.split("=") for pair in sys.argv[3:]))
