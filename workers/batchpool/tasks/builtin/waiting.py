"""Tasks that wait: for the clock only, or for the clock and the CPU by turns."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from batchpool.tasks.builtin.computing import burn_cpu
from batchpool.tasks.decorator import task


@dataclass(frozen=True)
class SleepParams:
    """How long to sleep."""

    seconds: Annotated[float, Interval(ge=0, le=3600)] = 2.0


@dataclass(frozen=True)
class MixedParams:
    """How long to sleep, and how much to compute after it."""

    seconds: Annotated[float, Interval(ge=0, le=3600)] = 0.02
    iterations: Annotated[int, Interval(ge=1, le=1_000_000_000)] = 100_000


@task("sleep", params=SleepParams, bound="io")
def sleep(item: Any, params: SleepParams) -> Any:
    """Sleep, then return the item: the notebook's waiting task."""
    time.sleep(params.seconds)
    return item


@sleep.async_form
async def _(item: Any, params: SleepParams) -> Any:
    # Only here: children never run this form, and asyncio is half of what they would import.
    import asyncio

    await asyncio.sleep(params.seconds)
    return item


@task("mixed", params=MixedParams)
def mixed(item: Any, params: MixedParams) -> Any:
    """Sleep, then compute, then return the item."""
    time.sleep(params.seconds)
    burn_cpu(params.iterations)
    return item


@mixed.async_form
async def _(item: Any, params: MixedParams) -> Any:
    import asyncio

    await asyncio.sleep(params.seconds)
    burn_cpu(params.iterations)
    return item
