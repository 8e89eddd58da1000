"""Requests/s of one API with 1, 2 and 4 server processes: `python -m benchmarks.api_processes`.

Eight clients, each a process with a kept connection, read an ended job, and submit jobs of one
no-op, which two workers take meanwhile. All servers are up at once and measured by turns, so that
the ratios to one process are those of a round. On two cores the clients, workers and Redis take
what a second server process would use: the ratio is that of a whole stack on one machine.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from batchpool.client import Client
from benchmarks.own_stack import make_stack

PROCESSES = (1, 2, 4)
CLIENTS = 8
BODY = json.dumps({"task": "echo", "count": 1, "backend": "sequential"})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--requests", type=int, default=100, help="by each client")
    options = parser.parse_args()
    with make_stack() as stack, ExitStack() as servers:
        with Client(stack.url) as client:
            ended = f"/v1/jobs/{client.run('echo', count=1).id}"
        ports = {
            count: servers.enter_context(served(stack.redis_url, count)) for count in PROCESSES
        }
        time.sleep(5)
        for verb, path, body in (("GET", ended, None), ("POST", "/v1/jobs", BODY)):
            rounds = [
                {count: rate(port, options.requests, verb, path, body) for count, port in turn}
                for number in range(options.rounds)
                for turn in [list(ports.items())[:: (-1) ** number]]
            ]
            print(f"{verb}, {os.getloadavg()[0]:.0f} processes ready to run")
            for count in PROCESSES:
                middle = statistics.median(each[count] for each in rounds)
                ratio = statistics.median(each[count] / each[1] for each in rounds)
                print(f"  {count} processes: {middle:,.0f}/s, x {ratio:.2f}")


@contextmanager
def served(redis_url: str, count: int) -> Iterator[int]:
    """An API of so many processes; yields its port."""
    environ = {
        "REDIS_URL": redis_url,
        "BATCHPOOL_API_PORT": "0",
        "BATCHPOOL_API_PROCESSES": str(count),
        "BATCHPOOL_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "batchpool.api"]
    server = subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        yield int(server.stdout.readline().rpartition(":")[2])
    finally:
        server.terminate()
        server.wait()


def rate(port: int, count: int, verb: str, path: str, body: str | None) -> float:
    """Requests per second of all clients together."""
    start = multiprocessing.Barrier(CLIENTS)
    spans: Any = multiprocessing.Queue()
    arguments = (port, count, (verb, path, body), start, spans)
    clients = [multiprocessing.Process(target=ask, args=arguments) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    begins, ends = zip(*(spans.get() for _ in clients), strict=True)
    for client in clients:
        client.join()
    return float(CLIENTS * count / (max(ends) - min(begins)))


def ask(
    port: int, count: int, request: tuple[str, str, str | None], start: Any, spans: Any
) -> None:
    """One client: its requests one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"} if request[2] else {}
    start.wait()
    begun = time.perf_counter()
    for _ in range(count):
        connection.request(*request, headers)
        response = connection.getresponse()
        response.read()
        assert response.status < 300, response.status
    spans.put((begun, time.perf_counter()))


if __name__ == "__main__":
    main()
