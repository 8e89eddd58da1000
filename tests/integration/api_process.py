"""`python -m batchpool.api` as a process on a free port, and a client of it."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.waiting import check_time


class Api:
    """An API process on a free port."""

    def __init__(self, redis_url: str, **more: Any) -> None:
        environ = {
            "REDIS_URL": redis_url,
            "BATCHPOOL_API_PORT": "0",
            "BATCHPOOL_LOG_LEVEL": "warning",
            "BATCHPOOL_API_THREADS": "16",
            "BATCHPOOL_API_MAX_EVENT_STREAMS": "5",
            "BATCHPOOL_API_MAX_WAITS": "5",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "batchpool.api"],
            env=os.environ | environ | more.pop("environ", {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )
        assert self.process.stdout is not None
        word, url = self.process.stdout.readline().split()
        assert word == "listening"
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        connection = self.connect()
        if isinstance(body, dict):
            body = json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, json.loads(text) if text else None

    @contextmanager
    def served_at_once(self, every_s: float = 0.1) -> Iterator[None]:
        """Ask /healthz on new connections all the time; no answer may take a second."""
        took: list[float] = []
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(every_s):
                began = time.monotonic()
                assert self.ask("GET", "/healthz")[0] == 200
                took.append(time.monotonic() - began)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
        assert took
        check_time("/healthz meanwhile", max(took), 1)

    def end(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Signal it; the seconds until it had ended."""
        assert self.process.stdout is not None and self.process.stderr is not None
        began = time.monotonic()
        self.process.send_signal(number)
        with self.process.stdout, self.process.stderr:
            assert self.process.wait(20) == 0
            took = time.monotonic() - began
            # Among others: gunicorn had to kill nothing.
            said = self.process.stdout.read(), self.process.stderr.read()
            assert said == ("", ""), said
        return took
