"""Health checks of the containers: is the process not only there, but at work?

    worker       it has announced itself in Redis within its time to live, and has room for a batch:
                 space in the temp folder and in /dev/shm, threads and processes
    reconciler   its connection has sent a command in the last seconds

Both need Redis: a worker or reconciler that cannot reach it is of no use to anybody.
"""

import os
import socket
import sys
from pathlib import Path

from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence
from batchpool.system.limits import reached_limits

QUIET_S = 15


def has_room() -> bool:
    # Not `tempfile.gettempdir()`: it takes another folder when this one is full.
    temp = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    reached = reached_limits(temp, Path("/dev/shm"))  # noqa: S108
    for limit in reached:
        sys.stderr.write(f"{limit}\n")
    return not reached


def main(what: str) -> bool:
    if what == "worker" and not has_room():
        return False
    with connect(os.environ["REDIS_URL"], socket_timeout_s=3.0) as redis:
        if what == "worker":
            host = socket.gethostname()
            return any(worker.host == host for worker in Presence(redis).workers())
        ours = redis.client_id()
        address = next(c["addr"] for c in redis.client_list() if int(c["id"]) == ours)
        host = address.rpartition(":")[0]
        return any(
            client["addr"].rpartition(":")[0] == host
            and int(client["id"]) != ours
            and int(client["idle"]) < QUIET_S
            for client in redis.client_list()
        )


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1]) else 1)
