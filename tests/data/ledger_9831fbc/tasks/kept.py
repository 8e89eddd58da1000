"""Tasks of the recorded jobs that no built-in one stands for."""

import math
import time
from typing import Any

from batchpool.tasks import task


@task("returns")
def returns(item: Any) -> Any:
    """Return what JSON cannot hold for some items, the item for the others."""
    return {"nan": math.nan, "set": {1}, "long": "x" * (1 << 20)}.get(str(item), item)


@task("flaky_once")
def flaky_once(item: Any) -> Any:
    """Fail at the first try of each item in a process."""
    _tries[item] = _tries.get(item, 0) + 1
    if _tries[item] == 1:
        raise ConnectionError(f"no connection for {item}")
    return item


@task("steps")
def steps(item: Any) -> Any:
    """Take a fifth of a second, so that a worker can be stopped in the middle of a batch."""
    time.sleep(0.2)
    return item + 0.25


_tries: dict[Any, int] = {}
