"""Health checks of the containers: is the process not only there, but at work?

    worker       it has announced itself in Redis within its time to live
    reconciler   its connection has sent a command in the last seconds

Both need Redis: a worker or reconciler that cannot reach it is of no use to anybody.
"""

import os
import socket
import sys

from batchpool.ledger.connection import connect
from batchpool.ledger.presence import Presence

QUIET_S = 15


def main(what: str) -> bool:
    with connect(os.environ["REDIS_URL"], socket_timeout_s=3.0) as redis:
        if what == "worker":
            host = socket.gethostname()
            return any(worker["host"] == host for worker in Presence(redis).workers())
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
