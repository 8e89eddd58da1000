"""Whether items of a batch may still be taken."""

from typing import Literal

Closed = Literal["drained", "ended", "failed_fast", "broken"]


class StopFlag:
    """Whether items may still be taken; once closed it stays so, for the first reason given.

    `closed` is a plain attribute: loops read it after each item.
    """

    __slots__ = ("closed", "reason")

    def __init__(self) -> None:
        self.closed = False
        self.reason: Closed | None = None

    def close(self, reason: Closed) -> None:
        """Let no further item be taken; running items may finish."""
        self.reason = self.reason or reason
        self.closed = True
