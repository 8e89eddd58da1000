"""Tasks that kill more than themselves."""

import os
import signal
import time
from dataclasses import dataclass

from batchpool.tasks import task


@dataclass(frozen=True)
class KillParams:
    what: str
    item: int = 3


@task("kill", params=KillParams)
def kill(item: int, params: KillParams) -> int:
    """Kill the own process group, or the parent, on one item."""
    if item == params.item:
        if params.what == "group":
            os.killpg(0, signal.SIGKILL)
        else:
            os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(5)
    time.sleep(0.005)
    return item
