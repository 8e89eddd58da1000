"""The Python client of batchpool."""

from batchpool.client.client import Client
from batchpool.client.comparisons import Comparison
from batchpool.client.errors import (
    ApiError,
    BatchpoolError,
    Conflict,
    InvalidInput,
    InvalidRequest,
    ItemsFailed,
    NotFound,
    RemoteTraceback,
    TaskFailed,
    Unavailable,
    Unreachable,
    WaitTimeout,
)
from batchpool.client.executor import JobExecutor
from batchpool.client.resources import Event, Job

__all__ = [
    "ApiError",
    "BatchpoolError",
    "Client",
    "Comparison",
    "Conflict",
    "Event",
    "InvalidInput",
    "InvalidRequest",
    "ItemsFailed",
    "Job",
    "JobExecutor",
    "NotFound",
    "RemoteTraceback",
    "TaskFailed",
    "Unavailable",
    "Unreachable",
    "WaitTimeout",
]
