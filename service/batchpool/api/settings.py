"""Settings of the API, on the reader of `batchpool.settings`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from batchpool.settings import DAY_S, BadSetting, ServiceSettings, setting


@dataclass(frozen=True)
class ApiSettings(ServiceSettings):
    """Settings of an API process."""

    host: str = setting("BATCHPOOL_API_HOST", "127.0.0.1", "the address that the API binds")
    allowed_hosts: str = setting(
        "BATCHPOOL_ALLOWED_HOSTS",
        "",
        "names, separated by commas, under which the API may be reached besides `localhost` and IP "
        "addresses; any other `Host` is refused with 421",
    )
    port: int = setting(
        "BATCHPOOL_API_PORT", 8000, "its port; `0` takes a free one, named on stdout", (0, 65_535)
    )
    listen_fd: int = setting(
        "BATCHPOOL_API_FD",
        -1,
        "an inherited listening socket, used instead of host and port; `-1`: none",
        (-1, 1_048_576),
    )
    processes: int = setting(
        "BATCHPOOL_API_PROCESSES",
        1,
        "processes that serve requests; the limits on event streams, downloads and long polls hold "
        "for all of them together",
        (1, 64),
    )
    threads: int = setting(
        "BATCHPOOL_API_THREADS", 80, "requests that each process serves at once", (4, 1024)
    )
    max_event_streams: int = setting(
        "BATCHPOOL_API_MAX_EVENT_STREAMS",
        32,
        "streams of events and of records that follow a job, open at once; one more is answered "
        "503. Each takes a thread",
        (0, 1024),
    )
    max_waits: int = setting(
        "BATCHPOOL_API_MAX_WAITS",
        24,
        "long polls open at once; one more is answered without waiting. Each takes a thread",
        (0, 1024),
    )
    max_body_bytes: int = setting(
        "BATCHPOOL_MAX_BODY_BYTES",
        64 << 20,
        "a longer request body is refused with 413",
        (1024, 1 << 30),
    )
    max_upload_bytes: int = setting(
        "BATCHPOOL_MAX_UPLOAD_BYTES",
        4 << 30,
        "the same for a body of NDJSON or CSV, which is read line by line",
        (1024, 1 << 40),
    )
    max_items: int = setting("BATCHPOOL_MAX_ITEMS", 1_000_000, "items of one job", (1, 10_000_000))
    max_queued_items: int = setting(
        "BATCHPOOL_MAX_QUEUED_ITEMS",
        10_000_000,
        "items of all jobs that may wait for a worker; a job beyond them is refused with 429",
        (1, 1_000_000_000),
    )
    max_batches: int = setting("BATCHPOOL_MAX_BATCHES", 1000, "batches of one job", (1, 10_000))
    result_ttl_s: int = setting(
        "BATCHPOOL_RESULT_TTL_S", 7 * DAY_S, "how long a finished job is kept", (1, 3650 * DAY_S)
    )
    idempotency_ttl_s: int = setting(
        "BATCHPOOL_IDEMPOTENCY_TTL_S",
        DAY_S,
        "how long an `Idempotency-Key` is remembered",
        (1, 365 * DAY_S),
    )
    max_comparisons: int = setting(
        "BATCHPOOL_MAX_COMPARISONS",
        50,
        "comparisons that may wait or run; one more is refused with 429",
        (1, 1000),
    )
    wait_cap_s: float = setting("BATCHPOOL_WAIT_CAP_S", 60.0, "the longest `?wait=`", (0, 600))
    event_heartbeat_s: float = setting(
        "BATCHPOOL_EVENT_HEARTBEAT_S",
        15.0,
        "a comment, or a cursor, is sent on a stream that was silent for so long",
        (0.1, 600),
    )
    redis_timeout_s: float = setting(
        "BATCHPOOL_API_REDIS_TIMEOUT_S",
        1.5,
        "how long the API waits for Redis before it answers 503",
        (0.1, 60),
    )
    submit_timeout_s: float = setting(
        "BATCHPOOL_SUBMIT_TIMEOUT_S",
        20.0,
        "the same for the one write that stores a whole job",
        (0.1, 600),
    )

    @property
    def allowed_host_names(self) -> frozenset[str]:
        """The names of `allowed_hosts`."""
        names = (name.strip().rstrip(".").lower() for name in self.allowed_hosts.split(","))
        return frozenset(filter(None, names))

    @property
    def max_downloads(self) -> int:
        """Records and traces streamed at once: half of the threads that are left, at least one."""
        return max(1, (self.threads - self.max_event_streams - self.max_waits) // 2)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read every setting from `environ`.

        Raises:
            BadSetting: a value is not allowed, or no thread would be left for other requests.
        """
        settings = super().from_env(environ)
        blocked = settings.max_event_streams + settings.max_waits
        if blocked >= settings.threads:
            raise BadSetting(
                f"BATCHPOOL_API_MAX_EVENT_STREAMS + BATCHPOOL_API_MAX_WAITS = {blocked}: "
                f"must be less than BATCHPOOL_API_THREADS = {settings.threads}, "
                "so that threads are left for other requests"
            )
        return settings
