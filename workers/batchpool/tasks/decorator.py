"""Declare a task: a function, a name, a model of its params."""

import functools
import inspect
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Literal, get_args

from batchpool.rates import interval_of
from batchpool.system.cpython_internals import calling_frame

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_MOST_DESCRIPTION_CHARS = 1000
Bound = Literal["io", "cpu"]
Run = Callable[..., Any]
RunAsync = Callable[..., Awaitable[Any]]

_declared: dict[str, tuple[dict[str, Any], list["Task"]]] = {}
"""By module: the namespace in which its tasks were declared, and the tasks in their order."""


class Task:
    """A function that a job may name; calling it runs it.

    Promises: `name`, `params` and the functions never change once the registry has
    it. Its function is called with the item, and with the params if it has a model.
    """

    def __init__(
        self, name: str, params: type | None, bound: Bound | None, rate: str | None = None
    ) -> None:
        self.name = name
        self.params = params
        self.bound = bound
        self.rate = rate
        self.run: Run | None = None
        self.run_async: RunAsync | None = None
        self.description = ""
        self.module = ""

    def async_form(self, function: RunAsync) -> "Task":
        """Add the form that runs in an event loop; use it as a decorator of an `async def`."""
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"the async form of task {self.name!r} must be an async def")
        _check_signature(self, function)
        self.run_async = function
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.run or self.run_async
        assert function is not None
        return function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<task {self.name!r} of {self.module}>"


def task(
    name: str,
    *,
    params: type | None = None,
    bound: Bound | None = None,
    rate: str | None = None,
) -> Callable[[Callable[..., Any]], Task]:
    """Declare a function as the task `name`.

    Args:
        name: what jobs call it: 1 to 100 letters, digits, `_`, `-`, `.`.
        params: a frozen dataclass (or pydantic model) of what the function needs
            besides the item; without one it is called with the item only.
        bound: what it spends its time on, if known: "io" or "cpu".
        rate: how many of its items may begin in a time, on all workers together: "10/s", "30/min".
    Raises:
        TypeError, ValueError: what is declared could never be run as a task.
    """
    if not isinstance(name, str):
        raise TypeError("task() needs the name of the task: @task('name')")
    if not _NAME.fullmatch(name):
        raise ValueError(f"task name {name!r} must be 1 to 100 letters, digits, '_', '-' or '.'")
    if params is not None and not isinstance(params, type):
        raise TypeError(f"params of task {name!r} must be a class, not {_shown(params)}")
    if bound is not None and bound not in get_args(Bound):
        raise ValueError(f"bound of task {name!r} must be 'io' or 'cpu', not {_shown(bound)}")

    _check_rate(name, rate)

    def declare(function: Callable[..., Any]) -> Task:
        declared = Task(name, params, bound, rate)
        _set_forms(declared, function)
        declared.module = _record(declared, calling_frame(1))
        return declared

    return declare


def _check_rate(name: str, rate: str | None) -> None:
    try:
        if rate is not None:
            interval_of(rate)
    except (TypeError, ValueError):
        raise ValueError(
            f"rate of task {name!r} must be as '10/s', '30/min' or '100/h', not {_shown(rate)}"
        ) from None


def declared_tasks(module: str) -> list[Task]:
    """The tasks that the code of a module declared, in their order, however it keeps them."""
    return list(_declared.get(module, ({}, []))[1])


def forget_tasks(module: str) -> None:
    """Forget what a module declared that is no longer imported."""
    _declared.pop(module, None)


def _set_forms(declared: Task, function: Callable[..., Any]) -> None:
    if isinstance(function, Task):
        # A second name for a task.
        declared.run, declared.run_async = function.run, function.run_async
        declared.description = function.description
        return
    if isinstance(function, staticmethod):
        function = function.__func__
    if not callable(function):
        raise TypeError(f"task {declared.name!r} must be a function, not {_shown(function)}")
    code = _called_by(function)
    if inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code):
        raise TypeError(
            f"task {declared.name!r} must return its value; a generator cannot be a task"
        )
    _check_signature(declared, function)
    if inspect.iscoroutinefunction(code):
        declared.run_async = function
    else:
        declared.run = function
    doc = (inspect.getdoc(_without_partial(function)) or "").partition("\n\n")[0]
    declared.description = doc[:_MOST_DESCRIPTION_CHARS]


def _without_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _called_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """What runs when `function` is called: of an object, its class's `__call__`."""
    function = _without_partial(function)
    if inspect.isroutine(function) or isinstance(function, type):
        return function
    call: Callable[..., Any] = type(function).__call__
    return call


def _check_signature(declared: Task, function: Callable[..., Any]) -> None:
    given = ["item"] if declared.params is None else ["item", "params"]
    try:
        signature = _signature_of(function)
    except ValueError:
        return  # some functions written in C have no signature
    shown = f"task {declared.name!r} is called with ({', '.join(given)})"
    first = next(iter(signature.parameters), "")
    if first in ("self", "cls") and inspect.isfunction(function):
        raise TypeError(f"{shown}, so it cannot be a method of a class: {_shown(signature)}")
    try:
        signature.bind(*given)
    except TypeError:
        raise TypeError(f"{shown}, but its function takes {_shown(signature)}") from None


def _signature_of(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info < (3, 14):
        return inspect.signature(function)
    from annotationlib import Format  # type: ignore[import-not-found,unused-ignore]

    # A name in an annotation may be defined further down in the module.
    return inspect.signature(function, annotation_format=Format.FORWARDREF)


def _record(declared: Task, frame: Any) -> str:
    """Note the task under the module whose import declares it, and return that module's name.

    The function may come from another module, and the decorator be called by another one's code.
    """
    caller = frame
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if frame is None or frame.f_globals.get("__name__") == "__main__":
        frame = caller
    namespace: dict[str, Any] = frame.f_globals
    module = str(namespace.get("__name__"))
    known = _declared.get(module)
    if known is None or known[0] is not namespace:
        known = _declared[module] = (namespace, [])
    known[1].append(declared)
    return module


def _shown(value: object) -> str:
    text = repr(value) if not isinstance(value, inspect.Signature) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
