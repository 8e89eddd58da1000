"""`python -m batchpool.worker`: take batches from the queue until told to stop."""

import logging
import signal
import sys
import time

from batchpool.command_help import answer_arguments
from batchpool.ledger.connection import connect
from batchpool.settings import WorkerSettings
from batchpool.system.logs import configure_logging
from batchpool.system.process_control import become_subreaper
from batchpool.worker.rq_worker import WORKER_TTL_S, BatchWorker
from batchpool.worker.runner_process import RunnerStartFailed, remove_stale_folders

ABOUT = "Take batches from the queue and run them, one at a time, until SIGTERM or SIGINT."

log = logging.getLogger("batchpool.worker")


def serve(settings: WorkerSettings) -> None:
    """Work until told to stop; restart RQ's loop if it ends for another reason."""
    while True:
        redis = connect(settings.redis_url, socket_timeout_s=WORKER_TTL_S, retries=60)
        ledger = connect(settings.redis_url, socket_timeout_s=1.5)
        waiting = connect(settings.redis_url, socket_timeout_s=WORKER_TTL_S)
        worker = BatchWorker(settings, redis, ledger, waiting)
        worker.work(logging_level="WARNING")
        if not worker.was_told_to_stop:
            # As before the first loop: the handlers of this one would tell only this worker.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
        if worker.was_told_to_stop:
            return
        log.error("the worker loop ended unexpectedly; restarting")
        time.sleep(1.0)


def main() -> int:
    answer_arguments("batchpool.worker", ABOUT, WorkerSettings, sys.argv[1:])
    settings = WorkerSettings.of_process()
    configure_logging(settings.log_level)
    become_subreaper()
    remove_stale_folders()
    try:
        serve(settings)
    except RunnerStartFailed as error:
        sys.stderr.write(f"batchpool worker: the runner does not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
