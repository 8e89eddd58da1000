"""Wait for a message and claim its batch in one round trip."""

import time
from collections.abc import Sequence
from json import dumps
from typing import Any, NamedTuple

from redis import Redis

from batchpool.ledger.broken import UNPARSABLE
from batchpool.ledger.connection import round_trips
from batchpool.ledger.ownership import CRASHED, Claim, Ownership
from batchpool.ledger.values.job_entries import Owner

NOT_TRIED = "not tried"
"""Why there is no claim: the server refused the step, or does not know the script."""

_FRESH = 0.75
"""The share of a lease within which a claim holds for sure."""
# A computer that sleeps is stopped too.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Taken(NamedTuple):
    """What one step took out of a queue: a message to be dealt with, and the batch of another.

    `popped` is the id of the first, `message` that of the second, which is dealt with; mostly they
    are the same. `claim` is that of the batch, or why there is none.
    """

    popped: bytes | None
    message: str
    claim: Claim | str


class NextClaim(Ownership):
    """The owner's side of the ledger on a connection that may wait."""

    def __init__(self, redis: Redis, lease_s: float) -> None:
        super().__init__(redis, lease_s)
        self._exchange = round_trips(redis)

    def claim_next(
        self, pop: Sequence[str], popped_list: str, owner: Owner, codes: str, nonce: str
    ) -> Taken:
        """Wait for a message and claim its batch, in one round trip and one sync.

        It is the batch of the first message that somebody has popped and not claimed: mostly this
        client, else one that has died or is slower.

        Args:
            pop: the command that puts the id of a message at the end of `popped_list`.
        Raises:
            RedisError: if nothing answers, it may have taken effect; `claim_lost` finds it.
        """
        began_s = _now_s()
        claim = self._claim.command(popped_list, self._next_args("next", owner, codes, nonce))
        popped, answer = self._exchange(pop, claim)
        if isinstance(popped, Exception):
            raise popped
        if isinstance(answer, Exception):
            # Who deals with the message claims its batch alone, and finds out what is wrong.
            return Taken(popped, "", NOT_TRIED)
        taken = self._taken(popped, answer)
        if isinstance(taken.claim, Claim) and _now_s() - began_s > self._lease_ms / 1000 * _FRESH:
            return self._verified(taken, popped_list, owner, nonce)
        return taken

    def claim_lost(self, popped_list: str, owner: Owner, nonce: str) -> Taken:
        """What `claim_next` has claimed with this nonce, if its answer was lost."""
        return self._taken(
            None, self._claim(popped_list, self._next_args("lost", owner, "", nonce))
        )

    def _verified(self, taken: Taken, popped_list: str, owner: Owner, nonce: str) -> Taken:
        """Ask whether the claim still holds: this process may have been stopped since."""
        again = self.claim_lost(popped_list, owner, nonce)
        if isinstance(again.claim, Claim):
            return taken._replace(claim=again.claim)
        popped = None if taken.popped == taken.message.encode() else taken.popped
        return Taken(popped, "", again.claim)

    def _next_args(self, which: str, owner: Owner, codes: str, nonce: str) -> list[Any]:
        known = dumps({**owner, "lease_ms": self._lease_ms})
        return [which, nonce, self._lease_ms, known, "", CRASHED, codes, ""]

    def _taken(self, popped: bytes | None, answer: list[Any]) -> Taken:
        message = answer[-1].decode()
        job_id, _, batch = message.rpartition("-")
        try:
            return Taken(popped, message, self._claimed(job_id, int(batch or 0), answer))
        except UNPARSABLE as error:
            self._broken.note_batch(job_id, int(batch or 0), error)
            return Taken(popped, message, "unreadable")


def _now_s() -> float:
    return time.clock_gettime(_CLOCK)
