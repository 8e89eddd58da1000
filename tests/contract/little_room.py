"""Run one batch where a limit leaves little room, then one that needs none.

    python little_room.py LIMIT ROOM BACKEND CONCURRENCY [OPTION=VALUE ...]

Takes RLIMIT_NPROC or RLIMIT_NOFILE down to what is in use now and ROOM more. Prints a line of JSON
per batch.
"""

import json
import os
import resource
import sys
from pathlib import Path
from time import monotonic

from batchpool.backends.context import RunnerContext
from batchpool.errors import EngineError
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch


def count_threads_of_user() -> int:
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                count += len(os.listdir(process / "task"))
        except OSError:
            continue
    return count


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def report(spec: BatchSpec, context: RunnerContext) -> None:
    began_s = monotonic()
    try:
        result = run_batch(spec, context=context)
    except EngineError as error:
        said = {"error": str(error)}
    else:
        states = [outcome.state for outcome in result.outcomes]
        said = {"states": states, "concurrency": result.report.effective_concurrency}
    sys.stdout.write(json.dumps({**said, "seconds": monotonic() - began_s}) + "\n")


COUNTS = {"RLIMIT_NPROC": count_threads_of_user, "RLIMIT_NOFILE": count_descriptors}


def main(limit: str, room: int, backend: str, concurrency: int, options: dict[str, str]) -> None:
    nap = RunSpec("sleep", {"seconds": 0.1}, backend, concurrency, **options)
    echo = RunSpec("echo", backend="sequential")
    with RunnerContext(owns_process=True) as context:
        most = COUNTS[limit]() + room
        resource.setrlimit(getattr(resource, limit), (most, most))
        report(BatchSpec(nap, range(30)), context)
        report(BatchSpec(echo, range(5)), context)


if __name__ == "__main__":
    limit, room, backend, concurrency, *options = sys.argv[1:]
    main(limit, int(room), backend, int(concurrency), dict(pair.split("=") for pair in options))
