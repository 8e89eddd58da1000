"""`python -m batchpool.worker`: take batches from the queue until told to stop."""

import sys

from batchpool.command_help import answer_arguments
from batchpool.ledger.connection import connect
from batchpool.settings import WorkerSettings
from batchpool.system.logs import configure_logging
from batchpool.system.process_control import become_subreaper
from batchpool.worker.rq_worker import serve
from batchpool.worker.runner_process import RunnerDied, remove_stale_folders

ABOUT = "Take batches from the queue and run them, one at a time, until SIGTERM or SIGINT."


def main() -> int:
    answer_arguments("batchpool.worker", ABOUT, WorkerSettings, sys.argv[1:])
    settings = WorkerSettings.of_process()
    configure_logging(settings.log_level)
    become_subreaper()
    remove_stale_folders()
    try:
        serve(settings, connect)
    except RunnerDied as error:
        sys.stderr.write(f"batchpool worker: the runner does not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
