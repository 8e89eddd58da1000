"""Which reconcilers are at work: their connections to Redis carry a name."""

import os
import socket

from batchpool.ledger.connection import Commands

_PREFIX = "batchpool-reconciler"


def client_name() -> str:
    """The name of the connection of this process, as CLIENT LIST shows it."""
    return f"{_PREFIX}:{socket.gethostname()}:{os.getpid()}"


def idle_reconcilers(redis: Commands) -> dict[tuple[str, int], int]:
    """Seconds since the last command of each connected reconciler, by host and PID."""
    found: dict[tuple[str, int], int] = {}
    for client in redis.client_list():
        prefix, _, rest = str(client.get("name", "")).partition(":")
        host, _, pid = rest.rpartition(":")
        if prefix == _PREFIX and pid.isdigit():
            # It has more than one connection, and uses some of them rarely.
            key, idle_s = (host, int(pid)), int(client["idle"])
            found[key] = min(idle_s, found.get(key, idle_s))
    return found
