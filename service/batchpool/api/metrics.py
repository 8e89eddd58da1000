"""Prometheus metrics, read from Redis at each scrape at a cost that does not grow with jobs."""

import operator
import os
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis import Redis

from batchpool.ledger import keys
from batchpool.ledger.broken import is_count
from batchpool.ledger.connection import Commands
from batchpool.ledger.presence import Presence
from batchpool.ledger.values.announcements import WorkerState
from batchpool.system.process_tree import children_of

WORKER_STATES: tuple[WorkerState, ...] = ("idle", "busy", "draining")
_COUNTED = (
    keys.WAITING,
    keys.PARKED,
    keys.LEASES,
    keys.JOBS,
    keys.COMPARING,
    keys.COMPARISONS,
)


class LedgerCollector(Collector):
    """The counts of the ledger, read in two round trips."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Commands = redis
        self._presence = Presence(redis)

    def collect(self) -> Iterable[Metric]:
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.COUNTS)
            for index in _COUNTED:
                pipe.zcard(index)
            pipe.info("memory")
            pipe.hlen(keys.BROKEN)
            raw, *sizes, memory, broken = pipe.execute(raise_on_error=False)
        # A key of the wrong type is moved by the reconciler; until then it counts nothing.
        waiting, parked, running, jobs, comparing, compared = map(_number, sizes)
        counts = _counts(raw)
        if isinstance(memory, Exception):
            raise memory
        states = Counter(worker.state for worker in self._presence.workers())
        now = {"queued": counts["queued"], "running": counts["running"]}
        yield _gauge("batchpool_jobs", "Jobs that have not ended.", now)
        ended = {state: counts[state] for state in ("succeeded", "failed", "cancelled")}
        yield _counter("batchpool_jobs_ended", "Jobs that have ended.", ended)
        yield _gauge("batchpool_jobs_kept", "Jobs that are kept, terminal ones included.", jobs)
        yield _gauge(
            "batchpool_items_queued", "Items that wait for a worker.", counts["queued_items"]
        )
        yield _gauge("batchpool_items_open", "Items of batches not ended.", counts["open_items"])
        batches = {"waiting": waiting, "parked": parked, "running": running}
        yield _gauge("batchpool_batches", "Batches that have not ended.", batches)
        about = "Comparisons that have not ended; one of them runs."
        yield _gauge("batchpool_comparisons", about, comparing)
        about = "Comparisons that are kept, terminal ones included."
        yield _gauge("batchpool_comparisons_kept", about, compared)
        workers = {str(state): states[state] for state in WORKER_STATES}
        yield _gauge("batchpool_workers", "Live workers.", workers)
        yield from _incidents(counts, _number(broken))
        yield _gauge("batchpool_redis_used_bytes", "Memory that Redis uses.", memory["used_memory"])
        yield _gauge("batchpool_redis_max_bytes", "Its limit; 0: none.", memory["maxmemory"])


def _incidents(counts: Counter[str], broken: int) -> Iterable[Metric]:
    refused, lost = counts["refused_writes"], counts["lost_workers"]
    yield _counter("batchpool_refused_writes", "Writes refused to former owners.", refused)
    yield _counter("batchpool_lost_workers", "Batches taken from silent workers.", lost)
    yield _gauge("batchpool_broken", "Broken data on the list.", broken)


def _number(answer: object) -> int:
    return answer if isinstance(answer, int) else 0


def _counts(raw: object) -> Counter[str]:
    """The counts that are numbers."""
    found: Counter[str] = Counter()
    for name, value in raw.items() if isinstance(raw, dict) else ():
        if is_count(name, value):
            found[name.decode()] = int(value)
    return found


def _gauge(name: str, about: str, value: Any) -> Metric:
    return _filled(GaugeMetricFamily(name, about, labels=_labels(value)), value)


def _counter(name: str, about: str, value: Any) -> Metric:
    return _filled(CounterMetricFamily(name, about, labels=_labels(value)), value)


def _labels(value: Any) -> list[str]:
    return ["state"] if isinstance(value, dict) else []


def _filled(family: Any, value: Any) -> Metric:
    for state, number in value.items() if isinstance(value, dict) else [(None, value)]:
        family.add_metric([state] if state else [], number)
    found: Metric = family
    return found


class ServerCollector(Collector):
    """The CPU time, memory and descriptors of the serving processes, added up."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    def collect(self) -> Iterable[Metric]:
        # The server's first process starts those that serve, and nothing else.
        pids = [os.getpid()] if self._processes == 1 else children_of(os.getppid())
        total: dict[str, Metric] = {}
        for pid in pids:
            collector = ProcessCollector(pid=partial(int, pid), registry=None)
            for metric in collector.collect():
                _add(total.setdefault(metric.name, metric), metric)
        return total.values()


def _add(total: Metric, part: Metric) -> None:
    if part is not total:
        (mine,), (other,) = total.samples, part.samples
        both = min if total.name == "process_start_time_seconds" else operator.add
        total.samples = [mine._replace(value=both(mine.value, other.value))]


class Metrics:
    """The metrics of the API's processes and of the ledger."""

    def __init__(self, redis: Redis, processes: int = 1) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(LedgerCollector(redis))
        self._registry.register(ServerCollector(processes))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text, and its content type, in the format that the scraper accepts."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type
