"""A Redis of a test's own: to be killed, stopped, frozen and robbed of what it did not sync."""

import re
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from batchpool.ledger.connection import connect
from tests.integration.conftest import start_valkey, wait_until_answering


class Server:
    """One server on a unix socket in a folder of its own; its data outlives its process.

    Args:
        options: more of its options, as `--name value` pairs.
        traced: have strace log each write and sync, for `cut_back`.
    """

    def __init__(self, *options: str, traced: bool = False) -> None:
        # Not tmp_path: the path of a unix socket may have 107 bytes at most.
        self._folder = tempfile.TemporaryDirectory(prefix="bp-")
        self.folder = Path(self._folder.name)
        self.url = f"unix://{self.folder / 'redis.sock'}"
        self._options = options
        self._traced = traced
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self.process:
            self.kill()
        self._folder.cleanup()

    @property
    def log(self) -> Path:
        return self.folder / "strace.log"

    def client(self, timeout_s: float = 5.0) -> Redis:
        return connect(self.url, socket_timeout_s=timeout_s)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        trace = ["strace", "-f", "-qq", "-y", "-s", "0", "-o", str(self.log)]
        trace += ["-e", "trace=write,fsync,fdatasync"]
        wrapper = trace if self._traced else []
        self.process = start_valkey(self.folder, *self._options, wrapper=wrapper)
        with self.client() as client:
            wait_until_answering(client)
            self.pid = int(client.info("server")["process_id"])  # type: ignore[index]

    def kill(self) -> None:
        """SIGKILL: what the kernel has stays, so this alone loses nothing."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)
        if self._traced:
            subprocess.run(["kill", "-KILL", str(self.pid)], check=False)
        self.process.kill() if not self._traced else None
        self.process.wait(10)
        self.process = None

    def freeze(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def cut_back(self) -> int:
        """Cut the append-only file to what the last completed sync covered; bytes dropped."""
        (file,) = self.folder.glob("appendonlydir/*.incr.aof")
        synced = synced_bytes(self.log.read_text(), file.name)
        dropped = file.stat().st_size - synced
        with file.open("r+b") as aof:
            aof.truncate(synced)
        return dropped


_LINE = re.compile(r"^(\d+) +(.*)$")


def synced_bytes(log: str, name: str) -> int:
    """How many bytes of a file had been written when its last completed sync began."""
    written = synced = 0
    begun: dict[str, int] = {}
    writing: set[str] = set()
    for line in log.splitlines():
        found = _LINE.match(line)
        if not found:
            continue
        thread, call = found.groups()
        result = call.rpartition("= ")[2].split()[0] if "= " in call else ""
        if name in call and call.startswith("write("):
            if call.endswith("<unfinished ...>"):
                writing.add(thread)
            else:
                written += int(result)
        elif call.startswith("<... write resumed") and thread in writing:
            writing.discard(thread)
            written += int(result)
        elif name in call and call.startswith(("fdatasync(", "fsync(")):
            begun[thread] = written
            if result == "0":
                synced = max(synced, begun.pop(thread))
        elif "sync resumed" in call and thread in begun and result == "0":
            synced = max(synced, begun.pop(thread))
    return synced
