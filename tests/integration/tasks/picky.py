"""A task that runs on one kind of backend only."""

import threading
from typing import Any

from workers.tasks import task


@task("picky")
def picky(item: Any) -> Any:
    """Fail beside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("not the main thread")
    return item
