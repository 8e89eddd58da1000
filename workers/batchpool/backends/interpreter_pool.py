"""A concurrent.futures.InterpreterPoolExecutor: threads of this process, each with its own GIL."""

from batchpool.backends.pool_backend import PoolBackend


class InterpreterPool(PoolBackend):
    """Runs chunks in the interpreters of one pool, which cannot die alone.

    Tasks and what they import must be able to live in a sub-interpreter; a task whose module
    cannot be imported there fails with the error of that import.
    """

    @property
    def method(self) -> str | None:
        return None

    def tick(self) -> None:
        # Tasks run in this process: its owner has a thread of its own to flush from.
        return
