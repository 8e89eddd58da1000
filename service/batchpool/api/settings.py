"""What the API and the reconciler can be told by their environment, in one table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from batchpool.ledger.ownership import LEASE_S

DAY_S = 86_400


class BadSetting(ValueError):
    """A variable of the environment holds what it must not."""


def _in_full(bound: float | None) -> str:
    return f"{bound:,.15g}"


@dataclass(frozen=True)
class Setting:
    """One variable: the field it fills, what it may hold and what it is for."""

    field: str
    variable: str
    default: Any
    about: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The bounds in words, as error messages and the documentation show them."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.low is None:
            return "text"
        kind = "a number" if isinstance(self.default, float) else "a whole number"
        return f"{kind} from {_in_full(self.low)} to {_in_full(self.high)}"

    def read(self, environ: Mapping[str, str]) -> Any:
        """The value in `environ`, or the default where it is unset or empty."""
        text = environ.get(self.variable, "").strip()
        if not text:
            return self.default
        if self.low is None:
            return self._chosen(text)
        return self._bounded(text)

    def _chosen(self, text: str) -> str:
        if self.choices and text not in self.choices:
            raise self._bad(text)
        return text

    def _bounded(self, text: str) -> int | float:
        try:
            value = float(text) if isinstance(self.default, float) else int(text)
        except ValueError:
            raise self._bad(text) from None
        low, high = self.low, self.high
        if low is None or high is None or not (math.isfinite(value) and low <= value <= high):
            raise self._bad(text)
        return value

    def _bad(self, text: str) -> BadSetting:
        return BadSetting(f"{self.variable}={text!r}: allowed is {self.allowed}")


SETTINGS: tuple[Setting, ...] = (
    Setting("redis_url", "REDIS_URL", "redis://127.0.0.1:6379/0", "the Redis of all processes"),
    Setting("host", "BATCHPOOL_API_HOST", "127.0.0.1", "the address that the API binds"),
    Setting("port", "BATCHPOOL_API_PORT", 8000, "its port; 0 takes a free one", 0, 65_535),
    Setting(
        "listen_fd",
        "BATCHPOOL_API_FD",
        -1,
        "an inherited listening socket, used instead of host and port; -1: none",
        -1,
        1_048_576,
    ),
    Setting("threads", "BATCHPOOL_API_THREADS", 64, "requests served at once", 4, 1024),
    Setting(
        "max_event_streams",
        "BATCHPOOL_API_MAX_EVENT_STREAMS",
        32,
        "event streams open at once; one more is answered 503. Each takes a thread",
        0,
        1024,
    ),
    Setting(
        "max_waits",
        "BATCHPOOL_API_MAX_WAITS",
        24,
        "long-polls open at once; one more is answered without waiting. Each takes a thread",
        0,
        1024,
    ),
    Setting(
        "max_body_bytes",
        "BATCHPOOL_MAX_BODY_BYTES",
        64 << 20,
        "a longer request body is refused with 413",
        1024,
        1 << 30,
    ),
    Setting("max_items", "BATCHPOOL_MAX_ITEMS", 1_000_000, "items of one job", 1, 10_000_000),
    Setting(
        "max_queued_items",
        "BATCHPOOL_MAX_QUEUED_ITEMS",
        10_000_000,
        "items that may wait for a worker, of all jobs; a job beyond them is refused with 429",
        1,
        1_000_000_000,
    ),
    Setting("max_batches", "BATCHPOOL_MAX_BATCHES", 1000, "batches of one job", 1, 10_000),
    Setting(
        "result_ttl_s",
        "BATCHPOOL_RESULT_TTL_S",
        7 * DAY_S,
        "how long a finished job is kept",
        1,
        3650 * DAY_S,
    ),
    Setting(
        "idempotency_ttl_s",
        "BATCHPOOL_IDEMPOTENCY_TTL_S",
        DAY_S,
        "how long an Idempotency-Key is remembered",
        1,
        365 * DAY_S,
    ),
    Setting("wait_cap_s", "BATCHPOOL_WAIT_CAP_S", 60.0, "the longest `?wait=`", 0, 600),
    Setting(
        "event_heartbeat_s",
        "BATCHPOOL_EVENT_HEARTBEAT_S",
        15.0,
        "silence on an event stream after which a comment is sent",
        0.1,
        600,
    ),
    Setting(
        "redis_timeout_s",
        "BATCHPOOL_API_REDIS_TIMEOUT_S",
        1.5,
        "how long the API waits for Redis before it answers 503",
        0.1,
        60,
    ),
    Setting(
        "submit_timeout_s",
        "BATCHPOOL_SUBMIT_TIMEOUT_S",
        20.0,
        "the same for the one write that stores a whole job",
        0.1,
        600,
    ),
    Setting(
        "reconcile_interval_s",
        "BATCHPOOL_RECONCILE_INTERVAL_S",
        1.0,
        "pause between two passes of the reconciler",
        0.05,
        60,
    ),
    Setting(
        "lease_s",
        "BATCHPOOL_LEASE_S",
        LEASE_S,
        "how long a silent worker keeps its batch; the same for the whole stack",
        1,
        3600,
    ),
    Setting(
        "class_gone_s",
        "BATCHPOOL_CLASS_GONE_S",
        15.0,
        "after this time without a live worker of a class, its waiting batches are moved or parked",
        0.1,
        DAY_S,
    ),
    Setting(
        "class_memory_s",
        "BATCHPOOL_CLASS_MEMORY_S",
        7 * DAY_S,
        "how long a class of workers is remembered, and jobs for it accepted, after its last sign",
        1,
        365 * DAY_S,
    ),
    Setting(
        "comparison_max_s",
        "BATCHPOOL_COMPARISON_MAX_S",
        7200.0,
        "the longest that a comparison may take: one that would is refused, or ends as failed",
        1,
        7 * DAY_S,
    ),
    Setting(
        "max_comparisons",
        "BATCHPOOL_MAX_COMPARISONS",
        50,
        "comparisons that may wait or run; one more is refused with 429",
        1,
        1000,
    ),
    Setting(
        "git_revision",
        "BATCHPOOL_GIT_REVISION",
        "unknown",
        "the revision of the code that is deployed, shown with each comparison",
    ),
    Setting(
        "log_level",
        "BATCHPOOL_LOG_LEVEL",
        "info",
        "the least that is logged",
        choices=("debug", "info", "warning", "error"),
    ),
)


@dataclass(frozen=True)
class Settings:
    """The values of `SETTINGS`, read once at a process' entry point and handed down."""

    redis_url: str
    host: str
    port: int
    listen_fd: int
    threads: int
    max_event_streams: int
    max_waits: int
    max_body_bytes: int
    max_items: int
    max_queued_items: int
    max_batches: int
    result_ttl_s: int
    idempotency_ttl_s: int
    wait_cap_s: float
    event_heartbeat_s: float
    redis_timeout_s: float
    submit_timeout_s: float
    reconcile_interval_s: float
    lease_s: float
    class_gone_s: float
    class_memory_s: int
    comparison_max_s: float
    max_comparisons: int
    git_revision: str
    log_level: str

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read every setting from `environ`.

        Raises:
            BadSetting: names the variable, its value and what is allowed.
        """
        settings = cls(**{setting.field: setting.read(environ) for setting in SETTINGS})
        blocked = settings.max_event_streams + settings.max_waits
        if blocked >= settings.threads:
            raise BadSetting(
                f"BATCHPOOL_API_MAX_EVENT_STREAMS + BATCHPOOL_API_MAX_WAITS = {blocked}: "
                f"allowed is less than BATCHPOOL_API_THREADS = {settings.threads}, "
                "or nothing is left to answer other requests"
            )
        return settings
