"""The environment of a comparison: Python, CPUs, load, Redis and version of the code."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from redis import Redis

from batchpool.comparisons.worker_reservation import ReservedWorkers
from batchpool.ledger.connection import Commands
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.comparison_entries import Environment, EnvironmentWorker
from batchpool.model import Usage
from batchpool.timestamps import rfc3339
from batchpool.version import __version__

ValueT = TypeVar("ValueT")


def describe_environment(
    redis: Redis, class_id: str, reserved: ReservedWorkers, now_ms: int, git_revision: str
) -> Environment:
    """The environment at the moment when all workers are reserved."""
    commands: Commands = redis
    presence = Presence(redis)
    start_methods = {known.id: list(known.start_methods) for known in presence.classes()}
    names = {holder["worker"] for holder in reserved.holders.values()}
    workers = tuple(
        EnvironmentWorker(worker.name, worker.host, worker.cpus, worker.python, worker.gil)
        for worker in presence.workers()
        if worker.name in names
    )
    return Environment(
        python=_common(worker.python for worker in workers),
        gil=_common(worker.gil for worker in workers),
        start_methods=start_methods.get(class_id, []),
        hosts=sorted(reserved.hosts),
        cpus=sum(_cpus_by_host(workers).values()),
        redis_version=_server(commands.info("server")),
        batchpool_version=__version__,
        git_revision=None if git_revision == "unknown" else git_revision,
        workers=workers,
        started_at=rfc3339(now_ms),
    )


def _common(values: Iterable[ValueT]) -> ValueT | list[ValueT] | None:
    """The value that all have; a class has one Python, but a worker may have been updated."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else (found or None)


def _cpus_by_host(workers: Iterable[EnvironmentWorker]) -> dict[str, float]:
    """Workers of one host share its CPUs."""
    found: dict[str, float] = {}
    for worker in workers:
        found[worker.host] = max(found.get(worker.host, 0.0), worker.cpus)
    return found


def _server(info: Mapping[str, object]) -> str:
    """Valkey states in `redis_version` which Redis it is compatible with."""
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return str(info["redis_version"])


def with_usage(environment: Environment, usages: Iterable[Usage | None]) -> Environment:
    """The environment with the quota and the load that the first measured batches reported."""
    known = [usage for usage in usages if usage]
    quotas = [quota for usage in known if (quota := usage.get("quota")) is not None]
    loads = [load for usage in known if (load := usage.get("load_1m")) is not None]
    return replace(environment, quota=min(quotas, default=None), load_1m=max(loads, default=None))
