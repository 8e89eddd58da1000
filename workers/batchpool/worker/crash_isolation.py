"""Find the item to blame when a runner dies: the items it was running are suspects, run alone."""

from collections import Counter
from typing import NamedTuple

from batchpool.runner.protocol import CrashedItem

CRASHES_ALONE = 3
"""An item that ended as many processes in which it ran alone is given up."""


class Plan(NamedTuple):
    """Which items to run next; see `Assignment`, which is made of it."""

    skip: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    crashed: tuple[CrashedItem, ...] = ()
    close: bool = True


class CrashIsolation:
    """Plans a batch around crashes: the rest first, then each suspect alone, then the end.

    A crash counts against an item only when nothing else ran in the process.

    Args:
        late: what ran when another worker died, perhaps by it: runs together, before the suspects.
    """

    def __init__(self, late: frozenset[int] = frozenset()) -> None:
        self._late = late
        self._suspects: set[int] = set()
        self._crashes: Counter[int] = Counter()
        self._given_up: list[CrashedItem] = []
        self._rest_ran = False

    @property
    def put_off(self) -> frozenset[int]:
        """The items that wait until the others have run."""
        return self._late | self._suspects

    def plan(self, done: frozenset[int]) -> Plan:
        """What to run next; `done` are the recorded items."""
        self._suspects -= done
        if self._suspects and self._rest_ran:
            return Plan(only=frozenset({min(self._suspects)}), close=False)
        return Plan(
            skip=self.put_off,
            crashed=tuple(item for item in self._given_up if item.index not in done),
            close=not self.put_off,
        )

    def ran(self, plan: Plan) -> None:
        """Note that a plan was carried out without a crash."""
        if self._late:
            self._late = frozenset()
        else:
            self._rest_ran = self._rest_ran or plan.only is None

    def died(self, plan: Plan, blamed: frozenset[int], pid: int, how: str, log: str = "") -> bool:
        """Note that the runner died; returns whether an item can be blamed or suspected.

        Args:
            blamed: the items that ran, without those that were recorded.
            log: what the item that ran alone has printed.
        """
        if plan.only is not None and blamed == plan.only:
            (index,) = blamed
            self._crashes[index] += 1
            if self._crashes[index] >= CRASHES_ALONE:
                self._suspects.discard(index)
                self._given_up.append(CrashedItem(index, pid, f"its process was {how}", log))
        else:
            self._suspects |= blamed
        return bool(blamed)


def few(items: frozenset[int]) -> str:
    """The first of these items, for a message."""
    shown = ", ".join(map(str, sorted(items)[:10]))
    return f"{shown} and {len(items) - 10} more" if len(items) > 10 else shown or "none"
