"""Where a comparison runs: Python, CPUs, load, Redis and the code; shown beside its results."""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from redis import Redis

from batchpool.comparisons.worker_reservation import ReservedWorkers
from batchpool.ledger.announcements import LiveWorker
from batchpool.ledger.connection import Commands
from batchpool.ledger.presence import Presence
from batchpool.timestamps import rfc3339


def describe_environment(
    redis: Redis, class_id: str, crew: ReservedWorkers, now_ms: int, git_revision: str
) -> dict[str, Any]:
    """The environment at the moment when all workers are there."""
    commands: Commands = redis
    presence = Presence(redis)
    documents = {known.id: known for known in presence.classes()}
    names = {holder["worker"] for holder in crew.holders.values()}
    workers = [worker for worker in presence.workers() if worker.name in names]
    return {
        "python": _one(worker.python for worker in workers),
        "gil": _one(worker.gil for worker in workers),
        "start_methods": list(documents[class_id].start_methods) if class_id in documents else [],
        "hosts": sorted(crew.hosts),
        "cpus": sum(_cpus_by_host(workers).values()),
        "quota": None,
        "load_1m": None,
        "redis_version": _server(commands.info("server")),
        "batchpool_version": _version(),
        "git_revision": None if git_revision == "unknown" else git_revision,
        "workers": [
            {
                "name": worker.name,
                "host": worker.host,
                "cpus": worker.cpus,
                "python": worker.python,
                "gil": worker.gil,
            }
            for worker in workers
        ],
        "started_at": rfc3339(now_ms),
    }


def _one(values: Iterable[Any]) -> Any:
    """The value that all have; a class has one Python, but a worker may have been updated."""
    found = list(dict.fromkeys(values))
    return found[0] if len(found) == 1 else (found or None)


def _cpus_by_host(workers: Iterable[LiveWorker]) -> dict[str, float]:
    """Workers of one host share its CPUs."""
    found: dict[str, float] = {}
    for worker in workers:
        found[worker.host] = max(found.get(worker.host, 0.0), worker.cpus)
    return found


def _server(info: Mapping[str, Any]) -> str:
    """Valkey says in `redis_version` which Redis it is compatible with."""
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return str(info["redis_version"])


def _version() -> str | None:
    try:
        return version("batchpool")
    except PackageNotFoundError:
        # Run from a source tree that was never installed.
        return None


def with_usage(environment: dict[str, Any], usages: Iterable[Any]) -> dict[str, Any]:
    """The environment with what the first measured batches saw of quota and load."""
    known = [usage for usage in usages if usage]
    quotas = [usage["quota"] for usage in known if usage.get("quota") is not None]
    loads = [usage["load_1m"] for usage in known if usage.get("load_1m") is not None]
    return environment | {
        "quota": min(quotas, default=None),
        "load_1m": max(loads, default=None),
    }
