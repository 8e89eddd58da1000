"""A task whose every run leaves a stamp of its own, in a file and as its value."""

import os
import time
from dataclasses import dataclass
from typing import Any

from batchpool.tasks import task


@dataclass(frozen=True)
class StampedParams:
    """The file that each run is appended to, and how long a run takes."""

    path: str
    seconds: float = 0.0


@task("stamped", params=StampedParams)
def stamped(item: Any, params: StampedParams) -> str:
    """Append `pid-nanoseconds` to a file, sleep, and return it; wait while PATH.hold is there."""
    stamp = f"{os.getpid()}-{time.monotonic_ns()}"
    log = os.open(params.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{stamp}\n".encode())
    finally:
        os.close(log)
    time.sleep(params.seconds)
    while os.path.exists(f"{params.path}.hold"):
        time.sleep(0.01)
    return stamp
