"""Coroutines that leave something in their loop which does not end with them."""

import asyncio
import sys
import time
from dataclasses import dataclass

from batchpool.tasks import task

KEPT: list["asyncio.Task[None]"] = []


@dataclass(frozen=True)
class LingerParams:
    what: str


@task("linger", params=LingerParams)
async def linger(item: int, params: LingerParams) -> int:
    """Leave a thread, a pending coroutine, one that ignores its cancel, stop the loop or others."""
    loop = asyncio.get_running_loop()
    if params.what == "executor":
        loop.run_in_executor(None, time.sleep, 60)
    elif params.what == "stubborn":
        KEPT.append(loop.create_task(_ignore_cancels()))
    elif params.what == "stop":
        loop.stop()
    elif params.what == "exit":
        loop.call_soon(sys.exit, 3)
    elif params.what == "cancelled" and item == 0:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        # No await: the cancel hits whoever ran this.
        return item
    elif params.what == "cancels":
        others = asyncio.all_tasks(loop) - {asyncio.current_task()}
        for other in others if item == 1 else ():
            other.cancel()
    else:
        KEPT.append(loop.create_task(_wait()))
    await asyncio.sleep(0)
    return item


async def _wait() -> None:
    await asyncio.sleep(3600)


async def _ignore_cancels() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            continue
