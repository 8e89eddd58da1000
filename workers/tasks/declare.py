"""Declaring a task: a function, a name, a model of its params."""

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
Bound = Literal["io", "cpu"]
Run = Callable[..., Any]
RunAsync = Callable[..., Awaitable[Any]]


class Task:
    """A function that a job may name; calling it runs it.

    Promises: `name`, `params` and the functions never change once the registry has
    it. Its function is called with the item, and with the params if it has a model.
    """

    def __init__(self, name: str, params: type | None, bound: Bound | None) -> None:
        self.name = name
        self.params = params
        self.bound = bound
        self.run: Run | None = None
        self.run_async: RunAsync | None = None
        self.description = ""
        self.module = ""

    def twin(self, function: RunAsync) -> "Task":
        """Add the form that runs in an event loop; use it as a decorator of an `async def`."""
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"the twin of task {self.name!r} is not an async def")
        self.run_async = function
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.run or self.run_async
        assert function is not None
        return function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name!r} of {self.module}>"


def task(
    name: str, *, params: type | None = None, bound: Bound | None = None
) -> Callable[[Callable[..., Any]], Task]:
    """Declare a function as the task `name`.

    Args:
        name: what jobs call it: 1 to 100 letters, digits, `_`, `-`, `.`.
        params: a frozen dataclass (or pydantic model) of what the function needs
            besides the item; without one it is called with the item only.
        bound: what it spends its time on, if known: "io" or "cpu".
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"task name {name!r}; allowed: 1 to 100 letters, digits, '_', '-', '.'")

    def declare(function: Callable[..., Any]) -> Task:
        declared = Task(name, params, bound)
        if inspect.iscoroutinefunction(function):
            declared.run_async = function
        else:
            declared.run = function
        declared.description = (inspect.getdoc(function) or "").partition("\n\n")[0]
        declared.module = function.__module__
        return declared

    return declare
