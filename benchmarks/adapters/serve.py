"""Serve one peer to the harness, over stdin and stdout.

One JSON object a line. In: `{"do": "batch", "work": [[kind, amount], …], "count": n, "chunk": n}`
or `{"do": "calls", "count": n}`. Out: `{"ready": true}` once, then `{"seconds": [...]}` or
`{"error": text}` for each request. The end of stdin ends the adapter.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.adapters.base import Peer, Setup, die_with_parent


def serve(make: Callable[[Setup], Peer]) -> None:
    """Answer the requests of the harness until it closes stdin."""
    die_with_parent()
    talk = os.fdopen(os.dup(1), "w", buffering=1)
    # What workers and libraries print must not get between the lines.
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        talk.write(json.dumps(answer) + "\n")

    setup = Setup.from_env()
    peer = make(setup)
    if setup.route:
        from benchmarks.adapters.route import Routed

        peer = Routed(peer)
    try:
        peer.start()
        say({"ready": True})
        for line in sys.stdin:
            request = json.loads(line)
            try:
                say({"seconds": _carry_out(peer, request)})
            except Exception as error:  # the harness decides what a failed measurement means
                say({"error": f"{type(error).__name__}: {error}"})
    finally:
        peer.stop()


def _carry_out(peer: Peer, request: dict[str, Any]) -> list[float]:
    if request["do"] == "batch":
        return [peer.batch(request)]
    times = []
    for _ in range(request["count"]):
        started = time.perf_counter()
        peer.call()
        times.append(time.perf_counter() - started)
    return times
