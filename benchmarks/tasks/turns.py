"""The task of W5, as a user would declare it: it alternates sleeping and computing."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from batchpool.tasks import task
from batchpool.tasks.builtin.computing import burn_cpu


@dataclass(frozen=True)
class TurnsParams:
    """How long an even item sleeps, and how much an odd one computes."""

    seconds: Annotated[float, Interval(ge=0, le=60)] = 0.02
    iterations: Annotated[int, Interval(ge=1, le=1_000_000_000)] = 100_000


@task("turns", params=TurnsParams)
def turns(item: Any, params: TurnsParams) -> Any:
    """Sleep on an even item, compute on an odd one."""
    if item % 2:
        burn_cpu(params.iterations)
    else:
        time.sleep(params.seconds)
    return item
