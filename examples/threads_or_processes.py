"""The same eight computations under three backends, ordered through the Python client.

batchpool up                                  # in another terminal
python examples/threads_or_processes.py
"""

import sys

from batchpool.client import Client

url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"

with Client(url) as client:
    for backend in ("sequential", "thread-pool", "process-pool"):
        job = client.submit(
            "cpu", params={"iterations": 500_000}, count=8, backend=backend, concurrency=2
        )
        done = client.wait(job, wait_s=60)
        pids = {record["pid"] for record in client.records(done)}
        wall_s = done.timing["wall_s"]
        print(f"{backend:<13} {wall_s:5.2f} s, sum {done.sum}, in {len(pids)} process(es)")
