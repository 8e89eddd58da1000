"""Tasks that fork, draw random numbers, and leave garbage that only a collector finds."""

import asyncio
import os
import random
import sys
import time
from dataclasses import dataclass

from batchpool.tasks import task

RNG = random.Random()
SEEDED = random.Random(7)


@dataclass(frozen=True)
class ForkParams:
    marks: str
    how: str = "return"


def fork_on_third(item: int, params: ForkParams) -> int:
    with open(params.marks, "a") as marks:
        marks.write(f"{item}\n")
    if item == 3:
        pid = os.fork()
        if pid == 0:
            if params.how == "raise":
                raise ValueError("in the child")
            if params.how == "exit":
                sys.exit(3)
            return -1000
        os.waitpid(pid, 0)
    return item


@task("fork", params=ForkParams)
def fork(item: int, params: ForkParams) -> int:
    """Fork on item 3; the child goes on like its parent."""
    time.sleep(0.005)
    return fork_on_third(item, params)


@fork.async_form
async def _(item: int, params: ForkParams) -> int:
    await asyncio.sleep(0.005)
    value = fork_on_third(item, params)
    await asyncio.sleep(0)
    return value


@task("draw")
def draw(item: int) -> list[float]:
    """Draw from generators that were made at import."""
    return [RNG.random(), SEEDED.random(), random.random()]


@task("garbage")
def garbage(item: int) -> int:
    """Leave 5 MB that only the garbage collector frees."""
    ring: list[dict[str, object]] = [{} for _ in range(50)]
    for number in range(50):
        ring[number]["next"] = ring[number - 1]
    ring[0]["load"] = bytearray(b"x" * (5 << 20))
    return item
