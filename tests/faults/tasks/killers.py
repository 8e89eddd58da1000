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
    after_s: float = 0.0
    failing: int | None = None


@task("kill", params=KillParams)
def kill(item: int, params: KillParams) -> int:
    """Kill the own process group, or the parent, on one item; raise on another one."""
    if item == params.failing:
        raise ValueError("as ordered")
    if item == params.item:
        time.sleep(params.after_s)
        if params.what == "group":
            os.killpg(0, signal.SIGKILL)
        else:
            os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(5)
    time.sleep(0.005)
    return item


@dataclass(frozen=True)
class StopParams:
    """Whom each of these items stops, and the folder of marks by which each does it only once."""

    what: str
    items: tuple[int, ...] = (3,)
    folder: str | None = None


@task("stop", params=StopParams)
def stop(item: int, params: StopParams) -> int:
    """Stop the own process, or the parent."""
    if item in params.items and (params.folder is None or _is_first(f"{params.folder}/{item}")):
        os.kill(os.getpid() if params.what == "self" else os.getppid(), signal.SIGSTOP)
    time.sleep(0.005)
    return item


def _is_first(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True
