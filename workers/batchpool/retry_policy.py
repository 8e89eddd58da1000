"""The policy of a job for failed items: how often, when and after which errors they run again."""

import random
from dataclasses import dataclass
from typing import Any, Literal, Self

from batchpool.json_value import JsonValue

Jitter = Literal["full", "none"]


@dataclass(frozen=True)
class RetryPolicy(JsonValue):
    """When a failed item is tried again; a number in JSON stands for `max` with the other defaults.

    Args:
        max: attempts after the first.
        delay_s: the wait before the second attempt; each later one is `factor` times as long.
        max_delay_s: the longest wait.
        jitter: full: each wait is random, from 0 up to that.
        on: types of errors as records have them, or their last part; empty: any.
    """

    max: int = 0
    delay_s: float = 0.2
    factor: float = 2.0
    max_delay_s: float = 30.0
    jitter: Jitter = "full"
    on: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Any) -> Self:
        return cls(max=raw) if isinstance(raw, int) else super().from_json(raw)

    def to_json(self) -> Any:
        return self.max if self == RetryPolicy(max=self.max) else super().to_json()

    def covers(self, error_type: str) -> bool:
        """Whether items that fail with this type of error are tried again."""
        return not self.on or error_type in self.on or error_type.rpartition(".")[2] in self.on

    def wait_s(self, attempt: int) -> float:
        """The wait before attempt number `attempt`, from the second one on.

        Source: AWS Architecture Blog, Exponential Backoff And Jitter (2015).
        """
        longest_s = min(self.max_delay_s, self.delay_s * self.factor ** (attempt - 2))
        return random.uniform(0, longest_s) if self.jitter == "full" else longest_s  # noqa: S311


NO_RETRIES = RetryPolicy()
