"""What a class of workers can run: workers with the same document take each other's batches."""

import hashlib
import json
from typing import Any

from workers.backends import BACKENDS
from workers.cpus import usable_cpus
from workers.model import START_METHODS
from workers.runtime import gil_enabled, python_minor
from workers.tasks.registry import Registry

SPEC_VERSION = 2
"""Of the stored spec; workers of another version have queues of their own."""


def class_document(registry: Registry) -> dict[str, Any]:
    """Its `id` is a digest of what decides whether a batch can run here, and names the queue."""
    identity = {
        "python": python_minor(),
        "gil": gil_enabled(),
        "version": registry.version,
        "spec": SPEC_VERSION,
    }
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return identity | {
        "id": digest[:16],
        "cpus": usable_cpus(),
        "backends": [name for name, facts in BACKENDS.items() if facts.is_supported],
        "start_methods": list(START_METHODS),
        "tasks": {name: _describe_task(registry, name) for name in sorted(registry.tasks)},
        "errors": registry.errors,
    }


def _describe_task(registry: Registry, name: str) -> dict[str, Any]:
    task = registry[name]
    return {
        "description": task.description,
        "schema": registry.schema_of(name),
        "sync": task.run is not None,
        "async": task.run_async is not None,
        "bound": task.bound,
    }
