"""The messages of a worker: taken out of the queue of its class, batches claimed where possible."""

import time
from collections.abc import Callable

from redis import Redis

from batchpool.ledger.ownership import Claim, new_nonce
from batchpool.ledger.values.job_entries import Owner
from batchpool.queue.messages import MessageJob
from batchpool.queue.rq_queue import pop, pop_command
from batchpool.worker.next_claim import NOT_TRIED, NextClaim, Taken


class MessageSource:
    """Waits for messages.

    A worker whose runner is ready claims a batch in the step in which it takes its message: that
    spares each batch a round trip and a sync.

    Args:
        redis: RQ's; rides out outages.
        ledger: answers or fails within seconds.
        waiting: may wait, and does not retry: what was asked for twice would be claimed twice.
        owner: this worker, as the owner of a batch; None while it cannot run one at once.
        codes: the version of each task here, as JSON.
        stopping: whether this worker has been told to stop, and takes no message any more.
    """

    def __init__(
        self,
        redis: Redis,
        ledger: NextClaim,
        waiting: NextClaim,
        owner: Callable[[], Owner | None],
        codes: Callable[[], str],
        stopping: Callable[[], bool],
    ) -> None:
        self._redis = redis
        self._ledger = ledger
        self._waiting = waiting
        self._owner = owner
        self._codes = codes
        self._stopping = stopping
        self._popped: tuple[bytes, str] | None = None
        """A message besides the one that was claimed, and its class."""
        # Looked for at first, too: by that a server gets to know the script.
        self._lost = new_nonce()
        self._claiming: tuple[str, Owner, str] | None = None
        """By what to find the batch that may be claimed, until `take` has returned it."""
        self.is_interruptible = False
        """Whether a signal handler may raise now: what it interrupts is found by `give_back`."""

    def take(self, class_id: str, wait_s: float, claims: bool) -> MessageJob | None:
        """The next message of a class; None if none comes in time, or none is wanted any more.

        Args:
            claims: whether a batch may be claimed at once.
        Raises:
            UnicodeDecodeError: it has no id of ours.
            NoSuchJobError: it was about a slot, and was withdrawn.
        """
        owner = self._owner() if claims else None
        self.is_interruptible = True
        try:
            # A signal that came before is seen here; the handler of a later one raises.
            job = None if self._stopping() else self._take(class_id, wait_s, owner)
        finally:
            self.is_interruptible = False
        if not self._lost:
            self._claiming = None
        return job

    def give_back(self) -> None:
        """Give the batch back that was claimed by a `take` which did not return it, if any.

        Raises:
            RedisError: nothing answers, and its lease ends.
        """
        if self._claiming is None:
            return
        taken = self._ledger.claim_lost(*self._claiming)
        if isinstance(taken.claim, Claim):
            self._ledger.release(taken.claim, untouched=True)

    def _take(self, class_id: str, wait_s: float, owner: Owner | None) -> MessageJob | None:
        if self._popped is not None:
            popped, self._popped = self._popped, None
            return self._message(popped[0].decode(), popped[1])
        if owner is None:
            found = pop(self._redis, class_id, wait_s)
            return None if found is None else self._message(found, class_id)
        return self._claimed(class_id, self._take_next(class_id, wait_s, owner))

    def _take_next(self, class_id: str, wait_s: float, owner: Owner) -> Taken:
        words, popped_list = pop_command(class_id, wait_s)
        if self._lost:
            taken = self._ledger.claim_lost(popped_list, owner, self._lost)
            self._lost = ""
            if isinstance(taken.claim, Claim):
                return taken
        self._lost = nonce = new_nonce()
        self._claiming = popped_list, owner, nonce
        taken = self._waiting.claim_next(words, popped_list, owner, self._codes(), nonce)
        if taken.claim != NOT_TRIED:
            self._lost = ""
        return taken

    def _claimed(self, class_id: str, taken: Taken) -> MessageJob | None:
        popped = taken.popped if taken.popped != taken.message.encode() else None
        if isinstance(taken.claim, Claim):
            self._popped = (popped, class_id) if popped is not None else None
            message = self._message(taken.message, class_id)
            message.claim = taken.claim, time.monotonic_ns()
            return message
        return None if popped is None else self._message(popped.decode(), class_id)

    def _message(self, name: str, class_id: str) -> MessageJob:
        found = MessageJob.fetch(name, self._redis, "json")
        assert isinstance(found, MessageJob)
        found.origin = class_id
        return found
