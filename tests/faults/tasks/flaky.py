"""A task that fails its first runs, counted in a file per item that outlives every process."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchpool.tasks import task


@dataclass(frozen=True)
class FlakyParams:
    """The folder of the files, how many runs of an item fail, and how long each takes."""

    folder: str
    fails: int = 1
    seconds: float = 0.0


@task("flaky", params=FlakyParams)
def flaky(item: Any, params: FlakyParams) -> Any:
    """Note the time of this run; fail unless enough runs have failed before; return the item."""
    time.sleep(params.seconds)
    return _run(item, params)


@flaky.async_form
async def _(item: Any, params: FlakyParams) -> Any:
    await asyncio.sleep(params.seconds)
    return _run(item, params)


def _run(item: Any, params: FlakyParams) -> Any:
    file = Path(params.folder) / str(item)
    log = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"{time.monotonic()}\n".encode())
    finally:
        os.close(log)
    runs = len(file.read_text().splitlines())
    if runs <= params.fails:
        raise RuntimeError(f"run {runs} of {item}")
    return item
