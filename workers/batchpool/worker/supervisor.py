"""Claims a batch and brings it to its end, through crashes of the runner."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from redis.exceptions import ResponseError

from batchpool.ledger.broken import is_about_data
from batchpool.ledger.connection import UNREACHABLE
from batchpool.ledger.ownership import (
    DUE,
    NO_SECOND_TRY,
    OTHER_VERSION,
    Claim,
    Ending,
    Ownership,
    new_nonce,
)
from batchpool.ledger.recovery import Recovery
from batchpool.ledger.values.job_entries import Owner, WorkerIdentity
from batchpool.model import TaskError
from batchpool.runner.protocol import Assignment, RunnerReply
from batchpool.worker.claimed_batch import ClaimedBatch
from batchpool.worker.crash_isolation import few
from batchpool.worker.current_runner import CurrentRunner
from batchpool.worker.finished_writer import write_finished
from batchpool.worker.memory_sampler import MemorySampler, receive_sampling
from batchpool.worker.patience import BatchOver, Patience, ask_some_times
from batchpool.worker.runner_process import RunnerDied, RunnerProcess, RunnerStartFailed

MOST_UNEXPLAINED = 20
"""A batch fails after so many runner deaths for which no item can be blamed."""

log = logging.getLogger("batchpool.worker")


class Supervisor:
    """Claims batches, sends them to the runner, and kills and replaces the runner if needed.

    It runs no task and imports none, so no task can stop it.

    Args:
        identity: of this worker, for the epochs of its batches.
        heartbeat: called about every `CHECK_EVERY_S` while a batch runs.
        draining: whether the worker has been told to stop.
    """

    def __init__(
        self,
        ownership: Ownership,
        recovery: Recovery,
        identity: WorkerIdentity,
        heartbeat: Callable[[], None],
        draining: Callable[[], bool],
        grace_s: float,
    ) -> None:
        self._ownership = ownership
        self._recovery = recovery
        self._identity = identity
        self._heartbeat = heartbeat
        self._draining = draining
        self._grace_s = grace_s
        self.runner = CurrentRunner(heartbeat, draining)
        self._retry = Patience(draining)
        self._ready_pid: int | None = None

    def owner_if_ready(self) -> Owner | None:
        """This worker as the owner of a batch; None while none can be run at once."""
        self._ready_pid = None if self._draining() else self.runner.ready_pid
        return Owner(**self._identity, pid=self._ready_pid) if self._ready_pid else None

    def run(
        self,
        job_id: str,
        batch: int,
        unqueueing: Sequence[Sequence[str]] = (),
        claimed: tuple[Claim, int] | None = None,
    ) -> str:
        """Claim a batch and run it to its end; returns in a word how it ended.

        Args:
            unqueueing: the commands that take its message out of its queue, once it is claimed.
            claimed: its claim by `owner_if_ready`, and when that was, if it is claimed already.
        """
        claim, claimed_ns = claimed or ask_some_times(
            partial(self._claim, job_id, batch, new_nonce(), unqueueing=unqueueing)
        )
        if isinstance(claim, str):
            return claim
        owned = ClaimedBatch(claim, claimed_ns, self._grace_s)
        try:
            if claimed and self.runner.ready_pid != self._ready_pid:
                # Its runner has ended since; another one may have another version of the task.
                self._renew_claim(owned)
            return self._run_guarded(owned)
        except BatchOver as over:
            self.runner.replace()
            return str(over)
        except BaseException:
            # A second SIGTERM: leave at once, and leave the batch to others.
            self.close()
            with contextlib.suppress(*UNREACHABLE):
                self._ownership.release(owned.claim)
            raise

    def close(self) -> None:
        """Kill the runner; other workers take over what it runs."""
        self.runner.close()

    def _claim(
        self,
        job_id: str,
        batch: int,
        nonce: str,
        owned: ClaimedBatch | None = None,
        second_try: str = "",
        unqueueing: Sequence[Sequence[str]] = (),
    ) -> tuple[Claim | str, int]:
        """The ledger's reply, and when the batch was claimed, on the monotonic clock here (ns)."""
        try:
            pid = self.runner.ready().pid
        except RunnerStartFailed:
            # Claimed all the same, so that the batch ends with the reason.
            pid = os.getpid()
        owner = Owner(**self._identity, pid=pid)
        # Before, not after: the answer waits until Redis has synced, the clock there does not.
        claimed_ns = time.monotonic_ns()
        how = self.runner.codes, second_try, nonce, unqueueing
        follows, has_kept = (owned.claim, bool(owned.unrecorded())) if owned else (None, False)
        claim = self._ownership.claim(job_id, batch, owner, follows, *how, has_kept=has_kept)
        return claim, claimed_ns

    def _run_guarded(self, owned: ClaimedBatch) -> str:
        """Run a batch to its end; broken data in Redis end it, and not this worker."""
        try:
            return self._run_to_end(owned)
        except ResponseError as error:
            if not is_about_data(error):
                raise
            self.runner.replace()
            note = partial(self._ownership.note_broken, owned.claim, error)
            reason = f"broken data: {self._retry(note)}"
            log.error("batch %s/%d: %s", owned.claim.job_id, owned.claim.batch, reason)
            # What cannot be ended either is moved away by the reconciler.
            with contextlib.suppress(ResponseError):
                self._fail(owned, "internal", reason)
            return "failed"

    def _run_to_end(self, owned: ClaimedBatch) -> str:
        unexplained = 0
        while True:
            assignment = owned.next_assignment()
            try:
                runner = self.runner.ready()
            except RunnerStartFailed as failure:
                self._fail(owned, "internal", f"no runner could be started: {failure}")
                return "failed"
            try:
                reply = self._await_reply(runner, assignment, owned)
            except RunnerDied as death:
                in_flight = runner.in_flight()
                log.warning("runner %d %s, running items %s", runner.pid, death, few(in_flight))
                self.runner.replace()
                owned.keep(runner.finished(owned.claim))
                if not owned.mark_crashed(in_flight, runner.pid, str(death), runner.last_log):
                    unexplained += 1
                self._claim_again(owned, unexplained)
                continue
            if reply.kind == "broken" and reply.untouched and owned.may_try_again:
                log.warning("no item began, a fresh runner tries once more: %s", reply.detail)
                owned.may_try_again = False
                self.runner.replace()
                # The ledger may know of a second try under another worker.
                if self._renew_claim(owned, second_try=reply.detail):
                    continue
            if reply.kind != "ran":
                return self._conclude(owned, reply)
            owned.mark_run()

    def _await_reply(
        self, runner: RunnerProcess, assignment: Assignment, owned: ClaimedBatch
    ) -> RunnerReply:
        runner.send(assignment)
        sampler = MemorySampler(runner.pid, runner.folder) if owned.claim.run.measure else None
        while True:
            message = receive_sampling(runner, owned.deadlines.next_check_s(), sampler)
            if isinstance(message, RunnerReply):
                return message
            self._check(runner, owned)

    def _check(self, runner: RunnerProcess, owned: ClaimedBatch) -> None:
        """Check lease, cancel, limit, drain and runner; raises BatchOver when the batch is over."""
        try:
            in_flight = owned.in_flight(runner.long_running())
            news = in_flight if in_flight != owned.announced else ""
            renewal = self._ownership.renew(owned.claim, news)
            owned.announced = in_flight
            # Only now: a Redis that hangs must not cost us its time-out twice.
            self._heartbeat()
            if renewal.is_owner:
                owned.deadlines.renew(renewal.left_ms)
            elif not renewal.closed:
                # The runner itself has closed it: its reply is on its way.
                raise BatchOver("disowned")
            if renewal.cancel:
                self._end(runner, owned, "cancelled")
        except UNREACHABLE:
            # Our own clock still holds the job to its limit.
            log.debug("the ledger is out of reach")
        if owned.deadlines.is_overdue():
            self._end(runner, owned, "timeout")
        if self._draining():
            if owned.deadlines.begin_drain():
                runner.drain()
            if owned.deadlines.grace_is_over():
                self._stop(runner, owned)
                self._retry(lambda: self._ownership.release(owned.claim))
                raise BatchOver("released")
        runner.check_stopped()

    def _end(self, runner: RunnerProcess, owned: ClaimedBatch, how: str) -> None:
        self._stop(runner, owned)
        if how == "timeout":
            message = "the job reached its limit (timeout_s)"
            error = TaskError(type="timeout", message=message, traceback=None)
            ending = Ending("failed", {}, "timeout", error)
        else:
            ending = Ending("cancelled", {}, "cancelled")
        self._retry(lambda: self._ownership.end(owned.claim, ending))
        raise BatchOver(how)

    def _stop(self, runner: RunnerProcess, owned: ClaimedBatch) -> None:
        """Kill the runner, and write what it had finished."""
        self.runner.replace()
        owned.keep(runner.finished(owned.claim))
        self._write_finished(owned)

    def _write_finished(self, owned: ClaimedBatch) -> None:
        if owned.unrecorded():
            owner = Owner(**self._identity, pid=os.getpid())
            write_finished(self._ownership, owned, owner, self.runner.codes, self._retry)

    def _conclude(self, owned: ClaimedBatch, reply: RunnerReply) -> str:
        if reply.must_replace:
            self.runner.replace()
        if reply.kind == "broken":
            log.error("the runner failed: %s", reply.detail)
            broken = self._retry(lambda: self._ownership.note_broken(owned.claim))
            self._fail(owned, "internal", f"broken data: {broken}" if broken else reply.detail)
        elif reply.kind in ("drained", "unfit", "stale"):
            self._retry(lambda: self._ownership.release(owned.claim, reply.untouched))
            if reply.kind == "unfit":
                claim, class_id = owned.claim, self.runner.capabilities.id
                self._retry(
                    lambda: self._recovery.park(claim.job_id, claim.batch, reply.detail, class_id)
                )
        if reply.kind != "ended":
            # It may still run items of a batch that another worker owns now.
            self.runner.replace()
        return reply.kind

    def _fail(self, owned: ClaimedBatch, kind: str, message: str) -> None:
        error = TaskError(type=kind, message=message, traceback=None)
        ending = Ending("failed", {}, "cancelled", error)
        self._retry(lambda: self._ownership.end(owned.claim, ending))

    def _claim_again(self, owned: ClaimedBatch, unexplained: int) -> None:
        if unexplained >= MOST_UNEXPLAINED:
            message = f"the runner died {unexplained} times, and no item is to blame"
            self._fail(owned, "runner_lost", message)
            raise BatchOver("failed")
        self._renew_claim(owned)

    def _renew_claim(self, owned: ClaimedBatch, second_try: str = "") -> bool:
        """Claim the batch again for a fresh runner; False if it may not be tried again."""
        old, nonce = owned.claim, new_nonce()
        claim, claimed_ns = self._retry(
            lambda: self._claim(old.job_id, old.batch, nonce, owned, second_try)
        )
        if claim == DUE:
            self._write_finished(owned)
            owned.forget_kept()
            return self._renew_claim(owned)
        if claim == NO_SECOND_TRY:
            return False
        if claim == OTHER_VERSION:
            self._retry(lambda: self._ownership.release(old))
        if isinstance(claim, str):
            raise BatchOver(claim)
        owned.renew(claim, claimed_ns)
        return True
