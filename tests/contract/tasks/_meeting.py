"""Meeting points that work between threads, processes, interpreters and coroutines: files."""

import fcntl
import os
import struct
import time
from pathlib import Path

_PAIR = struct.Struct("=qq")


def arrive(folder: str, name: object) -> None:
    """Say that this task is at the meeting point."""
    (Path(folder) / f"at-{name}").touch()


def count_arrived(folder: str) -> int:
    """How many have come so far."""
    return sum(name.startswith("at-") for name in os.listdir(folder))


def enter(folder: str) -> None:
    """Count one more task in flight, and keep the highest count."""
    _change(folder, 1)


def leave(folder: str) -> None:
    """Count one less task in flight."""
    _change(folder, -1)


def highest(folder: str) -> int:
    """The most tasks that were in flight at once."""
    return int(_PAIR.unpack((Path(folder) / "in-flight").read_bytes())[1])


def _change(folder: str, by: int) -> None:
    file = os.open(Path(folder) / "in-flight", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX)
    raw = os.pread(file, _PAIR.size, 0)
    now, most = _PAIR.unpack(raw) if raw else (0, 0)
    now += by
    # In one write: others read it without the lock.
    os.pwrite(file, _PAIR.pack(now, max(now, most)), 0)
    os.close(file)


def deadline_s() -> float:
    """When to stop waiting for the others."""
    return time.monotonic() + 10
