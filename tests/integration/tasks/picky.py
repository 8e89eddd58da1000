"""Tasks that a test steers: one by its backend, one by a file."""

import os
import threading
import time
from dataclasses import dataclass
from typing import Any

from batchpool.tasks import task


@dataclass(frozen=True)
class HeldParams:
    """The file that holds a task, and how long it takes at least."""

    path: str
    seconds: float = 0.0


@task("picky")
def picky(item: Any) -> Any:
    """Fail beside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("not the main thread")
    return item


@task("held", params=HeldParams)
def held(item: Any, params: HeldParams) -> Any:
    """Sleep, and go on waiting while the file is there."""
    time.sleep(params.seconds)
    while os.path.exists(params.path):
        time.sleep(0.01)
    return item
