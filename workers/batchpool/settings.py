"""What a worker reads from its environment, once, at its entry point."""

import math
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from batchpool.ledger.ownership import LEASE_S


class BadSetting(ValueError):
    """An environment variable has a value that cannot be used."""


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of one worker process."""

    redis_url: str
    """REDIS_URL: the Redis of the stack."""
    name: str
    """BATCHPOOL_WORKER_NAME: how the worker is called in records; default host-pid."""
    grace_s: float
    """BATCHPOOL_GRACE_S: how long running tasks may go on after SIGTERM."""
    lease_s: float
    """BATCHPOOL_LEASE_S: how long a silent worker keeps its batch; the same for the whole stack."""
    log_level: str
    """BATCHPOOL_LOG_LEVEL: debug, info, warning or error."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "WorkerSettings":
        name = environ.get("BATCHPOOL_WORKER_NAME") or f"{socket.gethostname()}-{os.getpid()}"
        return cls(
            redis_url=environ.get("REDIS_URL", "redis://localhost:6379/0"),
            name=name,
            grace_s=read_seconds(environ, "BATCHPOOL_GRACE_S", 20.0),
            lease_s=read_seconds(environ, "BATCHPOOL_LEASE_S", LEASE_S, least=1.0),
            log_level=read_choice(
                environ, "BATCHPOOL_LOG_LEVEL", "info", ("debug", "info", "warning", "error")
            ),
        )


def read_seconds(
    environ: Mapping[str, str], name: str, default: float, least: float = 0.0, most: float = 3600.0
) -> float:
    """A duration from the environment, from `least` to `most` seconds."""
    text = environ.get(name, "")
    if not text:
        return default
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not least <= seconds <= most:
        raise BadSetting(f"{name}={text!r}: allowed are seconds from {least:g} to {most:g}")
    return seconds


def read_choice(
    environ: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]
) -> str:
    """One of the allowed words from the environment, in any case."""
    word = environ.get(name, "").lower() or default
    if word not in allowed:
        raise BadSetting(f"{name}={environ[name]!r}: allowed are {', '.join(allowed)}")
    return word
