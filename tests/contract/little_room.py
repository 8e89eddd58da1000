"""Run one batch where a limit leaves little room, then one that needs none.

    python little_room.py LIMIT ROOM BACKEND CONCURRENCY [OPTION=VALUE ...]

LIMIT is `processes`, `descriptors`, or `space` in the temp folder; what is in use now and ROOM
more is allowed. Space is given back before the second batch. Prints a line of JSON per batch.
"""

import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from time import monotonic

from batchpool.backends.context import RunnerContext
from batchpool.errors import EngineError
from batchpool.model import BatchSpec, RunSpec
from batchpool.runner.run_batch import run_batch


def limit_processes(room: int) -> None:
    most = room
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == os.getuid():
                most += len(os.listdir(process / "task"))
        except OSError:
            continue
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def limit_descriptors(room: int) -> None:
    most = len(os.listdir("/proc/self/fd")) + room
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def limit_space(room: int) -> None:
    with open(FILLER, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            file.truncate(file.tell() - room)


FILLER = Path(tempfile.gettempdir()) / "filler"
LIMITS = {"processes": limit_processes, "descriptors": limit_descriptors, "space": limit_space}


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


def main(limit: str, room: int, backend: str, concurrency: int, options: dict[str, str]) -> None:
    nap = RunSpec("sleep", {"seconds": 0.1}, backend, concurrency, **options)
    echo = RunSpec("echo", backend="sequential")
    with RunnerContext(owns_process=True) as context:
        LIMITS[limit](room)
        report(BatchSpec(nap, range(30)), context)
        FILLER.unlink(missing_ok=True)
        report(BatchSpec(echo, range(5)), context)


if __name__ == "__main__":
    limit, room, backend, concurrency, *options = sys.argv[1:]
    main(limit, int(room), backend, int(concurrency), dict(pair.split("=") for pair in options))
