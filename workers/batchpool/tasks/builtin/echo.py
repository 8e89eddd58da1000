"""The task that only hands back what it got."""

from typing import Any

from batchpool.tasks.decorator import task


@task("echo")
def echo(item: Any) -> Any:
    """Return the item."""
    return item


@echo.async_form
async def _(item: Any) -> Any:
    return item
