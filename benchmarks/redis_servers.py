"""Redis for the peers: the program that batchpool uses, syncing every write or in memory only."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batchpool.ledger.connection import connect
from batchpool.stack.redis_server import RedisChoice, choose_redis, server_command
from benchmarks.adapters.base import die_with_parent

# A database for each peer, so that none sees another's keys.
_DATABASES = ("--databases", "64")
_MEMORY = ("--appendonly", "no")


def find_program() -> RedisChoice:
    """The Redis program of this machine; `REDIS_URL` is ignored, since its load is unknown."""
    environ = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    return choose_redis(environ)


@contextmanager
def redis_server(*, durable: bool) -> Iterator[str]:
    """Run a server while the block lasts; yields its URL."""
    program = find_program().program
    assert program
    with tempfile.TemporaryDirectory(prefix="bp-") as name:
        folder = Path(name)
        command = server_command(program, folder, folder / "redis.sock")
        # The last of two equal options counts.
        process = subprocess.Popen(
            [*command, *_DATABASES, *(() if durable else _MEMORY)],
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )
        try:
            url = f"unix://{folder / 'redis.sock'}"
            with connect(url) as client:
                _await(client)
            yield url
        finally:
            process.terminate()
            process.wait()


def _await(client: object) -> None:
    from redis import Redis
    from redis.exceptions import RedisError

    assert isinstance(client, Redis)
    deadline = time.monotonic() + 10
    while True:
        try:
            client.ping()
            return
        except RedisError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
