"""The one runner of a worker: start it, replace it, end it."""

import contextlib
import json
import logging
import time
from collections.abc import Callable

from batchpool.ledger.values.announcements import IdlePool, WorkerCapabilities
from batchpool.worker.batch_deadlines import CHECK_EVERY_S
from batchpool.worker.runner_process import RunnerProcess, RunnerStartFailed

START_RETRY_S = 3.0
"""How long a worker tries to start a runner before it gives up the batch."""

log = logging.getLogger("batchpool.worker")


class CurrentRunner:
    """Keeps a runner warm, replaces it, and has the capabilities of the last one.

    Args:
        heartbeat: called about every `CHECK_EVERY_S` while a runner starts, or cannot be started.
        draining: whether the worker has been told to stop; then no runner follows the last one.
    """

    def __init__(self, heartbeat: Callable[[], None], draining: Callable[[], bool]) -> None:
        self._heartbeat = heartbeat
        self._draining = draining
        self._process: RunnerProcess | None = None
        self._capabilities: WorkerCapabilities | None = None
        self._fingerprint = ""
        self.codes = ""
        """The version of each task, as JSON without blanks."""

    @property
    def capabilities(self) -> WorkerCapabilities:
        """The capabilities of the last runner that was ready, with the versions of its tasks."""
        assert self._capabilities is not None, "no runner has been ready yet"
        return self._capabilities

    @property
    def idle_pools(self) -> tuple[IdlePool, ...]:
        """The pools that the runner keeps for the next batch."""
        return self._process.idle_pools if self._process else ()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ready_pid(self) -> int | None:
        """The PID of the runner if it can take a batch at once."""
        process = self._process
        return process.pid if process and process.was_ready and not process.is_lost else None

    def ready(self) -> RunnerProcess:
        """The runner; a new one if there is none, after some attempts.

        Raises:
            RunnerStartFailed: none can be started.
        """
        if self._process and self._process.is_lost:
            self.replace()
        ends = time.monotonic() + START_RETRY_S
        while True:
            try:
                self._process = process = self._process or self._start()
                process.wait_ready(self._beat)
                break
            except RunnerStartFailed as failure:
                self._process = None
                if time.monotonic() > ends:
                    log.error("no runner could be started: %s", failure)
                    raise
            self._beat()
            time.sleep(CHECK_EVERY_S)
        self._learn(process)
        return process

    def _beat(self) -> None:
        # Before the first one there is nothing to be announced.
        if self._capabilities is not None:
            self._heartbeat()

    def check_code(self, reload: bool) -> None:
        """Between batches: check whether the runner has, or needs, another version of its code.

        Never waits for a runner that is still starting.

        Args:
            reload: replace the runner when a file of its tasks has changed.
        """
        process = self._process
        if process is None or not process.is_ready or self._draining():
            return
        try:
            process.wait_ready(self._beat)
        except RunnerStartFailed as failure:
            log.warning("the runner could not be started: %s", failure)
            self._start_next()
            return
        self._learn(process)
        if process.is_lost or (reload and process.has_changed_files):
            why = "has ended or was stopped, or files of its tasks have changed"
            log.info("the runner %s; starting another", why)
            self.replace()

    def replace(self) -> None:
        """Kill the runner with all that it started, and start the next one."""
        if self._process:
            self._process.kill()
            self._start_next()

    def close(self) -> None:
        """Kill the runner with all that it started."""
        if self._process:
            self._process.kill()
            self._process = None

    def _start_next(self) -> None:
        self._process = None
        if not self._draining():
            # It is started again for the next batch, which reports the failure.
            with contextlib.suppress(RunnerStartFailed):
                self._process = self._start()

    def _start(self) -> RunnerProcess:
        return RunnerProcess(self._fingerprint)

    def _learn(self, process: RunnerProcess) -> None:
        if process.capabilities and process.fingerprint != self._fingerprint:
            self._capabilities, self._fingerprint = process.capabilities, process.fingerprint
            codes = {name: task.code for name, task in process.capabilities.tasks.items()}
            self.codes = json.dumps(codes, separators=(",", ":"))
