"""Tasks that compute: in Python under the GIL, or in C without it."""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Interval

from batchpool.tasks.decorator import task


@dataclass(frozen=True)
class CpuParams:
    """How often the loop runs; the default is the notebook's."""

    iterations: Annotated[int, Interval(ge=1, le=1_000_000_000)] = 20_000_000


@dataclass(frozen=True)
class HashParams:
    """How much to hash, and how often."""

    size_bytes: Annotated[int, Interval(ge=1, le=256 << 20)] = 8 << 20
    rounds: Annotated[int, Interval(ge=1, le=10_000)] = 4


def burn_cpu(iterations: int) -> None:
    """The notebook's CPU loop, verbatim; its results are discarded."""
    for x in range(1, iterations):
        float(x) / 3.141592
        float(3.141592) / x  # noqa: UP018


@task("cpu", params=CpuParams, bound="cpu")
def cpu(item: Any, params: CpuParams) -> Any:
    """Divide floats in a loop, then return the item: the notebook's computing task."""
    burn_cpu(params.iterations)
    return item


@task("hash", params=HashParams, bound="cpu")
def hash_(item: Any, params: HashParams) -> str:
    """Hash a large buffer in C code that releases the GIL; returns the SHA-256 as hex."""
    digest = hashlib.sha256(json.dumps(item).encode())
    block = bytes(params.size_bytes)
    for _ in range(params.rounds):
        digest.update(block)
    return digest.hexdigest()
