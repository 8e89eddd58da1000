"""Settings, read from the environment: one declaration per setting, one reader.

The settings of a process are a frozen dataclass, each field of which is declared by `setting`: its
variable, default, bounds and text. docs/configuration.md is made from these declarations.
"""

import math
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from batchpool.ledger import failpoints
from batchpool.ledger.connection import check_url
from batchpool.ledger.ownership import LEASE_S, MOST_LEASE_S
from batchpool.ledger.redis_url import BadRedisUrl

DAY_S = 86_400
LOG_LEVELS = ("debug", "info", "warning", "error")


class BadSetting(ValueError):
    """An environment variable has a value that is not allowed."""


@dataclass(frozen=True)
class Setting:
    """One environment variable: its default, what it may hold, and what it is for.

    The value has the type of `default`; a callable one is called for each reading, and described
    by `default_text`.
    """

    variable: str
    default: Any
    text: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    default_text: str = ""

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.least is None or self.most is None:
            return "text"
        kind = "a number" if isinstance(self.default, float) else "a whole number"
        return f"{kind} from {self.least:,.15g} to {self.most:,.15g}"

    def read(self, environ: Mapping[str, str]) -> Any:
        """The value in `environ`, or the default if the variable is unset or empty.

        Raises:
            BadSetting: names the variable, its value and what is allowed.
        """
        text = environ.get(self.variable, "").strip()
        if not text:
            return self.default() if callable(self.default) else self.default
        if self.choices:
            return self._choice(text)
        return text if self.least is None else self._number(text)

    def _choice(self, text: str) -> str:
        if text.lower() not in self.choices:
            raise self._bad(text)
        return text.lower()

    def _number(self, text: str) -> int | float:
        try:
            value = float(text) if isinstance(self.default, float) else int(text)
        except ValueError:
            raise self._bad(text) from None
        low, high = self.least, self.most
        if low is None or high is None or not (math.isfinite(value) and low <= value <= high):
            raise self._bad(text)
        return value

    def _bad(self, text: str) -> BadSetting:
        return BadSetting(f"{self.variable}={text!r}: must be {self.allowed}")


def setting(
    variable: str,
    default: Any,
    text: str,
    bounds: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
    default_text: str = "",
) -> Any:
    """A dataclass field that is read from the environment."""
    least, most = bounds or (None, None)
    declared = Setting(variable, default, text, least, most, choices, default_text)
    if callable(default):
        return field(default_factory=default, metadata={"setting": declared})
    return field(default=default, metadata={"setting": declared})


def declared_settings(owner: type["StackSettings"]) -> dict[str, Setting]:
    """The settings of a process by the names of their fields."""
    return {each.name: each.metadata["setting"] for each in fields(owner)}


def _host_and_pid() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True)
class StackSettings:
    """Settings of all processes of a stack, which must be the same for each."""

    redis_url: str = setting(
        "REDIS_URL",
        "redis://127.0.0.1:6379/0",
        "the Redis of all processes: `redis://`, `rediss://` or `unix://`. It must have "
        "`appendonly yes`, `appendfsync always` and `maxmemory-policy noeviction`; `/readyz` "
        "reports what is missing",
    )
    log_level: str = setting(
        "BATCHPOOL_LOG_LEVEL", "info", "the lowest level that is logged", choices=LOG_LEVELS
    )
    lease_s: float = setting(
        "BATCHPOOL_LEASE_S",
        LEASE_S,
        "how long a silent worker keeps its batch; the same for all workers and the reconciler",
        (1, MOST_LEASE_S),
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read every setting from `environ`.

        Raises:
            BadSetting: names the variable, its value and what is allowed.
        """
        return cls(**{name: each.read(environ) for name, each in declared_settings(cls).items()})

    @classmethod
    def of_process(cls) -> Self:
        """Read the settings of this process, check REDIS_URL, arm failpoints; or exit with 2."""
        try:
            settings = cls.from_env(os.environ)
            failpoints.arm(os.environ)
            check_redis_url(settings)
        except (BadSetting, failpoints.FailpointRefused) as error:
            sys.stderr.write(f"{error}\n")
            raise SystemExit(2) from None
        return settings


@dataclass(frozen=True)
class WorkerSettings(StackSettings):
    """Settings of a worker."""

    name: str = setting(
        "BATCHPOOL_WORKER_NAME",
        _host_and_pid,
        "the name of the worker in records and in `/v1/workers`",
        default_text="host and PID",
    )
    grace_s: float = setting(
        "BATCHPOOL_GRACE_S",
        20.0,
        "how long running tasks may continue after SIGTERM",
        (0, 3600),
        default_text="`20.0` (`batchpool up`: `5.0`)",
    )
    reload: str = setting(
        "BATCHPOOL_RELOAD",
        "off",
        "`on`: load the tasks again, between batches, when their files change",
        choices=("off", "on"),
        default_text="`off` (`batchpool up --reload`: `on`)",
    )


# Read as they are by the children of a worker too, which have no `WorkerSettings`.
TASK_SETTINGS = (
    Setting(
        "BATCHPOOL_TASKS_DIR",
        None,
        "a folder whose `*.py` files declare tasks",
        default_text="none",
    ),
    Setting(
        "BATCHPOOL_FILES_ROOT",
        None,
        "the folders that the task `files` may read, separated by `:`; by default it reads nothing "
        "(`batchpool up --files-root DIR` sets it)",
        default_text="none",
    ),
)


@dataclass(frozen=True)
class ServiceSettings(StackSettings):
    """Settings that the API and the reconciler share."""

    comparison_max_s: float = setting(
        "BATCHPOOL_COMPARISON_MAX_S",
        7200.0,
        "the longest that a comparison may take: a longer one is refused, or ends as `failed`; "
        "the same for the reconciler",
        (1, 7 * DAY_S),
    )


@dataclass(frozen=True)
class ReconcilerSettings(ServiceSettings):
    """Settings of the reconciler."""

    reconcile_interval_s: float = setting(
        "BATCHPOOL_RECONCILE_INTERVAL_S", 1.0, "the pause between two passes", (0.05, 4)
    )
    class_gone_s: float = setting(
        "BATCHPOOL_CLASS_GONE_S",
        15.0,
        "after this time without a live worker of a class, its waiting batches are moved or parked",
        (0.1, DAY_S),
    )
    class_memory_s: int = setting(
        "BATCHPOOL_CLASS_MEMORY_S",
        7 * DAY_S,
        "how long a class of workers is remembered, and jobs for it accepted, after a worker of it "
        "was last seen",
        (1, 365 * DAY_S),
    )
    git_revision: str = setting(
        "BATCHPOOL_GIT_REVISION",
        "unknown",
        "the revision of the deployed code, shown with each comparison",
    )


def check_redis_url(settings: StackSettings) -> None:
    """Ask Redis whether REDIS_URL can be used; one that is away for now is waited for later.

    Raises:
        BadSetting: names the variable and the reason; no part of the URL is in the message.
    """
    try:
        check_url(settings.redis_url)
    except BadRedisUrl as error:
        raise BadSetting(f"REDIS_URL: {error}") from None
