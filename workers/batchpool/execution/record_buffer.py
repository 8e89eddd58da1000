"""Records that were made and wait to be written."""

import threading
import time
from collections.abc import Iterable
from typing import Any

from batchpool.execution.slot import Put
from batchpool.model import Outcome

DUE_FROM = 8_192
MOST_WAITING = 2 * DUE_FROM
CATCH_UP_S = 0.001
_FIELDS = len(Outcome._fields)


class RecordBuffer:
    """Any thread puts records, one takes them; none needs a lock.

    They lie flat, field after field: putting one is a single step in C, and so is making a column
    of them.

    Attributes:
        put: adds one record, the fields of an `Outcome`.
        has_taker: whether another thread takes records, for which those that put some may wait.
        is_due: set when so many are there that the taker should not wait any longer.
    """

    def __init__(self) -> None:
        self._fields: list[Any] = []
        self.put: Put = self._fields.extend
        self.has_taker = False
        self.is_due = threading.Event()

    def __len__(self) -> int:
        return len(self._fields) // _FIELDS

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Put outcomes, and wait while too many are there."""
        for outcome in outcomes:
            self.put(outcome)
        self.wait()

    def wait(self) -> None:
        """Wake the taker if many are there, and wait while they are too many.

        Else threads that run no-ops would leave the taker no time, and records would pile up.
        """
        if self.has_taker and len(self) >= DUE_FROM:
            self.is_due.set()
            while self.has_taker and len(self) > MOST_WAITING:
                time.sleep(CATCH_UP_S)

    def take(self) -> list[Any]:
        """All records that are there, as flat fields."""
        fields = self._fields[: len(self) * _FIELDS]
        del self._fields[: len(fields)]
        return fields
