"""`python -m batchpool.runner`: the process that runs a worker's batches, one after the other.

Its worker starts it with one end of a socket pair; it keeps the warm pools. It may be killed at
any moment: results are in the ledger, and everything below it can be killed with it.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from batchpool.backends.context import RunnerContext
from batchpool.backends.facts import facts_of
from batchpool.command_help import answer_arguments
from batchpool.errors import CodeChanged, SpecError
from batchpool.execution.generators import find_generators
from batchpool.execution.in_flight import read_in_flight
from batchpool.execution.item_output import finish_lines, install, item_logs
from batchpool.execution.last_log import last_log_kept
from batchpool.ledger import failpoints as failpoints
from batchpool.ledger.connection import connect
from batchpool.ledger.jobs import Jobs
from batchpool.ledger.ownership import Claim, Ownership
from batchpool.model import BatchReport, BatchSpec, Usage
from batchpool.runner.batch_ending import ending_of
from batchpool.runner.capabilities import capabilities, fingerprint
from batchpool.runner.crashed_items import crashed_outcomes
from batchpool.runner.flush_thread import FlushThread
from batchpool.runner.garbage import GarbageCollection
from batchpool.runner.messages import encode
from batchpool.runner.noted_tasks import load_noted_tasks
from batchpool.runner.orphan_reaper import OrphanReaper
from batchpool.runner.protocol import Assignment, Ready, RunnerReply, read_peak
from batchpool.runner.rate_budget import RateBudget
from batchpool.runner.record_writer import RETRY_AFTER_S, OwnershipLost, RecordWriter
from batchpool.runner.run_batch import leak_check, run_batch
from batchpool.settings import WorkerSettings
from batchpool.system.interpreter_state import InterpreterState
from batchpool.system.limits import limit_behind
from batchpool.system.process_control import die_with_parent
from batchpool.system.process_state import ProcessState, restore
from batchpool.system.resource_usage import UsageMeter

log = logging.getLogger("batchpool.runner")


class Runner:
    """Runs assignments, one at a time, and writes their records to the ledger."""

    def __init__(self, link: "Connection[Any, Assignment]", redis_url: str) -> None:
        redis = connect(redis_url, socket_timeout_s=2.0)
        self._link = link
        self._ownership = Ownership(redis)
        self._jobs = Jobs(redis)
        self._run_batch = partial(
            run_batch, check_leaks=False, make_budget=partial(RateBudget, redis)
        )
        self._writer: RecordWriter | None = None
        self.garbage: GarbageCollection | None = None
        self._reaper = OrphanReaper()
        self._token = ""

    def serve(self, context: RunnerContext) -> None:
        """Run assignments until the worker closes the connection."""
        states = ProcessState(), InterpreterState()
        flush_thread = FlushThread(context.tick, partial(self._give_up_early, context))
        while True:
            try:
                assignment = self._link.recv()
            except EOFError:
                return
            # In a copy: what tasks set in context variables (decimal's precision) ends with it.
            reply = copy_context().run(self._carry_out, context, assignment, flush_thread)
            finish_lines()
            context.must_restart_because = context.must_restart_because or restore(states)
            context.check_surroundings()
            if context.must_restart_because:
                log.warning("a new runner takes over: %s", context.must_restart_because)
                reply = replace(reply, must_replace=True)
                context.leftovers.append(f"a new runner takes over: {context.must_restart_because}")
            self._note_leftovers(context, assignment, reply)
            self._link.send_bytes(encode(replace(reply, idle_pools=context.pools.idle_pools())))

    def _note_leftovers(
        self, context: RunnerContext, assignment: Assignment, reply: RunnerReply
    ) -> None:
        """Add to the report of a batch that was closed before anybody looked."""
        if reply.kind != "ended" or not context.leftovers:
            return
        try:
            self._ownership.note_leftovers(assignment.claim, context.leftovers)
        except RedisError as error:
            log.warning("not in the report of the batch: %s: %s", context.leftovers, error)
        context.leftovers = []

    def tick(self) -> None:
        if self._writer:
            self._writer.tick()
        if self.garbage:
            self.garbage.collect_if_grown()
        self._reaper.reap()

    def _give_up_early(self, context: RunnerContext, reply: RunnerReply) -> None:
        context.drain()
        self._link.send_bytes(encode(reply))

    def _carry_out(
        self, context: RunnerContext, assignment: Assignment, flush_thread: FlushThread
    ) -> RunnerReply:
        if assignment.claim.run.start_method == "fork" and context.package_threads:
            why = "threads of packages run in the process, and forbid to fork"
            return RunnerReply("broken", why, untouched=True)
        try:
            writer = self._writer_for(assignment, context.folder)
            crashed = crashed_outcomes(assignment, item_logs)
            writer.begin_run([*crashed, *assignment.finished])
            context.finished.label = assignment.claim.token
            spec = self._spec_of(assignment, writer)
            facts = facts_of(spec.run.backend)
            # Warm pools that this batch does not use may have the room that the thread needs.
            flush_thread.keep(facts.in_process, make_room=context.pools.close)
            # Clients that wait for the batch need not wait for the search for leaks.
            with leak_check(context, facts) as check_leaks:
                meter = UsageMeter() if spec.run.measure else None
                with (
                    flush_thread.flushing(writer) if facts.in_process else nullcontext(),
                    last_log_kept(item_logs, context.folder) if assignment.only else nullcontext(),
                ):
                    report = self._run_batch(spec, sink=writer.buffer, context=context).report
                usage = meter.usage(read_peak(context.folder)) if meter else None
                return _close(writer, assignment, report, usage, check_leaks)
        except OwnershipLost as refusal:
            return RunnerReply("disowned", str(refusal))
        except SpecError as error:
            return RunnerReply("unfit", str(error), untouched=True)
        except CodeChanged as error:
            return _give_up(writer, error)
        # A border: whatever our own code raised, the worker must be told, and end the batch.
        except Exception as error:
            log.exception("an assignment failed")
            return self._break_off(context, assignment.claim, error)

    def _break_off(self, context: RunnerContext, claim: Claim, error: Exception) -> RunnerReply:
        detail = limit_behind(error, context.folder) or f"{type(error).__name__}: {error}"
        if not context.folder.is_dir():
            detail = f"the temporary folder {context.folder} was removed"
        if self._writer is None or self._token != claim.token:
            return RunnerReply("broken", detail, untouched=True)
        try:
            # So that the bitmap holds what has run, whoever continues.
            self._writer.close(None)
        except OwnershipLost as refusal:
            return RunnerReply("disowned", str(refusal))
        except Exception:
            log.exception("records could not be handed in")
            return RunnerReply("broken", detail)
        untouched = not (context.has_begun or self._writer.has_records)
        return RunnerReply("broken", detail, untouched=untouched)

    def _writer_for(self, assignment: Assignment, folder: Path) -> RecordWriter:
        claim = assignment.claim
        if self._writer is None or self._token != claim.token:
            start_ns, running = assignment.claimed_ns, lambda: len(read_in_flight(folder))
            self._writer = RecordWriter(self._ownership, claim, start_ns, running, item_logs)
            self._token = claim.token
        return self._writer

    def _spec_of(self, assignment: Assignment, writer: RecordWriter) -> BatchSpec:
        claim = assignment.claim
        return BatchSpec(
            run=claim.run,
            items=self._load_items(claim),
            first=claim.first,
            done=assignment.skipped,
            job_id=claim.job_id,
            has_failures=writer.has_failures,
            limit_ns=assignment.claimed_ns + assignment.claim.left_ms * 1_000_000,
        )

    def _load_items(self, claim: Claim) -> Sequence[Any]:
        if not claim.listed:
            return range(claim.first, claim.first + claim.count)
        return self._jobs.items(claim.job_id, claim.first, claim.count, RETRY_AFTER_S)


def _give_up(writer: RecordWriter, changed: CodeChanged) -> RunnerReply:
    """Hand in what has been recorded: it stays, and binds the job to the code that is here."""
    try:
        writer.close(None)
    except OwnershipLost as refusal:
        return RunnerReply("disowned", str(refusal))
    return RunnerReply("stale", str(changed), untouched=not writer.has_records)


def _close(
    writer: RecordWriter,
    assignment: Assignment,
    report: BatchReport,
    usage: Usage | None,
    between_retries: Callable[[], None],
) -> RunnerReply:
    # An item that ends the job ends it at once, whatever part of the batch it was in.
    if report.drained or not (assignment.close or report.failed_fast):
        writer.close(None, between_retries)
        return RunnerReply("drained" if report.drained else "ran")
    writer.close(ending_of(writer, assignment, report, usage), between_retries)
    return RunnerReply("ended")


def main(arguments: Sequence[str]) -> None:
    if len(arguments) != 4:
        answer_arguments("batchpool.runner", "Run a worker's batches.", WorkerSettings, arguments)
        sys.stderr.write("only a worker can start a runner: python -m batchpool.worker\n")
        raise SystemExit(2)
    fd, folder, known, tries = arguments
    die_with_parent()
    # The worker handles Ctrl-C and SIGTERM; it kills this process if needed. Not ignored but
    # handled: programs that tasks start inherit which signals are ignored or blocked.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    settings = WorkerSettings.from_env(os.environ)
    failpoints.arm(os.environ)
    install(settings.log_level)
    registry = load_noted_tasks(Path(folder), int(tries))
    link: Connection[Any, Assignment] = Connection(int(fd))
    runner = Runner(link, settings.redis_url)
    with RunnerContext(
        registry, folder=Path(folder), on_idle=runner.tick, owns_process=True
    ) as context:
        signal.signal(signal.SIGUSR1, lambda *_: context.drain())
        now = fingerprint(registry)
        news = None if now == known else capabilities(registry)
        link.send_bytes(encode(Ready(os.getpid(), now, news)))
        # Before the collector is told to leave all that is loaded alone: it lists no such object.
        find_generators()
        runner.garbage = GarbageCollection()
        runner.serve(context)


if __name__ == "__main__":
    main(sys.argv[1:])
