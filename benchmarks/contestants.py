"""The contestants of each workload, and their settings."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count

from batchpool.client import Client
from benchmarks.own_stack import ours
from benchmarks.peers import (
    CHUNKABLE,
    PEERS,
    ROUTED,
    Contestant,
    Driven,
    Peer,
    start_together,
)
from benchmarks.workloads import Workload

HAND_CHUNK = 100
_MEMORY_TOO = ("dramatiq", "huey", "celery-prefork")


@contextmanager
def contest(
    workload: Workload, chosen: Sequence[str], client: Client, servers: Mapping[str, str]
) -> Iterator[list[Contestant]]:
    """Start all contestants of a workload, stopped, while the block lasts.

    Args:
        chosen: names of peers.
        servers: URLs of the peers' Redis: `always` syncs every write, `memory` none.
    """
    databases = count()
    with ExitStack() as stack:
        driven = []
        for name in chosen:
            if workload.name in PEERS[name].skip:
                continue
            for contestant in _variants(workload, PEERS[name], servers, databases):
                stack.callback(contestant.close)
                driven.append(contestant)
        mine = ours(workload.name, client)
        for one in mine:
            stack.callback(one.close)
        yield [*mine, *start_together(driven)]


def _variants(
    workload: Workload, peer: Peer, servers: Mapping[str, str], databases: Iterator[int]
) -> Iterator[Driven]:
    # More than a process per core is of use only where tasks or messages are waited for.
    slots = 1 if workload.kind == "noop" and not peer.queue else workload.slots
    base = {
        "BENCH_KIND": workload.kind if workload.name != "W4" else "noop",
        "BENCH_PROCESSES": str(workload.processes),
        "BENCH_SLOTS": str(slots),
        "BENCH_RESULTS": "1" if workload.name == "W4" else "0",
    }

    def driven(label: str, server: str, chunk: int = 1, **more: str) -> Driven:
        at = {"BENCH_REDIS": servers[server], "BENCH_DB": str(next(databases))}
        at["BENCH_SYNCED"] = "1" if server == "always" else "0"
        return Driven(peer, peer.name + label, {**base, **at, **more}, chunk)

    if not peer.queue:
        yield driven("", "always")
    elif workload.name == "W4":
        yield driven("", "always")
        yield driven(", memory", "memory")
        if peer.name in ROUTED:
            yield driven(", route", "always", BENCH_ROUTE="1")
    else:
        yield driven("", "always")
        if workload.name == "W1" and peer.name in _MEMORY_TOO:
            yield driven(", memory", "memory")
    if workload.name == "W1" and peer.name in CHUNKABLE:
        yield driven(f", {HAND_CHUNK} per message", "always", chunk=HAND_CHUNK)
