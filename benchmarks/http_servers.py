"""Which HTTP server stays answerable: latency, and the worst /healthz beside slow clients.

    python -m benchmarks.http_servers [--rounds 5] [--only ours,gthread,waitress]

Each serves the same bare Flask app with 64 threads on one process. Latency: a GET and a POST of
100 bytes by turns on one kept-alive connection. Beside each crowd of clients /healthz is asked on
new connections for five seconds; the table shows the worst answer.
"""

import argparse
import http.client
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from benchmarks.peer_venvs import ensure_venv

THREADS = "64"
REQUESTS = 300
WATCH_S = 5.0
LIMIT_S = 10.0
HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

APP = """
from flask import Flask, Response, request
app = Flask("bare")
@app.get("/healthz")
def health():
    return {"status": "alive"}
@app.post("/echo")
def echo():
    return {"got": len(request.get_data())}
@app.get("/big")
def big():
    return Response(b"x" * 8_000_000)
"""
OURS = """
import sys
from types import SimpleNamespace
from threading import Event
from gunicorn.app.base import BaseApplication
from bare_app import app
app.extensions["batchpool"] = SimpleNamespace(
    settings=SimpleNamespace(max_body_bytes=64 << 20), stopping=Event())
class Server(BaseApplication):
    def load_config(self):
        self.cfg.set("bind", sys.argv[1])
        self.cfg.set("threads", 64)
        self.cfg.set("worker_connections", 2000)
        self.cfg.set("worker_class", "batchpool.api.serving.worker.BufferingWorker")
        self.cfg.set("control_socket_disable", True)
        self.cfg.set("loglevel", "error")
    def load(self):
        return app
Server().run()
"""
CHEROOT = """
import sys
from cheroot.wsgi import Server
from bare_app import app
host, port = sys.argv[1].split(":")
Server((host, int(port)), app, numthreads=64).start()
"""
GUNICORN = ["-m", "gunicorn", "bare_app:app", "--no-control-socket", "--log-level", "error"]
COMMANDS: dict[str, Callable[[str, str], list[str]]] = {
    "ours": lambda host, port: ["-c", OURS, f"{host}:{port}"],
    "gthread": lambda host, port: [
        *GUNICORN, "-b", f"{host}:{port}", "-k", "gthread", "--threads", THREADS,
        "--worker-connections", "2000", "--keep-alive", "75",
    ],
    "gevent": lambda host, port: [
        *GUNICORN, "-b", f"{host}:{port}", "-k", "gevent", "--worker-connections", "2000",
        "--keep-alive", "75",
    ],
    "waitress": lambda host, port: [
        "-m", "waitress", "--host", host, "--port", port, "--threads", THREADS,
        "--connection-limit", "2000", "--asyncore-use-poll", "bare_app:app",
    ],
    "cheroot": lambda host, port: ["-c", CHEROOT, f"{host}:{port}"],
    "granian": lambda host, port: [
        "-m", "granian", "--interface", "wsgi", "--host", host, "--port", port,
        "--blocking-threads", THREADS, "--no-access-log", "--log-level", "error", "bare_app:app",
    ],
    "uvicorn": lambda host, port: [
        "-m", "uvicorn", "--host", host, "--port", port, "--log-level", "error",
        "--timeout-keep-alive", "75", "asgi_app:app",
    ],
}  # fmt: skip
ASGI = """
from a2wsgi import WSGIMiddleware
from bare_app import app as bare
app = WSGIMiddleware(bare, workers=64)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(COMMANDS))
    options = parser.parse_args()
    names = options.only.split(",")
    python = ensure_venv("http_servers")
    with ExitStack() as stack:
        ports = {name: stack.enter_context(served(name, python)) for name in names}
        latencies = measure_latency(ports, options.rounds)
        print("| server | GET p50, ms | POST p50, ms |", *CROWDS, sep=" | ", end=" |\n")
        print("| --- " * (3 + len(CROWDS)) + "|")
        for name, port in ports.items():
            get, post = (statistics.median(latencies[name][verb]) for verb in ("GET", "POST"))
            worst = [shown(worst_beside(port, crowd)) for crowd in CROWDS.values()]
            print(f"| {name} | {get * 1e3:.2f} | {post * 1e3:.2f} |", *worst, sep=" | ", end=" |\n")


@contextmanager
def served(name: str, python: str) -> Iterator[int]:
    """One server on a free port, until the end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bare_app.py").write_text(APP)
        Path(folder, "asgi_app.py").write_text(ASGI)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        paths = [folder, *(os.path.abspath(part) for part in ("service", "workers"))]
        process = subprocess.Popen(
            [sys.executable if name == "ours" else python, *COMMANDS[name]("127.0.0.1", str(port))],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            cwd=folder,
        )
        try:
            while health(port, 1.0) > 1.0:
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


def health(port: int, limit_s: float = LIMIT_S) -> float:
    """Seconds until /healthz is answered on a new connection; infinite after the limit."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit_s)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except OSError:
        return float("inf")
    finally:
        connection.close()
    return time.monotonic() - began


def measure_latency(ports: dict[str, int], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each request, by server and verb, over interleaved rounds."""
    found: dict[str, dict[str, list[float]]] = {name: {"GET": [], "POST": []} for name in ports}
    body = b"x" * 100
    for _ in range(rounds):
        for name in random.sample(list(ports), len(ports)):
            connection = http.client.HTTPConnection("127.0.0.1", ports[name], timeout=LIMIT_S)
            for _ in range(REQUESTS):
                for verb, path, data in (("GET", "/healthz", None), ("POST", "/echo", body)):
                    began = time.perf_counter()
                    connection.request(verb, path, data)
                    connection.getresponse().read()
                    found[name][verb].append(time.perf_counter() - began)
            connection.close()
    return found


def crowd(
    count: int, data: bytes, receive_bytes: int | None = None, reads: bool = False
) -> Callable[[int], list[socket.socket]]:
    """What opens so many connections and sends `data` on each."""

    def join(port: int) -> list[socket.socket]:
        clients = []
        for _ in range(count):
            client = socket.socket()
            if receive_bytes:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            client.settimeout(2)
            with suppress(OSError):
                client.connect(("127.0.0.1", port))
                client.sendall(data)
                if reads:
                    client.recv(4096)
            clients.append(client)
        return clients

    return join


CROWDS = {
    "70 slow heads, s": crowd(70, GET[:-2] + b"X-"),
    "70 slow bodies, s": crowd(70, HEAD + b"Content-Length: 100\r\n\r\n{"),
    "70 slow chunks, s": crowd(70, HEAD + b"Transfer-Encoding: chunked\r\n\r\n64\r\n{"),
    "500 idle, s": crowd(500, b""),
    "1,000 kept alive, s": crowd(1000, GET, reads=True),
    "70 that do not read 8 MB, s": crowd(70, GET.replace(b"healthz", b"big"), 4096),
}


def worst_beside(port: int, join: Callable[[int], list[socket.socket]]) -> float:
    """The longest time that /healthz took while the crowd was there."""
    clients = join(port)
    end = time.monotonic() + WATCH_S
    worst = 0.0
    while time.monotonic() < end:
        worst = max(worst, health(port))
        time.sleep(0.1)
    for client in clients:
        client.close()
    time.sleep(1)
    return worst


def shown(seconds: float) -> str:
    """Seconds, or that there was no answer."""
    return f"{seconds:.2f}" if seconds < LIMIT_S else f"> {LIMIT_S:.0f}"


if __name__ == "__main__":
    main()
