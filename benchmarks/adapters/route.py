"""A queue behind a Flask route like that of batchpool: a POST submits and waits for the result."""

import importlib
import os
import secrets
import socket
import sys
from typing import Any

import httpx
from flask import Flask, Response, jsonify

from benchmarks.adapters.base import Peer, QueuePeer, Setup


def make_app() -> Flask:
    """The application for gunicorn; the handle is kept in the request."""
    adapter = importlib.import_module(os.environ["BENCH_ADAPTER"])
    peer: QueuePeer = adapter.make(Setup.from_env())
    app = Flask(__name__)

    @app.post("/jobs")
    def post() -> tuple[Response, int]:
        peer.result(peer.submit())
        return jsonify(id=secrets.token_hex(8), state="succeeded"), 202

    return app


class Routed(Peer):
    """Calls the route over HTTP, as a client of batchpool calls its API."""

    def __init__(self, peer: Peer) -> None:
        assert isinstance(peer, QueuePeer)
        self._peer = peer
        self._client: httpx.Client | None = None

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        gunicorn = [sys.executable, "-m", "gunicorn", "-k", "gthread", "--workers", "1"]
        gunicorn += ["--threads", "64", "--keep-alive", "75", "--bind", f"127.0.0.1:{port}"]
        if "--no-control-socket" in _gunicorn_help():
            gunicorn.append("--no-control-socket")
        self._peer.spawn([*gunicorn, "benchmarks.adapters.route:make_app()"])
        self._peer.start()
        transport = httpx.HTTPTransport(retries=20)
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=30
        )
        self.call()

    def call(self) -> None:
        assert self._client
        self._client.post("/jobs", json={"task": "noop"}).raise_for_status().json()

    def batch(self, order: dict[str, Any]) -> float:
        return self._peer.batch(order)

    def stop(self) -> None:
        if self._client:
            self._client.close()
        self._peer.stop()


def _gunicorn_help() -> str:
    import subprocess

    command = [sys.executable, "-m", "gunicorn", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
