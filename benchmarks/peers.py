"""The peers, and the process that runs the adapter of each."""

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks.peer_venvs import ensure_venv

ROOT = Path(__file__).resolve().parent.parent
MARK = "BENCH_MARK"
_ANSWER_S = 150.0
_GOODBYE_S = 10.0
_WAKING_S = 0.2


@dataclass(frozen=True)
class Peer:
    """One way to use a peer; `venv` is None for the standard library.

    `queue`: it takes a message per task from a server. `skip`: workloads that do not suit it.
    """

    name: str
    adapter: str
    venv: str | None
    package: str
    variant: str = ""
    queue: bool = True
    skip: frozenset[str] = frozenset()
    least_python: tuple[int, int] = (3, 11)


PEERS = {
    peer.name: peer
    for peer in (
        Peer("stdlib-threads", "stdlib", None, "", "threads", queue=False, skip=frozenset({"W3"})),
        Peer("stdlib-processes", "stdlib", None, "", "processes", queue=False),
        Peer("rq-fork", "rq", "rq", "rq", "fork"),
        Peer("rq-simple", "rq", "rq", "rq", "simple"),
        Peer("celery-prefork", "celery", "celery", "celery", "prefork"),
        Peer("celery-threads", "celery", "celery", "celery", "threads"),
        Peer("dramatiq", "dramatiq", "dramatiq", "dramatiq"),
        Peer("huey", "huey", "huey", "huey"),
        Peer("taskiq", "taskiq", "taskiq", "taskiq"),
        Peer("chancy", "chancy", "chancy", "chancy"),
        Peer("mayu", "mayu", "mayu", "mayu", least_python=(3, 13)),
        Peer("dask", "dask", "dask", "distributed", queue=False),
        Peer("joblib", "joblib", "joblib", "joblib", queue=False),
    )
}
CHUNKABLE = ("celery-prefork", "dramatiq", "dask")
"""Peers that are also measured with a hundred tasks per message, packed by hand."""
ROUTED = ("rq-simple", "rq-fork", "celery-prefork", "dramatiq", "huey", "taskiq")


class Contestant(Protocol):
    """One system that can be measured."""

    name: str
    peer: str
    queue: bool

    def thaw(self) -> None:
        """Prepare for a measurement."""

    def freeze(self) -> None:
        """Use no CPU time while another one is measured."""

    def ask(self, order: Mapping[str, Any]) -> list[float]:
        """Carry out a request; returns the seconds of each measurement."""

    def close(self) -> None:
        """End all its processes."""


class Driven:
    """A peer in its own processes, which are stopped while others are measured."""

    def __init__(self, peer: Peer, name: str, environ: Mapping[str, str], chunk: int = 1) -> None:
        self.name, self.peer, self.queue, self.chunk = name, peer.name, peer.queue, chunk
        self._mark = uuid.uuid4().hex
        self._folder = tempfile.TemporaryDirectory(prefix="bp-")
        done, self._log = Path(self._folder.name, "done"), Path(self._folder.name, "log")
        done.touch()
        python = ensure_venv(peer.venv) if peer.venv else sys.executable
        self._process = subprocess.Popen(
            [python, "-P", "-m", "benchmarks.adapters", peer.adapter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("ab"),
            text=True,
            start_new_session=True,
            cwd=self._folder.name,
            env={
                **{name: value for name, value in os.environ.items() if name != "REDIS_URL"},
                "PYTHONPATH": str(ROOT),
                "BENCH_VARIANT": peer.variant,
                "BENCH_DONE": str(done),
                "BENCH_LOG": str(self._log),
                MARK: self._mark,
                **environ,
            },
        )

    def await_ready(self) -> None:
        """Wait until its workers run tasks.

        Raises:
            RuntimeError: they did not start; ends with the tail of their log.
        """
        try:
            self._read()
        except RuntimeError as error:
            tail = self._log.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{self.name}: {error}\n{tail}") from None

    def ask(self, order: Mapping[str, Any]) -> list[float]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({**order, "chunk": self.chunk}) + "\n")
        self._process.stdin.flush()
        return list(self._read()["seconds"])

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(_ANSWER_S):
                raise RuntimeError(f"no answer in {_ANSWER_S:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"it ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def freeze(self) -> None:
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        self._resume()
        # Time-outs that passed while it was stopped end connections now, not in a measurement.
        time.sleep(_WAKING_S)

    def _resume(self) -> None:
        for process in self._tree():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def close(self) -> None:
        self._resume()
        with suppress(OSError):
            assert self._process.stdin
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GOODBYE_S)
        for process in find_marked(self._mark):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        self._folder.cleanup()

    def _tree(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            adapter = psutil.Process(self._process.pid)
            return [adapter, *adapter.children(recursive=True)]
        return []


def find_marked(mark: str) -> list[psutil.Process]:
    """The processes with a mark in their environment, whatever their parent is."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def start_together(driven: list[Driven]) -> list[Driven]:
    """Wait until all are ready; those that do not start are reported and left out."""
    ready = []
    for contestant in driven:
        try:
            contestant.await_ready()
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
            contestant.close()
        else:
            contestant.freeze()
            ready.append(contestant)
    time.sleep(0.2)
    return ready
