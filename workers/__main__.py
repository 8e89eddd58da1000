"""`python -m workers`: take batches from the queue until told to stop."""

import logging
import os
import sys

from workers.ledger import killpoints
from workers.ledger.connection import connect
from workers.processes import become_subreaper
from workers.rq_worker import serve
from workers.runner_process import RunnerDied, sweep_folders
from workers.settings import BadSetting, WorkerSettings


def main() -> int:
    try:
        settings = WorkerSettings.from_env(os.environ)
        killpoints.arm(os.environ)
    except (BadSetting, killpoints.KillPointRefused) as error:
        sys.stderr.write(f"batchpool worker: {error}\n")
        return 2
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    become_subreaper()
    sweep_folders()
    try:
        serve(settings, connect)
    except RunnerDied as error:
        sys.stderr.write(f"batchpool worker: the runner does not start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
