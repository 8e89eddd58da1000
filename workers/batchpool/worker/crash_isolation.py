"""Who is to blame when a runner dies: the items it was running are suspects, and run alone."""

from collections import Counter
from dataclasses import replace

from batchpool.ledger.ownership import Claim
from batchpool.runner.protocol import Assignment, CrashedItem

CRASHES_ALONE = 3
"""An item that ended as many processes in which it ran alone is given up."""


class CrashIsolation:
    """Plans a batch around crashes: the rest first, then each suspect alone, then the end.

    A crash counts against an item only when nothing else ran in the process.
    """

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._crashes: Counter[int] = Counter()
        self._given_up: list[CrashedItem] = []
        self._rest_ran = False

    def plan(self, claim: Claim, claimed_ns: int) -> Assignment:
        self._suspects -= claim.done
        if self._suspects and self._rest_ran:
            alone = frozenset({min(self._suspects)})
            return Assignment(claim, claimed_ns, only=alone, close=False)
        return Assignment(
            claim,
            claimed_ns,
            skip=frozenset(self._suspects),
            crashed=tuple(item for item in self._given_up if item.index not in claim.done),
            close=not self._suspects,
        )

    def ran(self, plan: Assignment) -> Claim:
        """The claim after `plan` was carried out, with what it recorded among what is done."""
        claim = plan.claim
        if plan.only is not None:
            return replace(claim, done=claim.done | plan.only)
        self._rest_ran = True
        everything = frozenset(range(claim.first, claim.first + claim.count))
        return replace(claim, done=everything - plan.skip)

    def died(self, plan: Assignment, in_flight: frozenset[int], pid: int, how: str) -> bool:
        """Take note that the runner died; whether an item can be blamed or suspected."""
        blamed = in_flight - plan.claim.done
        if plan.only is not None and blamed == plan.only:
            (index,) = blamed
            self._crashes[index] += 1
            if self._crashes[index] >= CRASHES_ALONE:
                self._suspects.discard(index)
                self._given_up.append(CrashedItem(index, pid, f"its process was {how}"))
        else:
            self._suspects |= blamed
        return bool(blamed)
