"""The task of the uneven workloads: each item says how long it sleeps and computes."""

import hashlib
import time

from batchpool.tasks import task
from batchpool.tasks.builtin.computing import burn_cpu

_BLOCK = bytes(1 << 20)


@task("steps")
def steps(item: tuple[float, int, int]) -> None:
    """Sleep for some seconds, run the Python loop so often, hash so many bytes in C."""
    seconds, loops, size = item
    if seconds:
        time.sleep(seconds)
    if loops:
        burn_cpu(loops)
    digest = hashlib.sha256()
    view = memoryview(_BLOCK)
    for start in range(0, size, len(_BLOCK)):
        digest.update(view[: size - start])
