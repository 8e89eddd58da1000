"""The capabilities of a class of workers: workers with the same ones share a queue."""

import contextlib
import hashlib
import json
import logging
import sys
import types
from collections.abc import Sequence
from typing import Any

from batchpool.backends.facts import BACKENDS
from batchpool.ledger.values.announcements import LoadFailure, TaskCapabilities, WorkerCapabilities
from batchpool.model import START_METHODS
from batchpool.system.cpus import usable_cpus
from batchpool.system.interpreter import gil_enabled, python_minor
from batchpool.tasks.decorator import Task
from batchpool.tasks.load_errors import MOST_ERROR_CHARS, MOST_ERRORS, LoadError, printable
from batchpool.tasks.registry import Registry

SPEC_VERSION = 4
"""Of the stored spec; workers of another version have queues of their own."""
MOST_SCHEMA_BYTES = 256 * 1024

log = logging.getLogger("batchpool.runner")


def class_id(registry: Registry) -> str:
    """The id of this process's class of workers, which names its queue.

    A digest of what decides whether a batch can run here, and of the version of each task.
    """
    text = json.dumps(_identity(registry), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint(registry: Registry) -> str:
    """A value that changes when `capabilities` changes, at a fraction of its cost."""
    errors = json.dumps([(error.source, error.error) for error in registry.errors])
    return f"{class_id(registry)}-{hashlib.sha256(errors.encode()).hexdigest()[:16]}"


def _identity(registry: Registry) -> dict[str, Any]:
    return {
        "python": python_minor(),
        "gil": gil_enabled(),
        "version": registry.version,
        "spec": SPEC_VERSION,
    }


def capabilities(registry: Registry) -> WorkerCapabilities:
    """Describe what can run here, and log each source of tasks that cannot."""
    tasks, errors = _describe_tasks(registry)
    for error in errors:
        log.error("cannot load tasks: %s: %s\n%s", error.source, error.error, error.traceback or "")
    return WorkerCapabilities(
        id=class_id(registry),
        python=python_minor(),
        gil=gil_enabled(),
        version=registry.version,
        spec=SPEC_VERSION,
        cpus=usable_cpus(),
        backends=tuple(name for name, facts in BACKENDS.items() if facts.is_supported),
        start_methods=START_METHODS,
        tasks=tasks,
        errors=_announced_errors(errors),
    )


def _describe_tasks(registry: Registry) -> tuple[dict[str, TaskCapabilities], list[LoadError]]:
    """The tasks that can be announced, and the errors of those that cannot."""
    tasks: dict[str, TaskCapabilities] = {}
    errors = list(registry.errors)
    for name, task in sorted(registry.tasks.items()):
        try:
            tasks[name] = _describe_task(registry, name)
        except BaseException as exc:  # the params class may be a user's, with methods of its own
            errors.append(LoadError.of(f"params of task {name!r} in {task.module}", exc))
    return tasks, errors


def _describe_task(registry: Registry, name: str) -> TaskCapabilities:
    task = registry[name]
    described = TaskCapabilities(
        description=printable(task.description, MOST_ERROR_CHARS),
        schema=registry.schema_of(name),
        has_sync=task.run is not None,
        has_async=task.run_async is not None,
        bound=task.bound,
        rate=task.rate,
        code=registry.code_of(name),
        interpreters=not _uses_pydantic(task),
    )
    # A schema that the service and its clients cannot read is an error of that task alone.
    text = json.dumps(described.to_json(), allow_nan=False, ensure_ascii=False).encode()
    if len(text) > MOST_SCHEMA_BYTES:
        raise ValueError(f"the schema has {len(text)} bytes; at most {MOST_SCHEMA_BYTES} allowed")
    return TaskCapabilities.from_json(json.loads(text))


def _announced_errors(errors: Sequence[LoadError]) -> tuple[LoadFailure, ...]:
    """The errors as a worker announces them: the first ones, and how many there are."""
    shown = [LoadFailure(error.source, error.error) for error in errors[:MOST_ERRORS]]
    if left := len(errors) - len(shown):
        total = f"{len(errors)} errors in all; the log of the worker names each"
        shown.append(LoadFailure(f"{left} more sources", total))
    return tuple(shown)


def _uses_pydantic(task: Task) -> bool:
    """Whether the task's module imports pydantic, whose C core no sub-interpreter can load."""
    if hasattr(task.params, "__pydantic_core_schema__"):
        return True
    kinds = (type, types.FunctionType, types.ModuleType)
    for value in vars(sys.modules.get(task.module, object)).values():
        # By type(): asking a framework's lazy object for its class may create it or fail.
        if issubclass(type(value), kinds):
            name = "__name__" if type(value) is types.ModuleType else "__module__"
            # A class may have a metaclass that raises anything.
            with contextlib.suppress(Exception):
                if str(getattr(value, name)).partition(".")[0] == "pydantic":
                    return True
    return False
