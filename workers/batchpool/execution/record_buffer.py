"""Records that were made and wait to be written."""

import time
from collections.abc import Iterable
from typing import Any

from batchpool.execution.run_item import Put
from batchpool.model import Outcome

MOST_WAITING = 16_384
CATCH_UP_S = 0.001
_FIELDS = len(Outcome._fields)


class RecordBuffer:
    """Any thread puts records, one takes them; none needs a lock.

    They lie flat, field after field: putting one is a single step in C, and so is making a column
    of them.

    Attributes:
        put: adds one record, the fields of an `Outcome`.
        has_taker: whether another thread takes records, for which those that put some may wait.
    """

    def __init__(self) -> None:
        self._fields: list[Any] = []
        self.put: Put = self._fields.extend
        self.has_taker = False

    def __len__(self) -> int:
        return len(self._fields) // _FIELDS

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Put outcomes, and wait while too many are there."""
        for outcome in outcomes:
            self.put(outcome)
        self.wait()

    def wait(self) -> None:
        """Wait while too many are there.

        Else threads that run no-ops would leave the taker no time, and records would pile up.
        """
        while self.has_taker and len(self) > MOST_WAITING:
            time.sleep(CATCH_UP_S)

    def take(self) -> list[Any]:
        """All records that are there, as flat fields."""
        fields = self._fields[: len(self) * _FIELDS]
        del self._fields[: len(fields)]
        return fields
