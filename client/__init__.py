"""The Python client, the command line and the local stack of batchpool."""

from client.comparisons import Comparison
from client.errors import (
    ApiError,
    BatchpoolError,
    Conflict,
    InvalidRequest,
    NotFound,
    Unavailable,
    Unreachable,
    WaitTimeout,
)
from client.http import Client
from client.jobs import Event, Job

__all__ = [
    "ApiError",
    "BatchpoolError",
    "Client",
    "Comparison",
    "Conflict",
    "Event",
    "InvalidRequest",
    "Job",
    "NotFound",
    "Unavailable",
    "Unreachable",
    "WaitTimeout",
]
